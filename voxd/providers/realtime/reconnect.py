"""Keeps a session with a provider open: retries, reconnects, replaces it in time and closes it when idle."""

import asyncio
import dataclasses
import logging
import math
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

from voxd.clock import Clock
from voxd.errors import NotConnected, ProviderError, RateLimited, VoxdError
from voxd.events import EventType as E
from voxd.net.backoff import backoff_s, hold_s, wait_s
from voxd.providers.base import BaseProvider
from voxd.providers.events import (
    ConnectFailed,
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionLost,
    ConnectionStarting,
    OnEvent,
    OtherEvent,
    ProviderEvent,
    ResponseCompleted,
)
from voxd.providers.history import HistoryMessage
from voxd.providers.realtime.connect import (
    PERMANENT_CODES,
    ProviderTarget,
    close_provider,
    open_provider,
    translate_errors,
)
from voxd.providers.realtime.meter import SessionMeter
from voxd.providers.settings import SessionConfig
from voxd.tasks import TaskScope, cancel_and_wait

_log = logging.getLogger(__name__)

VOICE_FIXED = "voice_fixed"
"""The code of a provider that needs a new session for another voice."""

DEFAULT_RETRIES = 3
"""How often opening a session that broke is retried."""

STEADY_S = 60.0
"""A session that lasted this long, or completed a response, was stable: losing it begins a new count."""

QUIET_S = 2.0
"""A session is only replaced when nothing has happened for this long: a reply may be about to begin."""

CHECK_S = 5.0
"""How often a replacement that is due, but must wait for quiet, is tried again."""

FAILED_S = 60.0
"""After a failed replacement the old session, which still works, is kept for at least this long."""


