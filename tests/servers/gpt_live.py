"""A fake GPT-Live server: hears all the time, speaks when a test says so, and bills by the second."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request

PATIENCE_S = 5.0

Frame = dict[str, Any]


class LiveServer:
    """The server; ``frames`` is what the client sent, ``sent`` what it received."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.sent: list[Frame] = []
        self.requests: list[Request] = []
        self.port = 0
        self.socket: ServerConnection | None = None
        self._session: Frame = {}
        self._changed = asyncio.Condition()
        self._number = itertools.count(1)

    @property
    def base_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1"

    def of_type(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == kind]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(condition)

    async def say(self, kind: str, **fields: Any) -> None:
        frame = {"type": kind, "event_id": f"event_{next(self._number)}", **fields}
        self.sent.append(frame)
        assert self.socket is not None
        await self.socket.send(json.dumps(frame))

    async def speak(self, text: str, pcm: bytes) -> None:
        """Speak: words and sound, interleaved and without an end."""
        for start_ms, word in enumerate(text.split(" ")):
            span = {"start_ms": start_ms * 100, "end_ms": start_ms * 100 + 100}
            await self.say("session.output_transcript.delta", delta=f"{word} ", **span)
            await self.sound(pcm)

    async def sound(self, pcm: bytes) -> None:
        frame = {"type": "session.output_audio.delta", "delta": base64.b64encode(pcm).decode()}
        self.sent.append(frame)
        assert self.socket is not None
        await self.socket.send(json.dumps(frame))

    async def heard(self, text: str) -> None:
        await self.say("session.input_transcript.delta", delta=text, start_ms=0, end_ms=100)

    async def end(self, reason: str) -> None:
        usage = {"seconds": 6.0}
        await self.say("session.closed", reason=reason, session=self._session, usage=usage)

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.requests.append(socket.request)
        self.socket = socket
        try:
            async for text in socket:
                frame = json.loads(text)
                self.frames.append(frame)
                if frame["type"] == "session.start":
                    named = {"id": "live_1", "expires_at": 1_800_000_000, "status": "active"}
                    self._session = {**frame["session"], **named}
                    await self.say("session.started", session=self._session)
                elif frame["type"] == "session.close":
                    await self.end("close_requested")
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionClosed:
            return


@asynccontextmanager
async def live_server() -> AsyncIterator[LiveServer]:
    """Run a server on a free port of loopback."""
    server = LiveServer()
    listening = await serve(
        server.serve, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=0.2
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        if server.socket is not None:
            server.socket.transport.abort()
        listening.close()
        await listening.wait_closed()
