"""The LED display: computes frames of the current cue and shows them on a back end.

No task runs while a pattern is steady.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from voxd.clock import Clock
from voxd.config import schema
from voxd.entry_points import find_entry_points, load_entry_point
from voxd.errors import DeviceError, isolate, third_party
from voxd.events import Emit, Event, EventType
from voxd.hardware.patterns import Cue, Rgb, next_change_s, rgb_at, select_cue
from voxd.tasks import cancel_and_wait
from voxd.turn.inputs import State

_log = logging.getLogger(__name__)

# The entry point group in which a package names its LED back ends; the name is `leds.kind`.
GROUP = "voxd.leds"


class LedDisplay(Protocol):
    """What shows a cue: `PatternDisplay`, or `NoLedDisplay`."""

    status: str
    """One phrase for `voxctl status`."""

    def show(self, cue: Cue) -> None:
        """Show ``cue`` from now on; never raises."""

    def dim(self, brightness: float) -> None:
        """Set the brightness, 0 to 1; never raises."""

    async def close(self) -> None:
        """Switch off and free the pins; idempotent."""


class LedBackend(Protocol):
    """Shows frames on real LEDs. It is called with the `[leds]` section and raises `DeviceError`.

    ``count`` is the number of LEDs: the length of every frame.
    """

    count: int

    def show(self, frame: Sequence[Rgb]) -> None:
        """Show one colour per LED, dimmed already. It may raise what its hardware library raises."""

    def close(self) -> None:
        """Switch off and free the hardware."""


class NoLedDisplay:
    """No LEDs: none configured, or none that work."""

    def __init__(self, status: str) -> None:
        self.status = status

    def show(self, cue: Cue) -> None:
        """Do nothing."""

    def dim(self, brightness: float) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


class PatternDisplay:
    """Draws patterns on a back end; a task runs only while the pattern moves.

    A failed write is logged and announced once, as event ``error``, and tried again with the next
    drawing: a failing LED never stops the device.
    """

    def __init__(
        self, backend: LedBackend, *, name: str, brightness: float, clock: Clock, emit: Emit
    ) -> None:
        self._backend = backend
        self._name = name
        self._brightness = brightness
        self._clock = clock
        self._emit = emit
        self._cue = Cue.IDLE
        self._since_s = clock.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._failed = False
        self.status = name

    def show(self, cue: Cue) -> None:
        """Show ``cue`` from now on; the rhythm starts over only when the cue is another one."""
        if cue is not self._cue:
            self._cue = cue
            self._since_s = self._clock.monotonic()
        self._restart()

    def dim(self, brightness: float) -> None:
        """Set the brightness, 0 to 1."""
        self._brightness = brightness
        self._restart()

    async def close(self) -> None:
        """Switch off and free the pins; idempotent."""
        task, self._task = self._task, None
        await cancel_and_wait(task)
        # Nothing is left to save; a pin library raises a base class of its own.
        with isolate(lambda error: _log.debug("%s did not close: %s", self._name, error)):
            self._backend.close()

    def _restart(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        wait_s = self._draw()
        if wait_s is not None:
            self._task = asyncio.get_running_loop().create_task(self._animate(wait_s), name="voxd-leds")

    async def _animate(self, wait_s: float | None) -> None:
        while wait_s is not None:
            await self._clock.sleep(wait_s)
            wait_s = self._draw()

    def _draw(self) -> float | None:
        seconds = self._clock.monotonic() - self._since_s
        red, green, blue = rgb_at(self._cue, seconds)
        dim = self._brightness
        # A pin library raises a base class of its own.
        with isolate(self._fail):
            self._backend.show([(red * dim, green * dim, blue * dim)] * self._backend.count)
            self._failed, self.status = False, self._name
        return next_change_s(self._cue, seconds)

    def _fail(self, error: Exception) -> None:
        if self._failed:
            return
        self._failed = True
        self.status = f"{self._name}: {error}"
        _log.warning("the LED cannot be written: %s", error)
        self._emit(
            EventType.ERROR_GENERAL,
            code=DeviceError.code,
            message=f"LED: {error}",
            hint="check the wiring of [leds] pins",
        )


class LedEventHandler:
    """The event handler between the bus and the LED display."""

    def __init__(self, leds: LedDisplay) -> None:
        self._leds = leds
        self._state = State.IDLE
        self._ringing: set[int] = set()
        self._audio_lost = False
        self._failing: set[tuple[str, str]] = set()

    def __call__(self, event: Event) -> None:
        """Follow ``event``; those that change no LED are ignored."""
        match event.type:
            case EventType.STATE_CHANGED:
                self._state = State(event.data["to"])
            case EventType.TIMER_RINGING:
                self._ringing.add(event.data["id"])
            case EventType.TIMER_STOPPED | EventType.TIMER_CANCELLED:
                self._ringing.discard(event.data["id"])
            case EventType.AUDIO_LOST | EventType.AUDIO_RESTORED:
                self._audio_lost = event.type == EventType.AUDIO_LOST
            case EventType.PROVIDER_FAILED:
                # Two conditions of one provider: it is degraded until both are over.
                self._failing.add(("unhealthy", event.data["provider"]))
            case EventType.PROVIDER_RESTORED:
                self._failing.discard(("unhealthy", event.data["provider"]))
            case EventType.SPEND_STOPPED:
                self._failing.add(("spent", event.data["provider"]))
            case EventType.SPEND_RESUMED:
                self._failing.discard(("spent", event.data["provider"]))
            case _:
                return
        self._leds.show(
            select_cue(
                self._state,
                ringing=bool(self._ringing),
                audio_lost=self._audio_lost,
                degraded=bool(self._failing),
            )
        )


def open_leds(config: schema.Leds, *, clock: Clock, emit: Emit) -> LedDisplay:
    """Return the configured LED display, or `NoLedDisplay` with the reason in one line of the log."""
    if config.kind == "none":
        return NoLedDisplay("none")
    try:
        backend = _open_backend(config)
    except DeviceError as error:
        _log.warning("no LED: %s (%s)", error, error.hint)
        return NoLedDisplay(f"{config.kind}: {error}")
    return PatternDisplay(backend, name=config.kind, brightness=config.brightness, clock=clock, emit=emit)


def _open_backend(config: schema.Leds) -> LedBackend:
    reference = find_entry_points(GROUP).get(config.kind)
    if reference is None:
        raise DeviceError(
            f"no LED back end is called {config.kind}", hint="set kind in [leds], or install its package"
        )
    # LEDs must not stop the start: the caller handles `DeviceError` only.
    with third_party(
        lambda error: DeviceError(
            f"the LED back end {config.kind} failed: {error}", hint="update or remove its package"
        ),
        passes=DeviceError,
    ):
        backend: LedBackend = load_entry_point(reference)(config)
    return backend
