"""A TCP proxy at which a network can be as bad as wanted, changed at any moment."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

_READ_BYTES = 65_536
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Faults:
    """What happens to everything that passes in ``direction``, also on connections that are open already.

    ``refuse``: new connections are reset. ``blackhole``: nothing passes, nothing is said. ``reset_after`` and
    ``close_after``: the connection is reset, or ends, when so many bytes have passed. ``garble_at``: the
    piece with that byte becomes noise.
    """

    direction: Literal["up", "down", "both"] = "both"
    refuse: bool = False
    blackhole: bool = False
    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    rate_bytes_s: float = 0.0
    slice_bytes: int = 0
    flip_probability: float = 0.0
    garble_at: int | None = None
    reset_after: int | None = None
    close_after: int | None = None


class FaultProxy:
    """Stands before ``upstream``; ``accepted`` counts the connections."""

    def __init__(self, host: str, port: int, *, seed: int = 1) -> None:
        self.upstream = (host, port)
        self.port = 0
        self.accepted = 0
        self._chance = random.Random(seed)
        self._faults = Faults()
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[Any] | None] = set()

    def set(self, **faults: Any) -> None:
        """Let exactly these `Faults` happen from now on; none of them: all is well."""
        self._faults = Faults(**faults)
        self._changed.set()
        self._changed = asyncio.Event()

    def reset_all(self) -> None:
        """Reset every open connection."""
        for writer in tuple(self._writers):
            _reset(writer)

    async def end(self) -> None:
        """Reset everything and wait until no connection is served any more."""
        self.set()
        self.reset_all()
        serving = [task for task in self._serving if task is not None]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        self.accepted += 1
        task = asyncio.current_task()
        self._serving.add(task)
        try:
            # Being cancelled is the end of a test, and no fault that asyncio should write to the log.
            with suppress(asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._faults.refuse:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.upstream)
        except OSError:
            _reset(writer)
            return
        pair = {writer, far_writer}
        self._writers |= pair
        try:
            await asyncio.gather(
                self._pass("up", reader, far_writer, writer),
                self._pass("down", far_reader, writer, far_writer),
            )
        finally:
            self._writers -= pair
            for each in pair:
                each.close()

    async def _pass(
        self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        passed = 0
        with suppress(OSError):
            while data := await reader.read(_READ_BYTES):
                for piece in await self._pieces(way, data, passed):
                    await self._hold(way, len(piece))
                    writer.write(piece)
                    await writer.drain()
                    passed += len(piece)
                    if self._ends(way, passed, writer, back):
                        return
            if writer.can_write_eof():
                writer.write_eof()

    async def _pieces(self, way: str, data: bytes, passed: int) -> list[bytes]:
        faults = self._of(way)
        if faults.latency_ms or faults.jitter_ms:
            await asyncio.sleep((faults.latency_ms + self._chance.uniform(0, faults.jitter_ms)) / 1000)
        if faults.flip_probability:
            roll = self._chance
            flips = (roll.random() < faults.flip_probability and 1 << roll.randrange(8) for _ in data)
            data = bytes(byte ^ flip for byte, flip in zip(data, flips, strict=True))
        if faults.garble_at is not None and passed <= faults.garble_at < passed + len(data):
            data = self._chance.randbytes(len(data))
        size = faults.slice_bytes or len(data)
        return [data[at : at + size] for at in range(0, len(data), size)]

    async def _hold(self, way: str, size: int) -> None:
        while self._of(way).blackhole:
            await self._changed.wait()
        if rate := self._of(way).rate_bytes_s:
            await asyncio.sleep(size / rate)

    def _ends(self, way: str, passed: int, writer: asyncio.StreamWriter, back: asyncio.StreamWriter) -> bool:
        faults = self._of(way)
        if faults.reset_after is not None and passed >= faults.reset_after:
            _reset(writer)
            _reset(back)
            return True
        if faults.close_after is not None and passed >= faults.close_after:
            writer.close()
            back.close()
            return True
        return False

    def _of(self, way: str) -> Faults:
        return self._faults if self._faults.direction in (way, "both") else Faults()


@asynccontextmanager
async def fault_proxy(host: str, port: int, *, seed: int = 1) -> AsyncIterator[FaultProxy]:
    """Run a proxy to ``host`` and ``port`` on a free port of loopback."""
    proxy = FaultProxy(host, port, seed=seed)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
