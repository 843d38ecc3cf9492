"""The watchdog: systemd gets its keep-alive only while all parts make progress."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from voxd.clock import Clock

_log = logging.getLogger(__name__)

# No progress for this long is late. A lost microphone is noticed within 2 s and then excused.
STALE_S = 5.0

# Late for this long cannot be restored from inside.
STUCK_S = 10.0

# How soon to look again while something is late.
RECHECK_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """When something last made progress (monotonic seconds), or that it need not just now.

    Excused are the audio of a muted or a lost and announced microphone, and the processing that waits for
    it; the loop and the supervisor of the capture process never are.
    """

    at_s: float
    excused: bool = False


@dataclass(frozen=True, slots=True)
class Liveness:
    """What is late, and since when that has been known (monotonic seconds)."""

    late_since_s: Mapping[str, float] = field(default_factory=dict)
    stuck: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether the watchdog may be fed."""
        return not self.late_since_s


def assess(
    before: Liveness,
    now_s: float,
    stamps: Mapping[str, Progress],
    *,
    stale_s: float = STALE_S,
    stuck_s: float = STUCK_S,
) -> Liveness:
    """Return the health at ``now_s``.

    Lateness counts towards ``stuck_s`` from the first look that saw it, not from the stamp: after
    the whole machine slept, or when a microphone is unmuted, every stamp is old and nothing is stuck.
    """
    late_since_s = {
        name: before.late_since_s.get(name, now_s)
        for name, stamp in stamps.items()
        if not stamp.excused and now_s - stamp.at_s > stale_s
    }
    stuck = tuple(name for name, since_s in late_since_s.items() if now_s - since_s >= stuck_s)
    return Liveness(late_since_s, stuck)


class WatchdogNotifier(Protocol):
    """What the watchdog sends to systemd."""

    def alive(self) -> None:
        """Feed it."""

    def request_restart(self) -> None:
        """Give up."""


class Watchdog:
    """Looks at the stamps every half ``interval_s`` and feeds systemd, or after a while gives up."""

    def __init__(
        self,
        stamps: Mapping[str, Callable[[], Progress]],
        *,
        notifier: WatchdogNotifier,
        interval_s: float,
        clock: Clock,
    ) -> None:
        self._stamps = stamps
        self._notifier = notifier
        self._interval_s = interval_s
        self._clock = clock
        self.health = Liveness()

    async def run(self) -> None:
        """Watch until cancelled, or until nothing more can be done."""
        while not self.health.stuck:
            self._look()
            # sd_watchdog_enabled(3) recommends half of the interval.
            half_s = self._interval_s / 2
            await self._clock.sleep(half_s if self.health.healthy else min(RECHECK_S, half_s))

    def _look(self) -> None:
        before = self.health
        stamps = {name: read() for name, read in self._stamps.items()}
        self.health = assess(before, self._clock.monotonic(), stamps)
        if self.health.stuck:
            _log.critical("no progress: %s; asking systemd for a restart", _names(self.health.stuck))
            # At once: waiting for the interval to run out would only add to the time without a device.
            self._notifier.request_restart()
            return
        if self.health.healthy:
            self._notifier.alive()
        if self.health.late_since_s.keys() != before.late_since_s.keys():
            if self.health.healthy:
                _log.info("all parts make progress again")
            else:
                _log.warning("no progress: %s; the watchdog is not fed", _names(self.health.late_since_s))


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
