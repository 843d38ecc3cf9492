"""Timers ring on time over restarts and clock steps, on a real SQLite file."""

from datetime import datetime

import pytest

from tests.skills.timer_house import BERLIN, EVENING, YEAR_S, House
from voxd.errors import Busy, NotFound
from voxd.reports import TimerEntry
from voxd.skills.timing.timers import MAX_TIMERS


async def test_a_countdown_rings_when_it_is_due_and_not_before(house: House) -> None:
    entry = await house.timers.set("timer", name="pizza", duration_s=300.0)
    assert house.last("timer.set") == {"id": entry.id, "kind": "timer", "due_s": 300.0}
    await house.clock.advance(299.9)
    assert house.rung == []
    await house.clock.advance(0.2)
    assert [(at, entry.name, entry.ringing) for at, entry in house.rung] == [(1300.0, "pizza", True)]
    assert house.last("timer.ringing") == {"id": entry.id, "kind": "timer", "name": "pizza"}


@pytest.mark.parametrize("step_s", [56 * YEAR_S, -50 * YEAR_S, 3600.0, -3600.0, 0.4])
async def test_no_step_of_the_wall_clock_moves_a_countdown(house: House, step_s: float) -> None:
    await house.timers.set("timer", duration_s=300.0)
    await house.clock.advance(100.3)
    house.clock.step_wall(step_s)
    await house.clock.advance(100.0)
    house.clock.step_wall(-step_s / 2)
    await house.clock.advance(200.0)
    assert [at for at, _ in house.rung] == [pytest.approx(1300.0, abs=0.1)]


async def test_ringing_ends_by_itself_after_its_time(house: House) -> None:
    entry = await house.timers.set("timer", duration_s=1.0)
    await house.clock.advance(60.9)
    assert [e.id for e in house.timers.ringing()] == [entry.id]
    await house.clock.advance(0.2)
    assert house.timers.list() == []
    assert house.last("timer.stopped") == {"id": entry.id, "by": "timeout"}


async def test_ringing_is_stopped_once_and_forgotten(house: House) -> None:
    await house.timers.set("timer", duration_s=1.0)
    running = await house.timers.set("timer", duration_s=500.0)
    await house.clock.advance(2.0)
    assert house.timers.stop_ringing("button") == 1
    assert house.timers.stop_ringing("button") == 0
    assert house.last("timer.stopped")["by"] == "button"
    await house.restart()
    assert [entry.id for entry in house.timers.list()] == [running.id]


async def test_cancelling_is_kept_over_a_restart(house: House) -> None:
    first = await house.timers.set("timer", duration_s=300.0)
    second = await house.timers.set("timer", duration_s=200.0)
    assert [entry.id for entry in house.timers.list()] == [second.id, first.id]
    await house.timers.cancel(second.id)
    assert house.emit.types()[-1] == "timer.cancelled"
    with pytest.raises(NotFound):
        await house.timers.cancel(second.id)
    await house.restart()
    assert [entry.id for entry in house.timers.list()] == [first.id]


@pytest.mark.parametrize("step_s", [0.0, 56 * YEAR_S, -50 * YEAR_S])
async def test_a_countdown_survives_a_restart_of_the_daemon_whatever_the_clock_did(
    house: House, step_s: float
) -> None:
    await house.timers.set("timer", duration_s=300.0)
    await house.clock.advance(100.0)
    await house.stop()
    house.clock.step_wall(step_s)
    await house.clock.advance(50.0)
    await house.start()
    assert house.timers.list()[0].due_in_s == pytest.approx(150.0)
    await house.clock.advance(151.0)
    assert [at for at, _ in house.rung] == [1300.0]


async def test_a_countdown_survives_a_reboot_with_the_time_off_counted(house: House) -> None:
    await house.timers.set("timer", duration_s=300.0)
    await house.clock.advance(100.0)
    await house.reboot(house.clock.wall() + 60.0)
    assert house.timers.list()[0].due_in_s == pytest.approx(140.0)
    await house.clock.advance(141.0)
    assert [at for at, _ in house.rung] == [145.0]


async def test_a_step_before_a_reboot_does_not_move_a_countdown(house: House) -> None:
    await house.timers.set("timer", duration_s=300.0)
    house.clock.step_wall(7200.0)
    await house.clock.advance(100.0)
    await house.reboot(house.clock.wall() + 60.0)
    assert house.timers.list()[0].due_in_s == pytest.approx(140.0)


async def test_after_a_reboot_the_monotonic_clock_of_the_new_boot_counts(house: House) -> None:
    await house.timers.set("timer", duration_s=300.0)
    await house.reboot(house.clock.wall() + 60.0)
    await house.stop()
    house.clock.step_wall(56 * YEAR_S)
    await house.clock.advance(40.0)
    await house.start()
    assert house.timers.list()[0].due_in_s == pytest.approx(200.0)


async def test_after_a_reboot_in_1970_a_countdown_waits_for_the_clock_to_be_set(house: House) -> None:
    await house.timers.set("timer", duration_s=3600.0)
    true_time = house.clock.wall() + 1000.0
    await house.reboot(30.0)
    assert house.timers.list()[0].due_in_s == pytest.approx(3600.0)
    house.clock.step_wall(true_time - house.clock.wall())
    await house.clock.advance(1.5)
    assert house.timers.list()[0].due_in_s == pytest.approx(2600.0 - 1.5)


