"""Connects an engine to the first provider of a list that can be had, and to the next when one is lost."""

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from voxd.errors import ConnectionFailed, VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.library.call import Call
from voxd.library.config import VoiceEngineConfig

_log = logging.getLogger(__name__)


class Dialer:
    """The providers that have not been tried yet; one that has failed is not asked again."""

    def __init__(
        self,
        first: VoiceEngineConfig,
        others: Iterable[VoiceEngineConfig],
        *,
        make: Callable[[VoiceEngineConfig], Call],
        emit: Emit,
    ) -> None:
        self._first = first
        self._waiting = deque(others)
        self._make = make
        self._emit = emit
        self._task: asyncio.Task[None] | None = None

    async def dial(self, retries: int) -> Call:
        """Return an open call with the first provider that answers. Raises the last one's `VoxdError`."""
        config = self._first
        while True:
            try:
                call = await self._open(config, retries)
                call.down.watchers.append(functools.partial(self._watch, call))
                return call
            except VoxdError as error:
                before, config = config, self._next(config, error)
                self._emit(
                    E.PROVIDER_CHANGED,
                    **{"from": before.provider, "to": config.provider, "reason": error.code},
                )

    async def close(self) -> None:
        """Give up what is being dialled after a loss; idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _watch(self, call: Call, type: str, data: dict[str, Any]) -> None:
        lost = type == E.CONNECTION_FAILED or (
            type == E.CONNECTION_LOST and not data.get("reconnecting", True)
        )
        if lost and self._waiting and (self._task is None or self._task.done()):
            error = data.get("error") or ConnectionFailed(
                str(data.get("reason", "")), code=data.get("code", "")
            )
            self._task = asyncio.create_task(self._fail_over(call, error), name="voice engine failover")

    async def _fail_over(self, call: Call, error: VoxdError) -> None:
        while self._waiting:
            config = self._next(call.config, error)
            try:
                await call.switch(config, reason=error.code)
                await call.session.connect(0)
                return
            except VoxdError as another:
                error = another
        _log.error("no provider is left: %s", error)

    def _next(self, failed: VoiceEngineConfig, error: VoxdError) -> VoiceEngineConfig:
        if not self._waiting:
            raise error
        _log.warning("the provider %s cannot be had: %s", failed.provider, error)
        self._emit(E.PROVIDER_FAILED, provider=failed.provider, code=error.code, reason=str(error))
        return self._waiting.popleft()

    async def _open(self, config: VoiceEngineConfig, retries: int) -> Call:
        try:
            call = self._make(config)
        except VoxdError as error:
            # Refused before anybody was asked: who waits for these two events gets them all the same.
            self._emit(E.CONNECTION_STARTING, source=config.provider)
            self._emit(
                E.CONNECTION_FAILED,
                provider=config.provider,
                error=error,
                error_message=str(error),
                code=error.code,
                retry_count=0,
            )
            raise
        try:
            await call.open(retries)
        except BaseException:
            await call.close()
            raise
        return call
