"""A proxy that speaks HTTP: every tunnel leads to loopback, and what needs none it answers itself."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Tunnel:
    """``asked`` is the first line of every request, the oldest first."""

    port: int = 0
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            request = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(request.split(b"\r\n")[0].decode())
            method, target, _ = self.asked[-1].split()
            if method == "CONNECT":
                far_reader, far_writer = await asyncio.open_connection(
                    "127.0.0.1", int(target.rpartition(":")[2])
                )
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            else:
                writer.write(ANSWER)
                await reader.read()
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(4096):
            writer.write(data)
    writer.close()


@contextlib.asynccontextmanager
async def tunnel(trust: ssl.SSLContext | None = None) -> AsyncIterator[Tunnel]:
    """Run a proxy on a free port of loopback, with ``trust`` one that is spoken to by TLS."""
    made = Tunnel()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=trust)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        yield made