async def test_a_countdown_that_ended_while_off_rings_if_that_is_not_long_ago(house: House) -> None:
    await house.timers.set("timer", name="tea", duration_s=300.0)
    await house.timers.set("timer", name="old", duration_s=10.0)
    await house.reboot(EVENING + 300.0 + 3595.0)
    assert [entry.name for _, entry in house.rung] == ["tea"]
    assert house.last("timer.stopped")["by"] == "missed"
    assert [entry.name for entry in house.timers.take_missed()] == ["old"]
    assert house.timers.take_missed() == []


async def test_what_rang_when_the_daemon_ended_rings_again(house: House) -> None:
    await house.timers.set("timer", duration_s=10.0)
    await house.clock.advance(11.0)
    await house.restart()
    assert len(house.rung) == 2


async def test_an_alarm_rings_at_its_local_time_by_the_new_clock(house: House) -> None:
    await house.alarm(7)
    house.clock.step_wall(3 * 3600.0)
    await house.pass_time(5 * 3600.0)
    assert house.rung == []
    await house.pass_time(3600.0)
    assert len(house.rung) == 1
    assert house.rung[0][0] == pytest.approx(1000.0 + 6 * 3600.0)


async def test_a_clock_set_back_delays_an_alarm(house: House) -> None:
    await house.alarm(7)
    house.clock.step_wall(-3600.0)
    await house.pass_time(9.5 * 3600.0)
    assert house.rung == []
    await house.pass_time(0.6 * 3600.0)
    assert house.now() == "07:06"
    assert len(house.rung) == 1


async def test_an_alarm_that_the_clock_jumped_over_rings_once_and_at_once(house: House) -> None:
    await house.alarm(7)
    house.clock.step_wall(9.5 * 3600.0)
    await house.clock.advance(1.5)
    house.clock.step_wall(-3600.0)
    await house.pass_time(7200.0)
    assert len(house.rung) == 1
    assert house.rung[0][0] <= 1001.5


async def test_an_alarm_jumped_over_by_more_than_an_hour_is_missed(house: House) -> None:
    entry = await house.alarm(7)
    house.clock.step_wall(12 * 3600.0)
    await house.clock.advance(1.5)
    assert house.rung == []
    assert house.last("timer.stopped") == {"id": entry.id, "by": "missed"}
    assert [missed.id for missed in house.timers.take_missed()] == [entry.id]


@pytest.mark.parametrize("years", [56, -50])
async def test_an_alarm_made_under_a_wrong_clock_rings_at_its_time_of_day(house: House, years: int) -> None:
    await house.alarm(7)
    before = datetime.fromtimestamp(house.clock.wall(), BERLIN)
    house.clock.step_wall(before.replace(year=before.year + years).timestamp() - house.clock.wall())
    await house.pass_time(8.9 * 3600.0)
    assert house.rung == []
    await house.pass_time(0.2 * 3600.0)
    assert len(house.rung) == 1
    assert house.now() == "07:06"


async def test_an_alarm_survives_a_reboot_in_1970(house: House) -> None:
    await house.alarm(7)
    await house.reboot(30.0)
    await house.pass_time(3600.0)
    house.clock.step_wall(EVENING + 5400.0 - house.clock.wall())
    await house.pass_time(7.4 * 3600.0)
    assert house.rung == []
    await house.pass_time(0.2 * 3600.0)
    assert len(house.rung) == 1


async def test_an_alarm_across_summer_time_rings_by_the_clock_on_the_wall(house: House) -> None:
    await house.reboot(datetime(2027, 3, 27, 22, 0, tzinfo=BERLIN).timestamp())
    await house.alarm(7)
    await house.pass_time(8 * 3600.0 + 1)
    assert house.now() == "07:00"
    assert len(house.rung) == 1


async def test_nothing_set_needs_no_wake_ups(house: House) -> None:
    sleeps: list[float] = []
    sleep = house.clock.sleep

    async def counted(seconds: float) -> None:
        sleeps.append(seconds)
        await sleep(seconds)

    house.clock.sleep = counted  # type: ignore[method-assign]
    await house.clock.advance(1000.0)
    assert sleeps == []
    await house.timers.set("timer", duration_s=100.0)
    await house.clock.advance(99.0)
    assert 99 <= len(sleeps) <= 102


async def test_too_many_timers_are_refused(house: House) -> None:
    for _ in range(MAX_TIMERS):
        await house.timers.set("timer", duration_s=300.0)
    with pytest.raises(Busy):
        await house.timers.set("timer", duration_s=300.0)


async def test_a_ring_that_fails_does_not_stop_the_others(house: House) -> None:
    def fail(entry: TimerEntry) -> None:
        raise RuntimeError(entry.name)

    house.timers._on_ring = fail
    await house.timers.set("timer", duration_s=1.0)
    await house.timers.set("timer", duration_s=2.0)
    await house.clock.advance(3.0)
    assert house.emit.types().count("timer.ringing") == 2
