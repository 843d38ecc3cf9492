"""Which moment a `When` means, seen from the local time: pure rules, and a reason where it means none."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo

from voxd.skills.timing.schedule import LocalMoment, wall_of
from voxd.skills.understanding.clock_times import certain_hour, is_possible
from voxd.skills.understanding.numbers import ClockTime
from voxd.skills.understanding.temporal import Day, When
from voxd.store.timers import Repeat

MAX_AHEAD_DAYS = 400
"""A moment further ahead is refused: it is a misheard one."""

_NOON = ClockTime(12, 0, "24")
_MIDNIGHT = ClockTime(12, 0, "night")


@dataclass(frozen=True, slots=True)
class Unclear:
    """Why a `When` means no one moment, and the times it may mean.

    ``reason``: half_hour, half_day, which_day, which_night, no_time (a day without a time), past,
    no_such_time, no_such_date, too_far.
    """

    reason: str
    options: tuple[ClockTime, ...] = ()


def resolve_when(when: When, now: datetime, *, morning: bool, clock_24h: bool) -> LocalMoment | Unclear:
    """Return the moment ``when`` means at local time ``now`` (with its zone), of a `Repeat` the first one.

    ``morning``: an open "seven" is in the morning (wake me); otherwise it is the next seven o'clock of either
    half of the day, and on a named day one to six are in the afternoon. ``clock_24h``: hours are said as a
    24-hour clock shows them.
    """
    if when.unclear:
        return Unclear(when.unclear, _options(when))
    if when.duration_s is not None:
        return _after(when.duration_s, now)
    if when.repeat is not None and when.repeat.interval_s:
        return _after(when.repeat.interval_s, now)
    if when.clock is None:
        return Unclear("no_time")
    if not is_possible(when.clock):
        return Unclear("no_such_time")
    hours = _hours(when, now, morning=morning, clock_24h=clock_24h)
    if isinstance(hours, Unclear):
        return hours
    days = _days(when.day, when.repeat, now.date())
    if isinstance(days, Unclear):
        return days
    if hours[0] >= 24 and (when.day is None or when.day.days == 0):
        # In the small hours "tonight at three" is that of the night that has begun.
        days = [now.date() - timedelta(days=1), *days]
    return _first_ahead(days, hours, when.clock.minute, now)


def resolve_day(day: Day, today: date) -> date | None:
    """Return the date that ``day`` means on ``today``, the first of several; None when there is none."""
    days = _days(day, None, today)
    return None if isinstance(days, Unclear) else days[0]


def _options(when: When) -> tuple[ClockTime, ...]:
    """Return the times that ``when`` may mean."""
    clock = when.clock
    if clock is None:
        return ()
    if when.unclear == "half_hour":
        # "Half seven" is 7:30 in Britain; half way to seven is 6:30.
        return clock, replace(clock, hour=(clock.hour - 1) % 24 if clock.hour > 12 else clock.hour - 1 or 12)
    if when.unclear == "half_day":
        if clock.hour != 12:
            return replace(clock, half="am"), replace(clock, half="pm")
        return replace(_NOON, minute=clock.minute), replace(_MIDNIGHT, minute=clock.minute)
    return ()


def _after(seconds: float, now: datetime) -> LocalMoment | Unclear:
    if seconds > MAX_AHEAD_DAYS * 86_400:
        return Unclear("too_far")
    wall_s = now.timestamp() + seconds
    at = datetime.fromtimestamp(wall_s, now.tzinfo)
    return LocalMoment(at.date(), at.time(), wall_s)


def _hours(when: When, now: datetime, *, morning: bool, clock_24h: bool) -> tuple[int, ...] | Unclear:
    """Return the hours ``when`` may mean, in the order of the day; those of the night after from 24 on."""
    clock = when.clock
    assert clock is not None
    certain = certain_hour(clock)
    if certain is not None:
        return (certain,)
    if clock_24h:
        return (clock.hour,)
    is_today = when.repeat is None and (when.day is None or when.day.days == 0)
    if clock.hour == 12:
        # Noon is what people say twelve for, but not to be woken, and not when noon has passed.
        if is_today and (morning or now.time() >= time(12, clock.minute)):
            return Unclear("half_day", _options(replace(when, unclear="half_day")))
        return (12,)
    if morning:
        return (clock.hour,)
    if is_today:
        return clock.hour, clock.hour + 12
    # Few appointments are at three in the night: on another day one to six are in the afternoon.
    return (clock.hour + 12,) if clock.hour <= 6 else (clock.hour,)


def _days(day: Day | None, repeat: Repeat | None, today: date) -> list[date] | Unclear:
    """Return the days that may be meant, from the first on."""
    if repeat is not None:
        return _days_of_repeat(repeat, today)
    if day is None:
        return [today, today + timedelta(days=1)]
    if day.day_of_month is not None:
        return _dates(day, today)
    ahead = _days_ahead(day, today)
    if isinstance(ahead, Unclear):
        return ahead
    if max(ahead) > MAX_AHEAD_DAYS:
        return Unclear("too_far")
    return [today + timedelta(days=days) for days in ahead]


def _days_of_repeat(repeat: Repeat, today: date) -> list[date] | Unclear:
    if repeat.month_day:
        if repeat.month_day > 31:
            return Unclear("no_such_date")
        return [
            date(year, month, min(repeat.month_day, monthrange(year, month)[1]))
            for year, month in _months_from(today, 2)
        ]
    week = (today + timedelta(days=days) for days in range(8))
    return [day for day in week if day.weekday() in repeat.weekdays]


def _days_ahead(day: Day, today: date) -> list[int] | Unclear:
    if day.days is not None:
        return [day.days]
    if day.weekday is None:
        return [7 * (day.weeks or 0)]
    ahead = (day.weekday - today.weekday()) % 7
    if day.weeks is None:
        # The time of this day may have passed.
        return [ahead, ahead + 7]
    if day.weeks == 0:
        return [day.weekday - today.weekday() + 7]
    # "A week from monday", said on a monday, counts from today for some, from the next one for others.
    return [ahead + 7 * day.weeks] if ahead else Unclear("which_day")


def _months_from(today: date, count: int) -> Iterator[tuple[int, int]]:
    for ahead in range(count):
        years, month = divmod(today.month - 1 + ahead, 12)
        yield today.year + years, month + 1


def _dates(day: Day, today: date) -> list[date] | Unclear:
    """Return the dates that may be meant from today on."""
    of_month = day.day_of_month or 0
    if day.month is None:
        months = list(_months_from(today, 14))
    else:
        years = [day.year] if day.year else [today.year, today.year + 1]
        months = [(year, day.month) for year in years]
    dates = [date(*month, of_month) for month in months if 1 <= of_month <= monthrange(*month)[1]]
    if not dates:
        return Unclear("no_such_date")
    ahead = [each for each in dates if each >= today]
    if not ahead:
        return Unclear("past")
    if (ahead[0] - today).days > MAX_AHEAD_DAYS:
        return Unclear("too_far")
    if day.weekday is not None:
        ahead = [each for each in ahead[:1] if each.weekday() == day.weekday]
    return ahead or Unclear("no_such_date")


def _first_ahead(
    days: list[date], hours: tuple[int, ...], minute: int, now: datetime
) -> LocalMoment | Unclear:
    zone: tzinfo | None = now.tzinfo
    assert zone is not None
    for day in days:
        for hour in hours:
            on, at = day + timedelta(days=hour // 24), time(hour % 24, minute)
            wall_s = wall_of(on, at, zone)
            if wall_s > now.timestamp():
                return LocalMoment(on, at, wall_s)
    return Unclear("past")
