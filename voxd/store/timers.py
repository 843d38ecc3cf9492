"""Timers, alarms and reminders on disk, so that a restart forgets none of them."""

import logging
import sqlite3
from datetime import date, time

import msgspec

from voxd.reports import Repeat
from voxd.store.db import Database

__all__ = ["Repeat", "TimerRecord", "TimerStore"]

_log = logging.getLogger(__name__)


class TimerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One timer, alarm or reminder as it is stored.

    A countdown carries ``duration_s`` and is due at ``due_monotonic_s`` of boot ``boot``; an alarm or a
    reminder for a time of day carries the local ``day`` and ``at``. ``due_wall_s`` is the same moment by
    the wall clock (seconds since 1970) as it went when ``saved_wall_s`` was read.

    ``boot`` is "" after a reboot until the wall clock has been set. ``paused_left_s`` is what is left of a
    paused countdown. ``snooze`` is a countdown of its own: a repeating timer that was snoozed is due at its
    next occurrence and at the end of the snooze.
    """

    id: int = 0
    kind: str
    name: str = ""
    saved_wall_s: float
    due_wall_s: float
    duration_s: float = 0.0
    due_monotonic_s: float = 0.0
    boot: str = ""
    day: date | None = None
    at: time | None = None
    repeat: Repeat | None = None
    paused_left_s: float | None = None
    snooze: "TimerRecord | None" = None


class TimerStore:
    """The table of timers."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, record: TimerRecord) -> TimerRecord:
        """Keep ``record``; returns it with its id. Raises `StoreError`."""

        def insert(connection: sqlite3.Connection) -> int:
            blob = msgspec.json.encode(record)
            return int(connection.execute("INSERT INTO timers (record) VALUES (?)", (blob,)).lastrowid or 0)

        return msgspec.structs.replace(record, id=await self._db.run(insert))

    async def put(self, record: TimerRecord) -> None:
        """Write ``record`` under the id it has had. Raises `StoreError`."""
        row = (record.id, msgspec.json.encode(record))
        await self._db.run(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO timers (id, record) VALUES (?, ?)", row
            )
        )

    async def update(self, records: list[TimerRecord]) -> None:
        """Write ``records`` over the rows with their ids. Raises `StoreError`."""
        if not records:
            return
        rows = [(msgspec.json.encode(record), record.id) for record in records]
        await self._db.run(
            lambda connection: connection.executemany("UPDATE timers SET record = ? WHERE id = ?", rows)
        )

    async def remove(self, ids: list[int]) -> None:
        """Delete the timers ``ids``; unknown ones are ignored. Raises `StoreError`."""
        if not ids:
            return
        rows = [(id,) for id in ids]
        await self._db.run(lambda connection: connection.executemany("DELETE FROM timers WHERE id = ?", rows))

    async def all(self) -> list[TimerRecord]:
        """Return every timer. One that cannot be read is dropped and logged. Raises `StoreError`."""
        rows = await self._db.run(
            lambda connection: connection.execute("SELECT id, record FROM timers ORDER BY id").fetchall()
        )
        records = []
        for id, blob in rows:
            try:
                records.append(msgspec.structs.replace(msgspec.json.decode(blob, type=TimerRecord), id=id))
            except msgspec.DecodeError:
                _log.error("timer %s in the database cannot be read and is ignored", id)
        return records
