"""Timers, alarms and reminders: kept on disk, rung on time, whatever the wall clock does meanwhile."""

import asyncio
import builtins
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Any
from uuid import uuid4

import msgspec

from voxd.clock import Clock
from voxd.errors import Busy, InvalidRequest, isolate
from voxd.events import Emit, EventType
from voxd.reports import TimerEntry
from voxd.skills.timing.live_timer import LiveTimer
from voxd.skills.timing.schedule import DueState, LocalMoment, local_zone
from voxd.skills.timing.timer_book import TimerBook
from voxd.skills.timing.timer_record import (
    Now,
    aim_timer,
    apply_clock_step,
    extend_timer,
    move_timer,
    next_in_s,
    pause_timer,
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

RETRY_S = 5.0
"""What the disk refused of what has happened is written again after this time."""

_STEP_S = 0.05
"""NTP slews by at most 0.5 ms per second; a difference beyond this between two checks is a step."""

_replace = msgspec.structs.replace


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
        self._clock = clock
        self._emit = emit
        self._on_ring = on_ring
        self.ring_s = ring_s
        self.tz = tz or local_zone()
        # Without an id of the boot every start may be one: times of the monotonic clock do not count then.
        self._boot = boot or boot_id() or uuid4().hex
        self._book = TimerBook(store, self._now)
        self._missed: deque[TimerEntry] = deque(maxlen=10)
        self._changed = asyncio.Event()
        self._watch = TaskScope("timers")
        self._last = self._now()
        # How far the wall clock was set since the start, in all.
        self._stepped_s = 0.0
        self._retry_s = 0.0

    async def start(self) -> None:
        """Take up what was kept and begin to watch the time. Raises `StoreError`."""
        self._last = self._now()
        await self._book.load()
        self._watch.start(self._run())

    async def close(self) -> None:
        """Stop watching; what is set stays kept. Idempotent."""
        await self._watch.close()
        await self._book.close()

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

        async def add() -> TimerEntry:
            self._require_room()
            record = TimerRecord(kind=kind, name=name, saved_wall_s=0.0, due_wall_s=0.0)
            record = aim_timer(record, self._now(), duration_s=duration_s, aim=aim, repeat=repeat)
            stepped_s = self._stepped_s
            live = await self._book.add(record)
            self._follow_steps(live, stepped_s)
            self._changed.set()
            entry = self._entry(live)
            self._emit(EventType.TIMER_SET, id=entry.id, kind=kind, due_s=round(entry.due_in_s, 3))
            return entry

        return await self._book.alone(add)

    async def extend(self, id: int, seconds: float) -> TimerEntry:
        """Make ``id`` due ``seconds`` later, or earlier when negative; what rings is due that long from now.

        Raises `NotFound`, `StoreError`, and `InvalidRequest` when nothing would be left or an alarm repeats.
        """

        def after(live: LiveTimer) -> TimerRecord:
            if not live.is_ringing:
                return extend_timer(live.record, seconds, self._now())
            if seconds > 0:
                return self._snoozed(live, seconds)
            raise self._rings(live)

        return await self._change(id, after, "extended")

    async def pause(self, id: int) -> TimerEntry:
        """Stop the countdown ``id`` until `resume`; no change when it is paused.

        Raises `NotFound`, `StoreError`, and `InvalidRequest` for what rings or is due at a time of day.
        """

        def after(live: LiveTimer) -> TimerRecord | None:
            if live.record.paused_left_s is not None:
                return None
            if live.is_ringing:
                raise self._rings(live)
            return pause_timer(live.record, self._now())

        return await self._change(id, after, "paused")

    async def resume(self, id: int) -> TimerEntry:
        """Let a paused countdown run on; no change when it runs.

        Raises `NotFound`, `StoreError`, and `InvalidRequest` for what is due at a time of day.
        """

        def after(live: LiveTimer) -> TimerRecord | None:
            if live.record.day is not None:
                reason = f"{live.record.kind} {id} is due at a time of day"
                raise InvalidRequest(reason, hint="resume only a countdown")
            return None if live.record.paused_left_s is None else resume_timer(live.record, self._now())

        return await self._change(id, after, "resumed")

    async def rename(self, id: int, name: str) -> TimerEntry:
        """Give ``id`` another name. Raises `NotFound`, `StoreError`."""
        return await self._change(id, lambda live: _replace(live.record, name=name), "renamed", silence=False)

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

        def after(live: LiveTimer) -> TimerRecord:
            return move_timer(live.record, self._now(), duration_s=duration_s, aim=aim, repeat=repeat)

        return await self._change(id, after, "moved")

    async def snooze(self, seconds: float) -> builtins.list[TimerEntry]:
        """Silence everything that rings; it rings again in ``seconds``. Returns it.

        The next occurrence of what repeats stays. Raises `StoreError`, `InvalidRequest` below one second.
        """
        if seconds < 1:
            raise InvalidRequest("a snooze takes at least a second", hint="stop the ringing instead")

        async def snooze() -> builtins.list[TimerEntry]:
            ringing = [live for live in self._book.all() if live.is_ringing]
            return await self._replace(ringing, lambda live: self._snoozed(live, seconds), "snoozed")

        return await self._book.alone(snooze)

    async def cancel(self, id: int) -> TimerRecord:
        """Cancel, or silence, timer ``id`` with all its occurrences; returns it for `restore`.

        Raises `NotFound`, and `StoreError`: then it stays set, but what rang is silent.
        """

        async def cancel() -> TimerRecord:
            live = self._book.find(id)
            record = live.record
            if was_ringing := live.is_ringing:
                self._finish(live, "cancel")
            await self._book.remove(id)
            self._changed.set()
            # It may have come due while it was written.
            if live.is_ringing:
                self._emit(EventType.TIMER_STOPPED, id=id, by="cancel")
            elif not was_ringing:
                self._emit(EventType.TIMER_CANCELLED, id=id)
            return record

        return await self._book.alone(cancel)

    async def restore(self, record: TimerRecord) -> TimerEntry:
        """Bring back ``record``, as `cancel` or `record` returned it, under its id: undoes a change.

        Time has passed for it meanwhile; if it came due it rings at once. Raises `Busy`, `StoreError`.
        """

        async def restore() -> TimerEntry:
            # The wall clock may have been set since.
            past = apply_clock_step(record, 0.0, self._now())
            for live in self._book.all():
                if live.record.id == record.id:
                    return (await self._replace([live], lambda _: past, "restored"))[0]
            self._require_room()
            stepped_s = self._stepped_s
            live = await self._book.put_back(past)
            self._follow_steps(live, stepped_s)
            self._changed.set()
            return self._report_change(live, "restored")

        return await self._book.alone(restore)

    def record(self, id: int) -> TimerRecord:
        """Return ``id`` as it is stored: what `restore` takes to undo a later change. Raises `NotFound`."""
        return self._book.find(id).record

    def list(self) -> list[TimerEntry]:
        """Return what is set or rings, the next one first, and what is paused behind it."""
        return sorted(map(self._entry, self._book.all()), key=lambda entry: (entry.paused, entry.due_in_s))

    def ringing(self) -> builtins.list[TimerEntry]:
        """Return what rings now."""
        return [entry for entry in self.list() if entry.ringing]

    def stop_ringing(self, by: str) -> int:
        """Silence everything that rings; returns how many did. What repeats comes again.

        It is silent whatever the disk does; what the disk does not take stays in the list until it does.
        """
        ringing = [live for live in self._book.all() if live.is_ringing]
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
        if self._book.is_behind and self._last.monotonic_s >= self._retry_s:
            self._retry_s = self._last.monotonic_s + RETRY_S
            self._book.write_later()
        for live in self._book.all():
            if live.has_ended:
                continue
            if live.ringing_since_s is None:
                self._check(live)
            elif live.ringing_since_s + self.ring_s <= self._last.monotonic_s:
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
        delays = [RETRY_S] if self._book.is_behind else []
        for live in self._book.all():
            if live.has_ended:
                continue
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
        live.end_ring(self._now())
        self._book.write_later(live.record.id)
        self._changed.set()
        self._emit(EventType.TIMER_STOPPED, id=live.record.id, by=by)

    def _snoozed(self, live: LiveTimer, seconds: float) -> TimerRecord:
        rest = live.after_ring(self._now())
        return snooze_timer(live.record, rest, seconds, self._now())

    def _wall_stepped(self, step_s: float) -> None:
        _log.info("the wall clock moved by %.1f s; alarms follow it, countdowns do not", step_s)
        self._stepped_s += step_s
        live = self._book.all()
        for each in live:
            self._apply_step(each, step_s)
        self._book.write_later(*(each.record.id for each in live))

    def _apply_step(self, live: LiveTimer, step_s: float) -> None:
        day = live.record.day
        live.record = apply_clock_step(live.record, step_s, self._last)
        # It rings for a date that has become meaningless, and is due at its next one already.
        if live.record.repeat is not None and live.record.day != day:
            live.rings_own = False

    def _follow_steps(self, live: LiveTimer, stepped_s: float) -> None:
        """Let a record that was made at ``stepped_s`` follow the steps of the clock while it was written."""
        if self._stepped_s != stepped_s:
            self._apply_step(live, self._stepped_s - stepped_s)
            self._book.write_later(live.record.id)

    async def _change(
        self, id: int, after: Callable[[LiveTimer], TimerRecord | None], what: str, *, silence: bool = True
    ) -> TimerEntry:
        """Replace the record of ``id`` by what ``after`` makes of it; None changes nothing."""

        async def change() -> TimerEntry:
            live = self._book.find(id)
            if after(live) is None:
                return self._entry(live)
            changed = await self._replace([live], lambda live: after(live) or live.record, what, silence)
            return changed[0]

        return await self._book.alone(change)

    async def _replace(
        self,
        timers: Sequence[LiveTimer],
        after: Callable[[LiveTimer], TimerRecord],
        what: str,
        silence: bool = True,
    ) -> builtins.list[TimerEntry]:
        """Write what ``after`` makes of each, then change and report it; a refused write changes nothing."""
        while True:
            before = [live.record for live in timers]
            records = [after(live) for live in timers]
            await self._book.update(records)
            if all(live.record is was for live, was in zip(timers, before, strict=True)):
                break
            # Its ring ended, or the clock was set, while it was written: the change is made of that.
            self._book.write_later(*(live.record.id for live in timers))
        # Now, not before: one may have come due while it was written.
        stopped = [live for live in timers if silence and live.is_ringing]
        for live, record in zip(timers, records, strict=True):
            live.record = record
            if silence:
                live.silence()
        self._changed.set()
        for live in stopped:
            self._emit(EventType.TIMER_STOPPED, id=live.record.id, by=what)
        return [self._report_change(live, what) for live in timers]

    def _report_change(self, live: LiveTimer, what: str) -> TimerEntry:
        entry = self._entry(live)
        self._emit(
            EventType.TIMER_CHANGED, id=entry.id, kind=entry.kind, what=what, due_s=round(entry.due_in_s, 3)
        )
        return entry

    def _rings(self, live: LiveTimer) -> InvalidRequest:
        return InvalidRequest(f"{live.record.kind} {live.record.id} rings", hint="stop the ringing instead")

    def _require_room(self) -> None:
        if len(self._book) >= MAX_TIMERS:
            raise Busy(f"{MAX_TIMERS} timers are set", hint="cancel one first")

    def _now(self) -> Now:
        return Now(self._clock.monotonic(), self._clock.wall(), self._boot, self.tz)

    def _entry(self, live: LiveTimer) -> TimerEntry:
        return live.entry(self._now())


async def _sleep(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)