class ConnectionOwner(Protocol):
    """The conversation that a connection serves."""

    @property
    def history(self) -> Sequence[HistoryMessage]:
        """The messages to give to a new session."""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is in progress, so that the session can be replaced unnoticed."""

    def fit_config(self, provider: BaseProvider, config: SessionConfig) -> SessionConfig:
        """Return ``config`` with the tools that ``provider`` can call."""

    def receive(self, event: ProviderEvent) -> None:
        """Take an event of the open provider."""

    def provider_gone(self, provider: BaseProvider, reason: str) -> None:
        """Note that ``provider`` is gone, and with it a reply or tool call in progress."""


class ProviderConnection:
    """The open provider, if any, and how to open the next."""

    def __init__(
        self,
        target: ProviderTarget,
        owner: ConnectionOwner,
        *,
        publish: OnEvent,
        clock: Clock,
        idle_close_s: float | None = None,
        retries: int = DEFAULT_RETRIES,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.target = target
        self.provider: BaseProvider | None = None
        self.meter = SessionMeter()
        self._retries = retries
        self._owner = owner
        self._publish = publish
        self._clock = clock
        self._jitter = jitter
        self._lifetime = SessionLifetime(
            clock,
            idle_close_s,
            replace=lambda: self._replace(lambda: owner.is_quiet),
            close_idle=self._close_idle,
            is_quiet=lambda: owner.is_quiet,
        )
        self._changing = asyncio.Lock()
        self._opening = TaskScope("provider session")
        # Apart from the openings: `close` cancels those, but lets a closing handshake end.
        self._closing = TaskScope("close provider")
        self._retiring: dict[BaseProvider, asyncio.Task[None]] = {}
        # The last error, and until when it is raised again without another attempt (CLOCK_MONOTONIC).
        self._held: tuple[VoxdError, float] | None = None
        # From when on the session counts as stable; a loss before it is a quick one.
        self._steady_at_s = 0.0
        self._quick_losses = 0

    @property
    def is_open(self) -> bool:
        """Whether the provider accepts input."""
        return self.provider is not None and self.provider.is_connected

    @property
    def providers(self) -> tuple[BaseProvider, ...]:
        """Every provider whose usage is not in the meter's totals yet."""
        return (*self._retiring, *([self.provider] if self.provider is not None else []))

    def use(self, *, counts: bool = True) -> BaseProvider:
        """Return the open provider; ``counts`` False does not reset the idle time. Raises `NotConnected`."""
        if self.provider is None or not self.provider.is_connected:
            raise NotConnected(f"the session with {self.target.name} is not open", provider=self.target.name)
        if counts:
            self._lifetime.touch()
        return self.provider

    async def connect(self, retry_count: int) -> None:
        """Open a session unless one is open. Raises `VoxdError` when the retries are used up.

        After a refused key, or during a wait that the vendor requested, the same error is raised at once.
        """
        self._quick_losses = 0
        await self._unless_closed(self._connect(retry_count))

    async def _connect(self, retry_count: int) -> None:
        async with self._changing:
            if self.is_open:
                return
            if self._held is not None and self._clock.monotonic() < self._held[1]:
                # The traceback would grow with every attempt.
                raise self._held[0].with_traceback(None)
            await self._establish(retry_count)

    async def close(self) -> None:
        """Close the session and wait until nothing of it is left; idempotent."""
        await self._lifetime.stop()
        await self._opening.close()
        self._leave("requested")
        await asyncio.gather(*self._retiring.values(), return_exceptions=True)

    async def switch(self, target: ProviderTarget, reason: str) -> None:
        """Replace the provider by another. Raises `VoxdError` and keeps the old one."""
        await self._unless_closed(self._switch(target, reason))

    async def _switch(self, target: ProviderTarget, reason: str) -> None:
        async with self._changing:
            before = self.target.name
            # Without an open session nothing is opened: the next question does that.
            fresh, latency_ms = (None, 0.0) if self.provider is None else await self._open(target)
            self.target, self._held = target, None
            old, self.provider = self.provider, None
            if old is not None:
                self._retire(old, before, "provider_changed")
            change = {"from": before, "to": target.name, "reason": reason}
            self._publish(OtherEvent(E.PROVIDER_CHANGED, change))
            if fresh is not None:
                self._adopt(fresh, latency_ms)

    async def configure(self, config: SessionConfig) -> None:
        """Apply ``config`` now and to every later session. Raises `VoxdError` and keeps the old one.

        Where the vendor cannot change the voice of an open session, a new one continues the conversation.
        """
        before, self.target = self.target, dataclasses.replace(self.target, config=config)
        if self.provider is None:
            return
        try:
            with translate_errors(self.target.name):
                await self.provider.configure_session(self._owner.fit_config(self.provider, config))
        except ProviderError as error:
            # OpenAI fixes the voice of a session with the first audio.
            if error.code == VOICE_FIXED:
                await self._unless_closed(self._replace())
                return
            self.target = before
            raise

    async def _unless_closed(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, which opens a session. Raises `NotConnected` when `close` cancels it."""
        try:
            await self._opening.start(work, name=f"open {self.target.name}", is_awaited=True)
        except asyncio.CancelledError:
            # Two cancellations look alike here: of our caller, to be propagated, and of the work by `close`.
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                raise
            raise NotConnected("the session was closed meanwhile", provider=self.target.name) from None

    async def _establish(self, retry_count: int) -> None:
        retries = 0
        self._publish(ConnectionStarting(self.target.name))
        while True:
            try:
                fresh, latency_ms = await self._open(self.target)
                break
            except VoxdError as error:
                pause_s = wait_s(error, retries, self._jitter())
                if pause_s is None or retries >= retry_count:
                    self._held = error, self._clock.monotonic() + hold_s(error)
                    self._publish(ConnectFailed(self.target.name, error, str(error), error.code, retries))
                    raise
            await self._clock.sleep(pause_s)
            retries += 1
        self._adopt(fresh, latency_ms)

    async def _open(self, target: ProviderTarget) -> tuple[BaseProvider, float]:
        begun_s = self._clock.monotonic()
        try:
            fresh = await open_provider(target, self._owner.fit_config, self._owner.history, self._receive)
        except RateLimited as error:
            # Here, where every session is opened: also one that replaces another.
            wait = {"provider": target.name, "limit": "vendor", "wait_s": error.retry_after_s}
            self._publish(OtherEvent(E.RATE_LIMITED, wait))
            raise
        return fresh, (self._clock.monotonic() - begun_s) * 1000

    def _adopt(self, fresh: BaseProvider, latency_ms: float) -> None:
        self.provider, self._held = fresh, None
        self._steady_at_s = self._clock.monotonic() + STEADY_S
        self.meter.opened(self._clock.monotonic(), latency_ms)
        self._lifetime.start(fresh.capabilities.session_limit_s)
        self._publish(ConnectionEstablished(self.target.name, fresh.session_id, latency_ms))

    async def _replace(self, is_allowed: Callable[[], bool] = lambda: True) -> None:
        """Continue on a new session, unless the history changed meanwhile or ``is_allowed`` returns False."""
        async with self._changing:
            history = self._owner.history
            fresh, latency_ms = await self._open(self.target)
            old = self.provider
            # A question asked while it opened is not in its history.
            if old is None or not is_allowed() or history != self._owner.history:
                await close_provider(fresh, self.target.name)
                return
            self._retire(old, self.target.name, "replaced")
            self._adopt(fresh, latency_ms)

    async def _close_idle(self) -> bool:
        async with self._changing:
            if not self._lifetime.is_idle:
                return False
            self._leave("idle")
            return True

    def _leave(self, reason: str) -> None:
        provider, self.provider = self.provider, None
        if provider is not None:
            self._retire(provider, self.target.name, reason)
            self._publish(ConnectionClosed(self.target.name, reason))

    def _retire(self, provider: BaseProvider, name: str, reason: str) -> None:
        """Close ``provider`` in the background: the caller need not wait for the closing handshake."""
        self._owner.provider_gone(provider, reason)
        self._retiring[provider] = self._closing.start(self._close_retired(provider, name))

    async def _close_retired(self, provider: BaseProvider, name: str) -> None:
        await close_provider(provider, name)
        await self.meter.retire(provider)
        del self._retiring[provider]

    def _receive(self, provider: BaseProvider, event: ProviderEvent) -> None:
        # A retired provider may still report; its events belong to nothing any more.
        if provider is not self.provider:
            self.meter.late_events += 1
            return
        self._lifetime.touch()
        if isinstance(event, ConnectionLost):
            self._lose(provider, event)
            return
        if isinstance(event, ResponseCompleted):
            # A complete response proves the session, however short it lasted.
            self._steady_at_s = self._clock.monotonic()
        self._owner.receive(event)

    def _lose(self, provider: BaseProvider, event: ConnectionLost) -> None:
        name, self.provider = self.target.name, None
        self.meter.losses += 1
        is_quick = self._clock.monotonic() < self._steady_at_s
        self._quick_losses = self._quick_losses + 1 if is_quick else 0
        # A vendor that accepts every session and drops it at once must not be retried for ever.
        reconnecting = event.code not in PERMANENT_CODES and self._quick_losses <= DEFAULT_RETRIES
        self._retire(provider, name, "connection_lost")
        self._publish(ConnectionLost(name, event.code, event.reason, reconnecting))
        if reconnecting:
            self._opening.start(self._reconnect(), name=f"reconnect {name}")
        else:
            self._lifetime.forget_limit()

    async def _reconnect(self) -> None:
        await self._lifetime.stop()
        await self._clock.sleep(backoff_s(self._quick_losses, self._jitter()))
        try:
            await self._connect(self._retries)
        except VoxdError as error:
            _log.warning("the session with %s is lost: %s; %s", self.target.name, error, error.hint)


class SessionLifetime:
    """Replaces a session before the vendor's age limit and closes it when idle, both only in a quiet moment.

    ``close_idle`` returns False when the session was used before it could be closed.
    """

    def __init__(
        self,
        clock: Clock,
        idle_close_s: float | None,
        *,
        replace: Callable[[], Awaitable[None]],
        close_idle: Callable[[], Awaitable[bool]],
        is_quiet: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._idle_close_s = idle_close_s
        self._replace = replace
        self._close_idle = close_idle
        self._is_quiet = is_quiet
        self._scope = TaskScope("session lifetime")
        self._task: asyncio.Task[None] | None = None
        self._used_s = 0.0
        # Infinite: never (CLOCK_MONOTONIC).
        self._replace_at_s = math.inf

    def start(self, limit_s: float | None) -> None:
        """Watch a session that was opened now; it is replaced at the age of ``limit_s`` seconds."""
        self.touch()
        self._replace_at_s = math.inf if limit_s is None else self._clock.monotonic() + limit_s
        if self._due_s < math.inf and (self._task is None or self._task.done()):
            self._task = self._scope.start(self._watch())

    def forget_limit(self) -> None:
        """Note that the session is lost and not reopened: nothing is left to replace."""
        self._replace_at_s = math.inf

    def touch(self) -> None:
        """The session is used."""
        self._used_s = self._clock.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether the session was unused for so long that it is to be closed."""
        return self._idle_at_s <= self._clock.monotonic()

    async def stop(self) -> None:
        """Stop watching; idempotent, also from within ``replace`` and ``close_idle``."""
        task, self._task = self._task, None
        await cancel_and_wait(task)

    async def _watch(self) -> None:
        while (due_s := self._due_s) < math.inf:
            now_s = self._clock.monotonic()
            if due_s > now_s:
                await self._clock.sleep(due_s - now_s)
            elif not self._is_quiet() or now_s - self._used_s < QUIET_S:
                await self._clock.sleep(CHECK_S)
            elif self.is_idle:
                if await self._close_idle():
                    return
            else:
                try:
                    await self._replace()
                except VoxdError as error:
                    _log.info("the session could not be replaced yet: %s", error)
                    self._replace_at_s = self._clock.monotonic() + max(FAILED_S, hold_s(error))

    @property
    def _due_s(self) -> float:
        return min(self._replace_at_s, self._idle_at_s)

    @property
    def _idle_at_s(self) -> float:
        return math.inf if self._idle_close_s is None else self._used_s + self._idle_close_s
