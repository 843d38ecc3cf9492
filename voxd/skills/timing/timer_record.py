"""How the record of a timer changes: set, extended, paused, snoozed, rung, restarted. Pure functions."""

from dataclasses import dataclass
from datetime import datetime, tzinfo

import msgspec

from voxd.errors import InvalidRequest
from voxd.skills.timing.schedule import (
    LocalMoment,
    first_occurrence,
    latest_occurrence,
    move_alarm,
    next_occurrence,
    wall_of,
)
from voxd.store.timers import Repeat, TimerRecord

_replace = msgspec.structs.replace


@dataclass(frozen=True, slots=True)
class Now:
    """The present moment on both clocks, the id of this boot, and the local zone."""

    monotonic_s: float
    wall_s: float
    boot: str
    tz: tzinfo


def due_in_s(record: TimerRecord, now: Now) -> float:
    """Return in how many seconds ``record`` is due, apart from its snooze; of a paused one what is left."""
    if record.paused_left_s is not None:
        return record.paused_left_s
    if record.day is None:
        return record.due_monotonic_s - now.monotonic_s
    return record.due_wall_s - now.wall_s


def next_in_s(record: TimerRecord, now: Now) -> float:
    """Return in how many seconds ``record`` is due, or the end of its snooze, whichever comes first."""
    own_s = due_in_s(record, now)
    return own_s if record.snooze is None else min(own_s, due_in_s(record.snooze, now))


def count_down(record: TimerRecord, seconds: float, now: Now) -> TimerRecord:
    """Return ``record`` as a countdown that runs and has ``seconds`` left."""
    return _replace(
        record,
        day=None,
        at=None,
        paused_left_s=None,
        due_wall_s=now.wall_s + seconds,
        due_monotonic_s=now.monotonic_s + seconds,
        saved_wall_s=now.wall_s,
        boot=now.boot,
    )


def aim_timer(
    record: TimerRecord,
    now: Now,
    *,
    duration_s: float | None = None,
    aim: LocalMoment | None = None,
    repeat: Repeat | None = None,
) -> TimerRecord:
    """Return ``record`` set anew, for ``duration_s`` seconds or the moment ``aim``; see `Timers.set`.

    Raises `InvalidRequest` when a repetition by the calendar has no time of day.
    """
    record = _replace(record, repeat=repeat, snooze=None, duration_s=0.0)
    if repeat is not None and repeat.interval_s:
        length_s = duration_s or repeat.interval_s
        record = _replace(record, duration_s=length_s)
        return count_down(record, aim.wall_s - now.wall_s if aim is not None else length_s, now)
    if repeat is not None:
        if aim is None:
            raise InvalidRequest(
                "what repeats by the calendar needs a time of day", hint="give a time of day"
            )
        aim = first_occurrence(repeat, aim, now.wall_s, now.tz)
    if aim is None:
        length_s = duration_s or 0.0
        return count_down(_replace(record, duration_s=length_s), length_s, now)
    record = _replace(record, day=aim.day, at=aim.at, due_wall_s=aim.wall_s, due_monotonic_s=0.0)
    return _replace(record, paused_left_s=None, saved_wall_s=now.wall_s, boot=now.boot)


def move_timer(
    record: TimerRecord,
    now: Now,
    *,
    duration_s: float | None = None,
    aim: LocalMoment | None = None,
    repeat: Repeat | None = None,
) -> TimerRecord:
    """Return ``record`` set anew, with the repetition and the time of day it had where none is given.

    Raises `InvalidRequest`.
    """
    if duration_s is None and aim is None:
        if repeat is None:
            raise InvalidRequest("there is nothing to change", hint="give a duration, a time or a repetition")
        if record.day is not None and record.at is not None:
            aim = LocalMoment(record.day, record.at, record.due_wall_s)
    return aim_timer(record, now, duration_s=duration_s, aim=aim, repeat=repeat or record.repeat)


def extend_timer(record: TimerRecord, seconds: float, now: Now) -> TimerRecord:
    """Return ``record`` due ``seconds`` later, or earlier when negative; a snoozed one has a longer snooze.

    Raises `InvalidRequest` when nothing would be left, or when it is an alarm that repeats.
    """
    if record.snooze is not None:
        return _replace(record, snooze=extend_timer(record.snooze, seconds, now))
    if record.repeat is not None and record.day is not None:
        raise InvalidRequest(f"{record.kind} {record.id} repeats", hint="give it another time of day instead")
    left_s = due_in_s(record, now)
    if left_s + seconds <= 0:
        raise InvalidRequest(f"the {record.kind} has only {left_s:.0f} s left", hint="cancel it instead")
    if record.paused_left_s is not None:
        return _replace(record, paused_left_s=left_s + seconds)
    record = _shift(record, seconds, now)
    if record.day is None:
        return record
    local = datetime.fromtimestamp(record.due_wall_s, now.tz)
    return _replace(record, day=local.date(), at=local.time())


def pause_timer(record: TimerRecord, now: Now) -> TimerRecord:
    """Return ``record`` paused. Raises `InvalidRequest` when it is due at a time of day."""
    if record.day is not None:
        raise InvalidRequest(
            f"{record.kind} {record.id} is due at a time of day", hint="pause only a countdown"
        )
    if record.snooze is not None:
        record = _replace(record, snooze=pause_timer(record.snooze, now))
    return _replace(record, paused_left_s=max(0.0, due_in_s(record, now)))


def resume_timer(record: TimerRecord, now: Now) -> TimerRecord:
    """Return ``record``, which is paused, as it runs on."""
    if record.snooze is not None:
        record = _replace(record, snooze=resume_timer(record.snooze, now))
    return count_down(record, due_in_s(record, now), now)


