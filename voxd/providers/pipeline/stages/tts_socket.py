"""Speaks over a WebSocket: one for each clause, the first of a turn opened while the user still speaks."""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import ClassVar

from voxd.errors import ProviderError
from voxd.frames import Clip
from voxd.net.faults import CloseReason, error_for_close
from voxd.net.transport import Budget, Transport
from voxd.net.websocket import Deadlines, WebSocketConnection
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.pipeline.stages.tts_options import ConfiguredTextToSpeech, OptionsT
from voxd.providers.pipeline.stages.tts_pcm import PlaybackLead, remaining_s

_log = logging.getLogger(__name__)


class SocketTextToSpeech(ConfiguredTextToSpeech[OptionsT]):
    """A voice that is reached by WebSocket; a subclass says what is said on it.

    A socket that `prepare` opened is used for the next clause, or closed after ``spare_s``. Where it breaks
    before anything was heard, the clause is spoken on a new one.
    """

    spare_s: ClassVar[float] = 50.0
    """How long a socket may wait for a clause, shorter than the vendor waits for one."""

    def __init__(self, config: StageConfig, wire: Transport) -> None:
        super().__init__(config, wire)
        self._spare: _Spare | None = None

    @abstractmethod
    def opened(self, budget: Budget, *, kind: str) -> AbstractAsyncContextManager[WebSocketConnection]:
        """Open a socket on which a text can be spoken at once."""

    @abstractmethod
    def said(self, connection: WebSocketConnection, text: str, pace: PlaybackLead) -> AsyncGenerator[Clip]:
        """Say ``text`` and yield its sound; whatever is waited for keeps to ``pace``."""

    def prepare(self) -> None:
        """Open a socket for the next clause, unless one is waiting."""
        if self._spare is None or self._spare.is_gone:
            opened = self.opened(Budget(retries=0), kind="prepare")
            self._spare = _Spare(self.name, opened, self.spare_s)

    async def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Yield the sound of ``text``. Raises `ProviderError`."""
        while True:
            begun = heard = False
            opened_ahead = self._spare is not None
            try:
                async with self._connection(budget) as connection:
                    begun = True
                    async with aclosing(self._spoken(connection, text, budget)) as clips:
                        async for clip in clips:
                            heard = True
                            yield clip
                return
            except ProviderError as error:
                # What failed before the socket was open was tried again on the wire already.
                if not begun or heard or not error.retryable:
                    raise
                # That a socket has died while it waited is no fault of this turn.
                if not opened_ahead:
                    if budget.retries <= 0 or not budget.is_last:
                        raise
                    budget.retries -= 1
                self.wire.note("speech_again", code=error.code, used_bytes=0)

    async def close(self) -> None:
        """Close the socket that waits; idempotent."""
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.release()

    async def received(self, connection: WebSocketConnection, pace: PlaybackLead) -> str | bytes:
        """Return the next frame. Raises `ProviderError` when it is late, or when none comes any more."""
        message = await pace.keeps(connection.receive())
        if message is None:
            raise self.broken_off(connection)
        return message

    def broken_off(self, connection: WebSocketConnection) -> ProviderError:
        """Return why ``connection`` is over."""
        return error_for_close(
            self.name, connection.ending or CloseReason("network_error", "the connection broke")
        )

    async def _spoken(
        self, connection: WebSocketConnection, text: str, budget: Budget
    ) -> AsyncGenerator[Clip]:
        connection.active = True
        pace = PlaybackLead(self.name, first_s=remaining_s(budget, Deadlines().answer_s))
        is_over = False
        try:
            async with aclosing(self.said(connection, text, pace)) as clips:
                async for clip in clips:
                    pace.heard(clip)
                    yield clip
            is_over = True
        finally:
            if not is_over:
                # The vendor is still speaking: he would be heard out before he takes note of a polite end.
                connection.abort(CloseReason("given_up", "the text was given up"))

    @asynccontextmanager
    async def _connection(self, budget: Budget) -> AsyncIterator[WebSocketConnection]:
        spare, self._spare = self._spare, None
        if spare is not None:
            try:
                connection = await spare.taken(remaining_s(budget, Deadlines().open_s))
                if connection is not None:
                    yield connection
                    return
            finally:
                await spare.release()
        async with self.opened(budget, kind="speak") as connection:
            yield connection


class _Spare:
    """A socket that waits, owned by a task of its own: whoever opens one also closes it."""

    def __init__(
        self, name: str, opened: AbstractAsyncContextManager[WebSocketConnection], spare_s: float
    ) -> None:
        self._opened = opened
        self._spare_s = spare_s
        self._ready: asyncio.Future[WebSocketConnection | None] = asyncio.get_running_loop().create_future()
        self._taken = asyncio.Event()
        self._released = asyncio.Event()
        self._task = asyncio.create_task(self._hold(), name=f"prepare {name}")

    @property
    def is_gone(self) -> bool:
        """Whether there is nothing to be had any more."""
        return self._task.done()

    async def taken(self, within_s: float) -> WebSocketConnection | None:
        """Return the socket, to be used until `release`; None when there is none, or none in time."""
        self._taken.set()
        await asyncio.wait({self._ready}, timeout=within_s)
        connection = self._ready.result() if self._ready.done() else None
        return connection if connection is not None and connection.ending is None else None

    async def release(self) -> None:
        """Close the socket; idempotent."""
        self._released.set()
        if not self._ready.done():
            self._task.cancel()
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, Exception):
            _log.error("a socket could not be opened ahead", exc_info=outcome)

    async def _hold(self) -> None:
        try:
            async with self._opened as connection:
                self._ready.set_result(connection)
                try:
                    async with asyncio.timeout(self._spare_s):
                        await self._taken.wait()
                except TimeoutError:
                    return
                await self._released.wait()
        except ProviderError as error:
            _log.debug("no socket was opened ahead: %s", error.code)
        finally:
            if not self._ready.done():
                self._ready.set_result(None)
