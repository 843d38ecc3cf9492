"""Clocks that are passed to the code that needs the time, so that tests do not wait."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the shell reads the time. The core counts samples instead."""

    def monotonic(self) -> float:
        """Return seconds that never go back; the origin means nothing."""

    def wall(self) -> float:
        """Return seconds since 1970 UTC; it may jump when the network sets the clock."""

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of monotonic time."""


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Return CLOCK_MONOTONIC in seconds."""
        # All processes of a machine share it, so a stamp taken in the audio process can be compared with one
        # taken in the daemon.
        return time.monotonic()

    def wall(self) -> float:
        """Return CLOCK_REALTIME in seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""
        await asyncio.sleep(seconds)


def local_day(wall_s: float, *, ago: int = 0) -> str:
    """Return the day of ``wall_s`` where the device is, or ``ago`` days before it, as 2026-11-20."""
    return (_local(wall_s).date() - timedelta(days=ago)).isoformat()


def s_to_midnight(wall_s: float) -> float:
    """Return how many seconds the local day of ``wall_s`` still has; more than 0."""
    now = _local(wall_s)
    # Not plus 24 hours: a day of a clock change has 23 or 25.
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time()).astimezone()
    return max(midnight.timestamp() - wall_s, 1.0)


def _local(wall_s: float) -> datetime:
    return datetime.fromtimestamp(wall_s, UTC).astimezone()
