"""Doubles that more than one room's tests use."""

import asyncio
import heapq
import itertools
from typing import Any


class FakeClock:
    """A clock that stands still until `advance` moves it; sleepers wake in order of their due time."""

    def __init__(self, monotonic: float = 1000.0, wall: float = 1_800_000_000.0) -> None:
        self.now = monotonic
        self.wall_now = wall
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.wall_now

    @property
    def is_awaited(self) -> bool:
        """Whether a task sleeps on this clock."""
        return any(not future.done() for _, _, future in self._sleepers)

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock as the network does: monotonic time does not notice."""
        self.wall_now += seconds

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move time on and run everything that becomes due on the way."""
        end = self.now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self._move(max(due, self.now))
            if not future.done():
                future.set_result(None)
            await settle_tasks()
        self._move(end)
        await settle()

    def _move(self, to: float) -> None:
        self.wall_now += to - self.now
        self.now = to


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def settle_tasks() -> None:
    """Let every task that can run do so, without the turns of the loop in which there is none."""
    # Nothing says in public whether a loop has work. Tests that go through a night second by second took
    # four fifths of their time in empty turns.
    loop: Any = asyncio.get_running_loop()
    for _ in range(20):
        await asyncio.sleep(0)
        if not loop._ready:
            return


class RecordingEmit:
    """An `Emit` that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        self.events.append((type, data))

    def types(self) -> list[str]:
        return [type for type, _ in self.events]
