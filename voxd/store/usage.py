"""What each provider used on each day, and what that cost: a row for each stage and key, added to."""

import sqlite3

import msgspec

from voxd.clock import Clock, local_day
from voxd.reports import UsageEntry
from voxd.store.db import Database

# Days remembered: a year and a month, so that a month can be compared with that of the year before.
KEPT_DAYS = 400

_COLUMNS = (
    "day, provider, sessions, responses, audio_s, text_tokens, audio_tokens, cost_usd, prices_of,"
    " stage, key, characters, upper_usd"
)


class UsageLog:
    """The account book. A day begins and ends as it does where the device is."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def add(self, entry: UsageEntry) -> None:
        """Add ``entry`` to today's row of its provider (its ``day`` is ignored). Raises `StoreError`.

        A row keeps the date of its price list only while every part of it has a price.
        """
        today = self._day(0)
        values = msgspec.structs.astuple(msgspec.structs.replace(entry, day=today))
        oldest = self._day(KEPT_DAYS - 1)

        def write(connection: sqlite3.Connection) -> None:
            # Here, not in a task of its own: every write keeps the table bounded.
            connection.execute("DELETE FROM usage WHERE day < ?", (oldest,))
            connection.execute(
                f"INSERT INTO usage ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (day, provider, stage, key) DO UPDATE SET"
                " sessions = sessions + excluded.sessions,"
                " responses = responses + excluded.responses,"
                " audio_s = audio_s + excluded.audio_s,"
                " text_tokens = text_tokens + excluded.text_tokens,"
                " audio_tokens = audio_tokens + excluded.audio_tokens,"
                " characters = characters + excluded.characters,"
                " upper_usd = upper_usd + excluded.upper_usd,"
                # Two dates of price lists: the older one, as parts of the sum come from it.
                " prices_of = CASE WHEN '' IN (prices_of, excluded.prices_of) THEN ''"
                " ELSE min(prices_of, excluded.prices_of) END,"
                " cost_usd = CASE WHEN cost_usd IS NULL AND excluded.cost_usd IS NULL THEN NULL"
                " ELSE coalesce(cost_usd, 0) + coalesce(excluded.cost_usd, 0) END",
                values,
            )

        await self._db.run(write)

    async def newest(self, days: int) -> list[UsageEntry]:
        """Return the rows of the last ``days`` days, today included, newest first. Raises `StoreError`."""
        since = self._day(days - 1)

        def read(connection: sqlite3.Connection) -> list[UsageEntry]:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM usage WHERE day >= ? ORDER BY day DESC, provider, stage, key",
                (since,),
            )
            return [UsageEntry(*row) for row in rows]

        return await self._db.run(read)

    async def spent_today(self) -> dict[str, float]:
        """Return what each provider has cost today so far, US dollars. Raises `StoreError`."""
        today = self._day(0)

        def read(connection: sqlite3.Connection) -> dict[str, float]:
            rows = connection.execute(
                "SELECT provider, sum(cost_usd) FROM usage WHERE day = ? AND cost_usd IS NOT NULL"
                " GROUP BY provider",
                (today,),
            )
            return {str(provider): float(dollars) for provider, dollars in rows}

        return await self._db.run(read)

    def _day(self, ago: int) -> str:
        return local_day(self._clock.wall(), ago=ago)
