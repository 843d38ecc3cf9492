"""History keeps what it should, deletes what it must, and no clock makes it forget."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes import FakeClock
from voxd.config import schema
from voxd.reports import HistoryEntry
from voxd.store.db import Database
from voxd.store.history import HistoryStore
from voxd.store.queue import UtteranceQueue

DAY_S = 86_400.0
YEAR_S = 365.25 * DAY_S


def turn(name: str, transcript: str = "what time is it") -> HistoryEntry:
    return HistoryEntry(
        id=0,
        turn=name,
        time=1.0,
        source="socket",
        agent="default",
        transcript=transcript,
        reply="It is nine.",
        outcome="answered",
        stages_ms={"reply": 1.5},
    )


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "voxd.db")
    await database.open()
    yield database
    await database.close()


async def names(history: HistoryStore) -> list[str]:
    return [entry.turn for entry in await history.newest(100)]


async def test_turns_come_back_newest_first_and_whole(db: Database) -> None:
    history = HistoryStore(db, schema.History(), FakeClock())
    for name in ("a", "b", "c"):
        await history.add(turn(name))
    assert await names(history) == ["c", "b", "a"]
    [newest] = await history.newest(1)
    assert newest.stages_ms == {"reply": 1.5}
    assert newest.transcript == "what time is it"
    assert await history.newest(-1) == []


async def test_history_that_is_off_keeps_nothing(db: Database) -> None:
    history = HistoryStore(db, schema.History(enabled=False), FakeClock())
    assert await history.add(turn("a")) == 0
    assert await names(history) == []


async def test_turns_leave_when_they_are_too_old(db: Database) -> None:
    clock = FakeClock()
    history = HistoryStore(db, schema.History(max_age_days=7), clock)
    await history.add(turn("old"))
    await clock.advance(6 * DAY_S)
    await history.add(turn("young"))
    assert await names(history) == ["young", "old"]
    await clock.advance(1.5 * DAY_S)
    assert await history.prune() == 1
    assert await names(history) == ["young"]


@pytest.mark.parametrize("step_s", [56 * YEAR_S, -50 * YEAR_S, 3600.0, -3600.0, 8 * DAY_S])
async def test_a_step_of_the_wall_clock_deletes_nothing(db: Database, step_s: float) -> None:
    clock = FakeClock()
    history = HistoryStore(db, schema.History(max_age_days=7), clock)
    await history.add(turn("before"))
    clock.step_wall(step_s)
    await history.add(turn("after"))
    clock.step_wall(-step_s)
    assert await history.prune() == 0
    assert await names(history) == ["after", "before"]


async def test_a_start_in_1970_and_a_late_time_sync_delete_nothing(db: Database) -> None:
    before = FakeClock(monotonic=50_000.0)
    await HistoryStore(db, schema.History(), before, boot="one").add(turn("before"))
    after = FakeClock(monotonic=10.0, wall=30.0)
    history = HistoryStore(db, schema.History(), after, boot="two")
    await history.add(turn("unsynced"))
    after.step_wall(1_800_000_300.0)
    await history.add(turn("synced"))
    assert await names(history) == ["synced", "unsynced", "before"]


async def test_time_the_device_was_off_counts_as_age(db: Database) -> None:
    await HistoryStore(db, schema.History(max_age_days=7), FakeClock(), boot="one").add(turn("before"))
    later = FakeClock(monotonic=10.0, wall=1_800_000_000.0 + 8 * DAY_S)
    history = HistoryStore(db, schema.History(max_age_days=7), later, boot="two")
    await history.add(turn("after"))
    assert await names(history) == ["after"]


async def test_the_oldest_leave_when_there_is_too_much(db: Database) -> None:
    history = HistoryStore(db, schema.History(max_size_mb=0.3), FakeClock())
    for number in range(60):
        await history.add(turn(str(number), "x" * 10_000))
    kept = await names(history)
    assert 5 < len(kept) < 30
    assert kept == [str(number) for number in range(59, 59 - len(kept), -1)]


async def test_forgetting_leaves_no_word_in_any_file(db: Database) -> None:
    history = HistoryStore(db, schema.History(), FakeClock())
    for number in range(20):
        await history.add(turn(str(number), "my secret garden"))
    assert await history.forget() == 20
    assert await names(history) == []
    left = b"".join(file.read_bytes() for file in db.path.parent.iterdir())
    assert b"secret garden" not in left


async def test_a_new_configuration_counts_from_the_next_turn_on(db: Database) -> None:
    history = HistoryStore(db, schema.History(), FakeClock())
    await history.add(turn("a"))
    history.configure(schema.History(enabled=False))
    await history.add(turn("b"))
    assert await names(history) == ["a"]


async def test_ids_are_never_used_again(db: Database) -> None:
    history = HistoryStore(db, schema.History(), FakeClock())
    first = await history.add(turn("a"))
    await history.forget()
    assert await history.add(turn("b")) > first


async def test_what_waits_in_the_queue_pushes_no_turn_out(db: Database) -> None:
    clock = FakeClock()
    history = HistoryStore(db, schema.History(max_size_mb=0.3), clock)
    await history.add(turn("a"))
    queue = UtteranceQueue(db, schema.Queue(), clock)
    for _ in range(5):
        await queue.add("default", flac=bytes(200_000), duration_ms=1)
    await history.add(turn("b"))
    assert await names(history) == ["b", "a"]


async def test_a_turn_can_be_part_of_a_callers_transaction(db: Database) -> None:
    history = HistoryStore(db, schema.History(), FakeClock())

    def half(connection: sqlite3.Connection) -> None:
        assert history.insert(connection, turn("a"))
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        await db.run(half)
    await db.run(lambda connection: history.insert(connection, turn("b")))
    assert await names(history) == ["b"]
    history.configure(schema.History(enabled=False))
    assert await db.run(lambda connection: history.insert(connection, turn("c"))) == 0
