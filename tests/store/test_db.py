"""The database keeps what it acknowledged, and a bad disk never stops the daemon."""

import asyncio
import errno
import os
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from voxd.errors import StoreError
from voxd.store.db import Database, connect
from voxd.store.migrations import MIGRATIONS

WRITER = """
import asyncio, sys
from pathlib import Path
from voxd.store.db import Database

async def main():
    db = Database(Path(sys.argv[1]))
    await db.open()
    for number in range(int(sys.argv[2])):
        await db.run(lambda c: c.execute("INSERT INTO timers (record) VALUES (?)", (b"x" * 200,)))
        print(number + 1, flush=True)
    await db.close()

asyncio.run(main())
"""


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "state" / "voxd.db")
    assert await database.open() == ""
    yield database
    await database.close()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    tmp_path.chmod(0o500)
    yield tmp_path
    tmp_path.chmod(0o700)


def insert(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO timers (record) VALUES (x'00')")


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM timers").fetchone()[0])


async def test_the_file_is_private_durable_and_has_the_newest_layout(db: Database) -> None:
    def read(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "user_version")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await db.run(read) == ["wal", 2, 1, 1, len(MIGRATIONS)]
    assert stat.S_IMODE(db.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(db.path.with_name("voxd.db-wal").stat().st_mode) == 0o600


async def test_work_that_fails_leaves_nothing_behind(db: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        insert(connection)
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        await db.run(half)
    assert await db.run(count) == 0


async def test_a_wrong_statement_is_a_store_error_and_the_next_one_works(db: Database) -> None:
    with pytest.raises(StoreError):
        await db.run(lambda connection: connection.execute("SELECT * FROM nothing"))
    await db.run(insert)
    assert await db.run(count) == 1


async def test_a_newer_layout_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "voxd.db"
    connection = connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError) as caught:
        connect(path)
    assert "newer voxd" in caught.value.hint
    database = Database(path)
    assert "nothing will be remembered" in await database.open()
    with pytest.raises(StoreError):
        await database.run(insert)
    await database.close()
    with sqlite3.connect(path) as untouched:
        assert untouched.execute("SELECT count(*) FROM timers").fetchone() == (0,)
    untouched.close()


async def test_an_old_layout_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "voxd.db"
    sqlite3.connect(path).close()
    database = Database(path)
    assert await database.open() == ""
    assert await database.run(count) == 0
    await database.close()


@pytest.mark.parametrize("damage", ["garbage", "torn page"])
async def test_a_damaged_file_is_set_aside_and_a_new_one_made(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "voxd.db"
    first = Database(path)
    await first.open()
    for _ in range(50):
        await first.run(lambda c: c.execute("INSERT INTO timers (record) VALUES (?)", (b"y" * 900,)))
    await first.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        if damage == "garbage":
            file.write(b"\xff" * size)
        else:
            file.seek(size // 2)
            file.write(b"\xff" * (size // 3))
    second = Database(path)
    assert "damaged" in await second.open()
    assert second.remembers
    await second.run(insert)
    assert await second.run(count) == 1
    await second.close()
    assert [name.partition("-")[0] for name in os.listdir(tmp_path) if "corrupt" in name] == [
        "voxd.db.corrupt"
    ]


async def test_an_unwritable_directory_gives_a_database_that_reports_it_is_not_persistent(
    tmp_path: Path,
) -> None:
    blocked = tmp_path / "state"
    # A file where the directory should be stops root too, as a read-only mode would not.
    blocked.write_text("")
    with pytest.raises(StoreError):
        connect(blocked / "voxd.db")
    database = Database(blocked / "voxd.db")
    assert "nothing will be remembered" in await database.open()
    assert not database.remembers
    with pytest.raises(StoreError):
        await database.run(insert)
    assert await database.run(count) == 0
    await database.close()


async def test_a_read_only_disk_is_read_and_takes_changes_again_once_it_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "voxd.db"
    killed = Database(path)
    await killed.open()
    await killed.run(insert)
    # Not closed: what it wrote is still in the write-ahead log.
    real, is_read_only = os.chmod, True

    def chmod(name: object, mode: int) -> None:
        if is_read_only and name == path:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        real(path if name == path else str(name), mode)

    monkeypatch.setattr("voxd.store.db.os.chmod", chmod)
    database = Database(path)
    assert "nothing will be remembered" in await database.open()
    assert await database.run(count) == 1
    with pytest.raises(StoreError):
        await database.run(insert)
    assert await database.run(count) == 1
    assert "nothing will be remembered" in database.problem
    is_read_only = False
    await database.run(insert)
    assert (await database.run(count), database.remembers, database.problem) == (2, True, "")
    await database.close()
    await killed.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a read-only directory")
async def test_a_read_only_directory_gives_a_database_that_reports_it_is_not_persistent(
    read_only: Path,
) -> None:
    database = Database(read_only / "voxd.db")
    assert "nothing will be remembered" in await database.open()
    await database.close()


async def test_a_full_disk_is_a_store_error_and_loses_nothing_acknowledged(db: Database) -> None:
    await db.run(insert)
    pages = await db.run(lambda c: int(c.execute("PRAGMA page_count").fetchone()[0]))
    await db.maintain(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError) as caught:
        await db.run(lambda c: c.execute("INSERT INTO timers (record) VALUES (zeroblob(100000))"))
    assert "free some space" in caught.value.hint
    assert await db.run(count) == 1
    assert db.problem.startswith("the disk is full; free some space")
    await db.run(insert)
    assert db.problem == ""


async def test_two_processes_may_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "voxd.db"
    writers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(path), "20", stdout=asyncio.subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    async with asyncio.timeout(60):
        assert [await writer.wait() for writer in writers] == [0, 0]
    reader = Database(path)
    assert await reader.open() == ""
    assert await reader.run(count) == 40
    await reader.close()


async def test_kill_9_of_a_writer_loses_no_acknowledged_row(tmp_path: Path) -> None:
    path = tmp_path / "voxd.db"
    acknowledged = 0
    for round_number in range(15):
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(path), "100000", stdout=asyncio.subprocess.PIPE
        )
        assert writer.stdout is not None
        async with asyncio.timeout(30):
            for _ in range(1 + 3 * round_number):
                await writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            rest = await writer.stdout.read()
            await writer.wait()
        acknowledged += 1 + 3 * round_number + rest.count(b"\n")
        reader = Database(path)
        assert await reader.open() == ""
        # The last row may have been written and not yet been acknowledged.
        kept = await reader.run(count)
        await reader.close()
        assert kept >= acknowledged
        acknowledged = kept


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = Database(tmp_path / "voxd.db")
    with pytest.raises(StoreError, match="not open"):
        await database.run(count)
    await database.close()
    await database.close()
