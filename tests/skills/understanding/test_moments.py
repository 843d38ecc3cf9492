"""Which moment a time means, seen from the local time."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.skills.timing.schedule import LocalMoment
from voxd.skills.understanding.moments import Unclear, resolve_when
from voxd.skills.understanding.numbers import ClockTime, words
from voxd.skills.understanding.temporal import Day, When, read_when
from voxd.store.timers import Repeat

BERLIN = ZoneInfo("Europe/Berlin")
NOW = "2026-11-20 15:00"  # a Friday


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def resolve(
    text: str, now: str = NOW, *, morning: bool = False, clock_24h: bool = False
) -> LocalMoment | Unclear:
    said = words(text)
    found = read_when(said, 0)
    assert found is not None
    assert found[1] == len(said)
    return resolve_when(found[0], at(now), morning=morning, clock_24h=clock_24h)


def shown(moment: LocalMoment | Unclear) -> str:
    if isinstance(moment, Unclear):
        return moment.reason
    local = datetime.fromtimestamp(moment.wall_s, BERLIN).strftime("%Y-%m-%d %H:%M")
    assert f"{moment.day} {moment.at:%H:%M}" == local
    return local


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # No day: the next such time.
        ("at seven", "2026-11-20 19:00"),
        ("at two", "2026-11-21 02:00"),
        ("at three", "2026-11-21 03:00"),
        ("at three oh one", "2026-11-20 15:01"),
        ("at 7 am", "2026-11-21 07:00"),
        ("at 12", "half_day"),
        ("at noon", "2026-11-21 12:00"),
        ("at midnight", "2026-11-21 00:00"),
        ("at 19:30", "2026-11-20 19:30"),
        ("at two at night", "2026-11-21 02:00"),
        ("at eleven at night", "2026-11-20 23:00"),
        ("at twelve at night", "2026-11-21 00:00"),
        # Today.
        ("tonight at 12", "2026-11-21 00:00"),
        ("tonight at 1", "2026-11-21 01:00"),
        ("tonight at 8", "2026-11-20 20:00"),
        ("tonight at 2 am", "2026-11-21 02:00"),
        ("today at midnight", "2026-11-21 00:00"),
        ("today at five", "2026-11-20 17:00"),
        ("this evening at nine", "2026-11-20 21:00"),
        ("today at two", "past"),
        ("today at 7 am", "past"),
        ("today at 12", "half_day"),
        ("this morning at nine", "past"),
        # Another day: one to six are in the afternoon.
        ("tomorrow at seven", "2026-11-21 07:00"),
        ("tomorrow at five", "2026-11-21 17:00"),
        ("tomorrow at 12", "2026-11-21 12:00"),
        ("12:30 tomorrow", "2026-11-21 12:30"),
        ("tomorrow evening at seven", "2026-11-21 19:00"),
        ("tomorrow night at seven", "2026-11-21 19:00"),
        ("tomorrow night at one", "2026-11-22 01:00"),
        ("tomorrow evening at 12", "2026-11-22 00:00"),
        ("tomorrow at 12 am", "2026-11-21 00:00"),
        ("the day after tomorrow at noon", "2026-11-22 12:00"),
        ("in three days at nine", "2026-11-23 09:00"),
        ("in a week at noon", "2026-11-27 12:00"),
        ("two weeks from today at 9", "2026-12-04 09:00"),
        # Weekdays.
        ("on monday at nine", "2026-11-23 09:00"),
        ("on friday at nine", "2026-11-27 09:00"),
        ("on friday at five", "2026-11-20 17:00"),
        ("this friday at 4 pm", "2026-11-20 16:00"),
        ("friday night at one", "2026-11-21 01:00"),
        ("next friday at nine", "2026-11-27 09:00"),
        ("next monday at nine", "2026-11-23 09:00"),
        ("on sunday next week at nine", "2026-11-29 09:00"),
        ("a week from monday at nine", "2026-11-30 09:00"),
        ("two weeks from monday at nine", "2026-12-07 09:00"),
        ("a week from friday at nine", "which_day"),
        # Dates.
        ("on the 25th at noon", "2026-11-25 12:00"),
        ("on the 20th at noon", "2026-12-20 12:00"),
        ("on the 20th at 4 pm", "2026-11-20 16:00"),
        ("on the 31st at noon", "2026-12-31 12:00"),
        ("on the 32nd at noon", "no_such_date"),
        ("on december 1st at nine", "2026-12-01 09:00"),
        ("on january 1st at nine", "2027-01-01 09:00"),
        ("on november 20th at noon", "2027-11-20 12:00"),
        ("on november 20th 2026 at noon", "past"),
        ("on november 19th 2026 at noon", "past"),
        ("on december 25th 2027 at noon", "2027-12-25 12:00"),
        ("on december 31st 2027 at noon", "too_far"),
        ("on december 31st 2028 at noon", "too_far"),
        ("on february 29th at noon", "no_such_date"),
        ("on february 30th at noon", "no_such_date"),
        ("on friday december 25th at noon", "2026-12-25 12:00"),
        ("on monday december 25th at noon", "no_such_date"),
        ("in 500 days at noon", "too_far"),
        ("in 99999999999 weeks at noon", "too_far"),
        # Lengths of time.
        ("in five minutes", "2026-11-20 15:05"),
        ("in an hour and a half", "2026-11-20 16:30"),
        ("in 99999 hours", "too_far"),
        # Again and again.
        ("every day at 8", "2026-11-21 08:00"),
        ("every day at 4 pm", "2026-11-20 16:00"),
        ("every night at 12", "2026-11-21 00:00"),
        ("every weekday at 9 am", "2026-11-23 09:00"),
        ("on fridays at 9 am", "2026-11-27 09:00"),
        ("every friday night at one", "2026-11-21 01:00"),
        ("every other week on monday at 9 am", "2026-11-23 09:00"),
        ("on the first of every month at nine", "2026-12-01 09:00"),
        ("on the last day of every month at 5 pm", "2026-11-30 17:00"),
        ("on the 20th of every month at 5 pm", "2026-11-20 17:00"),
        ("on the 20th of every month at noon", "2026-12-20 12:00"),
        ("on the 40th of every month at noon", "no_such_date"),
        ("every two hours", "2026-11-20 17:00"),
        # What means no one time.
        ("tomorrow", "no_time"),
        ("in the morning", "no_time"),
        ("every day", "no_time"),
        ("at half seven", "half_hour"),
        ("at 25 o'clock", "no_such_time"),
        ("tomorrow at midnight", "which_night"),
        ("next week", "which_day"),
    ],
)
def test_what_people_mean(text: str, expected: str) -> None:
    assert shown(resolve(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at seven", "2026-11-21 07:00"),
        ("at 12", "half_day"),
        ("at 12:30", "half_day"),
        ("tonight at 12", "2026-11-21 00:00"),
        ("tomorrow at 12", "2026-11-21 12:00"),
        ("tomorrow at five", "2026-11-21 05:00"),
        ("on monday at six thirty", "2026-11-23 06:30"),
        ("every weekday at 6:30", "2026-11-23 06:30"),
        ("at 19:30", "2026-11-20 19:30"),
        ("at seven p m", "2026-11-20 19:00"),
    ],
)
def test_to_be_woken_is_in_the_morning(text: str, expected: str) -> None:
    assert shown(resolve(text, morning=True)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at seven", "2026-11-21 07:00"),
        ("tomorrow at five", "2026-11-21 05:00"),
        ("at 12", "2026-11-21 12:00"),
        ("at seven p m", "2026-11-20 19:00"),
        ("tonight at 8", "2026-11-20 20:00"),
    ],
)
def test_with_a_24_hour_clock_an_hour_is_taken_literally(text: str, expected: str) -> None:
    assert shown(resolve(text, clock_24h=True)) == expected


@pytest.mark.parametrize(
    ("text", "now", "expected"),
    [
        # In the small hours.
        ("tonight at 3", "2026-11-21 00:30", "2026-11-21 03:00"),
        ("tonight at 12", "2026-11-21 00:30", "2026-11-22 00:00"),
        ("tonight at 8", "2026-11-21 00:30", "2026-11-21 20:00"),
        ("at two at night", "2026-11-21 00:30", "2026-11-21 02:00"),
        ("saturday night at one", "2026-11-21 00:30", "2026-11-22 01:00"),
        ("tonight at 8", "2026-11-20 21:00", "past"),
        ("today at seven", "2026-11-20 10:00", "2026-11-20 19:00"),
        ("today at 7 a m", "2026-11-20 10:00", "past"),
        # "Next" is the calendar week.
        ("next monday at nine", "2026-11-18 08:00", "2026-11-23 09:00"),
        ("next friday at nine", "2026-11-18 08:00", "2026-11-27 09:00"),
        ("next monday at nine", "2026-11-23 08:00", "2026-11-30 09:00"),
        ("on monday at nine", "2026-11-23 08:00", "2026-11-23 09:00"),
        # Months and years.
        ("on the 31st at noon", "2027-02-10 08:00", "2027-03-31 12:00"),
        ("on the last day of every month at noon", "2028-02-10 08:00", "2028-02-29 12:00"),
        ("on february 29th at noon", "2028-01-10 08:00", "2028-02-29 12:00"),
        # Summer time: 02:30 is left out, or there twice.
        ("tomorrow at 3 am", "2026-03-28 12:00", "2026-03-29 03:00"),
        ("at 3 am", "2026-10-24 12:00", "2026-10-25 03:00"),
        ("in two hours", "2026-10-25 01:30", "2026-10-25 02:30"),
    ],
)
def test_it_depends_on_the_time(text: str, now: str, expected: str) -> None:
    assert shown(resolve(text, now)) == expected


def test_a_time_that_summer_time_leaves_out_rings_an_hour_later() -> None:
    moment = resolve("tomorrow at 2:30 am", "2026-03-28 12:00")
    assert isinstance(moment, LocalMoment)
    assert f"{moment.at:%H:%M}" == "02:30"
    assert datetime.fromtimestamp(moment.wall_s, BERLIN).strftime("%H:%M") == "03:30"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("at half seven", (ClockTime(7, 30), ClockTime(6, 30))),
        ("at half one p m", (ClockTime(1, 30, "pm"), ClockTime(12, 30, "pm"))),
        ("tomorrow morning at 12", (ClockTime(12, 0, "24"), ClockTime(12, 0, "night"))),
        ("at ten to twelve p m", (ClockTime(11, 50, "am"), ClockTime(11, 50, "pm"))),
        ("next week at seven", ()),
    ],
)
def test_what_is_not_clear_names_what_it_may_be(text: str, options: tuple[ClockTime, ...]) -> None:
    unclear = resolve(text)
    assert isinstance(unclear, Unclear)
    assert unclear.options == options


DAYS = st.sampled_from([
    None, Day(days=0), Day(days=1), Day(days=30), Day(weekday=0), Day(weekday=4, weeks=0),
    Day(weekday=2, weeks=1), Day(weeks=2), Day(day_of_month=31), Day(month=2, day_of_month=28),
    Day(month=2, day_of_month=29),
])  # fmt: skip
REPEATS = st.sampled_from([
    Repeat(weekdays=(0, 1, 2, 3, 4, 5, 6)), Repeat(weekdays=(6,), every_weeks=2), Repeat(month_day=31),
    Repeat(interval_s=5400.0),
])  # fmt: skip


@settings(max_examples=200)
@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    half=st.sampled_from(["", "am", "pm", "24", "night"]),
    day=DAYS,
    repeat=REPEATS | st.none(),
    now_s=st.integers(1_700_000_000, 1_900_000_000),
    morning=st.booleans(),
    clock_24h=st.booleans(),
)
def test_a_moment_is_ahead_and_what_was_said(
    hour: int,
    minute: int,
    half: str,
    day: Day | None,
    repeat: Repeat | None,
    now_s: int,
    morning: bool,
    clock_24h: bool,
) -> None:
    when = When(clock=ClockTime(hour, minute, half), day=None if repeat else day, repeat=repeat)
    now = datetime.fromtimestamp(now_s, BERLIN)
    moment = resolve_when(when, now, morning=morning, clock_24h=clock_24h)
    if isinstance(moment, Unclear):
        assert moment.reason in {"past", "half_day", "no_such_time", "no_such_date", "which_day"}
        return
    assert 0 < moment.wall_s - now_s <= timedelta(days=401).total_seconds()
    if repeat is None or not repeat.interval_s:
        assert moment.at.minute == minute
        assert moment.at.hour % 12 == hour % 12
        if half in ("am", "pm"):
            assert (moment.at.hour >= 12) == (half == "pm")
    if repeat is not None and repeat.weekdays and half != "night":
        assert moment.day.weekday() in repeat.weekdays
