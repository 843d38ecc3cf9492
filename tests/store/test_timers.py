"""Timers on disk: what comes back, also from older versions and broken rows."""

import json
from collections.abc import AsyncIterator
from datetime import date, time
from pathlib import Path

import pytest

from voxd.store.db import Database
from voxd.store.timers import Repeat, TimerRecord, TimerStore

SNOOZED = TimerRecord(
    kind="alarm",
    name="gym",
    saved_wall_s=1.0,
    due_wall_s=2.0,
    day=date(2026, 11, 23),
    at=time(7),
    repeat=Repeat(weekdays=(0, 2), every_weeks=2),
    snooze=TimerRecord(kind="alarm", saved_wall_s=1.0, due_wall_s=2.0, due_monotonic_s=3.0, boot="b"),
)
PAUSED = TimerRecord(kind="timer", saved_wall_s=1.0, due_wall_s=2.0, duration_s=300.0, paused_left_s=12.5)

OLD_FORMAT = [
    {
        "id": 0, "kind": "timer", "name": "tea", "saved_wall_s": 9.0, "due_wall_s": 309.0,
        "duration_s": 300.0, "due_monotonic_s": 1300.0, "boot": "one", "day": None, "at": None,
    },
    {
        "id": 0, "kind": "alarm", "name": "", "saved_wall_s": 100.0, "due_wall_s": 900.0, "duration_s": 0.0,
        "due_monotonic_s": 0.0, "boot": "one", "day": "2026-11-21", "at": "07:00:00",
    },
]  # fmt: skip
"""As the first released version wrote them."""


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    db = Database(tmp_path / "voxd.db")
    assert await db.open() == ""
    yield db
    await db.close()


async def insert(db: Database, blob: bytes) -> None:
    await db.run(lambda connection: connection.execute("INSERT INTO timers (record) VALUES (?)", (blob,)))


async def test_what_is_added_comes_back_with_its_id(db: Database) -> None:
    store = TimerStore(db)
    added = [await store.add(record) for record in (SNOOZED, PAUSED)]
    assert await store.all() == added
    assert [record.id for record in added] == [1, 2]


async def test_a_removed_timer_is_put_back_under_its_id(db: Database) -> None:
    store = TimerStore(db)
    first, second = [await store.add(record) for record in (SNOOZED, PAUSED)]
    await store.remove([first.id, second.id])
    await store.put(first)
    assert await store.all() == [first]
    assert (await store.add(PAUSED)).id == 3


async def test_records_of_the_first_version_are_read(db: Database) -> None:
    for record in OLD_FORMAT:
        await insert(db, json.dumps(record).encode())
    tea, alarm = await TimerStore(db).all()
    assert (tea.name, tea.due_monotonic_s, tea.repeat, tea.paused_left_s, tea.snooze) == (
        "tea", 1300.0, None, None, None,
    )  # fmt: skip
    assert (alarm.day, alarm.at) == (date(2026, 11, 21), time(7))


@pytest.mark.parametrize(
    "blob",
    [
        b"\x00",
        b"{}",
        b'{"kind": "alarm", "saved_wall_s": 1.0, "due_wall_s": 2.0, "repeat": {"weekdays": [9]}}',
        b'{"kind": "alarm", "saved_wall_s": 1.0, "due_wall_s": 2.0, "repeat": {}}',
    ],
)
async def test_an_unreadable_timer_is_ignored_and_logged(
    db: Database, caplog: pytest.LogCaptureFixture, blob: bytes
) -> None:
    store = TimerStore(db)
    await insert(db, blob)
    kept = await store.add(PAUSED)
    assert await store.all() == [kept]
    assert "timer 1 in the database cannot be read" in caplog.text


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"weekdays": (0,), "month_day": 3},
        {"weekdays": (1, 0)},
        {"weekdays": (0, 7)},
        {"weekdays": (0, 0)},
        {"weekdays": (0,), "every_weeks": 0},
        {"month_day": 32},
        {"interval_s": 0.5},
        {"interval_s": float("inf")},
        {"interval_s": float("nan")},
    ],
)
def test_a_repetition_without_one_meaning_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Repeat(**fields)
