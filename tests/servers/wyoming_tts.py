"""A scripted Wyoming server that speaks, on a real socket of loopback.

It is written from the description of the protocol; `tests/conformance/test_tts_wyoming.py` lets the package
`wyoming` judge it.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.servers.voices import sound_of

Json = dict[str, Any]
RATE_HZ = 22_050
CHUNK_BYTES = 1024
_ABOUT = {
    "attribution": {"name": "somebody", "url": "https://example.com"},
    "description": None,
    "version": None,
}
INFO: Json = {
    "tts": [
        {
            "name": "mouth",
            "installed": True,
            **_ABOUT,
            "voices": [{"name": "amy", "installed": True, "languages": ["en"], **_ABOUT}],
        }
    ]
}

Fault = Callable[["WyomingTts", asyncio.StreamWriter, bytes], Awaitable[None]]


def event(kind: str, data: Json | None = None, payload: bytes = b"") -> bytes:
    """Return an event as the package writes it: the data behind the line."""
    body = json.dumps(data).encode() if data else b""
    head: Json = {"type": kind, "version": "1.10.2"}
    if body:
        head["data_length"] = len(body)
    if payload:
        head["payload_length"] = len(payload)
    return json.dumps(head).encode() + b"\n" + body + payload


def inline(kind: str, data: Json | None = None, payload: bytes = b"") -> bytes:
    """Return an event as older servers write it: the data in the line."""
    head = {"type": kind, "data": data or {}, "payload_length": len(payload)}
    return json.dumps(head).encode() + b"\n" + payload


def form(rate_hz: int = RATE_HZ, width: int = 2, channels: int = 1) -> Json:
    return {"rate": rate_hz, "width": width, "channels": channels, "timestamp": 0}


def raw(data: bytes, *, hang_up: bool = False) -> Fault:
    """Send ``data`` in place of the sound."""

    async def play(server: "WyomingTts", writer: asyncio.StreamWriter, pcm: bytes) -> None:
        writer.write(data)
        if hang_up:
            writer.close()

    return play


def hang_up(after_bytes: int) -> Fault:
    """Hang up after some of the sound."""

    async def play(server: "WyomingTts", writer: asyncio.StreamWriter, pcm: bytes) -> None:
        writer.write(event("audio-start", form()) + event("audio-chunk", form(), pcm[:after_bytes]))
        await writer.drain()
        writer.close()

    return play


async def silent(server: "WyomingTts", writer: asyncio.StreamWriter, pcm: bytes) -> None:
    """Say nothing, and stay."""


@dataclass
class WyomingTts:
    """The server. Each text is answered by the next of ``faults``, then as it should be."""

    info: Json = field(default_factory=lambda: INFO)
    write: Callable[..., bytes] = event
    faults: deque[Fault] = field(default_factory=deque)
    asked: list[Json] = field(default_factory=list)
    port: int = 0
    open: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    async def idle(self) -> None:
        """Wait until no client is connected."""
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: self.open == 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while line := await reader.readline():
                    head = json.loads(line)
                    data = head.get("data", {}) | json.loads(
                        await reader.readexactly(head.get("data_length", 0)) or b"{}"
                    )
                    await self._answer(head["type"], data, writer)
                    await writer.drain()
        finally:
            writer.close()
            self.open -= 1
            async with self._changed:
                self._changed.notify_all()

    async def _answer(self, kind: str, data: Json, writer: asyncio.StreamWriter) -> None:
        if kind == "describe":
            writer.write(self.write("info", self.info))
        if kind != "synthesize":
            return
        self.asked.append(data)
        pcm = sound_of(data["text"], RATE_HZ, (data.get("voice") or {}).get("name", ""))
        if self.faults:
            await self.faults.popleft()(self, writer, pcm)
            return
        writer.write(self.write("audio-start", form()))
        for at in range(0, len(pcm), CHUNK_BYTES):
            writer.write(self.write("audio-chunk", form(), pcm[at : at + CHUNK_BYTES]))
            await writer.drain()
        writer.write(self.write("audio-stop", {"timestamp": 0}))


@contextlib.asynccontextmanager
async def wyoming_tts() -> AsyncIterator[WyomingTts]:
    """Serve on loopback."""
    server = WyomingTts()
    serving: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve(reader, writer)
        serving.discard(task)

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await listening.wait_closed()
