"""The offline queue on disk: utterances that no provider could answer yet, safe from any crash."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Collection
from enum import Enum
from pathlib import Path
from typing import TypeVar

import msgspec

from voxd.clock import Clock
from voxd.config import schema
from voxd.errors import NotFound, StoreError
from voxd.reports import QueueEntry
from voxd.store.age import AgeClock
from voxd.store.db import Database

# After this many failures an utterance goes behind the others, and rests after every further failure.
BEHIND_FAULTS = 2

# An utterance is dropped after this many failures that are its own fault.
MAX_FAULTS = 6

LONGEST_REST_S = 6 * 3600.0

# Room on the disk that is left to timers, settings and the history (a full disk also stops SQLite from
# deleting).
RESERVE_BYTES = 4 << 20

# Rows without sound and words that say what was delivered lately.
DELIVERED_KEPT = 100

_HOUR_S = 3600.0
_T = TypeVar("_T")
_ENTRY = "id, agent, state, wall_s, duration_ms, bytes, attempts, problem, ? - lived_s"


class Fault(Enum):
    """Why an utterance was not answered, which decides what becomes of it."""

    NONE = "none"
    """No fault: no provider could be reached, or the user interrupted."""
    UNKNOWN = "unknown"
    """The provider broke off; the fault may be its own or that of this utterance."""
    UTTERANCE = "utterance"
    """It was refused, and the next one may not be."""


class QueuedUtterance(msgspec.Struct, frozen=True):
    """An utterance that was given out to be answered: FLAC, or the text of a typed question.

    ``age_s`` is how long ago it was asked.
    """

    id: str
    agent: str
    flac: bytes | None
    text: str
    age_s: float


class DeferredAnswer(msgspec.Struct, frozen=True):
    """The answer to an utterance, not delivered yet; ``age_s`` is how long ago it was asked."""

    id: str
    agent: str
    provider: str
    transcript: str
    reply: str
    age_s: float


class DroppedUtterance(msgspec.Struct, frozen=True):
    """An utterance that is given up."""

    id: str
    agent: str


class UtteranceQueue:
    """The queue: waiting, then answered (the result is on disk), then delivered.

    It is bounded by number and size, and a full one refuses: an accepted utterance was promised an
    answer and its user may have left, while the user who asks now is still there. Age is lived time (see
    `voxd.store.age`), so no step of the clock makes it drop anything. Ids are never used again. All methods
    raise `StoreError`, and then nothing was changed.
    """

    def __init__(self, db: Database, config: schema.Queue, clock: Clock, *, boot: str | None = None) -> None:
        self._db = db
        self._config = config
        self._clock = clock
        self._age = AgeClock(clock, boot=boot)

    def configure(self, config: schema.Queue) -> None:
        """Apply new limits from the next utterance on."""
        self._config = config

    async def recover(self, *, crashed: bool) -> list[DroppedUtterance]:
        """Take back what was given out and never came back; returns what is given up.

        ``crashed``: its process died during it. One that ends too many is given up; the others have no fault.
        """

        def write(connection: sqlite3.Connection) -> list[DroppedUtterance]:
            dropped = _deleted(connection, "taken AND faults >= ?", MAX_FAULTS) if crashed else []
            connection.execute(
                "UPDATE utterances SET taken = 0, faults = faults - ? WHERE taken", (0 if crashed else 1,)
            )
            return dropped

        return await self._db.run(write)

    async def add(self, agent: str, *, flac: bytes | None = None, text: str = "", duration_ms: int) -> str:
        """Keep an utterance; returns its id once it survives a power cut.

        Raises `StoreError`, code ``queue_full`` when it is too much.
        """
        # Random, not counted: receivers recognise a repeated answer by it, also after the database was
        # replaced.
        id = os.urandom(6).hex()
        size = len(flac or b"") + len(text.encode())

        def write(connection: sqlite3.Connection) -> None:
            self._make_sure(connection, size)
            connection.execute(
                "INSERT INTO utterances (id, agent, state, wall_s, lived_s, duration_ms, bytes, text)"
                " VALUES (?, ?, 'waiting', ?, ?, ?, ?, ?)",
                (id, agent, self._clock.wall(), self._age.now(connection).lived_s, duration_ms, size, text),
            )
            if flac is not None:
                connection.execute("INSERT INTO sounds (id, flac) VALUES (?, ?)", (id, flac))

        await self._db.run(write)
        return id

    async def take(self, without: Collection[str] = ()) -> QueuedUtterance | None:
        """Give the next utterance out, of an agent not in ``without``; None when there is none.

        It is counted as a fault until its end is known, so that one that ends the process is known by that.
        """

        def write(connection: sqlite3.Connection) -> QueuedUtterance | None:
            marks, now_s = ", ".join("?" * len(without)), self._age.peek(connection).lived_s
            row = connection.execute(
                "SELECT id, agent, flac, text, ? - lived_s FROM utterances LEFT JOIN sounds USING (id)"
                f" WHERE state = 'waiting' AND NOT taken AND due_lived_s <= ? AND agent NOT IN ({marks})"
                # In order of arrival, but an utterance that keeps failing never blocks those behind it.
                " ORDER BY faults >= ?, number LIMIT 1",
                (now_s, now_s, *without, BEHIND_FAULTS),
            ).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE utterances SET taken = 1, attempts = attempts + 1, faults = faults + 1 WHERE id = ?",
                (row[0],),
            )
            return QueuedUtterance(*row)

        return await self._db.run(write)

    async def put_back(self, id: str, code: str, fault: Fault) -> DroppedUtterance | None:
        """Take an unanswered utterance back; returns it when it is given up. ``code`` is the error's."""

        def write(connection: sqlite3.Connection) -> DroppedUtterance | None:
            row = connection.execute("SELECT faults FROM utterances WHERE id = ?", (id,)).fetchone()
            if row is None:
                return None  # dropped meanwhile, and reported
            faults = int(row[0])
            if fault is Fault.UTTERANCE and faults >= MAX_FAULTS:
                (dropped,) = _deleted(connection, "id = ?", id)
                return dropped
            # `take` counted one in advance; an unknown cause keeps it, but alone never reaches the limit.
            faults = max(0, faults - 1) if fault is Fault.NONE else min(faults, MAX_FAULTS - 1)
            rests = fault is not Fault.NONE and faults >= BEHIND_FAULTS
            rest_s = min(60.0 * 2.0**faults, LONGEST_REST_S) if rests else 0.0
            due_s = self._age.now(connection).lived_s + rest_s
            connection.execute(
                "UPDATE utterances SET taken = 0, faults = ?, problem = ?, due_lived_s = ? WHERE id = ?",
                (faults, code, due_s, id),
            )
            return None

        return await self._db.run(write)

    async def answer(self, id: str, *, provider: str, transcript: str, reply: str) -> bool:
        """Keep the answer in place of the sound; False when the utterance was dropped meanwhile."""
        size = len(transcript.encode()) + len(reply.encode())

        def write(connection: sqlite3.Connection) -> bool:
            cursor = connection.execute(
                "UPDATE utterances SET state = 'answered', taken = 0, problem = '', text = '',"
                " provider = ?, transcript = ?, reply = ?, bytes = ? WHERE id = ? AND state = 'waiting'",
                (provider, transcript, reply, size, id),
            )
            connection.execute("DELETE FROM sounds WHERE id = ?", (id,))
            return cursor.rowcount == 1

        return await self._db.run(write)

    async def undelivered(self) -> list[DeferredAnswer]:
        """Return the answers that wait to be delivered, the oldest question first."""

        def read(connection: sqlite3.Connection) -> list[DeferredAnswer]:
            rows = connection.execute(
                "SELECT id, agent, provider, transcript, reply, ? - lived_s FROM utterances"
                " WHERE state = 'answered' ORDER BY number",
                (self._age.peek(connection).lived_s,),
            )
            return [DeferredAnswer(*row) for row in rows]

        return await self._db.run(read)

    async def deliver(self, id: str, also: Callable[[sqlite3.Connection], object] = lambda _: None) -> None:
        """Note that an answer was delivered, and forget its words; ``also`` is part of the transaction."""

        def write(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(
                "UPDATE utterances SET state = 'delivered', transcript = '', reply = '', bytes = 0"
                " WHERE id = ? AND state = 'answered'",
                (id,),
            )
            if cursor.rowcount:
                also(connection)

        await self._db.run(write)

    async def prune(self) -> list[DroppedUtterance]:
        """Drop what has waited for too long, and traces of old deliveries; returns what had waited."""

        def write(connection: sqlite3.Connection) -> list[DroppedUtterance]:
            oldest_s = self._age.peek(connection).lived_s - self._config.max_age_h * _HOUR_S
            connection.execute(
                "DELETE FROM utterances WHERE state = 'delivered' AND (lived_s < ? OR number NOT IN"
                " (SELECT number FROM utterances WHERE state = 'delivered' ORDER BY number DESC LIMIT ?))",
                (oldest_s, DELIVERED_KEPT),
            )
            return _deleted(connection, "state = 'waiting' AND NOT taken AND lived_s < ?", oldest_s)

        return await self._db.run(write)

    # --- what a person may do ---------------------------------------------------------------------

    async def entries(self) -> list[QueueEntry]:
        """Return everything in the queue, the oldest first, without a word of what was said."""

        def read(connection: sqlite3.Connection) -> list[QueueEntry]:
            now_s = self._age.peek(connection).lived_s
            rows = connection.execute(f"SELECT {_ENTRY} FROM utterances ORDER BY number", (now_s,))
            return [QueueEntry(*row) for row in rows]

        return await self._db.run(read)

    async def pending(self) -> int:
        """Return how many are not delivered yet."""
        query = "SELECT count(*) FROM utterances WHERE state != 'delivered'"
        return await self._db.run(lambda connection: int(connection.execute(query).fetchone()[0]))

    async def retry(self, id: str | None = None) -> int:
        """Let one, or all, be asked again at once; returns how many. Raises `NotFound`."""
        update = (
            "UPDATE utterances SET faults = min(faults, taken), due_lived_s = 0"
            " WHERE state = 'waiting' AND ? IN (id, '')"
        )
        count = await self._db.run(lambda connection: connection.execute(update, (id or "",)).rowcount)
        return _found(id, count)

    async def drop(self, id: str | None = None) -> list[DroppedUtterance]:
        """Drop one, or all, that are not delivered yet; returns them. Raises `NotFound`."""
        where = "state != 'delivered' AND ? IN (id, '')"
        dropped = await self._db.run(lambda connection: _deleted(connection, where, id or ""))
        return _found(id, dropped)

    async def forget(self) -> list[DroppedUtterance]:
        """Delete everything and overwrite what it left in the file; returns what was not delivered yet."""

        def write(connection: sqlite3.Connection) -> list[DroppedUtterance]:
            # The rest are traces of deliveries, which are not reported.
            dropped = _deleted(connection, "state != 'delivered'")
            connection.execute("DELETE FROM utterances")
            return dropped

        dropped = await self._db.run(write)
        await self._db.erase_traces()
        return dropped

    def _make_sure(self, connection: sqlite3.Connection, size: int) -> None:
        """Raise `StoreError` unless ``size`` bytes more are safe here."""
        if not self._db.remembers:
            raise StoreError(self._db.problem or "the database is not on a disk")
        query = "SELECT count(*), coalesce(sum(bytes), 0) FROM utterances WHERE state != 'delivered'"
        # Checked before the write: SQLite on a full disk fails in the middle, and then cannot even delete.
        if _free_bytes(self._db.path.parent) < size + RESERVE_BYTES:
            raise StoreError("the disk is nearly full", hint="free some space in the state directory")
        count, used = connection.execute(query).fetchone()
        config = self._config
        if count >= config.max_utterances or used + size > config.max_size_mb * 1_000_000:
            raise StoreError(
                f"the queue is full: {count} utterances of {used / 1e6:.1f} MB",
                code="queue_full",
                hint="look at `voxctl queue list`, or raise queue.max_utterances and queue.max_size_mb",
            )


def _free_bytes(directory: Path) -> int:
    try:
        return shutil.disk_usage(directory).free
    except OSError as error:
        raise StoreError(f"cannot read {directory}: {error.strerror}") from error


def _deleted(connection: sqlite3.Connection, where: str, *values: object) -> list[DroppedUtterance]:
    rows = connection.execute(f"SELECT id, agent FROM utterances WHERE {where} ORDER BY number", values)
    dropped = [DroppedUtterance(*row) for row in rows]
    connection.execute(f"DELETE FROM utterances WHERE {where}", values)
    return dropped


def _found(id: str | None, result: _T) -> _T:
    if id is not None and not result:
        raise NotFound(f"nothing waits under {id}", hint="run `voxctl queue list`")
    return result
