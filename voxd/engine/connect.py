"""Connects an engine to the first available provider of a list, and to the next when one is lost."""

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from voxd.engine.config import VoiceEngineConfig
from voxd.engine.session import EngineSession, preload
from voxd.errors import AudioError, ConnectionFailed, NotConnected, VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.providers.events import ConnectFailed, ConnectionLost, ProviderEvent
from voxd.tasks import TaskScope, in_thread

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Connector:
    """The providers that were not tried yet, in order; one that failed is not tried again."""

    def __init__(
        self,
        first: VoiceEngineConfig,
        others: Iterable[VoiceEngineConfig],
        *,
        make: Callable[[VoiceEngineConfig], EngineSession],
        emit: Emit,
    ) -> None:
        self._first = first
        self._waiting = deque(others)
        self._make = make
        self._emit = emit
        self._tasks = TaskScope("voice engine")
        self._failover: asyncio.Task[None] | None = None
        self._closed = False

    async def connect(self, retries: int) -> EngineSession:
        """Return an open session with the first available provider. Raises the last one's `VoxdError`.

        The `AudioError` of a loudspeaker is raised at once. Raises `NotConnected` when `close` is called
        meanwhile.
        """
        return await self._unless_closed(self._connect(retries))

    async def reconnect(self, call: EngineSession, retries: int) -> None:
        """Open the session of ``call`` again. Raises `VoxdError`, `NotConnected` as `connect` does."""
        await self._unless_closed(call.session.connect(retries))

    async def switch(self, call: EngineSession, config: VoiceEngineConfig) -> None:
        """Continue ``call`` with another provider. Raises `VoxdError`, `NotConnected` as `connect` does."""
        await self._unless_closed(self._switch(call, config))

    async def _switch(self, call: EngineSession, config: VoiceEngineConfig) -> None:
        await in_thread(lambda: preload(config), name="load the provider")
        await call.switch(config)
        if not call.session.is_connected:
            # The session was lost: the program asks for another provider to go on with.
            await call.session.connect(0)

    async def close(self) -> None:
        """Cancel connection attempts in progress; idempotent."""
        self._closed = True
        await self._tasks.close()

    async def _unless_closed(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await self._tasks.start(work, name="connect", is_awaited=True)
        except asyncio.CancelledError:
            # Cancelled by `close`, not by the caller: to the caller that is an error, and not a cancellation.
            if self._closed:
                raise NotConnected("disconnected while connecting", provider=self._first.provider) from None
            raise

    async def _connect(self, retries: int) -> EngineSession:
        config = self._first
        while True:
            try:
                call = await self._open(config, retries)
            except AudioError:
                # Another provider would play through the same loudspeaker.
                raise
            except VoxdError as error:
                before, config = config, self._next(config, error)
                self._emit(
                    E.PROVIDER_CHANGED,
                    **{"from": before.provider, "to": config.provider, "reason": error.code},
                )
            else:
                call.down.watchers.append(functools.partial(self._watch, call))
                return call

    def _watch(self, call: EngineSession, event: ProviderEvent) -> None:
        match event:
            case ConnectFailed(error=VoxdError() as error):
                pass
            case ConnectionLost(reconnecting=False):
                error = ConnectionFailed(event.reason, code=event.code)
            case _:
                return
        # One failover at a time: a lost connection is reported once by the session and once by its reconnect.
        if self._waiting and (self._failover is None or self._failover.done()):
            self._failover = self._tasks.start(self._fail_over(call, error), name="failover")

    async def _fail_over(self, call: EngineSession, error: VoxdError) -> None:
        while self._waiting:
            config = self._next(call.config, error)
            try:
                await call.switch(config, reason=error.code)
                # No retry: the next provider is the retry.
                await call.session.connect(0)
                return
            except VoxdError as next_error:
                error = next_error
        _log.error("no other provider is left: %s", error)

    def _next(self, failed: VoiceEngineConfig, error: VoxdError) -> VoiceEngineConfig:
        if not self._waiting:
            raise error
        _log.warning("the provider %s is unavailable: %s", failed.provider, error)
        self._emit(E.PROVIDER_FAILED, provider=failed.provider, code=error.code, reason=str(error))
        return self._waiting.popleft()

    async def _open(self, config: VoiceEngineConfig, retries: int) -> EngineSession:
        # Also on cancellation: a session that is half open holds a socket and tasks.
        async with AsyncExitStack() as stack:
            try:
                await in_thread(lambda: preload(config), name="load the provider")
                call = self._make(config)
                stack.push_async_callback(call.close)
                # Before the session, which is billed and reported as ready once it is open.
                await call.open_devices()
            except VoxdError as error:
                self._report(config, error)
                raise
            await call.open(retries)
            stack.pop_all()
        return call

    def _report(self, config: VoiceEngineConfig, error: VoxdError) -> None:
        """Publish a failure before any request: handlers wait for it as for one of the session."""
        self._emit(E.CONNECTION_STARTING, source=config.provider)
        self._emit(
            E.CONNECTION_FAILED,
            provider=config.provider,
            error=error,
            error_message=str(error),
            code=error.code,
            retry_count=0,
        )
