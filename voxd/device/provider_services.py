"""The providers of the device and what they share: health, spending limits, usage log, offline queue."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path

from voxd.bus.bus import Bus
from voxd.clock import Clock
from voxd.config.schema import Config
from voxd.device.usage_recorder import UsageRecorder
from voxd.frames import Clip
from voxd.local.chain import TranscriberChain
from voxd.local.contract import Synthesizer
from voxd.net.dns import Resolver
from voxd.providers.contract import Provider, ReplyItem, Request
from voxd.providers.dependencies import Dependencies
from voxd.providers.factory import ProviderFactory
from voxd.providers.router import Router
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.offline_queue import OfflineQueue
from voxd.providers.routing.spend import SpendGuard
from voxd.providers.tools import Tool
from voxd.store.db import Database
from voxd.store.history import HistoryStore
from voxd.store.queue import UtteranceQueue
from voxd.store.usage import UsageLog
from voxd.turn.machine import RESTING
from voxd.turn.streams import frames

_MIB = 1 << 20

# The turn id of a deferred question.
LATER = "later"


class ProviderServices:
    """A part of the composition root. ``announce`` speaks a text, and returns after it was played."""

    def __init__(
        self,
        config: Config,
        local: Provider,
        *,
        transcriber: TranscriberChain,
        synthesizer: Synthesizer,
        state_dir: Path,
        tools: Callable[[], Sequence[Tool]],
        database: Database,
        history: HistoryStore,
        announce: Callable[[str], Awaitable[object]],
        bus: Bus,
        clock: Clock,
    ) -> None:
        self._config = config
        self.usage = UsageLog(database, clock)
        self.health = CircuitBreaker(emit=bus.emit, clock=clock)
        self.spend = SpendGuard(config, emit=bus.emit, clock=clock, spent=self.usage.spent_today)
        self.usage_recorder = UsageRecorder(self.usage, has_key=self._has_key)
        self.offline_queue = OfflineQueue(
            UtteranceQueue(database, config.queue, clock),
            history,
            config.queue,
            ask=self._ask_deferred,
            announce=announce,
            emit=bus.emit,
            clock=clock,
            resting_states=RESTING,
        )
        self.factory = ProviderFactory(
            config,
            Dependencies(
                local=local,
                transcriber=transcriber,
                synthesizer=synthesizer,
                tools=tools,
                health=self.health,
                spend=self.spend,
                # One for all providers, so that they share its cache.
                resolver=Resolver(),
                emit=bus.emit,
                clock=clock,
                phrases_dir=state_dir / "cache" / "phrases",
                phrases_bytes=int(config.cache.phrases_mb * _MIB),
                keep=self.offline_queue.keep,
            ),
        )
        self.router = Router(self.factory)
        for handler in (self.usage_recorder, self.spend.handle, self.offline_queue.handle):
            bus.handle(handler)

    async def start(self) -> None:
        """Read what was spent today, and start. The database must be open."""
        # First: without today's sum a limit that was reached before a restart would not hold.
        await self.spend.start()
        await self.factory.start()
        self.router.start()
        self.offline_queue.start()

    def configure(self, config: Config) -> None:
        """Apply a reloaded configuration."""
        self._config = config
        self.spend.configure(config)
        self.router.configure(config)
        self.offline_queue.configure(config.queue)

    async def forget(self) -> None:
        """Forget every conversation, here and at the vendors, the offline queue and the caches."""
        # The disk first, as in `Appliance.forget`.
        await self.offline_queue.forget()
        await self.router.forget()
        await self.factory.forget()

    def problems(self) -> list[str]:
        """Return one sentence for each unavailable provider, with the one that answers instead."""
        problems = []
        instead = {status.provider: status.answering for status in self.router.agents() if status.problem}
        for entry in self.router.providers():
            if not entry.problem:
                continue
            # Without an agent that uses it, or when nothing can replace it, the provider stands alone.
            substitute = instead.get(entry.name, entry.name)
            if substitute != entry.name:
                problems.append(f"{substitute} stands in for {entry.name}: {entry.problem}")
            else:
                problems.append(f"{entry.name} does not answer: {entry.problem}")
        if self.offline_queue.problem:
            problems.append(self.offline_queue.problem)
        problems += self.spend.problems
        return problems

    async def close(self) -> None:
        """Close everything; idempotent."""
        # The queue and the probes first: they would open new sessions.
        await self.offline_queue.close()
        await self.health.close()
        await self.router.close()
        await self.factory.close()
        await self.spend.close()
        # Last: the others may still report usage while they close.
        await self.usage_recorder.close()

    def _ask_deferred(
        self, agent: str, question: Clip | str, age_s: float
    ) -> tuple[str, AsyncGenerator[ReplyItem]]:
        audio, text = (None, question) if isinstance(question, str) else (frames(question), None)
        return self.router.answer_deferred(Request(LATER, agent, audio=audio, text=text, speak=False), age_s)

    def _has_key(self, name: str) -> bool:
        provider = self._config.providers.get(name)
        return provider is not None and bool(provider.api_key or provider.api_keys)
