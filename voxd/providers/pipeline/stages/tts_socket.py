"""Text-to-speech over WebSockets: one for each clause, the first of a turn opened in advance."""

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
from voxd.providers.pipeline.stages.contract import OptionsT, StageConfig
from voxd.providers.pipeline.stages.tts_options import ConfiguredTextToSpeech
from voxd.providers.pipeline.stages.tts_pace import PlaybackLead
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)


class SocketTextToSpeech(ConfiguredTextToSpeech[OptionsT]):
    """A text-to-speech stage over WebSocket; a subclass implements the protocol.

    A socket that `prepare` opened is used for the next clause, or closed after ``spare_s``. When a socket
    breaks before any audio, the clause is synthesised on a new one.
    """

    spare_s: ClassVar[float] = 50.0
    """How long a socket may wait for a clause; shorter than the vendor's inactivity limit."""

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        super().__init__(config, transport)
        self._spare: _Spare | None = None

    @abstractmethod
    def connect(self, budget: Budget, *, kind: str) -> AbstractAsyncContextManager[WebSocketConnection]:
        """Open a socket that is ready for a text."""

    @abstractmethod
    def speak(self, connection: WebSocketConnection, text: str, pace: PlaybackLead) -> AsyncGenerator[Clip]:
        """Send ``text`` and yield its audio; wait for each message by ``pace.wait_for``."""

    def prepare(self) -> None:
        """Open a socket for the next clause, unless one is ready."""
        if self._spare is None or self._spare.is_gone:
            # Not retried: no clause waits for it yet, and the clause can open a socket itself.
            opened = self.connect(Budget(retries=0), kind="prepare")
            self._spare = _Spare(self.name, opened, self.spare_s)

    async def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Yield the audio of ``text``. Raises `ProviderError`."""
        while True:
            is_open = has_audio = False
            was_prepared = self._spare is not None
            try:
                async with self._connection(budget) as connection:
                    is_open = True
                    async with aclosing(self._synthesize_on(connection, text, budget)) as clips:
                        async for clip in clips:
                            has_audio = True
                            yield clip
                return
            except ProviderError as error:
                # A failure to open the socket was already retried by the transport.
                if not is_open or has_audio or not error.retryable:
                    raise
                # A socket opened in advance may have broken while it waited; that costs no retry.
                if not was_prepared:
                    if budget.retries <= 0 or not budget.is_last:
                        raise
                    budget.retries -= 1
                self.transport.note("speech_again", code=error.code, used_bytes=0)

    async def close(self) -> None:
        """Close the socket opened in advance; idempotent."""
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.release()

    async def receive(self, connection: WebSocketConnection, pace: PlaybackLead) -> str | bytes:
        """Return the next message. Raises `ProviderError` when it is late or the connection has ended."""
        message = await pace.wait_for(connection.receive())
        if message is None:
            raise self.close_error(connection)
        return message

    def close_error(self, connection: WebSocketConnection) -> ProviderError:
        """Return the error for the end of ``connection``."""
        return error_for_close(
            self.name, connection.ending or CloseReason("network_error", "the connection broke")
        )

    async def _synthesize_on(
        self, connection: WebSocketConnection, text: str, budget: Budget
    ) -> AsyncGenerator[Clip]:
        connection.active = True
        pace = PlaybackLead(self.name, first_s=self.transport.remaining_s(budget, Deadlines().answer_s))
        is_over = False
        try:
            async with aclosing(self.speak(connection, text, pace)) as clips:
                async for clip in clips:
                    pace.add(clip)
                    yield clip
            is_over = True
        finally:
            if not is_over:
                # The vendor is still sending audio, which a closing handshake would have to wait for.
                connection.abort(CloseReason("given_up", "the text was abandoned"))

    @asynccontextmanager
    async def _connection(self, budget: Budget) -> AsyncIterator[WebSocketConnection]:
        spare, self._spare = self._spare, None
        if spare is not None:
            try:
                connection = await spare.take(self.transport.remaining_s(budget, Deadlines().open_s))
                if connection is not None:
                    yield connection
                    return
            finally:
                await spare.release()
        async with self.connect(budget, kind="speak") as connection:
            yield connection


class _Spare:
    """A socket opened in advance, held open by one task until it is used and released, or too old."""

    def __init__(
        self, name: str, opened: AbstractAsyncContextManager[WebSocketConnection], spare_s: float
    ) -> None:
        self._opened = opened
        self._spare_s = spare_s
        self._ready: asyncio.Future[WebSocketConnection | None] = asyncio.get_running_loop().create_future()
        self._taken = asyncio.Event()
        self._released = asyncio.Event()
        self._tasks = TaskScope(f"prepare {name}")
        self._tasks.start(self._hold())

    @property
    def is_gone(self) -> bool:
        """Whether the socket is closed, or was not opened."""
        return not len(self._tasks)

    async def take(self, within_s: float) -> WebSocketConnection | None:
        """Return the socket, for use until `release`; None when it was not opened in time."""
        self._taken.set()
        # Not `wait_for`, which would cancel the future at its timeout; `_hold` still sets it.
        await asyncio.wait({self._ready}, timeout=within_s)
        connection = self._ready.result() if self._ready.done() else None
        return connection if connection is not None and connection.ending is None else None

    async def release(self) -> None:
        """Close the socket; idempotent."""
        self._released.set()
        if self._ready.done():
            # Not cancelled: the task sends the closing handshake first.
            await self._tasks.join()
        else:
            await self._tasks.close()

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
            _log.debug("no socket was opened in advance: %s", error.code)
        finally:
            if not self._ready.done():
                # A socket that did not open is not an error: the clause opens one within its own budget.
                self._ready.set_result(None)
