"""The conversation history, limited in time and size by the configuration, and deleted on request."""

import logging
import sqlite3

import msgspec

from voxd.clock import Clock
from voxd.config import schema
from voxd.reports import HistoryEntry
from voxd.store.age import AgeClock, AgeStamp
from voxd.store.db import Database

_log = logging.getLogger(__name__)

_COLUMNS = "id, turn, time, source, agent, transcript, reply, outcome, stages_ms"
_DAY_S = 86_400.0


class HistoryStore:
    """The remembered turns; age is counted by `voxd.store.age.lived`, so no clock jump deletes anything."""

    def __init__(
        self, db: Database, config: schema.History, clock: Clock, *, boot: str | None = None
    ) -> None:
        self._db = db
        self._config = config
        self._age = AgeClock(clock, boot=boot)

    def configure(self, config: schema.History) -> None:
        """Apply a reloaded configuration from the next turn on."""
        self._config = config

    async def add(self, entry: HistoryEntry) -> int:
        """Remember ``entry`` (its ``id`` is ignored); returns the new id, 0 when history is off.

        When this returns, the turn survives a power cut. Raises `StoreError`.
        """
        return await self._db.run(lambda connection: self.insert(connection, entry))

    def insert(self, connection: sqlite3.Connection, entry: HistoryEntry) -> int:
        """Do what `add` does, in a transaction of the caller's."""
        if not self._config.enabled:
            return 0
        stamp = self._age.now(connection)
        cursor = connection.execute(
            "INSERT INTO turns (turn, time, source, agent, transcript, reply, outcome, stages_ms, lived_s)"
            " VALUES (:turn, :time, :source, :agent, :transcript, :reply, :outcome, :stages_ms, :lived_s)",
            {
                **msgspec.structs.asdict(entry),
                "stages_ms": msgspec.json.encode(entry.stages_ms),
                "lived_s": stamp.lived_s,
            },
        )
        self._prune(connection, stamp)
        return int(cursor.lastrowid or 0)

    async def newest(self, limit: int) -> list[HistoryEntry]:
        """Return up to ``limit`` turns, newest first. Raises `StoreError`."""

        def read(connection: sqlite3.Connection) -> list[HistoryEntry]:
            # By id, not by time: the wall clock may have been set back between two turns.
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM turns ORDER BY id DESC LIMIT ?", (max(0, limit),)
            )
            return [_entry(row) for row in rows]

        return await self._db.run(read)

    async def prune(self) -> int:
        """Delete what is too old or too much; returns how many turns went. Raises `StoreError`."""
        return await self._db.run(lambda connection: self._prune(connection, self._age.now(connection)))

    async def forget(self) -> int:
        """Delete every turn and overwrite what it left in the file; returns how many. Raises `StoreError`."""
        count = await self._db.run(lambda connection: connection.execute("DELETE FROM turns").rowcount)
        await self._db.erase_traces()
        return count

    def _prune(self, connection: sqlite3.Connection, now: AgeStamp) -> int:
        oldest_s = now.lived_s - self._config.max_age_days * _DAY_S
        deleted = connection.execute("DELETE FROM turns WHERE lived_s < ?", (oldest_s,)).rowcount
        while _used_bytes(connection) > self._config.max_size_mb * 1_000_000:
            # A tenth at a time: measuring costs more than deleting a little too much.
            gone = connection.execute(
                "DELETE FROM turns WHERE id IN"
                " (SELECT id FROM turns ORDER BY id LIMIT (SELECT count(*) / 10 + 1 FROM turns))"
            ).rowcount
            if gone == 0:
                break
            deleted += gone
        if deleted:
            _log.info("%s turns left the history by age or size", deleted)
        return deleted


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    queued = connection.execute("SELECT coalesce(sum(bytes), 0) FROM utterances").fetchone()[0]
    # What waits in the queue has a limit of its own, and pushes no turn out.
    return (pages - free) * size - int(queued)


def _entry(row: tuple[object, ...]) -> HistoryEntry:
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    fields["stages_ms"] = msgspec.json.decode(bytes(fields["stages_ms"]))  # type: ignore[call-overload]
    return msgspec.convert(fields, HistoryEntry)
