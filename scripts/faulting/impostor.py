"""Servers that are not what they should be: they refuse, show a log-in page, make noise, or say nothing."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

Manner = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
"""How a server treats a client that connects."""

_LOGIN = b"<!doctype html><html><title>Welcome to the hotel</title><form>Room number</form></html>"


def answering(status: str, *headers: str, body: bytes = b"") -> Manner:
    """Answer every request with ``status`` ("429 Too Many Requests")."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return answer


def refusing(status: str, *headers: str, code: str) -> Manner:
    """Answer with an error as most vendors write it."""
    body = f'{{"error": {{"message": "refused on purpose", "type": "{code}", "code": "{code}"}}}}'
    return answering(status, "Content-Type: application/json", *headers, body=body.encode())


def log_in_page() -> Manner:
    """Answer like the gate of a hotel's network."""
    return answering("200 OK", "Content-Type: text/html", body=_LOGIN)


def redirecting() -> Manner:
    """Redirect every request to a log-in page, as a captive portal does."""
    return answering("302 Found", "Location: http://127.0.0.1:1/login")


def dripping() -> Manner:
    """Answer one byte a second: every single read succeeds."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        text = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n" + b" " * 9999
        )
        for byte in text:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1.0)

    return drip


def babbling() -> Manner:
    """Answer with noise instead of a protocol."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(secrets.token_bytes(4096))
        await writer.drain()

    return babble


def silent() -> Manner:
    """Take everything and say nothing: also a TLS handshake that never ends."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            pass

    return listen


@asynccontextmanager
async def impostor(manner: Manner, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Run a server that treats every client in this ``manner``; yields its port."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await manner(reader, writer)
        writer.transport.abort() if writer.is_closing() else writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        server.close_clients() if hasattr(server, "close_clients") else None


@asynccontextmanager
async def pinging() -> AsyncIterator[int]:
    """Run a WebSocket server that pings, and says nothing else."""

    async def ping(socket: ServerConnection) -> None:
        async for _ in socket:
            pass

    async with serve(ping, "127.0.0.1", 0, ping_interval=0.5) as server:
        yield next(iter(server.sockets)).getsockname()[1]


@asynccontextmanager
async def raving() -> AsyncIterator[int]:
    """Run a WebSocket server whose every frame is garbage, a truncated object, or far too deep."""

    async def rave(socket: ServerConnection) -> None:
        frames = (
            "{",
            "null",
            "[" * 5000,
            '{"type": 7}',
            "\x00",
            '{"type": "response.done"}',
            b"\xff\xfe" * 50,
        )
        for frame in frames:
            await socket.send(frame)
        async for _ in socket:
            await socket.send(secrets.token_bytes(64))

    async with serve(rave, "127.0.0.1", 0) as server:
        yield next(iter(server.sockets)).getsockname()[1]
