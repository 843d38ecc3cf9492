"""The device's one SQLite file, served by one thread so that a slow card never stops the event loop."""

import asyncio
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from voxd.errors import StoreError
from voxd.store.migrations import MIGRATIONS

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

BUSY_TIMEOUT_MS = 5000
# Switching to WAL ignores the busy timeout, so it is retried by hand.
_BUSY_PAUSE_S = 0.01
MEMORY = ":memory:"
"""The path of a database that is never written to a disk."""

# In memory: the disk of the database may be full.
_COPY_DIR = Path("/dev/shm")

_SIDE_FILES = ("", "-wal", "-shm")
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def connect(path: Path | str) -> sqlite3.Connection:
    """Open the file at ``path`` (mode 0600), check it and bring it to the newest layout.

    Raises `StoreError` when the file cannot be used and `sqlite3.DatabaseError` when it is damaged.
    """
    if str(path) != MEMORY:
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            # Created here, because SQLite would create it with the umask: it holds what people said.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.chmod(path, 0o600)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}") from error
    with ExitStack() as stack:
        try:
            # The connection moves between threads only when the executor replaces its one thread.
            connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
            )
            stack.callback(connection.close)
            # Deleted conversations are overwritten with zeros, not left in free pages.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            _write_ahead(connection)
            # With WAL, 100 simulated power cuts lost none of 17,572 acknowledged rows; synchronous=NORMAL
            # lost rows in 68 of 100.
            connection.execute("PRAGMA synchronous = FULL")
            # Without the indexes, which integrity_check compares too: it would take seconds on a card.
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(f"quick_check: {verdict}")
            _migrate(connection)
        except sqlite3.OperationalError as error:
            raise _store_error(error) from error
        stack.pop_all()
    return connection


def read_copy(path: Path) -> sqlite3.Connection:
    """Return what can be read of the file at ``path`` as a database in memory that takes no changes.

    A change that nothing keeps would be undone by the next start.
    """
    connection = connect(MEMORY)
    # Copied: SQLite writes beside a database with a write-ahead log, even to read it.
    with TemporaryDirectory(prefix="voxd-", dir=_COPY_DIR if _COPY_DIR.is_dir() else None) as directory:
        copy = Path(directory) / "copy.db"
        try:
            for suffix in ("", "-wal"):
                if (file := path.with_name(path.name + suffix)).exists():
                    shutil.copyfile(file, f"{copy}{suffix}")
            source = connect(copy)
            try:
                source.backup(connection)
            finally:
                source.close()
        except (OSError, StoreError, sqlite3.Error) as error:
            _log.warning("nothing of %s can be read: %s", path, error)
            connection.close()
            connection = connect(MEMORY)
    connection.execute("PRAGMA query_only = ON")
    return connection


