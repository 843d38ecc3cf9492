"""The account book: what is added up, by day and provider, and what is forgotten."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.fakes import FakeClock
from voxd.clock import local_day
from voxd.reports import UsageEntry
from voxd.store.db import Database
from voxd.store.migrations import MIGRATIONS
from voxd.store.usage import KEPT_DAYS, UsageLog

DAY_S = 86_400.0


def used(provider: str = "cloud", cost: float | None = 0.5, prices: str = "2026-11-20") -> UsageEntry:
    return UsageEntry("", provider, 1, 2, 30.0, 100, 1000, cost, prices if cost is not None else "")


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "voxd.db")
    await database.open()
    yield database
    await database.close()


async def test_a_day_of_a_provider_is_one_row(db: Database) -> None:
    book = UsageLog(db, FakeClock())
    for _ in range(3):
        await book.add(used())
    await book.add(used("other"))
    cloud, other = await book.newest(1)
    assert (cloud.provider, other.provider) == ("cloud", "other")
    assert (cloud.sessions, cloud.responses, cloud.audio_s) == (3, 6, 90.0)
    assert (cloud.text_tokens, cloud.audio_tokens, cloud.cost_usd) == (300, 3000, 1.5)
    assert cloud.prices_of == "2026-11-20"


async def test_what_was_counted_by_the_upper_estimate_is_summed(db: Database) -> None:
    book = UsageLog(db, FakeClock())
    for upper_usd in (0.25, 0.5, 0.0):
        await book.add(msgspec.structs.replace(used(), upper_usd=upper_usd))
    (cloud,) = await book.newest(1)
    assert (cloud.cost_usd, cloud.upper_usd) == (1.5, 0.75)


async def test_days_are_listed_newest_first_and_as_many_as_requested(db: Database) -> None:
    clock = FakeClock()
    book = UsageLog(db, clock)
    for _ in range(3):
        await book.add(used())
        clock.step_wall(DAY_S)
    assert await book.newest(1) == [], "nothing was used today"
    days = [entry.day for entry in await book.newest(3)]
    assert days == sorted(days, reverse=True)
    assert len(days) == 2
    assert len(await book.newest(400)) == 3


@pytest.mark.parametrize(
    ("first", "second", "cost", "prices"),
    [
        (used(), used(cost=None), 0.5, ""),
        (used(cost=None), used(), 0.5, ""),
        (used(cost=None), used(cost=None), None, ""),
        (used(prices="2026-11-20"), used(prices="2026-06-01"), 1.0, "2026-06-01"),
    ],
)
async def test_a_sum_states_whether_every_part_of_it_has_a_price(
    db: Database, first: UsageEntry, second: UsageEntry, cost: float | None, prices: str
) -> None:
    book = UsageLog(db, FakeClock())
    await book.add(first)
    await book.add(second)
    (entry,) = await book.newest(1)
    assert (entry.cost_usd, entry.prices_of) == (cost, prices)


async def test_days_long_ago_are_forgotten(db: Database) -> None:
    clock = FakeClock()
    book = UsageLog(db, clock)
    await book.add(used())
    clock.step_wall(KEPT_DAYS * DAY_S)
    await book.add(used())
    assert len(await book.newest(10_000)) == 1


async def test_it_survives_a_restart(tmp_path: Path, db: Database) -> None:
    clock = FakeClock()
    await UsageLog(db, clock).add(used())
    await db.close()
    again = Database(db.path)
    await again.open()
    assert len(await UsageLog(again, clock).newest(1)) == 1
    await again.close()


async def test_stages_and_keys_have_rows_of_their_own_and_a_day_has_a_sum(db: Database) -> None:
    book = UsageLog(db, FakeClock())
    for stage, key in (("llm", 1), ("llm", 2), ("tts", 1), ("llm", 2)):
        await book.add(msgspec.structs.replace(used(), stage=stage, key=key, characters=10))
    await book.add(used("free", cost=None))
    rows = await book.newest(1)
    assert [(row.stage, row.key, row.characters) for row in rows[:3]] == [
        ("llm", 1, 10),
        ("llm", 2, 20),
        ("tts", 1, 10),
    ]
    assert await book.spent_today() == {"cloud": 2.0}


async def test_what_was_used_before_there_were_stages_is_still_there(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    clock = FakeClock()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
        for statement in (*MIGRATIONS[0], *MIGRATIONS[1]):
            old.execute(statement)
        row = (local_day(clock.wall()), "cloud", 1, 2, 30.0, 100, 1000, 0.5, "2026-11-20")
        old.execute("INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        old.execute("PRAGMA user_version = 2")
    database = Database(path)
    await database.open()
    (entry,) = await UsageLog(database, clock).newest(1)
    await database.close()
    assert (entry.provider, entry.stage, entry.key, entry.cost_usd) == ("cloud", "realtime", 1, 0.5)
