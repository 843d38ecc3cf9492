"""Keeps the day's money together: who has spent how much, who is warned of, and who is not asked any more."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum

from voxd.clock import Clock, local_day, s_to_midnight
from voxd.config import schema
from voxd.errors import SpendLimitReached, VoxdError
from voxd.events import Emit, Event
from voxd.events import EventType as E
from voxd.providers.prices import FREE

_log = logging.getLogger(__name__)

WARN_AT = 0.8
"""The part of a limit at which there is a warning."""

LOCAL = "local"
"""The device itself, which costs nothing."""

EVERYBODY = ""
"""The scope of the limit on all together."""

CHECK_S = 3600.0
"""The clock may be set in the night, so midnight is looked for this often at least."""

Spent = Callable[[], Awaitable[Mapping[str, float]]]
"""Returns what each provider has spent today, US dollars, from the account book. Raises `VoxdError`."""


class Level(IntEnum):
    """How much of a limit is spent."""

    FREE = 0
    WARNED = 1
    STOPPED = 2


def level(spent_usd: float, limit_usd: float | None) -> Level:
    """Return how ``spent_usd`` stands to ``limit_usd``; None is no limit."""
    if limit_usd is None or spent_usd < WARN_AT * limit_usd:
        return Level.FREE
    return Level.STOPPED if spent_usd >= limit_usd else Level.WARNED


class SpendGuard:
    """One for the whole process; hand it the events of the bus. A new day, or a new limit, frees everybody.

    The sums of a day come from the account book (``spent``), so a restart does not begin anew. What has no
    price cannot be counted.
    """

    def __init__(
        self, config: schema.Config, *, emit: Emit, clock: Clock, spent: Spent | None = None
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._book = spent
        self._config = config
        self._day = local_day(clock.wall())
        self._spent: dict[str, float] = {}
        self._levels: dict[str, Level] = {}
        self._told: set[tuple[str, bool]] = set()
        self._midnight: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what was spent today before this start; a book that cannot be read counts as empty."""
        if self._book is None:
            return
        try:
            found = await self._book()
        except VoxdError as error:
            _log.warning("what was spent today is not known: %s", error)
            return
        for name, dollars in found.items():
            self._spent[name] = max(dollars, self._spent.get(name, 0.0))
        self._judge()

    def configure(self, config: schema.Config) -> None:
        """Apply the limits of a reloaded configuration."""
        self._config = config
        self._judge()

    def handle(self, event: Event) -> None:
        """Count what ``event`` says was used; a handler of the bus."""
        if event.type == E.PROVIDER_USED and event.data["cost_usd"]:
            self._turn_page()
            name = event.data["provider"]
            self._spent[name] = self._spent.get(name, 0.0) + event.data["cost_usd"]
            self._judge()

    def stopped(self, name: str) -> SpendLimitReached | None:
        """Return why ``name``, a provider or a pipeline, is not to be asked today, None when he is."""
        self._turn_page()
        scope = self._scope(name)
        if scope is None:
            return None
        whose = "" if scope == EVERYBODY else f" for {scope}"
        limit = self._limit(scope)
        return SpendLimitReached(f"the day's {limit:g} USD{whose} are spent", provider=scope or name)

    def tell(self, name: str, *, aloud: bool) -> bool:
        """Whether the user is to be told now why ``name`` is not asked: once a day."""
        scope = self._scope(name)
        if scope is None or (scope, aloud) in self._told:
            return False
        self._told.add((scope, aloud))
        return True

    async def close(self) -> None:
        """Stop watching for midnight; idempotent."""
        tasks = [task for task in (self._midnight, self._reading) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _scope(self, name: str) -> str | None:
        """Return whose limit stops ``name``, None when none does; a pipeline needs one of each list."""
        pipeline = self._config.pipelines.get(name)
        if pipeline is not None:
            for members in (pipeline.stt, pipeline.llm, pipeline.tts):
                scopes = [self._scope(each) for each in members]
                if None not in scopes:
                    return next(iter(scopes), None)
            return None
        provider = self._config.providers.get(name)
        if name == LOCAL or (provider is not None and provider.kind in FREE):
            return None
        whose = (EVERYBODY, name)
        return next((scope for scope in whose if self._levels.get(scope) is Level.STOPPED), None)

    def _limit(self, scope: str) -> float | None:
        if scope == EVERYBODY:
            return self._config.spend.usd_per_day
        provider = self._config.providers.get(scope)
        return provider.usd_per_day if provider is not None else None

    def _judge(self) -> None:
        """Compare every sum with its limit and tell what changed."""
        sums = {EVERYBODY: sum(self._spent.values()), **self._spent}
        for scope in {*sums, *self._levels}:
            spent, limit = sums.get(scope, 0.0), self._limit(scope)
            before, now = self._levels.get(scope, Level.FREE), level(spent, limit)
            self._levels[scope] = now
            if now > before:
                self._tell_of(scope, now, spent, limit or 0.0)
            elif before is Level.STOPPED and now is not Level.STOPPED:
                self._told -= {(scope, True), (scope, False)}
                self._emit(E.SPEND_RESUMED, provider=scope)
        if Level.STOPPED in self._levels.values() and (self._midnight is None or self._midnight.done()):
            self._midnight = asyncio.create_task(self._watch_for_midnight(), name="spend")

    def _tell_of(self, scope: str, now: Level, spent: float, limit: float) -> None:
        kind = E.SPEND_STOPPED if now is Level.STOPPED else E.SPEND_WARNING
        self._emit(kind, provider=scope, spent_usd=round(spent, 6), limit_usd=limit)

    def _turn_page(self) -> None:
        today = local_day(self._clock.wall())
        if today == self._day:
            return
        self._day = today
        self._spent.clear()
        self._judge()
        # Not always midnight: the clock may just have been set, and the true day begun before this start.
        if self._book is not None:
            self._reading = asyncio.create_task(self.start(), name="spend")

    async def _watch_for_midnight(self) -> None:
        while Level.STOPPED in self._levels.values():
            await self._clock.sleep(min(s_to_midnight(self._clock.wall()) + 1.0, CHECK_S))
            self._turn_page()
