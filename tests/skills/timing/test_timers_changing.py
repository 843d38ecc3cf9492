"""Changing what is set, and undoing it: on a real SQLite file, over restarts and kills."""

import asyncio
from typing import Any

import pytest

from tests.fakes import settle
from tests.skills.timer_house import DAILY, DAY_S, HOUR_S, House, moment
from voxd.errors import Busy, InvalidRequest, NotFound, StoreError
from voxd.events import EVENT_TYPES, EventType
from voxd.skills.timing.timers import MAX_TIMERS, RETRY_S

LEFT_S = 240.0


@pytest.fixture
async def id(house: House) -> int:
    """A timer of five minutes, one of which has passed."""
    entry = await house.timers.set("timer", name="tea", duration_s=300.0)
    await house.clock.advance(60.0)
    return entry.id


def changed(house: House) -> dict[str, Any]:
    data = house.last("timer.changed")
    assert set(data) == set(EVENT_TYPES[EventType.TIMER_CHANGED].fields)
    return data


@pytest.mark.parametrize("seconds", [300.0, -100.0, 0.5])
async def test_extending_moves_the_end_and_is_on_disk(house: House, id: int, seconds: float) -> None:
    entry = await house.timers.extend(id, seconds)
    assert (entry.due_in_s, entry.duration_s) == (LEFT_S + seconds, 300.0)
    assert changed(house) == {"id": id, "kind": "timer", "what": "extended", "due_s": LEFT_S + seconds}
    await house.kill()
    await house.pass_time(LEFT_S + seconds)
    assert [at for at, _ in house.rung] == [pytest.approx(1300.0 + seconds)]


@pytest.mark.parametrize("seconds", [-240.0, -1000.0])
async def test_nothing_may_be_left_of_a_timer(house: House, id: int, seconds: float) -> None:
    with pytest.raises(InvalidRequest, match="240 s left") as caught:
        await house.timers.extend(id, seconds)
    assert caught.value.hint == "cancel it instead"
    assert house.timers.list()[0].due_in_s == LEFT_S


async def test_extending_what_rings_silences_it_until_then(house: House, id: int) -> None:
    await house.clock.advance(250.0)
    with pytest.raises(InvalidRequest, match="rings"):
        await house.timers.extend(id, -1.0)
    entry = await house.timers.extend(id, 60.0)
    assert (entry.ringing, entry.due_in_s) == (False, 60.0)
    assert house.last("timer.stopped") == {"id": id, "by": "extended"}
    await house.clock.advance(60.0)
    assert len(house.rung) == 2


async def test_an_alarm_is_extended_by_local_time_unless_it_repeats(house: House) -> None:
    once, daily = await house.alarm(7), await house.alarm(8, DAILY)
    await house.timers.extend(once.id, 600.0)
    with pytest.raises(InvalidRequest, match="repeats"):
        await house.timers.extend(daily.id, 600.0)
    await house.restart()
    assert house.due() == ["2026-11-21 07:10", "2026-11-21 08:00"]


@pytest.mark.parametrize("ending", ["none", "kill", "reboot", "step"])
async def test_a_paused_countdown_keeps_what_is_left(house: House, id: int, ending: str) -> None:
    paused = await house.timers.pause(id)
    assert (paused.paused, paused.due_in_s) == (True, LEFT_S)
    assert changed(house)["what"] == "paused"
    await house.pass_time(HOUR_S)
    match ending:
        case "kill":
            await house.kill()
        case "reboot":
            await house.reboot(30.0)
        case "step":
            house.clock.step_wall(400 * DAY_S)
    await house.pass_time(HOUR_S)
    assert house.rung == []
    assert house.timers.list()[0].due_in_s == LEFT_S
    assert (await house.timers.extend(id, 10.0)).due_in_s == LEFT_S + 10.0
    with pytest.raises(InvalidRequest, match="250 s left"):
        await house.timers.extend(id, -LEFT_S - 10.0)
    resumed = await house.timers.resume(id)
    assert (resumed.paused, resumed.due_in_s) == (False, LEFT_S + 10.0)
    await house.kill()
    await house.pass_time(LEFT_S + 9.0)
    assert house.rung == []
    await house.pass_time(1.0)
    assert len(house.rung) == 1


async def test_pausing_twice_and_resuming_what_runs_change_nothing(house: House, id: int) -> None:
    assert (await house.timers.resume(id)).due_in_s == LEFT_S
    await house.timers.pause(id)
    await house.clock.advance(10.0)
    assert (await house.timers.pause(id)).due_in_s == LEFT_S
    assert house.emit.types().count("timer.changed") == 1


