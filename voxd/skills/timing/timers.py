"""Timers, alarms and reminders: kept on disk, rung on time, whatever the wall clock does meanwhile."""

import asyncio
import builtins
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any, TypeVar
from uuid import uuid4

import msgspec

from voxd.clock import Clock
from voxd.errors import Busy, InvalidRequest, NotFound, StoreError, isolate
from voxd.events import Emit, EventType
from voxd.reports import TimerEntry
from voxd.skills.timing.live_timer import LiveTimer
from voxd.skills.timing.schedule import DueState, LocalMoment, local_zone
from voxd.skills.timing.timer_record import (
    Now,
    aim_timer,
    apply_clock_step,
    extend_timer,
    move_timer,
    next_in_s,
    pause_timer,
    restore_timer,
    resume_timer,
    snooze_timer,
)
from voxd.store.age import boot_id
from voxd.store.timers import Repeat, TimerRecord, TimerStore
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

MAX_TIMERS = 64
"""More timers than this are refused."""

CHECK_S = 1.0
"""While something is set, a step of the wall clock is noticed within this time."""

_STEP_S = 0.05
"""NTP slews by at most 0.5 ms per second; a difference beyond this between two checks is a step."""

_replace = msgspec.structs.replace

T = TypeVar("T")


class Timers:
    """Everything that will ring.

    A countdown follows monotonic time and survives a restart; an alarm follows the local time of day,
    through summer time and steps of the clock. ``on_ring`` is called on the loop when one is due; it rings
    until `stop_ringing`, `cancel` or ``ring_s`` seconds have passed. What came due while the device was
    off, or was jumped over by the clock, rings when that is at most an hour ago and is missed otherwise.

    What repeats stays in the list: when it stops ringing it is due at its next occurrence.
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
        # Without an id of the boot every start may be one: times of the monotonic clock do not count then.
        self._boot = boot or boot_id() or uuid4().hex
        self._live: dict[int, LiveTimer] = {}
        self._missed: deque[TimerEntry] = deque(maxlen=10)
        self._changed = asyncio.Event()
        self._watch = TaskScope("timers")
        self._writes = TaskScope("timer writes")
        self._last = self._now()

    async def start(self) -> None:
        """Take up what was kept and begin to watch the time. Raises `StoreError`."""
        self._last = self._now()
        kept = await self._store.all()
        for record in kept:
            self._live[record.id] = LiveTimer(restore_timer(record, self._last))
        # From here on this boot's monotonic clock counts, whatever the wall clock does while we are away.
        if changed := [live.record for live in self._live.values() if live.record not in kept]:
            await self._store.update(changed)
        self._watch.start(self._run())

    async def close(self) -> None:
        """Stop watching; what is set stays kept. Idempotent."""
        await self._watch.close()
        # A write is finished, not cancelled: a timer that has rung must not ring again after a restart.
        while self._writes:
            await self._writes.join()

    async def set(
        self,
        kind: str,
        *,
        name: str = "",
        duration_s: float | None = None,
        aim: LocalMoment | None = None,
        repeat: Repeat | None = None,
    ) -> TimerEntry:
        """Set a ``kind`` (timer, alarm, reminder), due in ``duration_s`` seconds or at the moment ``aim``.

        What repeats by the calendar is due at its first occurrence that is not before ``aim``; an interval
        counts from now unless one of the two is given. When this returns it survives a power cut. Raises
        `StoreError`, `Busy` beyond `MAX_TIMERS`, `InvalidRequest` for the calendar without ``aim``.
        """
        self._require_room()
        record = TimerRecord(kind=kind, name=name, saved_wall_s=0.0, due_wall_s=0.0)
        record = aim_timer(record, self._now(), duration_s=duration_s, aim=aim, repeat=repeat)
        live = await self._finish_write(self._add(record))
        entry = self._entry(live)
        self._emit(EventType.TIMER_SET, id=entry.id, kind=kind, due_s=round(entry.due_in_s, 3))
        return entry

    async def extend(self, id: int, seconds: float) -> TimerEntry:
        """Make ``id`` due ``seconds`` later, or earlier when negative; what rings is due that long from now.

        Raises `NotFound`, `StoreError`, and `InvalidRequest` when nothing would be left or an alarm repeats.
        """
        live = self._require(id)
        if not live.is_ringing:
            after = extend_timer(live.record, seconds, self._now())
        elif seconds > 0:
            after = self._snoozed(live, seconds)
        else:
            raise InvalidRequest(f"{live.record.kind} {id} rings", hint="stop the ringing instead")
        return await self._change(live, after, "extended")

    async def pause(self, id: int) -> TimerEntry:
        """Stop the countdown ``id`` until `resume`; no change when it is paused.

        Raises `NotFound`, `StoreError`, and `InvalidRequest` for what rings or is due at a time of day.
        """
        live = self._require(id)
        if live.record.paused_left_s is not None:
            return self._entry(live)
        if live.is_ringing:
            raise InvalidRequest(f"{live.record.kind} {id} rings", hint="stop the ringing instead")
        return await self._change(live, pause_timer(live.record, self._now()), "paused")

    async def resume(self, id: int) -> TimerEntry:
        """Let a paused countdown run on; no change when it runs.

        Raises `NotFound`, `StoreError`, and `InvalidRequest` for what is due at a time of day.
        """
        live = self._require(id)
        if live.record.day is not None:
            reason = f"{live.record.kind} {id} is due at a time of day"
            raise InvalidRequest(reason, hint="resume only a countdown")
        if live.record.paused_left_s is None:
            return self._entry(live)
        return await self._change(live, resume_timer(live.record, self._now()), "resumed")

    async def rename(self, id: int, name: str) -> TimerEntry:
        """Give ``id`` another name. Raises `NotFound`, `StoreError`."""
        live = self._require(id)
        return await self._change(live, _replace(live.record, name=name), "renamed", silence=False)

    async def move(
        self,
        id: int,
        *,
        duration_s: float | None = None,
        aim: LocalMoment | None = None,
        repeat: Repeat | None = None,
    ) -> TimerEntry:
        """Set ``id`` anew as `set` does, under its id and name; a paused one runs, what rings is silenced.

        Without ``repeat`` it repeats as before; with ``repeat`` alone an alarm keeps its time of day.
        Raises `NotFound`, `StoreError`, `InvalidRequest`.
        """
        live = self._require(id)
        after = move_timer(live.record, self._now(), duration_s=duration_s, aim=aim, repeat=repeat)
        return await self._change(live, after, "moved")

    async def snooze(self, seconds: float) -> builtins.list[TimerEntry]:
        """Silence everything that rings; it rings again in ``seconds``. Returns it.

        The next occurrence of what repeats stays. Raises `StoreError`, `InvalidRequest` below one second.
        """
        if seconds < 1:
            raise InvalidRequest("a snooze takes at least a second", hint="stop the ringing instead")
        ringing = [live for live in self._live.values() if live.is_ringing]
        changes = [(live, self._snoozed(live, seconds)) for live in ringing]
        return await self._change_all(changes, "snoozed")

    async def cancel(self, id: int) -> TimerRecord:
        """Cancel, or silence, timer ``id`` with all its occurrences; returns it for `restore`.

        Raises `NotFound`, `StoreError`.
        """
        live = self._require(id)
        del self._live[id]
        self._changed.set()
        if live.is_ringing:
            self._emit(EventType.TIMER_STOPPED, id=id, by="cancel")
        else:
            self._emit(EventType.TIMER_CANCELLED, id=id)
        await self._finish_write(self._store.remove([id]))
        return live.record

    async def restore(self, record: TimerRecord) -> TimerEntry:
        """Bring back ``record``, as `cancel` or `record` returned it, under its id: undoes a change.

        Time has passed for it meanwhile; if it came due it rings at once. Raises `Busy`, `StoreError`.
        """
        # The wall clock may have been set since.
        record = apply_clock_step(record, 0.0, self._now())
        live = self._live.get(record.id)
        if live is not None:
            return await self._change(live, record, "restored")
        self._require_room()
        live = await self._finish_write(self._put_back(record))
        return self._report_change(live, "restored")

    def record(self, id: int) -> TimerRecord:
        """Return ``id`` as it is stored: what `restore` takes to undo a later change. Raises `NotFound`."""
        return self._require(id).record

    def list(self) -> list[TimerEntry]:
        """Return what is set or rings, the next one first, and what is paused behind it."""
        return sorted(map(self._entry, self._live.values()), key=lambda entry: (entry.paused, entry.due_in_s))

    def ringing(self) -> builtins.list[TimerEntry]:
        """Return what rings now."""
        return [entry for entry in self.list() if entry.ringing]

    def stop_ringing(self, by: str) -> int:
        """Silence everything that rings; returns how many did. What repeats comes again."""
        ringing = [live for live in self._live.values() if live.is_ringing]
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
            await self._wait(self._delay_s())

    async def _wait(self, delay_s: float | None) -> None:
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
        last, self._last = self._last, self._now()
        step_s = (self._last.wall_s - last.wall_s) - (self._last.monotonic_s - last.monotonic_s)
        if abs(step_s) > _STEP_S:
            self._wall_stepped(step_s)
        for live in tuple(self._live.values()):
            if live.ringing_since_s is None:
                self._check(live)
            elif self._last.monotonic_s - live.ringing_since_s >= self.ring_s:
                self._finish(live, "timeout")

    def _check(self, live: LiveTimer) -> None:
        state = live.mark_due(self._last)
        if state is DueState.RING:
            self._ring(live)
        elif state is DueState.MISSED:
            missed = self._entry(live)
            _log.warning("%s %s was due %.0f s ago and is missed", missed.kind, missed.id, -missed.due_in_s)
            self._missed.append(missed)
            self._finish(live, "missed")

    def _delay_s(self) -> float | None:
        """Return the seconds to the next thing to do, None when nothing is set."""
        delays = []
        for live in self._live.values():
            if live.ringing_since_s is not None:
                delays.append(live.ringing_since_s + self.ring_s - self._last.monotonic_s)
            elif live.record.paused_left_s is None:
                delays.append(min(next_in_s(live.record, self._last), CHECK_S))
        return max(0.0, min(delays)) if delays else None

    def _ring(self, live: LiveTimer) -> None:
        live.ringing_since_s = self._last.monotonic_s
        record = live.record
        self._emit(EventType.TIMER_RINGING, id=record.id, kind=record.kind, name=record.name)
        # A ring that fails must not end the task that watches the other timers.
        with isolate(lambda error: _log.exception("the ring of timer %s failed", record.id)):
            self._on_ring(self._entry(live))

    def _finish(self, live: LiveTimer, by: str) -> None:
        # Kept until now: a device that restarts while it rings rings again.
        rest = live.after_ring(self._now())
        live.silence()
        self._changed.set()
        if rest is None:
            del self._live[live.record.id]
            self._in_background(self._store.remove([live.record.id]))
        else:
            live.record = rest
            self._in_background(self._store.update([rest]))
        self._emit(EventType.TIMER_STOPPED, id=live.record.id, by=by)

    def _snoozed(self, live: LiveTimer, seconds: float) -> TimerRecord:
        rest = live.after_ring(self._now())
        return snooze_timer(live.record, rest, seconds, self._now())

    def _wall_stepped(self, step_s: float) -> None:
        _log.info("the wall clock moved by %.1f s; alarms follow it, countdowns do not", step_s)
        for live in self._live.values():
            day = live.record.day
            live.record = apply_clock_step(live.record, step_s, self._last)
            # It rings for a date that has become meaningless, and is due at its next one already.
            if live.record.repeat is not None and live.record.day != day:
                live.rings_own = False
        self._in_background(self._store.update([live.record for live in self._live.values()]))

    async def _add(self, record: TimerRecord) -> LiveTimer:
        record = await self._store.add(record)
        return self._watch_over(record)

    async def _put_back(self, record: TimerRecord) -> LiveTimer:
        await self._store.put(record)
        return self._watch_over(record)

    def _watch_over(self, record: TimerRecord) -> LiveTimer:
        live = self._live[record.id] = LiveTimer(record)
        self._changed.set()
        return live

    async def _change(
        self, live: LiveTimer, after: TimerRecord, what: str, *, silence: bool = True
    ) -> TimerEntry:
        entries = await self._change_all([(live, after)], what, silence=silence)
        return entries[0]

    async def _change_all(
        self, changes: Sequence[tuple[LiveTimer, TimerRecord]], what: str, *, silence: bool = True
    ) -> builtins.list[TimerEntry]:
        """Replace the records, write them and report it; when they cannot be written all is as before."""
        before = [replace(live) for live, _ in changes]
        for live, after in changes:
            live.record = after
            if silence:
                live.silence()
        self._changed.set()
        try:
            await self._finish_write(self._store.update([after for _, after in changes]))
        except StoreError:
            for (live, after), was in zip(changes, before, strict=True):
                if live.record is after:
                    live.set_back(was)
            raise
        for was in before:
            if silence and was.is_ringing:
                self._emit(EventType.TIMER_STOPPED, id=was.record.id, by=what)
        return [self._report_change(live, what) for live, _ in changes]

    def _report_change(self, live: LiveTimer, what: str) -> TimerEntry:
        entry = self._entry(live)
        self._emit(
            EventType.TIMER_CHANGED, id=entry.id, kind=entry.kind, what=what, due_s=round(entry.due_in_s, 3)
        )
        return entry

    def _require(self, id: int) -> LiveTimer:
        if id not in self._live:
            raise NotFound(f"unknown timer {id}", hint="run `voxctl timers`")
        return self._live[id]

    def _require_room(self) -> None:
        if len(self._live) >= MAX_TIMERS:
            raise Busy(f"{MAX_TIMERS} timers are set", hint="cancel one first")

    def _now(self) -> Now:
        return Now(self._clock.monotonic(), self._clock.wall(), self._boot, self.tz)

    async def _finish_write(self, work: Coroutine[Any, Any, T]) -> T:
        # A turn may be cancelled at any moment; what is on disk must not differ from what will ring.
        return await asyncio.shield(self._writes.start(work, is_awaited=True))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        self._writes.start(_logged(work))

    def _entry(self, live: LiveTimer) -> TimerEntry:
        return live.entry(self._now())


async def _sleep(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    """Finish a write that no caller awaits; the timer itself has done its work."""
    try:
        await work
    except StoreError as error:
        _log.error("a change of the timers was not kept: %s; %s", error, error.hint)
