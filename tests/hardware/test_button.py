import asyncio
from collections.abc import AsyncIterator

import gpiozero
import pytest
import pytest_asyncio
from gpiozero.pins.mock import MockFactory

from tests.fakes import FakeClock, settle
from voxd.config import schema
from voxd.hardware.button import Buttons

BUTTON, SWITCH = 17, 27


class Bench:
    """A button and a switch on mock pins, and what they said."""

    def __init__(self, pins: MockFactory, config: schema.Button) -> None:
        self.pins = pins
        self.clock = FakeClock()
        self.gestures: list[str] = []
        self.switched: list[bool] = []
        self.buttons = Buttons(
            config,
            post=lambda gesture: self.gestures.append(gesture.kind.value),
            on_switch=self.switched.append,
            clock=self.clock,
            loop=asyncio.get_running_loop(),
        )

    async def press(self, pin: int, seconds: float) -> None:
        await self.move(pin, True, seconds)
        await self.move(pin, False, 0.1)

    async def move(self, pin: int, down: bool, seconds: float) -> None:
        mock = self.pins.pin(pin)
        await asyncio.to_thread(mock.drive_low if down else mock.drive_high)  # as gpiozero does: a thread
        await settle()
        await self.clock.advance(seconds)


@pytest_asyncio.fixture
async def bench(pins: MockFactory) -> AsyncIterator[Bench]:
    bench = Bench(pins, schema.Button(pin=BUTTON, mute_switch_pin=SWITCH))
    bench.buttons.open()
    yield bench
    await bench.buttons.close()


@pytest.mark.parametrize(
    ("presses_s", "gestures"),
    [
        ([0.1], ["short"]),
        ([0.1, 0.1], ["short", "repeat"]),
        ([1.0], ["talk_start", "talk_end"]),
        ([5.0], ["talk_start", "mute"]),
        ([0.005], []),
    ],
)
async def test_presses_on_a_pin_become_gestures(
    bench: Bench, presses_s: list[float], gestures: list[str]
) -> None:
    for press_s in presses_s:
        await bench.press(BUTTON, press_s)
    assert bench.gestures == gestures


async def test_speech_while_the_button_is_held_prevents_muting(bench: Bench) -> None:
    await bench.move(BUTTON, True, 1.0)
    bench.buttons.speech_heard()
    await bench.clock.advance(10)
    await bench.move(BUTTON, False, 0.1)
    assert bench.gestures == ["talk_start", "talk_end"]


async def test_the_mute_switch_is_told_once_per_position(bench: Bench) -> None:
    await bench.move(SWITCH, True, 0.005)
    await bench.move(SWITCH, False, 0.005)
    await bench.move(SWITCH, True, 1.0)
    await bench.move(SWITCH, False, 1.0)
    assert bench.switched == [True, False]


async def test_an_untouched_button_needs_no_task(bench: Bench) -> None:
    await bench.press(BUTTON, 0.1)
    await settle()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "voxd-button"]


async def test_a_switch_closed_at_the_start_mutes(pins: MockFactory) -> None:
    pins.pin(SWITCH).drive_low()
    bench = Bench(pins, schema.Button(mute_switch_pin=SWITCH))
    pull = pins.pin(SWITCH)
    pull._set_pull = lambda value: None  # a mock pin takes the level of its pull: this one is held low
    bench.buttons.open()
    assert bench.switched == [True]
    assert bench.buttons.status == f"mute switch on GPIO {SWITCH}"
    await bench.buttons.close()


async def test_the_status_names_what_is_wired(bench: Bench) -> None:
    assert bench.buttons.status == f"button on GPIO {BUTTON}, mute switch on GPIO {SWITCH}"


async def test_nothing_wired_opens_nothing(pins: MockFactory) -> None:
    bench = Bench(pins, schema.Button())
    bench.buttons.open()
    assert bench.buttons.status == "none"
    assert not pins.pins


async def test_without_gpio_there_is_one_line_and_nothing_else(
    pins: MockFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "lgpio_of_nobody")
    bench = Bench(pins, schema.Button(pin=BUTTON))
    bench.buttons.open()
    assert len(caplog.records) == 1
    assert "no GPIO" in bench.buttons.status
    await bench.buttons.close()
    await bench.buttons.close()


async def test_a_pin_that_is_taken_frees_the_others(pins: MockFactory) -> None:
    with gpiozero.LED(SWITCH):
        bench = Bench(pins, schema.Button(pin=BUTTON, mute_switch_pin=SWITCH))
        bench.buttons.open()
        assert "no GPIO" in bench.buttons.status
        gpiozero.LED(BUTTON).close()
