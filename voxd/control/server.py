"""The control server: accepts clients on both sockets, up to a limit."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from voxd.api import DeviceApi
from voxd.control import jsonrpc
from voxd.control.connection import Connection, Limits, Upload, close_writer
from voxd.control.methods import Access
from voxd.control.sockets import BACKLOG, ListeningSocket, peer_of
from voxd.errors import Busy
from voxd.tasks import cancel_and_wait

_log = logging.getLogger(__name__)

# asyncio accepts up to ``backlog`` connections per turn of its loop: 1024 at once block it for a second.
ACCEPTED_PER_TURN = 2


class ControlServer:
    """Serves ``api`` on ``listeners``, which it owns: closing the server closes them."""

    def __init__(
        self, api: DeviceApi, listeners: Sequence[ListeningSocket], limits: Limits | None = None
    ) -> None:
        self._api = api
        self._listeners = tuple(listeners)
        self._limits = limits or Limits()
        self._upload = Upload()
        self._servers: list[asyncio.Server] = []
        self._clients: set[asyncio.Task[None]] = set()
        self._count: Counter[Access] = Counter()
        self._full: set[Access] = set()

    @property
    def clients(self) -> int:
        """The number of connected clients."""
        return self._count.total()

    async def start(self) -> None:
        """Start to accept; connections that wait in an inherited socket are served first."""
        for listener in self._listeners:

            async def connected(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, access: Access = listener.access
            ) -> None:
                # `close` cancels this task; asyncio before 3.12 logs that as an error, with a stack trace.
                with suppress(asyncio.CancelledError):
                    await self._serve(reader, writer, access)

            # Not start_unix_server: it unlinks the socket's file, which may belong to systemd.
            server = await asyncio.start_server(connected, sock=listener.socket, backlog=ACCEPTED_PER_TURN)
            # asyncio has set the kernel's queue to its ``backlog`` as well: set it again.
            listener.socket.listen(BACKLOG)
            self._servers.append(server)

    async def close(self) -> None:
        """Stop accepting, cancel running requests and disconnect every client; idempotent."""
        for server in self._servers:
            server.close()
        await cancel_and_wait(*self._clients)
        # After the clients: since Python 3.12 `wait_closed` also waits for their connections.
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        for listener in self._listeners:
            listener.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, access: Access
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            # A limit for each socket: clients of the read-only socket cannot lock out the control socket.
            if self._count[access] >= self._limits.max_clients:
                await self._reject(writer, access)
                return
            self._count[access] += 1
            try:
                # Now, not with the first request: SO_PEERCRED is the process that called connect().
                peer = peer_of(writer.get_extra_info("socket"))
                streams = (reader, writer)
                await Connection(self._api, streams, peer, access, self._limits, self._upload).run()
            finally:
                self._count[access] -= 1
                self._full.discard(access)
        finally:
            self._clients.discard(task)

    async def _reject(self, writer: asyncio.StreamWriter, access: Access) -> None:
        if access not in self._full:
            # Logged once until a client leaves: a client that connects in a loop must not fill the log.
            self._full.add(access)
            _log.warning("all %s connections of the %s socket are in use", self._limits.max_clients, access)
        full = Busy("too many clients", hint="close other clients, or raise control.max_clients")
        writer.write(jsonrpc.encode_error(None, full) + b"\n")
        await close_writer(writer, self._limits.write_deadline_s)
