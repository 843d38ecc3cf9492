"""When something is due: pure rules over local time and wall time, repetitions and steps of the clock."""

import os
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import Enum
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from voxd.store.timers import Repeat

LATE_S = 3600.0
"""What was due longer ago than this is not rung any more but reported as missed."""

NEW_CLOCK_S = 86_400.0
"""A step of the wall clock of at least this much means that it had not been set before."""


class DueState(Enum):
    """What to do with something that is due at a certain time."""

    WAIT = "wait"
    RING = "ring"
    MISSED = "missed"


def due_state(due_s: float, now_s: float) -> DueState:
    """Return what to do at ``now_s`` with what is due at ``due_s``, both on the same clock."""
    if now_s < due_s:
        return DueState.WAIT
    return DueState.RING if now_s - due_s <= LATE_S else DueState.MISSED


def wall_of(day: date, at: time, tz: tzinfo) -> float:
    """Return the wall time (seconds since 1970) of local ``at`` on ``day``.

    A time that a change to summer time leaves out is taken as if the clocks had not changed (02:30 rings at
    03:30); one that happens twice is its first.
    """
    return datetime.combine(day, at, tz).replace(fold=0).astimezone(UTC).timestamp()


@dataclass(frozen=True, slots=True)
class LocalMoment:
    """A local date and time, and the wall time (seconds since 1970) they stand for now."""

    day: date
    at: time
    wall_s: float


def move_alarm(
    aimed: LocalMoment,
    saved_wall_s: float,
    old_now_s: float,
    new_now_s: float,
    tz: tzinfo,
    repeat: Repeat | None = None,
) -> LocalMoment:
    """Return where an alarm set under the old wall clock belongs now that it was set to ``new_now_s``.

    A local date and time stay what they are. Only when the clock was off by a day or more while the alarm
    was being made (``saved_wall_s``, seconds since 1970) is its date meaningless: then it keeps its time of
    day and its distance in days, or with ``repeat`` is due at its next occurrence.
    """
    step_s = new_now_s - old_now_s
    was_good = saved_wall_s <= new_now_s <= aimed.wall_s + LATE_S
    if abs(step_s) < NEW_CLOCK_S or was_good:
        return LocalMoment(aimed.day, aimed.at, wall_of(aimed.day, aimed.at, tz))
    if repeat is not None:
        return next_occurrence(repeat, aimed.day, aimed.at, new_now_s, tz)
    days = (aimed.day - datetime.fromtimestamp(old_now_s, tz).date()).days
    on = datetime.fromtimestamp(new_now_s, tz).date() + timedelta(days=min(max(days, 0), 7))
    wall_s = wall_of(on, aimed.at, tz)
    if wall_s <= new_now_s:
        on += timedelta(days=1)
        wall_s = wall_of(on, aimed.at, tz)
    return LocalMoment(on, aimed.at, wall_s)


def occurs_on(repeat: Repeat, day: date, one: date) -> bool:
    """Return whether something with the weekdays or day of the month of ``repeat`` occurs on ``day``.

    ``one`` is a day on which it occurs: every other week is counted from that week.
    """
    if repeat.month_day:
        return day.day == min(repeat.month_day, monthrange(day.year, day.month)[1])
    weeks = ((day - one).days - day.weekday() + one.weekday()) // 7
    return day.weekday() in repeat.weekdays and weeks % repeat.every_weeks == 0


def next_occurrence(repeat: Repeat, one: date, at: time, after_s: float, tz: tzinfo) -> LocalMoment:
    """Return the first occurrence after wall time ``after_s`` of what occurs on day ``one`` at ``at`` too."""
    # From the day before: a time that summer time leaves out may be on the next day.
    day = datetime.fromtimestamp(after_s, tz).date() - timedelta(days=1)
    while not (occurs_on(repeat, day, one) and wall_of(day, at, tz) > after_s):
        day += timedelta(days=1)
    return LocalMoment(day, at, wall_of(day, at, tz))


def latest_occurrence(repeat: Repeat, one: date, at: time, until_s: float, tz: tzinfo) -> LocalMoment:
    """Return the last occurrence up to wall time ``until_s`` of what occurs on day ``one`` at ``at`` too."""
    day = datetime.fromtimestamp(until_s, tz).date()
    while not (occurs_on(repeat, day, one) and wall_of(day, at, tz) <= until_s):
        day -= timedelta(days=1)
    return LocalMoment(day, at, wall_of(day, at, tz))


def first_occurrence(repeat: Repeat, aim: LocalMoment, now_s: float, tz: tzinfo) -> LocalMoment:
    """Return the first occurrence that is neither before ``aim`` nor in the past; the weeks count from it."""
    any_week = msgspec.structs.replace(repeat, every_weeks=1)
    return next_occurrence(any_week, aim.day, aim.at, max(now_s, aim.wall_s - 1.0), tz)


_LOCALTIME = Path("/etc/localtime")


def local_zone() -> tzinfo:
    """Return the zone of ``TZ`` or of /etc/localtime, UTC where neither says anything."""
    name = os.environ.get("TZ", "").lstrip(":")
    if name:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            return UTC
    try:
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file, key="local")
    except (OSError, ValueError):
        return UTC