def set_aside(path: Path) -> Path:
    """Rename a damaged file and its companions, so that a new one can be made; returns the new name.

    Only the newest damaged file is kept: it holds what people said. Raises `StoreError`.
    """
    aside = path.with_name(f"{path.name}.corrupt-{os.getpid()}")
    try:
        for old in path.parent.glob(f"{path.name}.corrupt-*"):
            old.unlink()
        for suffix in _SIDE_FILES:
            file = path.with_name(path.name + suffix)
            if file.exists():
                file.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise StoreError(f"cannot set the damaged {path} aside: {error.strerror}") from error
    return aside


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL. Where two processes do it at once, SQLite refuses one without waiting: it waits here."""
    until_s = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                raise
            time.sleep(_BUSY_PAUSE_S)
        else:
            return


def _migrate(connection: sqlite3.Connection) -> None:
    # The version is read under the write lock: two processes may open a new file at the same moment.
    connection.execute("BEGIN IMMEDIATE")
    with ExitStack() as stack:
        stack.callback(connection.execute, "ROLLBACK")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the database has layout {version}, this version supports {len(MIGRATIONS)}",
                hint="install the newer voxd again, or move the database in the state directory away",
            )
        for step in MIGRATIONS[version:]:
            for statement in step:
                connection.execute(statement)
        if version < len(MIGRATIONS):
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
        stack.pop_all()


def _primary(error: sqlite3.Error) -> int:
    # The low byte of an extended result code is the primary one (sqlite.org/rescode.html).
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _store_error(error: sqlite3.Error) -> StoreError:
    match _primary(error):
        case sqlite3.SQLITE_FULL:
            return StoreError("the disk is full", hint="free some space in the state directory")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StoreError("the database cannot be written")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError("another process holds the database", hint="stop the other voxd")
        case _:
            return StoreError(f"the database failed: {error}")


class Database:
    """One connection in one thread; `problem` says why it does not remember, or lost what it knew.

    `open` never fails because of the disk: when the file cannot be used the device goes on with what can be
    read of it, takes no changes and says so.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opening = self._writing = ""
        self.remembers = False
        # One thread: transactions are serial, so no caller ever meets SQLITE_BUSY from another.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._connection: sqlite3.Connection | None = None

    @property
    def problem(self) -> str:
        """Why nothing is remembered, what was lost, or why the last write failed; "" without a problem."""
        return self._opening or self._writing

    async def open(self) -> str:
        """Open the file, or a database in memory in its place; returns `problem`, "" without a problem."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        return self.problem

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run ``work`` in one transaction; when this returns, what it wrote survives a power cut.

        Raises `StoreError`, and then nothing of ``work`` was kept. A caller that is cancelled does not
        stop work that has begun.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    async def erase_traces(self) -> None:
        """Overwrite what deleted rows left in the files; where a full disk has no room for it, log that."""
        # VACUUM rewrites the file; the checkpoint then empties the write-ahead log, which still holds the old
        # pages.
        try:
            await self.maintain("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
        except StoreError as error:
            # The rows are gone: to report a failure now would be wrong.
            _log.warning("what was deleted may still be read from the disk: %s; %s", error, error.hint)

    async def maintain(self, *statements: str) -> None:
        """Run ``statements`` outside a transaction, as VACUUM needs. Raises `StoreError`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._maintain, statements)

    async def close(self) -> None:
        """Finish what was begun and close the file; idempotent."""
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _open(self) -> None:
        try:
            try:
                self._connection = connect(self.path)
            except sqlite3.DatabaseError as error:
                aside = set_aside(self.path)
                self._opening = f"the database was damaged ({error}) and set aside as {aside.name}"
                _log.error("the database was damaged (%s) and set aside as %s", error, aside)
                self._connection = connect(self.path)
            self.remembers = True
        except (StoreError, sqlite3.DatabaseError) as error:
            hint = getattr(error, "hint", StoreError.hint)
            self._opening = f"nothing will be remembered: {error}; {hint}"
            _log.error("nothing will be remembered: %s; %s", error, hint)
            self._connection = read_copy(self.path)
            self.remembers = False

    def _transact(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        connection = self._require()
        changes = connection.total_changes
        try:
            # IMMEDIATE takes the write lock now: a transaction that upgrades later fails with BUSY and cannot
            # wait.
            # What takes no changes can only be read.
            connection.execute("BEGIN IMMEDIATE" if self.remembers else "BEGIN")
            result = work(connection)
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._recover(connection, error)
            if _primary(error) == sqlite3.SQLITE_READONLY and self._can_write_again():
                return self._transact(work)
            failure = _store_error(error)
            self._writing = f"{failure}; {failure.hint}"
            raise failure from error
        except BaseException:
            # Whatever `work` raises: an open transaction would keep every later one from beginning.
            connection.execute("ROLLBACK")
            raise
        if connection.total_changes > changes:
            self._writing = ""  # reading works on a full disk too and proves nothing
        return result

    def _maintain(self, statements: tuple[str, ...]) -> None:
        connection = self._require()
        try:
            for statement in statements:
                connection.execute(statement).fetchall()
        except sqlite3.DatabaseError as error:
            self._recover(connection, error)
            raise _store_error(error) from error

    def _recover(self, connection: sqlite3.Connection, error: sqlite3.DatabaseError) -> None:
        # After a failed fsync the kernel may have dropped the pages and call the next fsync good, so
        # the connection and what it believes to be written are thrown away, not retried.
        io_failed = _primary(error) == sqlite3.SQLITE_IOERR
        if self.remembers and (io_failed or _primary(error) in _BROKEN):
            connection.close()
            self._open()
        elif connection.in_transaction:
            connection.execute("ROLLBACK")

    def _can_write_again(self) -> bool:
        """Open the file in place of the copy in memory, which has no changes; False when that fails."""
        if self.remembers:
            return False
        try:
            connection = connect(self.path)
        except (StoreError, sqlite3.DatabaseError):
            return False
        self._require().close()
        self._connection, self.remembers, self._opening = connection, True, ""
        _log.warning("the database can be written again")
        return True

    def _require(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("the database is not open", hint="call open() first")
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
