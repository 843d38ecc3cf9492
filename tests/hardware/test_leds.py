import logging
from collections.abc import Sequence

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory

from tests.fakes import FakeClock, RecordingEmit, settle
from voxd.bus.bus import Bus
from voxd.config import schema
from voxd.hardware.leds import LedDisplay, LedEventHandler, NoLedDisplay, PatternDisplay, open_leds
from voxd.hardware.patterns import Cue, Rgb, rgb_at
from voxd.turn.inputs import State

RGB = schema.Leds(kind="rgbled", pins=(5, 6, 13), brightness=1.0)
ONE = schema.Leds(kind="led", pins=(18,), brightness=0.5)


class RecordingLeds(NoLedDisplay):
    def __init__(self) -> None:
        super().__init__("recording")
        self.shown: list[Cue] = []

    def show(self, cue: Cue) -> None:
        self.shown.append(cue)


class FragileBackend:
    count = 1

    def __init__(self) -> None:
        self.broken = True
        self.colours: list[Rgb] = []

    def show(self, frame: Sequence[Rgb]) -> None:
        if self.broken:
            raise OSError("bus fault")
        self.colours += frame

    def close(self) -> None:
        self.colours.append((0, 0, 0))


def pin_levels(pins: MockFactory, *numbers: int) -> tuple[float, ...]:
    return tuple(float(pins.pin(number).state) for number in numbers)


@pytest.mark.parametrize("cue", Cue)
async def test_each_cue_reaches_an_rgb_led_at_every_moment(pins: MockFactory, cue: Cue) -> None:
    clock = FakeClock()
    leds = open_leds(RGB, clock=clock, emit=RecordingEmit())
    leds.show(cue)
    for tenth in range(1, 25):
        assert pin_levels(pins, 5, 6, 13) == pytest.approx(rgb_at(cue, (tenth - 1) * 0.137), abs=0.11)
        await clock.advance(0.137)
    await leds.close()


@pytest.mark.parametrize("cue", Cue)
async def test_each_cue_reaches_a_single_led_at_its_brightness(pins: MockFactory, cue: Cue) -> None:
    clock = FakeClock()
    leds = open_leds(ONE, clock=clock, emit=RecordingEmit())
    leds.show(cue)
    await clock.advance(0.04)
    assert pin_levels(pins, 18)[0] == pytest.approx(0.5 * max(rgb_at(cue, 0.04)), abs=0.03)
    await leds.close()


async def test_a_steady_cue_writes_once_and_leaves_no_task(pins: MockFactory) -> None:
    clock = FakeClock()
    leds = open_leds(ONE, clock=clock, emit=RecordingEmit())
    leds.show(Cue.THINKING)
    await clock.advance(0.2)
    leds.show(Cue.IDLE)
    await settle()
    written = len(pins.pin(18).states)
    await clock.advance(60)
    assert len(pins.pin(18).states) == written
    assert pin_levels(pins, 18) == (0.0,)
    assert isinstance(leds, PatternDisplay)
    assert leds._task is None
    await leds.close()


async def test_the_same_cue_again_does_not_start_its_rhythm_over(pins: MockFactory) -> None:
    clock = FakeClock()
    leds = open_leds(RGB, clock=clock, emit=RecordingEmit())
    leds.show(Cue.RINGING)
    await clock.advance(0.6)
    leds.show(Cue.RINGING)
    assert pin_levels(pins, 5, 6, 13) == (0, 0, 0)
    await leds.close()


async def test_brightness_changes_while_it_shows(pins: MockFactory) -> None:
    leds = open_leds(ONE, clock=FakeClock(), emit=RecordingEmit())
    leds.show(Cue.LISTENING)
    leds.dim(0.1)
    assert pin_levels(pins, 18) == (0.1,)
    await leds.close()


async def test_a_line_that_is_active_low_is_inverted(pins: MockFactory) -> None:
    config = schema.Leds(kind="led", pins=(18,), brightness=1.0, active_high=False)
    leds = open_leds(config, clock=FakeClock(), emit=RecordingEmit())
    leds.show(Cue.LISTENING)
    assert pin_levels(pins, 18) == (0.0,)
    await leds.close()


async def test_a_failing_write_is_announced_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    clock, emit, backend = FakeClock(), RecordingEmit(), FragileBackend()
    leds: LedDisplay = PatternDisplay(backend, name="led", brightness=1.0, clock=clock, emit=emit)
    leds.show(Cue.RINGING)
    await clock.advance(3)
    assert emit.types() == ["error"]
    assert len(caplog.records) == 1
    assert "bus fault" in leds.status
    backend.broken = False
    await clock.advance(0.5)
    assert backend.colours
    assert leds.status == "led"
    await leds.close()


async def test_without_gpio_there_is_one_line_and_nothing_else(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "lgpio_of_nobody")
    leds = open_leds(RGB, clock=FakeClock(), emit=RecordingEmit())
    leds.show(Cue.SPEAKING)
    await leds.close()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "no GPIO" in caplog.text
    assert "no GPIO" in leds.status
    assert not recwarn.list


async def test_the_fallbacks_of_gpiozero_are_part_of_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.setattr(gpiozero.Device, "_default_pin_factory", staticmethod(fall_back))
    leds = open_leds(ONE, clock=FakeClock(), emit=RecordingEmit())
    assert "lgpio: No module named 'lgpio'" in leds.status


def fall_back() -> None:
    import warnings

    warnings.warn(
        gpiozero.PinFactoryFallback("Falling back from lgpio: No module named 'lgpio'"), stacklevel=1
    )
    raise gpiozero.BadPinFactory("Unable to load any default pin factory!")


@pytest.mark.parametrize(("kind", "pins"), [("led", ()), ("rgbled", (5, 6))])
def test_a_wrong_number_of_pins_is_said(kind: str, pins: tuple[int, ...]) -> None:
    config = schema.Leds(kind=kind, pins=pins)
    assert "needs" in open_leds(config, clock=FakeClock(), emit=RecordingEmit()).status


def test_none_means_none() -> None:
    assert open_leds(schema.Leds(), clock=FakeClock(), emit=RecordingEmit()).status == "none"


def test_events_become_cues() -> None:
    leds = RecordingLeds()
    bus = Bus(FakeClock())
    bus.handle(LedEventHandler(leds))
    bus.emit("state.changed", **{"from": State.IDLE, "to": State.LISTENING})
    bus.emit("wake.candidate", word="alexa", score=0.4)
    bus.emit("timer.ringing", id=1, kind="timer", name="")
    bus.emit("timer.ringing", id=2, kind="timer", name="")
    bus.emit("timer.stopped", id=1, by="voice")
    bus.emit("state.changed", **{"from": State.LISTENING, "to": State.IDLE})
    bus.emit("timer.cancelled", id=2)
    bus.emit("audio.lost", device="x", reason="y", hint="z")
    bus.emit("audio.restored", device="x", after_s=1.0)
    bus.emit("provider.failed", provider="cloud", code="x", reason="y")
    bus.emit("spend.stopped", provider="cloud", spent_usd=1.0, limit_usd=1.0)
    bus.emit("provider.restored", provider="cloud")
    bus.emit("spend.resumed", provider="cloud")
    assert leds.shown == [
        Cue.LISTENING,
        Cue.RINGING,
        Cue.RINGING,
        Cue.RINGING,
        Cue.RINGING,
        Cue.IDLE,
        Cue.AUDIO_LOST,
        Cue.IDLE,
        Cue.DEGRADED,
        Cue.DEGRADED,
        Cue.DEGRADED,
        Cue.IDLE,
    ]
