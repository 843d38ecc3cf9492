"""A fake of ElevenLabs' ``stream-input`` WebSocket."""

import asyncio
import base64
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.servers.voices import KEY, PIECES, sound_of

PATIENCE_S = 5.0
_PATH = re.compile(r"/v1/text-to-speech/([^/]+)/stream-input")

Fault = Callable[["Peer", bytes], Awaitable[None]]


@dataclass
class Peer:
    """One client's socket."""

    socket: ServerConnection
    voice: str
    query: dict[str, str]
    frames: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rate_hz(self) -> int:
        return int(self.query["output_format"].removeprefix("pcm_"))

    async def say(self, frame: dict[str, Any]) -> None:
        await self.socket.send(json.dumps(frame))

    async def sound(self, pcm: bytes) -> None:
        """Send ``pcm`` in pieces that cut samples in two."""
        at = turn = 0
        while at < len(pcm):
            part = pcm[at : at + PIECES[turn % len(PIECES)]]
            audio = base64.b64encode(part).decode()
            await self.say({"audio": audio, "isFinal": None, "normalizedAlignment": None, "alignment": None})
            at, turn = at + len(part), turn + 1

    async def finish(self) -> None:
        await self.say({"audio": None, "isFinal": True, "normalizedAlignment": None, "alignment": None})
        await self.socket.close(1000)


def complaint(error: str, message: str = "no", *, close: int = 1008, reason: str = "") -> Fault:
    """Complain, and hang up."""

    async def play(peer: Peer, pcm: bytes) -> None:
        await peer.say({"message": message, "error": error, "code": close})
        await peer.socket.close(close, reason)

    return play


def hang_up(*, after_bytes: int = 0, code: int = 1011, reason: str = "") -> Fault:
    """Hang up after some of the sound, without a last word."""

    async def play(peer: Peer, pcm: bytes) -> None:
        await peer.sound(pcm[:after_bytes])
        await peer.socket.close(code, reason)

    return play


def cut(*, after_bytes: int = 0) -> Fault:
    """Break the connection after some of the sound."""

    async def play(peer: Peer, pcm: bytes) -> None:
        await peer.sound(pcm[:after_bytes])
        peer.socket.transport.abort()

    return play


def say(text: str) -> Fault:
    """Send data that is not a frame."""

    async def play(peer: Peer, pcm: bytes) -> None:
        await peer.socket.send(text)

    return play


async def mute(peer: Peer, pcm: bytes) -> None:
    """Finish without a sound."""
    await peer.finish()


async def silent(peer: Peer, pcm: bytes) -> None:
    """Say nothing, and stay."""
    await peer.socket.wait_closed()


class StreamInput:
    """The server. Each text is answered by the next of ``faults``, then as it should be.

    ``refuse_by_http``: a wrong key gets an HTTP error; else it is reported in a frame.
    """

    def __init__(self) -> None:
        self.faults: deque[Fault] = deque()
        self.peers: list[Peer] = []
        self.violations: list[str] = []
        self.refuse_by_http = False
        self.port = 0
        self.open = 0
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is looked at after every frame, opening and closing."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(condition)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.refuse_by_http and request.headers.get("xi-api-key") != KEY:
            body = {"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}
            return connection.respond(HTTPStatus.UNAUTHORIZED, json.dumps(body))
        return None

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        parts = urlsplit(socket.request.path)
        found = _PATH.fullmatch(parts.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        peer = Peer(socket, unquote(found[1]) if found else "", query)
        self.peers.append(peer)
        self.open += 1
        await self._note()
        try:
            await self._talk(peer, known=socket.request.headers.get("xi-api-key") == KEY)
        except ConnectionClosed:
            pass
        finally:
            self.open -= 1
            await self._note()

    async def _talk(self, peer: Peer, *, known: bool) -> None:
        text = ""
        async for message in peer.socket:
            frame = json.loads(message)
            peer.frames.append(frame)
            await self._note()
            if not known and frame.get("xi-api-key") != KEY:
                await complaint("invalid_api_key", "Invalid API key")(peer, b"")
                return
            if len(peer.frames) == 1:
                self._need(frame["text"] == " ", "the first text is a space")
            elif frame["text"] == "":
                break
            else:
                self._need(frame["text"].endswith(" "), "every text ends with a space")
                text += frame["text"]
        else:
            return
        pcm = sound_of(text.strip(), peer.rate_hz, peer.voice)
        if self.faults:
            await self.faults.popleft()(peer, pcm)
        else:
            await peer.sound(pcm)
            await peer.finish()
        await peer.socket.wait_closed()

    def _need(self, condition: bool, why: str) -> None:
        if not condition:
            self.violations.append(why)

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def stream_input() -> AsyncIterator[StreamInput]:
    """Run a server on a free port of loopback."""
    server = StreamInput()
    listening = await serve(
        server.serve,
        "127.0.0.1",
        0,
        process_request=server.answer,
        compression=None,
        ping_interval=None,
        close_timeout=0.2,
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        for peer in server.peers:
            peer.socket.transport.abort()
        listening.close()
        await listening.wait_closed()
