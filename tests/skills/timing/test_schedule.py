"""When alarms and countdowns are due, through summer time and wrong clocks."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxd.skills.timing.schedule import (
    LATE_S,
    DueState,
    LocalMoment,
    due_state,
    first_occurrence,
    latest_occurrence,
    move_alarm,
    next_occurrence,
    occurs_on,
    wall_of,
)
from voxd.store.timers import Repeat

BERLIN = ZoneInfo("Europe/Berlin")
YEAR_S = 365.25 * 86_400


def wall(text: str, tz: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=tz).timestamp()


def local(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, BERLIN).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("late_s", "expected"),
    [
        (-0.001, DueState.WAIT),
        (0.0, DueState.RING),
        (LATE_S, DueState.RING),
        (LATE_S + 1, DueState.MISSED),
        (56 * YEAR_S, DueState.MISSED),
    ],
)
def test_late_things_ring_for_an_hour_and_are_missed_then(late_s: float, expected: DueState) -> None:
    assert due_state(1000.0, 1000.0 + late_s) is expected


@pytest.mark.parametrize(
    ("day", "at", "utc"),
    [
        ("2026-11-20", "07:00", "2026-11-20 06:00"),
        ("2026-03-29", "01:59", "2026-03-29 00:59"),
        ("2026-03-29", "02:30", "2026-03-29 01:30"),
        ("2026-03-29", "03:00", "2026-03-29 01:00"),
        ("2026-10-25", "02:30", "2026-10-25 00:30"),
        ("2026-10-25", "03:00", "2026-10-25 02:00"),
    ],
)
def test_local_times_around_summer_time(day: str, at: str, utc: str) -> None:
    wall_s = wall_of(date.fromisoformat(day), time.fromisoformat(at), BERLIN)
    assert datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%d %H:%M") == utc


ALARM = LocalMoment(date(2026, 11, 21), time(7), wall("2026-11-21 07:00"))


@pytest.mark.parametrize(
    ("saved", "old", "new", "expected"),
    [
        # Small steps: the local date and time stay.
        ("2026-11-20 15:00", "2026-11-20 15:00", "2026-11-20 16:00", "2026-11-21 07:00"),
        ("2026-11-20 15:00", "2026-11-20 15:00", "2026-11-20 14:00", "2026-11-21 07:00"),
        # The clock was right when it was made and is right again.
        ("2026-11-20 15:00", "1970-01-02 00:00", "2026-11-20 23:00", "2026-11-21 07:00"),
        # Made under a clock that had not been set: tomorrow stays tomorrow.
        ("2026-11-20 15:00", "2026-11-20 15:00", "2082-11-20 15:00", "2082-11-21 07:00"),
        ("2026-11-20 15:00", "2026-11-20 15:00", "1976-11-20 15:00", "1976-11-21 07:00"),
        # Made for today under a wrong clock, and that time of today has passed by the right one.
        ("2026-11-21 06:00", "2026-11-21 06:00", "2030-05-01 12:00", "2030-05-02 07:00"),
    ],
)
def test_alarms_follow_a_step_of_the_clock(saved: str, old: str, new: str, expected: str) -> None:
    after = move_alarm(ALARM, wall(saved), wall(old), wall(new), BERLIN)
    assert local(after.wall_s) == expected


DAILY = Repeat(weekdays=(0, 1, 2, 3, 4, 5, 6))
WORKDAYS = Repeat(weekdays=(0, 1, 2, 3, 4))
FORTNIGHT = Repeat(weekdays=(0, 3), every_weeks=2)


@pytest.mark.parametrize(
    ("repeat", "one", "at", "after", "expected"),
    [
        (DAILY, "2026-11-20", "07:00", "2026-11-20 06:59", "2026-11-20 07:00"),
        (DAILY, "2026-11-20", "07:00", "2026-11-20 07:00", "2026-11-21 07:00"),
        (WORKDAYS, "2026-11-20", "07:00", "2026-11-20 07:00", "2026-11-23 07:00"),
        (Repeat(weekdays=(1,)), "2026-11-17", "18:30", "2026-11-20 15:00", "2026-11-24 18:30"),
        # Every other week is counted from the week of the first occurrence, here a Thursday.
        (FORTNIGHT, "2026-11-19", "07:00", "2026-11-19 07:00", "2026-11-30 07:00"),
        (FORTNIGHT, "2026-11-19", "07:00", "2026-11-30 07:00", "2026-12-03 07:00"),
        (FORTNIGHT, "2026-11-19", "07:00", "2027-01-05 00:00", "2027-01-11 07:00"),
        (Repeat(month_day=31), "2027-01-31", "09:00", "2027-01-31 09:00", "2027-02-28 09:00"),
        (Repeat(month_day=31), "2027-02-28", "09:00", "2027-02-28 09:00", "2027-03-31 09:00"),
        (Repeat(month_day=31), "2028-01-31", "09:00", "2028-02-01 09:00", "2028-02-29 09:00"),
        (Repeat(month_day=1), "2026-12-01", "09:00", "2026-12-01 09:00", "2027-01-01 09:00"),
        # Summer time begins on 2027-03-28 at 02:00 and ends on 2027-10-31 at 03:00.
        (DAILY, "2027-03-27", "07:00", "2027-03-27 07:00", "2027-03-28 07:00"),
        (DAILY, "2027-03-27", "02:30", "2027-03-27 02:30", "2027-03-28 03:30"),
        (DAILY, "2027-03-28", "02:30", "2027-03-28 03:30", "2027-03-29 02:30"),
        (DAILY, "2027-10-30", "02:30", "2027-10-30 02:30", "2027-10-31 02:30"),
    ],
)
def test_the_next_occurrence(repeat: Repeat, one: str, at: str, after: str, expected: str) -> None:
    on, clock = date.fromisoformat(one), time.fromisoformat(at)
    found = next_occurrence(repeat, on, clock, wall(after), BERLIN)
    assert local(found.wall_s) == expected
    assert found.at == clock, "also on a day that has no such time"


def test_what_happens_twice_at_the_end_of_summer_time_occurs_once() -> None:
    first = next_occurrence(DAILY, date(2027, 10, 30), time(2, 30), wall("2027-10-30 12:00"), BERLIN)
    again = next_occurrence(DAILY, first.day, first.at, first.wall_s, BERLIN)
    assert again.wall_s - first.wall_s == 25 * 3600


@pytest.mark.parametrize(
    ("repeat", "aim", "now", "expected"),
    [
        (WORKDAYS, "2026-11-21 07:00", "2026-11-20 15:00", "2026-11-23 07:00"),
        (WORKDAYS, "2026-11-23 07:00", "2026-11-20 15:00", "2026-11-23 07:00"),
        (FORTNIGHT, "2026-11-21 07:00", "2026-11-20 15:00", "2026-11-23 07:00"),
        (Repeat(month_day=31), "2026-11-21 07:00", "2026-11-20 15:00", "2026-11-30 07:00"),
        (DAILY, "2026-11-20 07:00", "2026-11-20 15:00", "2026-11-21 07:00"),
    ],
)
def test_the_first_occurrence_is_not_before_the_aim_and_not_past(
    repeat: Repeat, aim: str, now: str, expected: str
) -> None:
    day, at = aim.split()
    aimed = LocalMoment(date.fromisoformat(day), time.fromisoformat(at), wall(aim))
    assert local(first_occurrence(repeat, aimed, wall(now), BERLIN).wall_s) == expected


WEEKLY = st.builds(
    lambda days, every: Repeat(weekdays=tuple(sorted(days)), every_weeks=every),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(1, 5),
)
MONTHLY = st.integers(1, 31).map(lambda day: Repeat(month_day=day))
DAYS = st.dates(date(2020, 1, 1), date(2035, 1, 1))
ZONES = st.sampled_from(["Europe/Berlin", "America/Santiago", "Africa/Cairo", "Pacific/Apia", "UTC"])


@given(repeat=WEEKLY | MONTHLY, around=DAYS, at=st.times(), zone=ZONES, apart_days=st.integers(-500, 500))
def test_the_next_and_the_latest_occurrence_are_neighbours(
    repeat: Repeat, around: date, at: time, zone: str, apart_days: int
) -> None:
    tz = ZoneInfo(zone)
    day, time_of_day = around, at.replace(microsecond=0)
    one = first_occurrence(repeat, LocalMoment(day, time_of_day, wall_of(day, time_of_day, tz)), 0.0, tz)
    now_s = one.wall_s + apart_days * 86_400.0
    later = next_occurrence(repeat, one.day, one.at, now_s, tz)
    latest = latest_occurrence(repeat, one.day, one.at, now_s, tz)
    assert latest.wall_s <= now_s < later.wall_s
    assert occurs_on(repeat, later.day, one.day)
    assert occurs_on(repeat, latest.day, one.day)
    between = [latest.day + timedelta(days=days) for days in range(1, (later.day - latest.day).days)]
    assert not any(occurs_on(repeat, each, one.day) for each in between)
    # Any occurrence says which weeks count.
    assert next_occurrence(repeat, latest.day, one.at, now_s, tz) == later


@pytest.mark.parametrize(
    ("saved", "old", "new", "expected"),
    [
        # The clock was not set when it was made: no distance in days, but the next such weekday.
        ("1970-01-01 10:00", "1970-01-01 10:00", "2026-11-27 15:00", "2026-11-30 07:00"),
        # It was right when it was made: the date stays, and if it has passed it is late.
        ("2026-11-20 15:00", "2026-11-20 15:00", "2026-11-22 15:00", "2026-11-23 07:00"),
        ("2026-11-20 15:00", "2026-11-20 15:00", "2026-11-23 07:30", "2026-11-23 07:00"),
        ("2026-11-20 15:00", "2026-11-20 15:00", "2026-11-10 15:00", "2026-11-11 07:00"),
    ],
)
def test_what_repeats_follows_a_step_of_the_clock(saved: str, old: str, new: str, expected: str) -> None:
    aimed = LocalMoment(date(2026, 11, 23), time(7), wall("2026-11-23 07:00"))
    after = move_alarm(aimed, wall(saved), wall(old), wall(new), BERLIN, WORKDAYS)
    assert local(after.wall_s) == expected
