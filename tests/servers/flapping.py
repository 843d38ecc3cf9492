"""A way to a server that breaks as networks do: refused, reset, or swallowed without a word."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Any

TASK = "flapping server"


class Way(StrEnum):
    """What happens to a connection through it."""

    OPEN = "open"
    REFUSE = "refuse"
    RESET = "reset"
    BLACKHOLE = "blackhole"


class Flapping:
    """Stands before ``target`` (a port of the loopback) on a port of its own."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.opened = 0
        self._target = target
        self._way = Way.OPEN
        self._server: asyncio.Server | None = None
        self._pairs: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    async def take(self, way: Way) -> None:
        """From now on, also for connections in progress."""
        self._way = way
        if way is Way.BLACKHOLE:
            self._flows.clear()
            return
        if way in (Way.REFUSE, Way.RESET) or not self._flows.is_set():
            self._reset_all()
        self._flows.set()
        if way is Way.REFUSE:
            await self._shut()
        elif self._server is None:
            await self.listen()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._reset_all()
        await self._shut()
        for pair in self._pairs:
            pair.cancel()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    async def _shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        task = asyncio.current_task()
        assert task is not None
        task.set_name(TASK)
        if self._way is Way.RESET:
            _reset(writer)
            return
        self._pairs.add(task)
        self._writers.add(writer)
        onward: asyncio.StreamWriter | None = None
        try:
            await self._flows.wait()
            back, onward = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(onward)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._flow(reader, onward), name=TASK)
                both.create_task(self._flow(back, writer), name=TASK)
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass
        finally:
            self._pairs.discard(task)
            for each in (writer, onward):
                if each is not None:
                    self._writers.discard(each)
                    each.transport.abort()

    async def _flow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    def _reset_all(self) -> None:
        for writer in tuple(self._writers):
            _reset(writer)
        for pair in tuple(self._pairs):
            pair.cancel()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: Any = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def flapping(target: int) -> AsyncIterator[Flapping]:
    """Run one that is open."""
    proxy = Flapping(target)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