def snooze_timer(record: TimerRecord, rest: TimerRecord | None, seconds: float, now: Now) -> TimerRecord:
    """Return ``record``, which rings, as it rings again in ``seconds``; ``rest`` is what is still to come."""
    if rest is None:
        return count_down(record, seconds, now)
    snooze = TimerRecord(kind=record.kind, saved_wall_s=now.wall_s, due_wall_s=now.wall_s)
    return _replace(rest, snooze=count_down(snooze, seconds, now))


def catch_up_timer(record: TimerRecord, now: Now) -> TimerRecord:
    """Return a repeating ``record`` due for the latest occurrence that has passed, others as they are.

    So what came due many times while the device was off rings once, or is missed once.
    """
    repeat, late_s = record.repeat, -due_in_s(record, now)
    if repeat is None or late_s <= 0:
        return record
    if record.day is None or record.at is None:
        return _shift(record, late_s // repeat.interval_s * repeat.interval_s, now)
    aim = latest_occurrence(repeat, record.day, record.at, now.wall_s, now.tz)
    return _replace(record, day=aim.day, due_wall_s=aim.wall_s) if aim.day > record.day else record


def advance_timer(record: TimerRecord, now: Now) -> TimerRecord | None:
    """Return ``record``, which has rung or was missed, due at its next occurrence; None without one."""
    if record.repeat is None:
        return None
    interval_s = record.repeat.interval_s
    if record.day is None or record.at is None:
        # Counted in whole intervals from the first one, so that it does not drift.
        late_s = max(0.0, -due_in_s(record, now))
        return _shift(record, (late_s // interval_s + 1) * interval_s, now)
    after_s = max(now.wall_s, record.due_wall_s)
    aim = next_occurrence(record.repeat, record.day, record.at, after_s, now.tz)
    return _replace(
        record, day=aim.day, due_wall_s=aim.wall_s, saved_wall_s=max(now.wall_s, record.saved_wall_s)
    )


def _shift(record: TimerRecord, seconds: float, now: Now) -> TimerRecord:
    return _replace(
        record,
        due_wall_s=record.due_wall_s + seconds,
        due_monotonic_s=record.due_monotonic_s + seconds,
        # A clock that has not been set does not say when something was saved.
        saved_wall_s=max(now.wall_s, record.saved_wall_s),
    )


def remaining_s(
    *,
    due_monotonic_s: float,
    due_wall_s: float,
    saved_wall_s: float,
    same_boot: bool,
    monotonic_s: float,
    wall_s: float,
) -> float:
    """Return how long a kept countdown still has to go after a restart; negative when it is over.

    Within one boot the monotonic clock ran on. After a reboot the wall clock says how long the device was
    off, unless it shows a time before the countdown was kept: then it is not set yet, and no time counts.
    """
    if same_boot:
        return due_monotonic_s - monotonic_s
    return due_wall_s - max(wall_s, saved_wall_s)


def restore_timer(record: TimerRecord, now: Now) -> TimerRecord:
    """Return ``record`` as it runs on after a restart; its ``boot`` is "" when the wall clock is not set yet.

    That is so when, after a reboot, it shows a time before the record was made. An alarm then waits for its
    date; a countdown runs on as if no time had passed, and `apply_clock_step` corrects it.
    """
    if record.snooze is not None:
        record = _replace(record, snooze=restore_timer(record.snooze, now))
    left_s = remaining_s(
        due_monotonic_s=record.due_monotonic_s,
        due_wall_s=record.due_wall_s,
        saved_wall_s=record.saved_wall_s,
        same_boot=record.boot == now.boot,
        monotonic_s=now.monotonic_s,
        wall_s=now.wall_s,
    )
    is_unset = record.boot != now.boot and now.wall_s < record.saved_wall_s
    record = _replace(record, boot="" if is_unset else now.boot)
    if record.paused_left_s is not None:
        return record
    if record.day is not None and record.at is not None:
        return _replace(record, due_wall_s=wall_of(record.day, record.at, now.tz))
    return _replace(record, due_monotonic_s=now.monotonic_s + left_s)


def apply_clock_step(record: TimerRecord, step_s: float, now: Now) -> TimerRecord:
    """Return ``record`` after the wall clock moved by ``step_s`` to what it shows ``now``.

    An alarm follows `move_alarm`. A countdown stays where it is on the monotonic clock, except
    once: when the clock is set for the first time after a reboot, the time the device was off is counted.
    """
    if record.snooze is not None:
        record = _replace(record, snooze=apply_clock_step(record.snooze, step_s, now))
    was_unset = record.boot != now.boot
    if record.paused_left_s is not None or (was_unset and now.wall_s < record.saved_wall_s):
        return record
    record = _replace(record, boot=now.boot)
    if record.day is not None and record.at is not None:
        if was_unset:
            return record
        aim = LocalMoment(record.day, record.at, record.due_wall_s)
        aim = move_alarm(aim, record.saved_wall_s, now.wall_s - step_s, now.wall_s, now.tz, record.repeat)
        return _replace(record, day=aim.day, due_wall_s=aim.wall_s, saved_wall_s=now.wall_s)
    if was_unset:
        record = _replace(record, due_monotonic_s=now.monotonic_s + record.due_wall_s - now.wall_s)
    due_wall_s = now.wall_s + record.due_monotonic_s - now.monotonic_s
    return _replace(record, due_wall_s=due_wall_s, saved_wall_s=now.wall_s)
