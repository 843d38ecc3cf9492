"""Repeating and snoozed timers, over restarts, kills and clock steps, on a real SQLite file."""

import pytest

from tests.skills.timer_house import DAILY, DAY_S, EVENING, HOUR_S, House, local, moment
from voxd.reports import Repeat

HOURLY = Repeat(interval_s=HOUR_S)
TWO_HOURLY = Repeat(interval_s=2 * HOUR_S)


@pytest.mark.parametrize("end", ["stop", "timeout"])
async def test_a_daily_alarm_stays_in_the_list_and_comes_again(house: House, end: str) -> None:
    entry = await house.alarm(7, DAILY)
    for day in (21, 22, 23):
        await house.until(f"2026-11-{day} 07:00")
        assert [ringing.id for ringing in house.timers.ringing()] == [entry.id]
        if end == "stop":
            assert house.timers.stop_ringing("voice") == 1
        await house.pass_time(61.0)
        assert house.due() == [f"2026-11-{day + 1} 07:00"]
    assert house.rung_at() == [f"2026-11-{day} 07:00" for day in (21, 22, 23)]
    assert house.emit.types().count("timer.stopped") == 3
    assert [entry.id, DAILY] == [house.timers.list()[0].id, house.timers.list()[0].repeat]


async def test_the_next_occurrence_is_on_disk_when_the_ring_has_ended(house: House) -> None:
    await house.alarm(7, DAILY)
    await house.until("2026-11-21 07:00")
    house.timers.stop_ringing("voice")
    await house.restart()
    await house.pass_time(60.0)
    assert house.due() == ["2026-11-22 07:00"]
    assert len(house.rung) == 1


async def test_cancelling_ends_every_occurrence(house: House) -> None:
    entry = await house.alarm(7, DAILY)
    await house.until("2026-11-21 07:00")
    await house.timers.cancel(entry.id)
    await house.kill()
    assert house.timers.list() == []


async def test_a_daily_alarm_keeps_its_time_through_summer_time(house: House) -> None:
    await house.reboot(moment("2027-03-26 22:00").wall_s)
    await house.alarm(7, DAILY)
    await house.pass_time(3 * DAY_S)
    assert house.rung_at() == ["2027-03-27 07:00", "2027-03-28 07:00", "2027-03-29 07:00"]


async def test_the_first_occurrence_is_on_a_day_that_is_meant(house: House) -> None:
    await house.alarm(7, Repeat(weekdays=(0, 1, 2, 3, 4)))
    assert house.due() == ["2026-11-23 07:00"]


@pytest.mark.parametrize(
    ("back", "rings", "missed"),
    [
        # Off over three occurrences: the last one rings if it is not long ago, and all are missed as one.
        ("2026-11-24 07:40", ["2026-11-24 07:40"], 0),
        ("2026-11-24 09:00", [], 1),
    ],
)
async def test_after_days_off_an_alarm_rings_at_most_once(
    house: House, back: str, rings: list[str], missed: int
) -> None:
    await house.alarm(7, DAILY)
    await house.reboot(moment(back).wall_s)
    await house.pass_time(120.0)
    assert house.rung_at() == rings
    assert len(house.timers.take_missed()) == missed
    assert house.due() == ["2026-11-25 07:00"]


async def test_an_interval_counts_from_when_it_was_set(house: House) -> None:
    await house.timers.set("reminder", name="drink", repeat=TWO_HOURLY)
    await house.pass_time(6 * HOUR_S + 30.0)
    assert [at - 1000.0 for at, _ in house.rung] == [2 * HOUR_S, 4 * HOUR_S, 6 * HOUR_S]
    assert house.timers.stop_ringing("button") == 1
    assert house.due() == ["2026-11-21 06:00"]


async def test_an_interval_keeps_its_rhythm_over_a_reboot_and_rings_once(house: House) -> None:
    await house.timers.set("reminder", name="drink", repeat=HOURLY)
    await house.reboot(EVENING + 7.5 * HOUR_S)
    await house.pass_time(10.0)
    assert len(house.rung) == 1
    house.timers.stop_ringing("voice")
    assert house.due() == ["2026-11-21 06:00"]


async def test_an_interval_may_begin_at_a_time_of_day(house: House) -> None:
    await house.timers.set("reminder", aim=moment("2026-11-21 08:00"), repeat=TWO_HOURLY)
    await house.until("2026-11-21 12:30")
    assert house.rung_at() == ["2026-11-21 08:00", "2026-11-21 10:00", "2026-11-21 12:00"]


@pytest.mark.parametrize("step_s", [3 * HOUR_S, -3 * HOUR_S, 400 * DAY_S, -3 * DAY_S])
async def test_an_interval_ignores_steps_of_the_clock(house: House, step_s: float) -> None:
    await house.timers.set("reminder", repeat=HOURLY)
    await house.pass_time(600.0)
    house.clock.step_wall(step_s)
    await house.pass_time(3 * HOUR_S)
    assert [at - 1000.0 for at, _ in house.rung] == pytest.approx([HOUR_S, 2 * HOUR_S, 3 * HOUR_S])


