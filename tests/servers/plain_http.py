"""An HTTP server that plays whatever bytes a test wants, for faults that no real server library can play."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Play = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    """A request: names of ``headers`` in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Plain:
    """A server; requests are answered by what was scripted, in that order, the last for all that follow."""

    port: int = 0
    scheme: str = "http"
    requests: list[Asked] = field(default_factory=list)
    connections: int = 0
    plays: list[Play] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def script(self, *plays: Play) -> None:
        self.plays = list(plays)


def reply(
    body: bytes = b"", *, status: int = 200, content_type: str = "", headers: dict[str, str] | None = None
) -> Play:
    """Answer with ``body``, all at once, and keep the connection."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(head(status, content_type, {**(headers or {}), "Content-Length": str(len(body))}) + body)

    return play


def pieces(*parts: bytes, content_type: str = "", end: bool = True) -> Play:
    """Answer with a chunk for each of ``parts``; without ``end`` nothing ever follows them."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, content_type, {"Transfer-Encoding": "chunked"}))
        for part in parts:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        if end:
            writer.write(b"0\r\n\r\n")

    return play


def raw(data: bytes, *, close: bool = True) -> Play:
    """Answer with ``data`` as it is, and hang up."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if close:
            writer.close()

    return play


def head(status: int, content_type: str, headers: dict[str, str]) -> bytes:
    named = {**({"Content-Type": content_type} if content_type else {}), **headers}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode()


@contextlib.asynccontextmanager
async def plain_http(*plays: Play, tls: object = None) -> AsyncIterator[Plain]:
    """Serve on loopback; ``tls`` is an `ssl.SSLContext`."""
    server = Plain(plays=list(plays) or [reply(b"{}")], scheme="https" if tls else "http")
    open_now: set[asyncio.StreamWriter] = set()
    serving: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        number = server.connections
        open_now.add(writer)
        serving.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not writer.is_closing():
                server.requests.append(await _read(reader, number))
                server.asked.set()
                play = server.plays.pop(0) if len(server.plays) > 1 else server.plays[0]
                await play(writer)
                await writer.drain()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)  # type: ignore[arg-type]
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in serving:
            if task is not None:
                task.cancel()
        for writer in open_now:
            writer.transport.abort()
        await listener.wait_closed()


async def _read(reader: asyncio.StreamReader, number: int) -> Asked:
    top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = top.removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, target, headers, body, number)
