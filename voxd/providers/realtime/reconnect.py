"""Keeps a provider open: retries, reconnects, rotates and replaces it, and leaves nothing behind."""

import asyncio
import dataclasses
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from voxd.clock import Clock
from voxd.errors import ConnectionFailed, NotConnected, ProviderError, RateLimited, VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.net.backoff import backoff_s, hold_s, wait_s
from voxd.providers.base import BaseProvider, ProviderEvent
from voxd.providers.history import HistoryMessage
from voxd.providers.realtime.connect import (
    PERMANENT_CODES,
    ProviderTarget,
    close_provider,
    open_provider,
    translate_errors,
)
from voxd.providers.realtime.lifetime import SessionLifetime
from voxd.providers.realtime.meter import SessionMeter
from voxd.providers.settings import SessionConfig

_log = logging.getLogger(__name__)

VOICE_FIXED = "voice_fixed"
"""The code of a provider that needs a new session for another voice."""

DEFAULT_RETRIES = 3
"""A session that broke is opened again with so many retries."""

STEADY_S = 60.0
"""A session that held so long, or answered something, was a good one: losing it begins a new count."""


class ConnectionOwner(Protocol):
    """The conversation a link serves."""

    @property
    def history(self) -> Sequence[HistoryMessage]:
        """What another provider has to know."""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way, so that a session can be replaced unnoticed."""

    def fitted(self, provider: BaseProvider, config: SessionConfig) -> SessionConfig:
        """Return ``config`` with the tools ``provider`` can call."""

    def hear(self, event: ProviderEvent) -> None:
        """Take an event of the open provider."""

    def cut(self, provider: BaseProvider, reason: str) -> None:
        """``provider`` is gone, and with it what it was doing."""


class ProviderConnection:
    """The open provider, if there is one, and how to get the next."""

    def __init__(
        self,
        target: ProviderTarget,
        talk: ConnectionOwner,
        *,
        emit: Emit,
        clock: Clock,
        idle_close_s: float | None = None,
        retries: int = DEFAULT_RETRIES,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.target = target
        self._retries = retries
        self.provider: BaseProvider | None = None
        self.meter = SessionMeter()
        self._talk = talk
        self._emit = emit
        self._clock = clock
        self._jitter = jitter
        self._keeper = SessionLifetime(
            clock, idle_close_s, rotate=self._rotate, rest=self._rest, is_quiet=lambda: talk.is_quiet
        )
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._retiring: dict[BaseProvider, asyncio.Task[None]] = {}
        self._held: tuple[VoxdError, float] | None = None
        self._steady_at_s = 0.0
        self._quick_losses = 0

    @property
    def is_open(self) -> bool:
        """Whether the provider accepts input."""
        return self.provider is not None and self.provider.is_connected

    @property
    def providers(self) -> tuple[BaseProvider, ...]:
        """Every provider whose usage is not in the meter's sums yet."""
        return (*self._retiring, *([self.provider] if self.provider is not None else []))

    def use(self, *, asking: bool = True) -> BaseProvider:
        """Return the open provider; ``asking`` False does not count as use. Raises `NotConnected`."""
        if self.provider is None or not self.provider.is_connected:
            raise NotConnected(f"there is no open session with {self.target.name}", provider=self.target.name)
        if asking:
            self._keeper.touch()
        return self.provider

    async def connect(self, retry_count: int) -> None:
        """Open a session unless one is open. Raises `VoxdError` when the retries are used up.

        After a wrong key, or while the vendor wants us to wait, nobody is asked, and it is raised again.
        """
        self._quick_losses = 0
        await self._unless_closed(self._connect(retry_count))

    async def _connect(self, retry_count: int) -> None:
        async with self._changing:
            if self.is_open:
                return
            if self._held is not None and self._clock.monotonic() < self._held[1]:
                raise self._held[0].with_traceback(None)
            await self._establish(retry_count)

    async def close(self) -> None:
        """Close the session and wait until nothing of it is left; idempotent."""
        await self._keeper.stop()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._leave("requested")
        await asyncio.gather(*self._retiring.values(), return_exceptions=True)

    async def switch(self, target: ProviderTarget, reason: str) -> None:
        """Replace the provider by another. Raises `VoxdError` and keeps the old one."""
        await self._unless_closed(self._switch(target, reason))

    async def _switch(self, target: ProviderTarget, reason: str) -> None:
        async with self._changing:
            before = self.target.name
            fresh, latency_ms = (None, 0.0) if self.provider is None else await self._opened(target)
            self.target, self._held = target, None
            old, self.provider = self.provider, None
            if old is not None:
                self._retire(old, before, "provider_changed")
            self._emit(E.PROVIDER_CHANGED, **{"from": before, "to": target.name, "reason": reason})
            if fresh is not None:
                self._adopt(fresh, latency_ms)

    async def configure(self, config: SessionConfig) -> None:
        """Apply ``config`` now and to every later session. Raises `VoxdError` and keeps the old one.

        Where the vendor cannot change the voice in mid-session, a new session goes on with the conversation.
        """
        before, self.target = self.target, dataclasses.replace(self.target, config=config)
        if self.provider is None:
            return
        try:
            with translate_errors(self.target.name):
                await self.provider.configure_session(self._talk.fitted(self.provider, config))
        except ProviderError as error:
            if error.code == VOICE_FIXED:
                await self._unless_closed(self._replace())
                return
            self.target = before
            raise

    async def _unless_closed(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, which opens a session. Raises `NotConnected` when `close` gives it up."""
        task = asyncio.create_task(work, name=f"open {self.target.name}")
        self._tasks.add(task)
        try:
            await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                raise
            raise NotConnected("closed meanwhile", provider=self.target.name) from None
        finally:
            self._tasks.discard(task)

    async def _establish(self, retry_count: int) -> None:
        retries = 0
        self._emit(E.CONNECTION_STARTING, source=self.target.name)
        while True:
            try:
                fresh, latency_ms = await self._opened(self.target)
                break
            except VoxdError as error:
                if isinstance(error, RateLimited):
                    name, asked_s = self.target.name, error.retry_after_s
                    self._emit(E.RATE_LIMITED, provider=name, limit="vendor", wait_s=asked_s)
                pause_s = wait_s(error, retries, self._jitter())
                if pause_s is None or retries >= retry_count:
                    self._failed(error, retries)
                    raise
            await self._clock.sleep(pause_s)
            retries += 1
        self._adopt(fresh, latency_ms)

    async def _opened(self, target: ProviderTarget) -> tuple[BaseProvider, float]:
        begun_s = self._clock.monotonic()
        fresh = await open_provider(target, self._talk.fitted, self._talk.history, self._hear)
        return fresh, (self._clock.monotonic() - begun_s) * 1000

    def _failed(self, error: VoxdError, retries: int) -> None:
        self._held = error, self._clock.monotonic() + hold_s(error)
        self._emit(
            E.CONNECTION_FAILED,
            provider=self.target.name,
            error=error,
            error_message=str(error),
            code=error.code,
            retry_count=retries,
        )

    def _adopt(self, fresh: BaseProvider, latency_ms: float) -> None:
        self.provider, self._held = fresh, None
        self._steady_at_s = self._clock.monotonic() + STEADY_S
        self.meter.opened(self._clock.monotonic(), latency_ms)
        self._keeper.start(fresh.capabilities.session_limit_s)
        self._emit(
            E.CONNECTION_ESTABLISHED,
            provider=self.target.name,
            connection_id=fresh.session_id,
            latency_ms=latency_ms,
        )

    async def _rotate(self) -> None:
        await self._replace(lambda: self._talk.is_quiet)

    async def _replace(self, may: Callable[[], bool] = lambda: True) -> None:
        """Open a new session that takes over, unless something was said meanwhile or it no longer ``may``."""
        async with self._changing:
            known = self._talk.history
            fresh, latency_ms = await self._opened(self.target)
            old = self.provider
            if old is None or not may() or known != self._talk.history:
                await close_provider(fresh, self.target.name)
                return
            self._retire(old, self.target.name, "replaced")
            self._adopt(fresh, latency_ms)

    async def _rest(self) -> bool:
        async with self._changing:
            if not self._keeper.is_idle:
                return False
            self._leave("idle")
            return True

    def _leave(self, reason: str) -> None:
        provider, self.provider = self.provider, None
        if provider is not None:
            self._retire(provider, self.target.name, reason)
            self._emit(E.CONNECTION_CLOSED, provider=self.target.name, reason=reason)

    def _retire(self, provider: BaseProvider, name: str, reason: str) -> None:
        """Close ``provider`` in the background: nobody has to wait for a vendor's farewell."""
        self._talk.cut(provider, reason)
        self._retiring[provider] = asyncio.create_task(self._retired(provider, name))

    async def _retired(self, provider: BaseProvider, name: str) -> None:
        await close_provider(provider, name)
        await self.meter.retire(provider)
        del self._retiring[provider]

    def _hear(self, provider: BaseProvider, event: ProviderEvent) -> None:
        if provider is not self.provider:
            self.meter.late_events += 1
            return
        self._keeper.touch()
        if event.type is E.CONNECTION_LOST:
            self._lost(provider, event.data)
            return
        if event.type is E.RESPONSE_COMPLETED:
            self._steady_at_s = self._clock.monotonic()
        self._talk.hear(event)

    def _lost(self, provider: BaseProvider, data: dict[str, Any]) -> None:
        name, self.provider = self.target.name, None
        self.meter.losses += 1
        code = data.get("code", ConnectionFailed.code)
        is_quick = self._clock.monotonic() < self._steady_at_s
        self._quick_losses = self._quick_losses + 1 if is_quick else 0
        # A vendor who opens every session and drops it at once must not be called for ever.
        reconnecting = code not in PERMANENT_CODES and self._quick_losses <= DEFAULT_RETRIES
        self._retire(provider, name, "connection_lost")
        reason = data.get("reason", "")
        self._emit(E.CONNECTION_LOST, provider=name, code=code, reason=reason, reconnecting=reconnecting)
        if not reconnecting:
            self._keeper.forget_limit()
            return
        task = asyncio.create_task(self._reconnect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reconnect(self) -> None:
        await self._keeper.stop()
        await self._clock.sleep(backoff_s(self._quick_losses, self._jitter()))
        try:
            await self._connect(self._retries)
        except VoxdError as error:
            _log.warning("the session with %s is lost: %s; %s", self.target.name, error, error.hint)
