"""When alarms and countdowns are due, through summer time and wrong clocks."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.skills.numbers import ClockTime
from voxd.skills.schedule import (
    LATE_S,
    DueState,
    LocalMoment,
    due_state,
    move_alarm,
    remaining_s,
    resolve_moment,
    wall_of,
)

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


NOW = "2026-11-20 15:00"  # a Friday


@pytest.mark.parametrize(
    ("said", "day", "morning", "expected"),
    [
        (ClockTime(7), "", True, "2026-11-21 07:00"),
        (ClockTime(7), "", False, "2026-11-20 19:00"),
        (ClockTime(2), "", False, "2026-11-21 02:00"),
        (ClockTime(3), "", False, "2026-11-21 03:00"),
        (ClockTime(3, 1), "", False, "2026-11-20 15:01"),
        (ClockTime(7, 0, "am"), "", False, "2026-11-21 07:00"),
        (ClockTime(12), "", False, "2026-11-21 00:00"),
        (ClockTime(12, 0, "24"), "", False, "2026-11-21 12:00"),
        (ClockTime(0, 0, "24"), "", False, "2026-11-21 00:00"),
        (ClockTime(19, 30), "", True, "2026-11-20 19:30"),
        (ClockTime(9), "0 pm", False, "2026-11-20 21:00"),
        (ClockTime(7), "1", True, "2026-11-21 07:00"),
        (ClockTime(5), "1", False, "2026-11-21 17:00"),
        (ClockTime(9), "1", False, "2026-11-21 09:00"),
        (ClockTime(7), "1 pm", False, "2026-11-21 19:00"),
        (ClockTime(7), "monday", True, "2026-11-23 07:00"),
        (ClockTime(7), "friday", True, "2026-11-27 07:00"),
        (ClockTime(9), "friday", False, "2026-11-27 09:00"),
    ],
)
def test_what_people_mean(said: ClockTime, day: str, morning: bool, expected: str) -> None:
    aimed = resolve_moment(said, day, wall(NOW), BERLIN, morning=morning, clock_24h=False)
    assert local(aimed.wall_s) == expected
    assert f"{aimed.day} {aimed.at:%H:%M}" == expected


def test_with_a_24_hour_clock_an_hour_is_taken_literally() -> None:
    aimed = resolve_moment(ClockTime(7), "", wall(NOW), BERLIN, morning=False, clock_24h=True)
    assert local(aimed.wall_s) == "2026-11-21 07:00"


@settings(max_examples=60)
@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    now_s=st.integers(1_700_000_000, 1_900_000_000),
    day=st.sampled_from(["", "0", "1", "1 am", "monday", "sunday"]),
    half=st.sampled_from(["", "am", "pm"]),
)
def test_an_alarm_is_always_ahead_and_within_eight_days(
    hour: int, minute: int, now_s: int, day: str, half: str
) -> None:
    said = ClockTime(hour, minute, half if 1 <= hour <= 12 else "")
    aimed = resolve_moment(said, day, float(now_s), BERLIN, morning=False, clock_24h=False)
    assert 0 < aimed.wall_s - now_s <= 8 * 86_400 + 3600
    assert aimed.at.minute == minute


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


@pytest.mark.parametrize(
    ("same_boot", "monotonic_s", "wall_s", "expected_s"),
    [
        (True, 1040.0, 2040.0, 60.0),
        (True, 1040.0, 2040.0 + 56 * YEAR_S, 60.0),
        (True, 1040.0, 0.0, 60.0),
        (True, 1200.0, 2200.0, -100.0),
        (False, 5.0, 2040.0, 60.0),
        (False, 5.0, 0.0, 100.0),
        (False, 5.0, 2200.0, -100.0),
    ],
)
def test_countdowns_over_a_restart(
    same_boot: bool, monotonic_s: float, wall_s: float, expected_s: float
) -> None:
    left_s = remaining_s(
        due_monotonic_s=1100.0,
        due_wall_s=2100.0,
        saved_wall_s=2000.0,
        same_boot=same_boot,
        monotonic_s=monotonic_s,
        wall_s=wall_s,
    )
    assert left_s == pytest.approx(expected_s)
