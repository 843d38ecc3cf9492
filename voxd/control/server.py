"""The control server: accepts clients on both sockets, within a limit, and takes everything down in order."""

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
from voxd.control.sockets import BACKLOG, Listener, peer_of
from voxd.errors import Busy

_log = logging.getLogger(__name__)

ACCEPTED_PER_TURN = 2
"""asyncio accepts as many per turn of the loop as its ``backlog``: 1024 at once stop it for a second."""


class ControlServer:
    """Serves ``api`` on ``listeners`` and owns them: closing the server closes them.

    Each kind of socket has ``limits.max_clients`` places of its own, so that strangers on the read-only
    socket cannot keep the owner out.
    """

    def __init__(self, api: DeviceApi, listeners: Sequence[Listener], limits: Limits | None = None) -> None:
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
        """How many clients are served now."""
        return self._count.total()

    async def start(self) -> None:
        """Accept from now on; what queued up in an inherited socket is served first."""
        for listener in self._listeners:

            async def connected(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, access: Access = listener.access
            ) -> None:
                # A stop cancels whom it serves; asyncio before 3.12 calls that a fault, with a stack trace.
                with suppress(asyncio.CancelledError):
                    await self._serve(reader, writer, access)

            # start_server, not start_unix_server: the latter unlinks the file, which may be systemd's.
            server = await asyncio.start_server(connected, sock=listener.socket, backlog=ACCEPTED_PER_TURN)
            listener.socket.listen(BACKLOG)
            self._servers.append(server)

    async def close(self) -> None:
        """Stop accepting, abandon what is under way and close every client; idempotent."""
        for server in self._servers:
            server.close()
        clients = tuple(self._clients)
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
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
            if self._count[access] >= self._limits.max_clients:
                await self._turn_away(writer, access)
                return
            self._count[access] += 1
            try:
                peer = peer_of(writer.get_extra_info("socket"))
                streams = (reader, writer)
                await Connection(self._api, streams, peer, access, self._limits, self._upload).run()
            finally:
                self._count[access] -= 1
                self._full.discard(access)
        finally:
            self._clients.discard(task)

    async def _turn_away(self, writer: asyncio.StreamWriter, access: Access) -> None:
        if access not in self._full:
            # Once per crowd: a client that connects in a loop must not fill the log.
            self._full.add(access)
            _log.warning("all %s places of the %s socket are taken", self._limits.max_clients, access)
        full = Busy("too many clients", hint="close other clients, or raise control.max_clients")
        writer.write(jsonrpc.error(None, full) + b"\n")
        await close_writer(writer, self._limits.write_deadline_s)