@pytest.mark.parametrize("step_s", [-3 * DAY_S, 400 * DAY_S, -400 * DAY_S])
async def test_a_daily_alarm_rings_every_morning_of_the_new_clock(house: House, step_s: float) -> None:
    await house.alarm(7, DAILY)
    await house.until("2026-11-21 07:30")
    house.clock.step_wall(step_s)
    await house.pass_time(DAY_S)
    assert [at[11:] for at in house.rung_at()] == ["07:00", "07:00"]
    assert len(house.timers.list()) == 1


async def test_a_daily_alarm_does_not_ring_again_for_a_clock_set_back(house: House) -> None:
    await house.alarm(7, DAILY)
    await house.until("2026-11-21 07:00")
    house.clock.step_wall(-HOUR_S)
    await house.pass_time(1.5)
    house.timers.stop_ringing("voice")
    await house.pass_time(2 * HOUR_S)
    assert len(house.rung) == 1
    assert house.due() == ["2026-11-22 07:00"]


async def test_a_daily_alarm_survives_a_reboot_in_1970(house: House) -> None:
    await house.alarm(7, DAILY)
    await house.reboot(30.0)
    await house.pass_time(HOUR_S)
    house.clock.step_wall(moment("2026-11-23 07:10").wall_s - house.clock.wall())
    await house.pass_time(2.0)
    assert house.rung_at() == ["2026-11-23 07:10"]


@pytest.mark.parametrize("ending", ["none", "restart", "kill", "reboot"])
async def test_a_snoozed_alarm_rings_again_and_its_next_occurrence_stays(house: House, ending: str) -> None:
    entry = await house.alarm(7, DAILY)
    await house.until("2026-11-21 07:00")
    again = await house.timers.snooze(540.0)
    assert [(each.id, each.ringing, local(each.due_at)) for each in again] == [
        (entry.id, False, "2026-11-21 07:09")
    ]
    match ending:
        case "restart":
            await house.restart()
        case "kill":
            await house.kill()
        case "reboot":
            await house.reboot(house.clock.wall() + 60.0)
    await house.until("2026-11-21 07:09")
    house.timers.stop_ringing("voice")
    assert house.due() == ["2026-11-22 07:00"]
    await house.restart()
    await house.until("2026-11-22 07:00")
    assert house.rung_at() == ["2026-11-21 07:00", "2026-11-21 07:09", "2026-11-22 07:00"]


async def test_a_snooze_longer_than_the_interval_swallows_no_occurrence(house: House) -> None:
    await house.timers.set("reminder", repeat=HOURLY)
    await house.pass_time(HOUR_S)
    await house.timers.snooze(1.5 * HOUR_S)
    await house.pass_time(2.2 * HOUR_S)
    assert [at - 1000.0 for at, _ in house.rung] == pytest.approx(
        [HOUR_S, 2 * HOUR_S, 2.5 * HOUR_S, 3 * HOUR_S]
    )


async def test_an_occurrence_during_the_ring_of_a_snooze_rings_with_it(house: House) -> None:
    await house.timers.set("reminder", repeat=HOURLY)
    await house.pass_time(HOUR_S)
    await house.timers.snooze(HOUR_S - 10.0)
    await house.pass_time(HOUR_S + 5.0)
    house.timers.stop_ringing("voice")
    await house.pass_time(300.0)
    assert len(house.rung) == 2


@pytest.mark.parametrize("kind", ["timer", "alarm"])
async def test_what_does_not_repeat_is_gone_after_its_snooze(house: House, kind: str) -> None:
    if kind == "timer":
        await house.timers.set("timer", name="tea", duration_s=9 * HOUR_S)
    else:
        await house.alarm(7)
    await house.until("2026-11-21 07:00")
    (again,) = await house.timers.snooze(540.0)
    assert (again.repeat, local(again.due_at)) == (None, "2026-11-21 07:09")
    house.clock.step_wall(-HOUR_S)
    await house.pass_time(541.0)
    assert len(house.rung) == 2
    house.timers.stop_ringing("voice")
    await house.restart()
    assert house.timers.list() == []


async def test_a_snooze_missed_while_off_is_reported(house: House) -> None:
    await house.alarm(7, DAILY)
    await house.until("2026-11-21 07:00")
    await house.timers.snooze(540.0)
    await house.reboot(moment("2026-11-21 09:00").wall_s)
    assert [local(entry.due_at) for entry in house.timers.take_missed()] == ["2026-11-21 07:09"]
    assert house.due() == ["2026-11-22 07:00"]


async def test_a_snooze_lasts_as_long_when_the_clock_steps_before_a_reboot(house: House) -> None:
    await house.alarm(7, DAILY)
    await house.until("2026-11-21 07:00")
    await house.timers.snooze(540.0)
    house.clock.step_wall(HOUR_S)
    await house.pass_time(60.0)
    await house.reboot(house.clock.wall() + 60.0)
    assert house.timers.list()[0].due_in_s == pytest.approx(420.0)


async def test_a_clock_set_back_by_days_during_a_ring_skips_no_morning(house: House) -> None:
    await house.alarm(7, DAILY)
    await house.until("2026-11-21 07:00")
    house.clock.step_wall(-3 * DAY_S)
    await house.pass_time(70.0)
    assert house.emit.types().count("timer.stopped") == 1
    assert house.due() == ["2026-11-19 07:00"]
