"""How the record of a timer changes, without a clock that runs."""

from dataclasses import replace
from datetime import date, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxd.errors import InvalidRequest
from voxd.skills.timing.schedule import LocalMoment
from voxd.skills.timing.timer_record import (
    Now,
    advance_timer,
    aim_timer,
    catch_up_timer,
    due_in_s,
    extend_timer,
    move_timer,
    next_in_s,
    pause_timer,
    remaining_s,
    restore_timer,
    resume_timer,
    snooze_timer,
)
from voxd.store.timers import Repeat, TimerRecord

YEAR_S = 365.25 * 86_400
NOW = Now(1000.0, 1_800_000_000.0, "one", ZoneInfo("Europe/Berlin"))
NEW = TimerRecord(kind="timer", saved_wall_s=0.0, due_wall_s=0.0)
ALARM = LocalMoment(date(2027, 1, 16), time(7), 1_800_079_200.0)
HOURLY = Repeat(interval_s=3600.0)
DAILY = Repeat(weekdays=(0, 1, 2, 3, 4, 5, 6))


def after(seconds: float) -> Now:
    return replace(NOW, monotonic_s=NOW.monotonic_s + seconds, wall_s=NOW.wall_s + seconds)


@given(interval_s=st.floats(1.0, 1e6), late_s=st.floats(0.0, 1e7))
def test_an_interval_does_not_drift(interval_s: float, late_s: float) -> None:
    record = aim_timer(NEW, NOW, repeat=Repeat(interval_s=interval_s))
    later = after(interval_s + late_s)
    caught_up = catch_up_timer(record, later)
    assert -interval_s <= due_in_s(caught_up, later) <= 1e-6
    advanced = advance_timer(caught_up, later)
    assert advanced is not None
    assert -1e-6 <= due_in_s(advanced, later) <= interval_s + 1e-6
    rounds = (advanced.due_monotonic_s - NOW.monotonic_s) / interval_s
    assert rounds == pytest.approx(round(rounds), rel=1e-9)


@given(changes=st.lists(st.floats(-300.0, 300.0)), gone_s=st.floats(0.0, 200.0))
def test_a_pause_takes_no_time_and_an_extension_counts_in_it(changes: list[float], gone_s: float) -> None:
    record = pause_timer(aim_timer(NEW, NOW, duration_s=600.0), after(gone_s))
    left_s = 600.0 - gone_s
    for seconds in changes:
        if left_s + seconds < 1.0:
            continue
        record = extend_timer(record, seconds, after(5000.0))
        left_s += seconds
    record = restore_timer(record, replace(after(9e6), boot="two"))
    resumed = resume_timer(record, after(1e7))
    assert due_in_s(resumed, after(1e7)) == pytest.approx(left_s)
    assert resumed.duration_s == 600.0


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "nothing to change"),
        ({"repeat": DAILY}, "needs a time of day"),
        ({"duration_s": 60.0, "repeat": DAILY}, "needs a time of day"),
    ],
)
def test_a_countdown_cannot_be_moved_to_no_time(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem) as caught:
        move_timer(aim_timer(NEW, NOW, duration_s=60.0), NOW, **fields)
    assert caught.value.hint


def test_a_moved_alarm_repeats_as_before_and_a_new_repetition_keeps_its_time() -> None:
    record = aim_timer(NEW, NOW, aim=ALARM, repeat=DAILY)
    moved = move_timer(record, NOW, aim=LocalMoment(date(2027, 1, 17), time(8), ALARM.wall_s + 90_000.0))
    assert (moved.day, moved.at, moved.repeat) == (date(2027, 1, 17), time(8), DAILY)
    on_mondays = move_timer(record, NOW, repeat=Repeat(weekdays=(0,)))
    assert (on_mondays.day, on_mondays.at) == (date(2027, 1, 18), time(7))
    assert move_timer(record, NOW, repeat=HOURLY, duration_s=60.0).day is None


def test_a_snooze_is_paused_and_extended_with_its_timer() -> None:
    hourly = aim_timer(NEW, NOW, repeat=HOURLY)
    snoozed = snooze_timer(hourly, advance_timer(hourly, after(3600.0)), 540.0, after(3600.0))
    assert next_in_s(snoozed, after(3600.0)) == pytest.approx(540.0)
    paused = pause_timer(extend_timer(snoozed, 60.0, after(3600.0)), after(3600.0))
    resumed = resume_timer(paused, after(9000.0))
    assert next_in_s(resumed, after(9000.0)) == pytest.approx(600.0)
    assert next_in_s(resumed, after(9500.0)) == pytest.approx(100.0)
    assert due_in_s(resumed, after(9000.0)) == pytest.approx(3600.0)


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
