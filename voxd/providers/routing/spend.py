"""Spending limits per day: sums what providers cost, warns near a limit, stops at it, resumes next day."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum

from voxd.clock import Clock, local_day, s_to_midnight
from voxd.config import schema
from voxd.config.provider_schema import LOCAL
from voxd.errors import SpendLimitReached, VoxdError
from voxd.events import Emit, Event
from voxd.events import EventType as E
from voxd.providers.costs import UPPER_IN_WORDS
from voxd.providers.facts import is_free
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

WARN_AT = 0.8
"""The part of a limit at which there is a warning."""

TOTAL = ""
"""The scope of the limit on the sum of all providers; the event's ``provider`` is then empty."""

CHECK_S = 3600.0
"""The longest sleep until midnight: the wall clock may be set meanwhile."""

Spent = Callable[[], Awaitable[Mapping[str, float]]]
"""Returns what each provider has cost today in US dollars, from the usage log. Raises `VoxdError`."""


class SpendLevel(IntEnum):
    """How much of a limit is spent."""

    FREE = 0
    WARNED = 1
    STOPPED = 2


def spend_level(spent_usd: float, limit_usd: float | None) -> SpendLevel:
    """Return the level of ``spent_usd``; a ``limit_usd`` of None means no limit."""
    if limit_usd is None or spent_usd < WARN_AT * limit_usd:
        return SpendLevel.FREE
    return SpendLevel.STOPPED if spent_usd >= limit_usd else SpendLevel.WARNED


