"""Time as a value that can be given to whoever needs it, so that rules can be tested without waiting."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where the shell reads the time. The core counts samples instead."""

    def monotonic(self) -> float:
        """Return seconds that never go back; the origin means nothing."""
        ...

    def wall(self) -> float:
        """Return seconds since 1970 UTC; it may jump when the network sets the clock."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of monotonic time."""
        ...


class SystemClock:
    """The machine's own clocks.

    `time.monotonic` is CLOCK_MONOTONIC, which all processes of a machine share: a stamp taken in the
    audio process can be compared with one taken in the daemon.
    """

    def monotonic(self) -> float:
        """Return CLOCK_MONOTONIC in seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Return CLOCK_REALTIME in seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""
        await asyncio.sleep(seconds)
