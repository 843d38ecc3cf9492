"""Keeps a Gemini Live session open over one connection after another.

The vendor issues a resumption handle for a session, and sends `goAway` before it closes a connection (after
about ten minutes). Senders wait while the session moves.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from voxd.errors import NotConnected, ProviderError
from voxd.net.faults import CloseReason
from voxd.net.websocket import WebSocketConnection
from voxd.providers.vendors.google.live_wire import NAME
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

LEAVE_EARLY_S = 3.0
"""The session moves this long before the vendor closes, even in the middle of a response."""

EXPIRED = "session_expired"
_BROKEN = CloseReason("network_error", "the connection broke")


class ConnectionClient(Protocol):
    """The session that uses the connection."""

    def is_quiet(self) -> bool:
        """Whether nothing is in progress that a move would break."""
        ...

    def receive(self, frame: bytes | str) -> None:
        """Handle a frame of the vendor."""
        ...

    def arrived(self, *, resumed: bool) -> None:
        """The session is on another connection; ``resumed``: with the conversation."""
        ...

    def lost(self, end: CloseReason) -> None:
        """The session is over, and not on purpose."""
        ...


class ResumableConnection:
    """The connections of one session. ``open`` returns one on which the vendor accepts input.

    ``open`` gets the `handle` by which the session is resumed, "" for a new one. ``talked`` must be set once
    the conversation has content that a new session would not have.
    """

    def __init__(
        self, open: Callable[[str], Awaitable[WebSocketConnection]], client: ConnectionClient
    ) -> None:
        self._open = open
        self._client = client
        self._connection: WebSocketConnection | None = None
        self._tasks = TaskScope("gemini session")
        self._reading: asyncio.Task[None] | None = None
        self._moving: asyncio.Task[None] | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._stale = False
        self.handle = ""
        self.talked = False

    @property
    def connection(self) -> WebSocketConnection | None:
        """The present connection, None without a session."""
        return self._connection

    async def begin(self) -> None:
        """Open a new session. Raises `ProviderError`."""
        self.handle, self.talked = "", False
        self._use(await self._open(""), resumed=False)

    async def close(self) -> None:
        """End the session; idempotent."""
        connection, self._connection = self._connection, None
        self._moving = self._reading = None
        self._cancel_leaving()
        await self._tasks.close()
        if connection is not None:
            await connection.close()

    async def settled(self) -> WebSocketConnection:
        """Return the connection, after a move in progress. Raises `NotConnected`."""
        if self._moving is not None:
            await asyncio.wait([self._moving])
        if self._connection is None:
            raise NotConnected("the session with gemini is not open", provider=NAME)
        return self._connection

    def move(self) -> None:
        """Begin to move the session; without conversation content a new session is opened instead."""
        if self._moving is None and self._connection is not None:
            self._cancel_leaving()
            # Senders wait for it in `settled`: nothing is sent to the connection that is being left.
            self._moving = self._tasks.start(self._move(), name="move gemini")

    def move_when_quiet(self) -> None:
        """Move as soon as the client is quiet."""
        self._stale = True
        self._move_if_quiet()

    def leave(self, left_s: float) -> None:
        """The vendor closes in ``left_s``: move when the client is quiet, but in time."""
        self._cancel_leaving()
        self._stale = True
        delay_s = max(left_s - LEAVE_EARLY_S, 0.0)
        self._leaving = asyncio.get_running_loop().call_later(delay_s, self.move)

    def _use(self, connection: WebSocketConnection, *, resumed: bool) -> None:
        self._connection = connection
        self._stale = False
        self._client.arrived(resumed=resumed)
        self._reading = self._tasks.start(self._read(connection), name="read gemini")

    async def _read(self, connection: WebSocketConnection) -> None:
        try:
            while (frame := await connection.receive()) is not None:
                self._client.receive(frame)
                self._move_if_quiet()
        except Exception:
            # The boundary of the reading task: the session must end, not hang without a reader.
            _log.exception("what gemini sent could not be handled")
            connection.abort(CloseReason("internal", "an event could not be handled"))
        if connection is not self._connection or self._moving is not None:
            return
        # The vendor closed as announced; the session itself goes on.
        if self._leaving is not None:
            self.move()
        else:
            self._lose(connection.ending or _BROKEN)

    async def _move(self) -> None:
        old, reading = self._connection, self._reading
        # A handle from before the first turn may be older than the history that was added.
        handle = self.handle if self.talked else ""
        try:
            if self.talked and not handle:
                # The caller keeps the history: it opens a new session and adds it there.
                raise ProviderError("the session cannot be resumed", provider=NAME, code=EXPIRED)
            fresh = await self._open(handle)
        except ProviderError as error:
            # The vendor does not know the handle any more (seen with close code 1007).
            refused = handle and error.code in ("bad_frame", "policy")
            self._lose(CloseReason(EXPIRED if refused else error.code, str(error)))
            return
        except Exception:
            # The boundary of the moving task: every sender waits for its end.
            _log.exception("the session with gemini could not be moved")
            self._lose(CloseReason("internal", "the session could not be moved"))
            return
        finally:
            self._moving = None
        self._use(fresh, resumed=bool(handle))
        if old is None or reading is None:
            return
        try:
            await old.close()
            # What the old connection still delivers belongs to the session.
            await asyncio.wait([reading])
        finally:
            old.abort(CloseReason("closed", "closed by us"))

    def _lose(self, end: CloseReason) -> None:
        connection, self._connection = self._connection, None
        self._cancel_leaving()
        self._client.lost(end)
        if connection is not None:
            connection.abort(end)

    def _move_if_quiet(self) -> None:
        if self._stale and self._client.is_quiet():
            self.move()

    def _cancel_leaving(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