async def test_only_a_countdown_can_be_paused(house: House, id: int) -> None:
    alarm = await house.alarm(7)
    for refused in (house.timers.pause, house.timers.resume):
        with pytest.raises(InvalidRequest, match="time of day"):
            await refused(alarm.id)
    await house.clock.advance(250.0)
    with pytest.raises(InvalidRequest, match="rings"):
        await house.timers.pause(id)


async def test_what_is_paused_stands_last_and_counts(house: House, id: int) -> None:
    await house.timers.pause(id)
    running = [await house.timers.set("timer", duration_s=1000.0) for _ in range(MAX_TIMERS - 1)]
    assert [entry.id for entry in house.timers.list()] == [*(entry.id for entry in running), id]
    with pytest.raises(Busy):
        await house.timers.set("timer", duration_s=1.0)


async def test_renaming_is_kept_and_lets_it_ring_on(house: House, id: int) -> None:
    await house.clock.advance(250.0)
    entry = await house.timers.rename(id, "green tea")
    assert (entry.name, entry.ringing) == ("green tea", True)
    assert changed(house)["what"] == "renamed"
    await house.kill()
    assert house.rung[-1][1].name == "green tea"


async def test_moving_sets_it_anew_under_its_id_and_name(house: House, id: int) -> None:
    await house.timers.pause(id)
    moved = await house.timers.move(id, duration_s=600.0)
    assert (moved.id, moved.name, moved.due_in_s, moved.paused) == (id, "tea", 600.0, False)
    moved = await house.timers.move(id, aim=moment("2026-11-21 07:00"))
    assert (moved.duration_s, moved.repeat) == (0.0, None)
    await house.timers.move(id, repeat=DAILY)
    assert changed(house)["what"] == "moved"
    await house.kill()
    await house.until("2026-11-22 07:01")
    assert house.rung_at() == ["2026-11-21 07:00", "2026-11-22 07:00"]


async def test_moving_what_rings_silences_it(house: House, id: int) -> None:
    await house.clock.advance(250.0)
    await house.timers.move(id, duration_s=60.0)
    assert house.timers.ringing() == []
    assert house.last("timer.stopped") == {"id": id, "by": "moved"}


async def test_a_snooze_needs_a_ring_and_a_second(house: House, id: int) -> None:
    assert await house.timers.snooze(60.0) == []
    with pytest.raises(InvalidRequest):
        await house.timers.snooze(0.5)
    await house.timers.set("timer", duration_s=LEFT_S)
    await house.clock.advance(LEFT_S)
    assert len(await house.timers.snooze(60.0)) == 2
    assert house.emit.types()[-4:] == ["timer.stopped"] * 2 + ["timer.changed"] * 2


async def test_a_cancelled_countdown_comes_back_with_the_time_passed(house: House, id: int) -> None:
    record = await house.timers.cancel(id)
    await house.clock.advance(20.0)
    entry = await house.timers.restore(record)
    assert (entry.id, entry.name, entry.due_in_s) == (id, "tea", LEFT_S - 20.0)
    assert changed(house)["what"] == "restored"
    await house.kill()
    await house.clock.advance(LEFT_S)
    assert [at for at, _ in house.rung] == [1300.0]


async def test_what_came_due_while_it_was_cancelled_rings_at_once(house: House, id: int) -> None:
    alarm = await house.alarm(23)
    records = [await house.timers.cancel(each) for each in (id, alarm.id)]
    await house.pass_time(1.5 * HOUR_S)
    for record in records:
        await house.timers.restore(record)
    await settle()
    # The countdown is over for more than an hour.
    assert [entry.id for entry in house.timers.take_missed()] == [id]
    assert [entry.id for entry in house.timers.ringing()] == [alarm.id]


async def test_a_cancelled_ring_rings_again(house: House, id: int) -> None:
    await house.clock.advance(250.0)
    record = await house.timers.cancel(id)
    assert house.timers.ringing() == []
    await house.timers.restore(record)
    await settle()
    assert [entry.id for entry in house.timers.ringing()] == [id]


async def test_a_paused_one_comes_back_paused(house: House, id: int) -> None:
    await house.timers.pause(id)
    record = await house.timers.cancel(id)
    await house.clock.advance(1000.0)
    assert (await house.timers.restore(record)).due_in_s == LEFT_S


async def test_an_alarm_comes_back_at_its_local_time_after_a_clock_step(house: House) -> None:
    alarm = await house.alarm(7)
    record = await house.timers.cancel(alarm.id)
    house.clock.step_wall(-HOUR_S)
    await house.timers.restore(record)
    assert house.due() == ["2026-11-21 07:00"]


async def test_a_change_is_undone(house: House) -> None:
    alarm = await house.alarm(7, DAILY)
    before = house.timers.record(alarm.id)
    await house.timers.move(alarm.id, aim=moment("2026-11-21 19:00"))
    await house.timers.rename(alarm.id, "gym")
    await house.timers.restore(before)
    await house.kill()
    assert house.due() == ["2026-11-21 07:00"]
    assert house.timers.record(alarm.id) == before