class SpendGuard:
    """Holds the sums of the day and the levels they have reached; a handler of the bus (`handle`).

    A new day or a higher limit lifts a stop. The sums start with those of the usage log (``spent``), so a
    restart does not reset them. A model without a price is counted by an upper estimate, logged once.
    """

    def __init__(
        self, config: schema.Config, *, emit: Emit, clock: Clock, spent: Spent | None = None
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._read_spent = spent
        self._config = config
        self._day = local_day(clock.wall())
        self._sums: dict[str, float] = {}
        self._levels: dict[str, SpendLevel] = {}
        # By scope, and apart for sound and text.
        self._announced: set[tuple[str, bool]] = set()
        # Provider and model.
        self._unpriced: set[tuple[str, str]] = set()
        self._midnight: asyncio.Task[None] | None = None
        self._tasks = TaskScope("spend")

    async def start(self) -> None:
        """Read what was spent today before this start; a log that cannot be read counts as empty."""
        if self._read_spent is None:
            return
        try:
            found = await self._read_spent()
        except VoxdError as error:
            _log.warning("cannot read what was spent today: %s", error)
            return
        for name, dollars in found.items():
            # The larger: what was used since the start may not be in the log yet.
            self._sums[name] = max(dollars, self._sums.get(name, 0.0))
        self._update_levels()

    def configure(self, config: schema.Config) -> None:
        """Apply the limits of a reloaded configuration."""
        self._config = config
        # It may have prices for them now.
        self._unpriced.clear()
        self._update_levels()

    def handle(self, event: Event) -> None:
        """Count the cost in a ``provider.used`` event."""
        if event.type == E.PROVIDER_USED and event.data["cost_usd"]:
            self._check_day()
            name = event.data["provider"]
            if event.data.get("is_upper_estimate"):
                self._note_unpriced(name, event.data.get("model", ""))
            self._sums[name] = self._sums.get(name, 0.0) + event.data["cost_usd"]
            self._update_levels()

    @property
    def problems(self) -> tuple[str, ...]:
        """Which models are counted without a known price, while a limit is set."""
        limits = (each.usd_per_day for each in self._config.providers.values())
        if self._config.spend.usd_per_day is None and all(limit is None for limit in limits):
            return ()
        return tuple(
            f"no price is known for {model or 'the model'} of {name}: it is counted by an upper estimate"
            for name, model in sorted(self._unpriced)
        )

    def _note_unpriced(self, name: str, model: str) -> None:
        if (name, model) in self._unpriced:
            return
        self._unpriced.add((name, model))
        # Once: every request would say the same.
        _log.warning(
            "no price is known for %s of %s: it is counted by an upper estimate (%s); "
            "set [[prices]] in voxd.toml",
            model or "the model",
            name,
            UPPER_IN_WORDS,
        )

    def stopped(self, name: str) -> SpendLimitReached | None:
        """Return why provider or pipeline ``name`` may not be used today, None when it may."""
        self._check_day()
        scope = self._stopping_scope(name)
        if scope is None:
            return None
        whose = "" if scope == TOTAL else f" for {scope}"
        limit = self._limit(scope)
        return SpendLimitReached(f"the day's {limit:g} USD{whose} are spent", provider=scope or name)

    def should_announce(self, name: str, *, aloud: bool) -> bool:
        """Whether to report now that ``name`` is stopped: once a day, in sound and in text."""
        scope = self._stopping_scope(name)
        if scope is None or (scope, aloud) in self._announced:
            return False
        self._announced.add((scope, aloud))
        return True

    async def close(self) -> None:
        """Stop waiting for midnight; idempotent."""
        await self._tasks.close()

    def _stopping_scope(self, name: str) -> str | None:
        """Return the scope whose limit stops ``name``, None when none does."""
        pipeline = self._config.pipelines.get(name)
        if pipeline is not None:
            # A pipeline needs one member of each list; it stops with the first list that has none left.
            for members in (pipeline.stt, pipeline.llm, pipeline.tts):
                scopes = [self._stopping_scope(each) for each in members]
                if None not in scopes:
                    return next(iter(scopes), None)
            return None
        provider = self._config.providers.get(name)
        if name == LOCAL or (provider is not None and is_free(provider.kind)):
            return None
        return next((scope for scope in (TOTAL, name) if self._levels.get(scope) is SpendLevel.STOPPED), None)

    def _limit(self, scope: str) -> float | None:
        if scope == TOTAL:
            return self._config.spend.usd_per_day
        provider = self._config.providers.get(scope)
        return provider.usd_per_day if provider is not None else None

    def _update_levels(self) -> None:
        """Compare every sum with its limit, and emit an event for each level that changed."""
        sums = {TOTAL: sum(self._sums.values()), **self._sums}
        for scope in {*sums, *self._levels}:
            spent, limit = sums.get(scope, 0.0), self._limit(scope)
            before, now = self._levels.get(scope, SpendLevel.FREE), spend_level(spent, limit)
            self._levels[scope] = now
            if now > before:
                type = E.SPEND_STOPPED if now is SpendLevel.STOPPED else E.SPEND_WARNING
                # Six digits: a single short answer costs less than a cent.
                self._emit(type, provider=scope, spent_usd=round(spent, 6), limit_usd=limit or 0.0)
            elif before is SpendLevel.STOPPED and now is not SpendLevel.STOPPED:
                # The next stop is another event for the user.
                self._announced -= {(scope, True), (scope, False)}
                self._emit(E.SPEND_RESUMED, provider=scope)
        if SpendLevel.STOPPED in self._levels.values() and (self._midnight is None or self._midnight.done()):
            self._midnight = self._tasks.start(self._wait_for_midnight())

    def _check_day(self) -> None:
        today = local_day(self._clock.wall())
        if today == self._day:
            return
        self._day = today
        self._sums.clear()
        self._update_levels()
        # Not always midnight: when the clock was just set, the true day began before this start.
        if self._read_spent is not None:
            self._tasks.start(self.start())

    async def _wait_for_midnight(self) -> None:
        while SpendLevel.STOPPED in self._levels.values():
            # A second later, so that the date has changed for certain.
            await self._clock.sleep(min(s_to_midnight(self._clock.wall()) + 1.0, CHECK_S))
            self._check_day()
