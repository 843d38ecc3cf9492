"""How a kept timer carries over a restart and a step of the wall clock: pure rules on its record."""

from datetime import tzinfo

import msgspec

from voxd.skills.due import LocalMoment, move_alarm, remaining_s, wall_of
from voxd.store.timers import TimerRecord

_replace = msgspec.structs.replace


def restore_timer(
    record: TimerRecord, monotonic_s: float, wall_s: float, boot: str, tz: tzinfo
) -> tuple[TimerRecord, bool]:
    """Return ``record`` as it runs on after a restart, and whether the wall clock is not set yet.

    That is so when, after a reboot, it shows a time before the record was made. An alarm then waits for its
    date; a countdown runs on as if no time had passed, and `apply_clock_step` corrects it.
    """
    clock_unset = record.boot != boot and wall_s < record.saved_wall_s
    if record.day is not None and record.at is not None:
        return _replace(record, due_wall_s=wall_of(record.day, record.at, tz)), clock_unset
    left_s = remaining_s(
        due_monotonic_s=record.due_monotonic_s,
        due_wall_s=record.due_wall_s,
        saved_wall_s=record.saved_wall_s,
        same_boot=bool(boot) and record.boot == boot,
        monotonic_s=monotonic_s,
        wall_s=wall_s,
    )
    return _replace(record, due_monotonic_s=monotonic_s + left_s, boot=boot), clock_unset


def apply_clock_step(
    record: TimerRecord, clock_unset: bool, step_s: float, monotonic_s: float, wall_s: float, tz: tzinfo
) -> tuple[TimerRecord, bool]:
    """Return ``record`` after the wall clock moved by ``step_s`` to ``wall_s``, and if it is still unset.

    An alarm follows `move_alarm`. A countdown stays where it is on the monotonic clock, except
    once: when the clock is set for the first time after a reboot, the time the device was off is counted.
    """
    still_unset = clock_unset and wall_s < record.saved_wall_s
    if still_unset:
        return record, True
    if record.day is not None and record.at is not None:
        if clock_unset:
            return record, False
        aimed = LocalMoment(record.day, record.at, record.due_wall_s)
        aimed = move_alarm(aimed, record.saved_wall_s, wall_s - step_s, wall_s, tz)
        record = _replace(record, day=aimed.day, at=aimed.at, due_wall_s=aimed.wall_s, saved_wall_s=wall_s)
        return record, False
    if clock_unset:
        record = _replace(record, due_monotonic_s=monotonic_s + record.due_wall_s - wall_s)
    due_wall_s = wall_s + record.due_monotonic_s - monotonic_s
    return _replace(record, due_wall_s=due_wall_s, saved_wall_s=wall_s), False