async def test_nothing_is_restored_into_a_full_list(house: House, id: int) -> None:
    record = await house.timers.cancel(id)
    for _ in range(MAX_TIMERS):
        await house.timers.set("timer", duration_s=300.0)
    with pytest.raises(Busy):
        await house.timers.restore(record)


async def test_an_unknown_timer_is_named(house: House) -> None:
    timers = house.timers
    for call in (timers.pause, timers.resume, timers.move, timers.cancel):
        with pytest.raises(NotFound, match="unknown timer 77"):
            await call(77)
    with pytest.raises(NotFound):
        await timers.extend(77, 1.0)
    with pytest.raises(NotFound):
        await timers.rename(77, "x")
    with pytest.raises(NotFound):
        timers.record(77)


async def test_a_change_that_cannot_be_written_does_not_happen(house: House, id: int) -> None:
    alarm = await house.timers.set("alarm", duration_s=1.0)
    await house.clock.advance(2.0)
    before = [*house.timers.list()]
    events = len(house.emit.events)
    await house.db.run(lambda connection: connection.execute("ALTER TABLE timers RENAME TO away"))
    with pytest.raises(StoreError):
        await house.timers.snooze(60.0)
    with pytest.raises(StoreError):
        await house.timers.extend(id, 60.0)
    assert house.timers.list() == before
    assert len(house.emit.events) == events
    await house.db.run(lambda connection: connection.execute("ALTER TABLE away RENAME TO timers"))
    assert [entry.id for entry in await house.timers.snooze(60.0)] == [alarm.id]


async def refuse(house: House, refused: bool) -> None:
    """Let no write of a timer succeed, or let it again."""
    before, after = ("timers", "away") if refused else ("away", "timers")
    await house.db.run(lambda connection: connection.execute(f"ALTER TABLE {before} RENAME TO {after}"))


async def test_what_cannot_be_cancelled_on_disk_is_still_set(house: House, id: int) -> None:
    before, events = house.timers.list(), len(house.emit.events)
    await refuse(house, True)
    with pytest.raises(StoreError):
        await house.timers.cancel(id)
    assert house.timers.list() == before
    assert len(house.emit.events) == events
    await refuse(house, False)
    await house.restart()
    assert house.timers.list() == before
    await house.timers.cancel(id)
    assert house.timers.list() == []


async def test_a_ring_is_silent_whatever_the_disk_does_and_listed_until_it_is_forgotten(house: House) -> None:
    rung = await house.timers.set("timer", duration_s=1.0)
    daily = await house.alarm(7, DAILY)
    await house.clock.advance(2.0)
    await refuse(house, True)
    assert house.timers.stop_ringing("button") == 1
    await settle()
    assert house.timers.ringing() == []
    await refused(house, rung.id)
    with pytest.raises(StoreError):
        await house.timers.cancel(rung.id)
    await house.pass_time(11 * HOUR_S)
    assert [entry.id for _, entry in house.rung] == [rung.id, daily.id], "what repeats needs no disk to ring"
    await refuse(house, False)
    async with asyncio.timeout(5):
        while rung.id in {entry.id for entry in house.timers.list()}:
            await house.clock.advance(RETRY_S)
    await house.restart()
    assert [entry.id for entry in house.timers.list()] == [daily.id]


async def refused(house: House, id: int) -> None:
    """Wait until the disk has refused to forget ``id``."""
    async with asyncio.timeout(5):
        while id not in {entry.id for entry in house.timers.list()}:
            await asyncio.sleep(0)


async def test_two_changes_at_once_both_count(house: House, id: int) -> None:
    await asyncio.gather(house.timers.extend(id, 60.0), house.timers.extend(id, 60.0))
    before = house.timers.list()[0].due_in_s
    await house.restart()
    assert house.timers.list()[0].due_in_s == before
    await asyncio.gather(house.timers.rename(id, "eggs"), house.timers.extend(id, 60.0))
    assert (house.timers.list()[0].name, house.timers.list()[0].due_in_s) == ("eggs", before + 60.0)


async def test_a_caller_that_is_cancelled_leaves_disk_and_memory_equal(house: House, id: int) -> None:
    tasks = [
        asyncio.ensure_future(work)
        for work in (
            house.timers.set("timer", name="eggs", duration_s=500.0),
            house.timers.extend(id, 60.0),
        )
    ]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await house.timers.close()
    listed = house.timers.list()
    await house.restart()
    assert [(entry.name, entry.due_in_s) for entry in house.timers.list()] == [
        (entry.name, entry.due_in_s) for entry in listed
    ]
    assert [entry.name for entry in listed] == ["tea", "eggs"]
