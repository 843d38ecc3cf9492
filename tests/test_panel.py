"""Button, lights and mute switch on a whole daemon, with gpiozero's own mock pins and a virtual room."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from tests.rig.speech import say
from voxd.audio.files import write_wav
from voxd.config.schema import Audio, Button, Config, Leds, Turn
from voxd.control.sockets import bind
from voxd.daemon import Daemon
from voxd.frames import SAMPLE_RATE_HZ, Clip, samples_from_s
from voxd.turn.inputs import State

BUTTON, SWITCH, RED, GREEN, BLUE = 17, 27, 22, 23, 24
TIMEOUT_S = 30.0


class Panel:
    """A daemon and the fingers on it."""

    def __init__(self, daemon: Daemon, factory: MockFactory) -> None:
        self.daemon = daemon
        self._factory = factory

    def press(self, pin: int = BUTTON) -> None:
        self._factory.pin(pin).drive_low()

    def release(self, pin: int = BUTTON) -> None:
        self._factory.pin(pin).drive_high()

    @property
    def colour(self) -> tuple[Any, ...]:
        return tuple(round(self._factory.pin(pin).state, 2) for pin in (RED, GREEN, BLUE))

    async def until(self, state: State) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            with self.daemon.bus.subscribe(["state.changed"]) as events:
                if self.daemon.runner.machine.state is state:
                    return
                async for event in events:
                    if event.data["to"] == state.value:
                        return


@pytest.fixture
async def panel(tmp_path: Path) -> AsyncIterator[Panel]:
    """A daemon whose microphone hears "what time is it" over and over."""
    pause = bytes(2 * samples_from_s(1.5))
    words = say("what time is it", tmp_path).pcm
    write_wav(tmp_path / "room.wav", Clip((pause + words) * 12, SAMPLE_RATE_HZ))
    config = Config(
        audio=Audio(input="virtual", output="virtual", virtual_input=str(tmp_path / "room.wav")),
        leds=Leds(kind="rgbled", pins=(RED, GREEN, BLUE)),
        button=Button(pin=BUTTON, mute_switch_pin=SWITCH, bounce_ms=0, hold_ms=200, long_ms=1000),
        turn=Turn(earcons=False),
    )
    factory = gpiozero.Device.pin_factory = MockFactory(pin_class=MockPWMPin)
    daemon = Daemon(config, lambda: config, state_dir=tmp_path, models_dir=tmp_path)
    await daemon.start([bind(tmp_path / "voxd.sock", "control")])
    yield Panel(daemon, factory)
    await daemon.stop()
    factory.reset()
    gpiozero.Device.pin_factory = None


async def test_a_short_press_starts_a_turn_and_the_lights_follow(panel: Panel) -> None:
    idle = panel.colour
    panel.press()
    panel.release()
    await panel.until(State.LISTENING)
    listening = panel.colour
    assert listening != idle
    await panel.until(State.THINKING)
    await panel.until(State.SPEAKING)
    await panel.until(State.IDLE)
    assert (await panel.daemon.history.newest(1))[0].transcript == "what time is it"


async def test_a_press_while_it_speaks_silences_it(panel: Panel) -> None:
    speaking = asyncio.create_task(
        panel.daemon.appliance.say("one two three four five six seven eight", wait=True)
    )
    await panel.until(State.SPEAKING)
    panel.press()
    panel.release()
    await panel.until(State.IDLE)
    await speaking
    assert panel.daemon.ledger.finished[0].outcome == "cancelled"


async def test_the_mute_switch_closes_the_microphone_and_wins_over_voxctl(panel: Panel) -> None:
    panel.press(SWITCH)
    await panel.until(State.MUTED)
    async with asyncio.timeout(TIMEOUT_S):
        while panel.daemon.microphone.pid is not None:
            await asyncio.sleep(0)
    head = panel.daemon.ring.head
    panel.release(SWITCH)
    await panel.until(State.IDLE)
    async with asyncio.timeout(TIMEOUT_S):
        while panel.daemon.ring.head == head:
            await asyncio.sleep(0)
