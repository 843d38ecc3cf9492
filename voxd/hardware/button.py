"""The push button and the mute switch over gpiozero: its threads' callbacks become calls on the loop."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from voxd.clock import Clock
from voxd.config import schema
from voxd.errors import DeviceError
from voxd.hardware.gestures import Debounce, Gesture, GestureReader
from voxd.hardware.gpio import open_device
from voxd.tasks import cancel_and_wait

_log = logging.getLogger(__name__)


class Buttons:
    """Reads the pins of ``[button]`` and posts what they mean, on the loop.

    ``post`` gets every gesture; ``on_switch`` the position of the mute switch (True: closed, muted)
    at the start if it is closed, and at every change. A machine without GPIO gets one line in the
    log, and `status` says why.
    """

    def __init__(
        self,
        config: schema.Button,
        *,
        post: Callable[[Gesture], None],
        on_switch: Callable[[bool], None],
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._config = config
        self._post = post
        self._on_switch = on_switch
        self._clock = clock
        self._loop = loop
        self._reader = GestureReader(config)
        self._switch = Debounce(config.bounce_ms / 1000)
        self._timer: asyncio.Task[None] | None = None
        self._devices: list[Any] = []
        self.status = "none"

    def open(self) -> None:
        """Start reading the pins; never raises."""
        pins = (self._config.pin, self._config.mute_switch_pin)
        if pins == (None, None):
            return
        try:
            self._open_pin(self._config.pin, self._button_edge)
            switch = self._open_pin(self._config.mute_switch_pin, self._switch_edge)
        except DeviceError as error:
            _log.warning("no button: %s (%s)", error, error.hint)
            self._close_devices()
            self.status = str(error)
            return
        names = ("button on GPIO %d", "mute switch on GPIO %d")
        self.status = ", ".join(name % pin for name, pin in zip(names, pins, strict=True) if pin is not None)
        if switch is not None and switch.is_active:
            # A switch has no edge at the start, so its level is read once.
            self._switch = Debounce(self._config.bounce_ms / 1000, level=True)
            # Only the closed position is reported: open is what the device starts with.
            self._on_switch(True)

    def speech_heard(self) -> None:
        """Note that the user speaks: holding the button for long then does not mute."""
        self._reader.speech_heard()
        self._arm()

    async def close(self) -> None:
        """Free the pins; idempotent."""
        self._close_devices()
        timer, self._timer = self._timer, None
        await cancel_and_wait(timer)

    def _open_pin(self, pin: int | None, edge: Callable[[bool, float], None]) -> Any:
        if pin is None:
            return None

        def post_edge(down: bool) -> None:
            # gpiozero calls from a thread of its own, which may outlive the loop by a moment.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(edge, down, self._clock.monotonic())

        # Not gpiozero.Button: its hold thread would do badly what the gestures do by themselves.
        device = open_device(lambda gpiozero: gpiozero.DigitalInputDevice(pin, pull_up=self._config.pull_up))
        self._devices.append(device)
        device.when_activated = lambda: post_edge(True)
        device.when_deactivated = lambda: post_edge(False)
        return device

    def _close_devices(self) -> None:
        for device in self._devices:
            device.close()
        self._devices.clear()

    def _button_edge(self, down: bool, at_s: float) -> None:
        self._give(self._reader.edge(down, at_s))
        self._arm()

    def _switch_edge(self, closed: bool, at_s: float) -> None:
        self._switch.edge(closed, at_s)
        self._settle()
        self._arm()

    def _give(self, gestures: list[Gesture]) -> None:
        for gesture in gestures:
            self._post(gesture)

    def _settle(self) -> None:
        if self._switch.settle(self._clock.monotonic()) is not None:
            self._on_switch(self._switch.level)

    def _deadline_s(self) -> float | None:
        deadlines = (self._reader.deadline_s, self._switch.deadline_s)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _arm(self) -> None:
        if self._timer is not None:
            # Only one timer: each edge moves the deadline.
            self._timer.cancel()
            self._timer = None
        if self._deadline_s() is not None:
            self._timer = self._loop.create_task(self._wait(), name="voxd-button")

    async def _wait(self) -> None:
        while (deadline_s := self._deadline_s()) is not None:
            # A loop, because a gesture that becomes certain may set the next deadline.
            await self._clock.sleep(max(0.0, deadline_s - self._clock.monotonic()))
            self._give(self._reader.tick(self._clock.monotonic()))
            self._settle()
