"""One timer while the daemon runs: whether it rings, for which of its moments, and what comes after."""

from dataclasses import dataclass

import msgspec

from voxd.reports import TimerEntry
from voxd.skills.timing.schedule import DueState, due_state
from voxd.skills.timing.timer_record import Now, advance_timer, catch_up_timer, due_in_s, next_in_s
from voxd.store.timers import TimerRecord


@dataclass(slots=True)
class LiveTimer:
    """A record and its ring, which is for its own moment, for the end of its snooze, or for both."""

    record: TimerRecord
    ringing_since_s: float | None = None
    rings_own: bool = False
    rings_snooze: bool = False
    # It has rung and nothing is left of it; the disk has still to forget it.
    has_ended: bool = False
    # The disk did not take the end of its ring.
    is_refused: bool = False

    @property
    def is_ringing(self) -> bool:
        """Whether it rings."""
        return self.ringing_since_s is not None

    def end_ring(self, now: Now) -> None:
        """Stop the ring: what repeats waits for its next occurrence, anything else has ended."""
        rest = self.after_ring(now)
        self.record = rest or self.record
        self.silence()
        self.has_ended = rest is None

    def silence(self) -> None:
        """Stop the ring; idempotent."""
        self.ringing_since_s = None
        self.rings_own = self.rings_snooze = self.has_ended = self.is_refused = False

    def mark_due(self, now: Now) -> DueState:
        """Note which of its moments have come; returns what to do about the ones that are new."""
        if self.record.paused_left_s is not None:
            return DueState.WAIT
        states = set()
        if not self.rings_own:
            self.record = catch_up_timer(self.record, now)
            states.add(own := due_state(due_in_s(self.record, now), 0.0))
            self.rings_own = own is not DueState.WAIT
        if self.record.snooze is not None and not self.rings_snooze:
            states.add(again := due_state(due_in_s(self.record.snooze, now), 0.0))
            self.rings_snooze = again is not DueState.WAIT
        return next((state for state in (DueState.RING, DueState.MISSED) if state in states), DueState.WAIT)

    def after_ring(self, now: Now) -> TimerRecord | None:
        """Return what is still to come when this ring is over, None if nothing is."""
        # What came due during the ring has rung with it.
        self.mark_due(now)
        record = self.record
        if self.rings_snooze:
            record = msgspec.structs.replace(record, snooze=None)
        return advance_timer(record, now) if self.rings_own else record

    def entry(self, now: Now) -> TimerEntry:
        """Return it as the user interfaces show it."""
        record = self.record
        left_s = next_in_s(record, now)
        return TimerEntry(
            id=record.id,
            kind=record.kind,
            name=record.name,
            due_at=now.wall_s + left_s,
            due_in_s=left_s,
            ringing=self.is_ringing,
            repeat=record.repeat,
            paused=record.paused_left_s is not None,
            duration_s=record.duration_s,
        )
