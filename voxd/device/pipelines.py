"""The pipelines of the device; what they need (1 MB, then 15) is loaded when there is one."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from voxd.clock import Clock
from voxd.config import schema
from voxd.errors import VoxdError
from voxd.events import Emit
from voxd.local.chain import TranscriberChain
from voxd.local.contract import Synthesizer
from voxd.net.dns import Resolver
from voxd.providers.base import BaseProvider
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.spend import SpendGuard
from voxd.store.file_cache import FileCache

if TYPE_CHECKING:
    from voxd.device.workshop import Workshop

_log = logging.getLogger(__name__)

_MIB = 1 << 20


class LazyPipelines:
    """Implements `voxd.providers.factory.Pipelines`."""

    def __init__(
        self,
        transcriber: TranscriberChain,
        synthesizer: Synthesizer,
        *,
        health: CircuitBreaker,
        spend: SpendGuard,
        cache: schema.Cache,
        state_dir: Path,
        resolver: Resolver,
        emit: Emit,
        clock: Clock,
    ) -> None:
        self._engines = transcriber, synthesizer
        self._able = Able(health, spend)
        self._phrases = state_dir / "cache" / "phrases", int(cache.phrases_mb * _MIB)
        self._resolver = resolver
        self._emit = emit
        self._clock = clock
        self._workshop: Workshop | None = None

    def maker(self, name: str, config: schema.Config) -> Callable[[], BaseProvider]:
        """Return what makes a new session of pipeline ``name``; nothing is loaded before it is called."""
        return lambda: self._opened().pipelines(config).maker(name, config)()

    async def check(self, name: str, config: schema.Config) -> None:
        """Find out whether ``name``, a pipeline or one of its members, can answer. Raises `VoxdError`."""
        await self._opened().pipelines(config).check(name, config)

    async def load(self, config: schema.Config) -> None:
        """Load what the pipelines of ``config`` need, so that the first turn need not wait for it."""
        workshop = self._opened()
        try:
            await asyncio.to_thread(workshop.load, config)
        except VoxdError as error:
            _log.warning("%s; %s", error, error.hint)
        await workshop.http.prepare()

    def forgive(self, name: str) -> None:
        """Somebody says that ``name`` is mended: forget which of its keys were refused."""
        if self._workshop is not None:
            self._workshop.forgive(name)

    async def start(self) -> None:
        """Delete the phrases of an earlier start, if none are to be kept any more."""
        directory, limit_bytes = self._phrases
        if not limit_bytes:
            await _clear(directory)

    async def forget(self) -> None:
        """Forget what was said, in every voice, and what was answered."""
        if self._workshop is not None:
            await self._workshop.forget()
        else:
            await _clear(self._phrases[0])

    async def close(self) -> None:
        """Free everything; idempotent."""
        if self._workshop is not None:
            await self._workshop.close()

    def _opened(self) -> "Workshop":
        if self._workshop is None:
            # A device without a cloud never loads tenacity, websockets and all the vendors.
            from voxd.device.workshop import Workshop

            directory, limit_bytes = self._phrases
            self._workshop = Workshop(
                *self._engines,
                health=self._able,
                phrases_dir=directory,
                phrases_bytes=limit_bytes,
                resolver=self._resolver,
                emit=self._emit,
                clock=self._clock,
            )
        return self._workshop


async def _clear(directory: Path) -> None:
    await FileCache(directory, limit_bytes=0).clear()


class Able:
    """Who of a list is to be asked: he is well, and may cost something today."""

    def __init__(self, health: CircuitBreaker, spend: SpendGuard) -> None:
        self._health = health
        self._spend = spend

    def is_healthy(self, name: str) -> bool:
        """Whether ``name`` is to be asked."""
        return self._spend.stopped(name) is None and self._health.is_healthy(name)

    def can_try(self, name: str) -> bool:
        """Whether ``name`` may be asked when nobody who is well is left; never without money."""
        return self._spend.stopped(name) is None and self._health.can_try(name)

    def record_failure(self, name: str, error: VoxdError) -> None:
        """Note that ``name`` did not answer."""
        self._health.record_failure(name, error)

    def record_success(self, name: str) -> None:
        """Note that ``name`` has answered."""
        self._health.record_success(name)
