"""What is set, in memory as on disk: a change is in memory once the disk has it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from voxd.errors import NotFound, StoreError
from voxd.skills.timing.live_timer import LiveTimer
from voxd.skills.timing.timer_record import Now, restore_timer
from voxd.store.timers import TimerRecord, TimerStore
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

T = TypeVar("T")


class TimerBook:
    """The timers by id. `alone` runs one change after another; `add` … `remove` are called within it.

    A ring that ends and a clock that is set happen whether or not the disk takes it: `write_later` writes
    that, and again until the disk agrees. Until then what has rung and does not repeat is listed.
    """

    def __init__(self, store: TimerStore, now: Callable[[], Now]) -> None:
        self._store = store
        self._now = now
        self._live: dict[int, LiveTimer] = {}
        self._late: set[int] = set()
        self._is_failing = False
        self._lock = asyncio.Lock()
        self._writes = TaskScope("timer writes")

    def __len__(self) -> int:
        return len(self._live)

    @property
    def is_behind(self) -> bool:
        """Whether the disk has refused something that has happened."""
        return self._is_failing

    def all(self) -> tuple[LiveTimer, ...]:
        """Return everything that is set, rings, or is still on disk."""
        return tuple(live for live in self._live.values() if not _is_gone(live))

    def find(self, id: int) -> LiveTimer:
        """Return one of them. Raises `NotFound`."""
        live = self._live.get(id)
        if live is None or _is_gone(live):
            raise NotFound(f"unknown timer {id}", hint="run `voxctl timers`")
        return live

    async def alone(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what ``work`` returns; no other change runs meanwhile."""

        async def run() -> T:
            async with self._lock:
                return await work()

        # A turn may be cancelled at any moment; what is on disk must not differ from what will ring.
        return await asyncio.shield(self._writes.start(run(), is_awaited=True))

    async def load(self) -> None:
        """Take up what was kept, as it runs on after a restart. Raises `StoreError`."""
        for record in await self._store.all():
            # From here on this boot's monotonic clock counts, whatever the wall clock does while we are away.
            restored = restore_timer(record, self._now())
            self._live[record.id] = LiveTimer(restored)
            if restored != record:
                self._late.add(record.id)
        await self._catch_up()

    async def close(self) -> None:
        """Finish what is being written. Idempotent."""
        # Finished, not cancelled: a timer that has rung must not ring again after a restart.
        while self._writes:
            await self._writes.join()
        await self._catch_up()

    # --- within `alone`: first the disk, then memory ----------------------------------------------

    async def add(self, record: TimerRecord) -> LiveTimer:
        """Keep ``record`` under a new id. Raises `StoreError`."""
        record = await self._store.add(record)
        live = self._live[record.id] = LiveTimer(record)
        return live

    async def put_back(self, record: TimerRecord) -> LiveTimer:
        """Keep ``record`` under the id it has had. Raises `StoreError`."""
        await self._store.put(record)
        live = self._live[record.id] = LiveTimer(record)
        return live

    async def update(self, records: Sequence[TimerRecord]) -> None:
        """Write ``records``; the caller then changes the timers. Raises `StoreError`."""
        await self._store.update([*records])

    async def remove(self, id: int) -> None:
        """Take one out. Raises `StoreError`."""
        await self._store.remove([id])
        del self._live[id]
        self._late.discard(id)

    # --- what happened anyway ---------------------------------------------------------------------

    def write_later(self, *ids: int) -> None:
        """Write what time did to ``ids``, in the background; without ids what was refused before."""
        self._late.update(ids)
        self._writes.start(self.alone(self._catch_up))

    async def _catch_up(self) -> None:
        ids, self._late = self._late, set()
        late = [self._live[id] for id in ids if id in self._live]
        over = [live for live in late if live.has_ended]
        try:
            await self._store.update([live.record for live in late if not live.has_ended])
            await self._store.remove([live.record.id for live in over])
        except StoreError as error:
            self._late |= ids
            self._refused(error)
        else:
            if self._is_failing:
                _log.warning("the timers are written to the disk again")
            self._is_failing = False
            for live in over:
                del self._live[live.record.id]
        for live in over:
            live.is_refused = self._is_failing

    def _refused(self, error: StoreError) -> None:
        # Once: it is tried again every few seconds.
        if not self._is_failing:
            _log.error("a change of the timers was not kept: %s; %s", error, error.hint)
        self._is_failing = True


def _is_gone(live: LiveTimer) -> bool:
    """Whether it has ended, but for a write that is on its way."""
    return live.has_ended and not live.is_refused
