"""Timers, alarms and reminders: kept on disk, rung on time, whatever the wall clock does meanwhile."""

import asyncio
import builtins
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import msgspec

from voxd.clock import Clock
from voxd.errors import Busy, NotFound, StoreError, isolate
from voxd.events import Emit, EventType
from voxd.reports import TimerEntry
from voxd.skills.schedule import DueState, LocalMoment, apply_clock_step, due_state, local_zone, restore_timer
from voxd.store.age import boot_id
from voxd.store.timers import TimerRecord, TimerStore
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

MAX_TIMERS = 64
"""More timers than this are refused."""

CHECK_S = 1.0
"""While something is set, a step of the wall clock is noticed within this time."""

_STEP_S = 0.05
"""NTP slews by at most 0.5 ms per second; a difference beyond this between two checks is a step."""

_replace = msgspec.structs.replace


@dataclass(slots=True)
class _Live:
    """A record while the daemon runs. ``clock_unset``: restored while the clock showed an earlier time."""

    record: TimerRecord
    clock_unset: bool = False
    ringing_since_s: float | None = None

    @property
    def is_countdown(self) -> bool:
        return self.record.day is None


class Timers:
    """Everything that will ring.

    A countdown follows monotonic time and survives a restart; an alarm follows the local time of day,
    through summer time and steps of the clock. ``on_ring`` is called on the loop when one is due; it rings
    until `stop_ringing`, `cancel` or ``ring_s`` seconds have passed. What came due while the device was
    off, or was jumped over by the clock, rings when that is at most an hour ago and is missed otherwise.
    """

    def __init__(
        self,
        store: TimerStore,
        clock: Clock,
        emit: Emit,
        on_ring: Callable[[TimerEntry], None],
        *,
        ring_s: float = 120.0,
        tz: tzinfo | None = None,
        boot: str | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._emit = emit
        self._on_ring = on_ring
        self.ring_s = ring_s
        self.tz = tz or local_zone()
        self._boot = boot_id() if boot is None else boot
        self._live: dict[int, _Live] = {}
        self._missed: deque[TimerEntry] = deque(maxlen=10)
        self._changed = asyncio.Event()
        self._watch = TaskScope("timers")
        self._writes = TaskScope("timer writes")
        self._last = (clock.monotonic(), clock.wall())

    async def start(self) -> None:
        """Take up what was kept and begin to watch the time. Raises `StoreError`."""
        self._last = (self._clock.monotonic(), self._clock.wall())
        kept = await self._store.all()
        for record in kept:
            self._live[record.id] = _Live(*restore_timer(record, *self._last, self._boot, self.tz))
        # From here on this boot's monotonic clock counts, whatever the wall clock does while we are away.
        settled = [live.record for live in self._live.values() if not live.clock_unset]
        if changed := [record for record in settled if record not in kept]:
            await self._store.update(changed)
        self._watch.start(self._run())

    async def close(self) -> None:
        """Stop watching; what is set stays kept. Idempotent."""
        await self._watch.close()
        # A write is finished, not cancelled: a timer that has rung must not ring again after a restart.
        while self._writes:
            await self._writes.join()

    async def set(
        self, kind: str, *, name: str = "", duration_s: float | None = None, aim: LocalMoment | None = None
    ) -> TimerEntry:
        """Set a ``kind`` (timer, alarm, reminder), due in ``duration_s`` seconds or at the moment ``aim``.

        When this returns it survives a power cut. Raises `StoreError`, and `Busy` beyond `MAX_TIMERS`.
        """
        if len(self._live) >= MAX_TIMERS:
            raise Busy(f"{MAX_TIMERS} timers are set", hint="cancel one first")
        wall_s, monotonic_s = self._clock.wall(), self._clock.monotonic()
        record = TimerRecord(kind=kind, name=name, saved_wall_s=wall_s, due_wall_s=wall_s, boot=self._boot)
        if aim is not None:
            record = _replace(record, day=aim.day, at=aim.at, due_wall_s=aim.wall_s)
        else:
            length_s = duration_s or 0.0
            record = _replace(
                record,
                duration_s=length_s,
                due_wall_s=wall_s + length_s,
                due_monotonic_s=monotonic_s + length_s,
            )
        record = await self._store.add(record)
        live = self._live[record.id] = _Live(record)
        self._changed.set()
        entry = self._entry(live)
        self._emit(EventType.TIMER_SET, id=record.id, kind=kind, due_s=round(entry.due_in_s, 3))
        return entry

    async def cancel(self, id: int) -> None:
        """Cancel, or silence, timer ``id``. Raises `NotFound`, `StoreError`."""
        live = self._live.pop(id, None)
        if live is None:
            raise NotFound(f"unknown timer {id}", hint="run `voxctl timers`")
        self._changed.set()
        if live.ringing_since_s is not None:
            self._emit(EventType.TIMER_STOPPED, id=id, by="cancel")
        else:
            self._emit(EventType.TIMER_CANCELLED, id=id)
        await self._store.remove([id])

    def list(self) -> list[TimerEntry]:
        """Return what is set or rings, the next one first."""
        return sorted(map(self._entry, self._live.values()), key=lambda entry: entry.due_in_s)

    def ringing(self) -> builtins.list[TimerEntry]:
        """Return what rings now."""
        return [entry for entry in self.list() if entry.ringing]

    def length_s(self, id: int) -> float:
        """Return how long countdown ``id`` was set for, in seconds; 0 for alarms. Raises `NotFound`."""
        if id not in self._live:
            raise NotFound(f"unknown timer {id}", hint="run `voxctl timers`")
        return self._live[id].record.duration_s

    def stop_ringing(self, by: str) -> int:
        """Silence everything that rings; returns how many did."""
        ringing = [live for live in self._live.values() if live.ringing_since_s is not None]
        for live in ringing:
            self._finish(live, by)
        return len(ringing)

    def take_missed(self) -> builtins.list[TimerEntry]:
        """Return what was missed since this was last asked."""
        missed = [*self._missed]
        self._missed.clear()
        return missed

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            self._tick()
            await self._pause(self._delay_s())

    async def _pause(self, delay_s: float | None) -> None:
        if delay_s is None:
            await self._changed.wait()
            return
        waiters: set[asyncio.Task[Any]] = {
            self._watch.start(self._changed.wait()),
            self._watch.start(_sleep(self._clock, delay_s)),
        }
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()

    def _tick(self) -> None:
        monotonic_s, wall_s = self._clock.monotonic(), self._clock.wall()
        step_s = (wall_s - self._last[1]) - (monotonic_s - self._last[0])
        self._last = (monotonic_s, wall_s)
        if abs(step_s) > _STEP_S:
            self._wall_stepped(step_s)
        for live in tuple(self._live.values()):
            if live.ringing_since_s is not None:
                if monotonic_s - live.ringing_since_s >= self.ring_s:
                    self._finish(live, "timeout")
                continue
            due_s, now_s = self._due(live)
            decision = due_state(due_s, now_s)
            if decision is DueState.RING:
                self._ring(live, monotonic_s)
            elif decision is DueState.MISSED:
                _log.warning(
                    "%s %s was due %.0f s ago and is missed", live.record.kind, live.record.id, now_s - due_s
                )
                self._missed.append(self._entry(live))
                self._finish(live, "missed")

    def _delay_s(self) -> float | None:
        """Return the seconds to the next thing to do, None when nothing is set."""
        delays = []
        for live in self._live.values():
            if live.ringing_since_s is not None:
                delays.append(live.ringing_since_s + self.ring_s - self._last[0])
            else:
                due_s, now_s = self._due(live)
                delays.append(min(due_s - now_s, CHECK_S))
        return max(0.0, min(delays)) if delays else None

    def _due(self, live: _Live) -> tuple[float, float]:
        """Return when it is due and what time it is, on the clock that counts for it."""
        if live.is_countdown:
            return live.record.due_monotonic_s, self._last[0]
        return live.record.due_wall_s, self._last[1]

    def _ring(self, live: _Live, monotonic_s: float) -> None:
        live.ringing_since_s = monotonic_s
        record = live.record
        self._emit(EventType.TIMER_RINGING, id=record.id, kind=record.kind, name=record.name)
        # A ring that fails must not end the task that watches the other timers.
        with isolate(lambda error: _log.exception("the ring of timer %s failed", record.id)):
            self._on_ring(self._entry(live))

    def _finish(self, live: _Live, by: str) -> None:
        # Kept until now: a device that restarts while it rings rings again.
        del self._live[live.record.id]
        self._changed.set()
        self._emit(EventType.TIMER_STOPPED, id=live.record.id, by=by)
        self._in_background(self._store.remove([live.record.id]))

    def _wall_stepped(self, step_s: float) -> None:
        _log.info("the wall clock moved by %.1f s; alarms follow it, countdowns do not", step_s)
        for live in self._live.values():
            live.record, live.clock_unset = apply_clock_step(
                live.record, live.clock_unset, step_s, *self._last, self.tz
            )
        self._in_background(self._store.update([live.record for live in self._live.values()]))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        self._writes.start(_logged(work))

    def _entry(self, live: _Live) -> TimerEntry:
        record = live.record
        monotonic_s, wall_s = self._clock.monotonic(), self._clock.wall()
        due_in_s = record.due_monotonic_s - monotonic_s if live.is_countdown else record.due_wall_s - wall_s
        return TimerEntry(
            id=record.id,
            kind=record.kind,
            name=record.name,
            due_at=wall_s + due_in_s,
            due_in_s=due_in_s,
            ringing=live.ringing_since_s is not None,
        )


async def _sleep(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    """Finish a write that no caller awaits; the timer itself has done its work."""
    try:
        await work
    except StoreError as error:
        _log.error("a change of the timers was not kept: %s; %s", error, error.hint)
