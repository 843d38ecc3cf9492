"""A scripted Wyoming server on a real socket of the loopback, which understands the sound it is sent.

It is written from the description of the protocol; `tests/conformance/test_wyoming_asr.py` lets the package
`wyoming` judge it.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tests.servers.words import Recogniser, text_of

Json = dict[str, Any]
ATTRIBUTION = {"name": "somebody", "url": "https://example.com"}
INFO: Json = {
    "asr": [
        {
            "name": "ears",
            "attribution": ATTRIBUTION,
            "installed": True,
            "description": "Ears",
            "version": "1",
            "models": [
                {
                    "name": "tiny",
                    "attribution": ATTRIBUTION,
                    "installed": True,
                    "description": None,
                    "version": None,
                    "languages": ["en"],
                }
            ],
            "supports_transcript_streaming": True,
        }
    ]
}


@dataclass
class WyomingAsr:
    """The server.

    ``inline``: data in the first line of an event, as older servers write it. ``streaming``: words as they
    are understood. ``raw`` is sent in place of the transcript, ``early`` after the first sound; ``mute``
    answers nothing; then, with ``hang_up``, the connection is over.
    """

    info: Json = field(default_factory=lambda: INFO)
    inline: bool = False
    streaming: bool = False
    raw: bytes | None = None
    early: bytes | None = None
    mute: bool = False
    hang_up: bool = False
    port: int = 0
    events: list[tuple[str, Json]] = field(default_factory=list)
    sound: bytearray = field(default_factory=bytearray)
    connections: int = 0
    serving: set["asyncio.Task[Any]"] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def data(self, kind: str) -> list[Json]:
        """Return the data of every event of ``kind`` that came."""
        return [data for each, data in self.events if each == kind]

    def encoded(self, kind: str, data: Json | None = None) -> bytes:
        """Return an event as it is sent."""
        if self.inline or not data:
            return json.dumps({"type": kind, "data": data or {}}).encode() + b"\n"
        body = json.dumps(data, ensure_ascii=False).encode()
        return (
            json.dumps({"type": kind, "version": "1.10.2", "data_length": len(body)}).encode() + b"\n" + body
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        ear = Recogniser()
        while True:
            event = await _read(reader)
            if event is None:
                return
            kind, data, payload = event
            self.events.append((kind, data))
            known = len(ear.words)
            answer = b""
            if kind == "describe":
                answer = self.encoded("info", self.info)
            elif kind == "audio-chunk":
                assert (data["rate"], data["width"], data["channels"]) == (16_000, 2, 1)
                self.sound += payload
                ear.feed(payload)
                answer = self.early or b""
                if self.streaming:
                    answer += self._words(known, ear)
            elif kind == "audio-stop":
                ear.finish()
                answer = self._words(known, ear) if self.streaming else b""
                answer += self.encoded("transcript-stop") if self.streaming else b""
                final = self.encoded("transcript", {"text": f" {text_of(ear.words)}", "language": "en"})
                answer += final if self.raw is None else self.raw
            writer.write(b"" if self.mute else answer)
            await writer.drain()
            if self.hang_up and kind in {"audio-stop", "describe"}:
                return

    def _words(self, known: int, ear: Recogniser) -> bytes:
        begin = self.encoded("transcript-start", {"language": "en"}) if known == 0 and ear.words else b""
        chunks = [
            self.encoded("transcript-chunk", {"text": f"{' ' if known + number else ''}{word.text}"})
            for number, word in enumerate(ear.words[known:])
        ]
        return begin + b"".join(chunks)


async def _read(reader: asyncio.StreamReader) -> tuple[str, Json, bytes] | None:
    line = await reader.readline()
    if not line:
        return None
    head = json.loads(line)
    data = head.get("data") or {}
    if head.get("data_length"):
        data |= json.loads(await reader.readexactly(head["data_length"]))
    return head["type"], data, await reader.readexactly(head.get("payload_length") or 0)


@contextlib.asynccontextmanager
async def wyoming_asr(**how: Any) -> AsyncIterator[WyomingAsr]:
    """Serve on loopback."""
    house = WyomingAsr(**how)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        house.serving.add(task)
        try:
            with contextlib.suppress(OSError, EOFError):
                await house.serve(reader, writer)
        finally:
            house.serving.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    house.port = server.sockets[0].getsockname()[1]
    try:
        yield house
    finally:
        server.close()
        for task in house.serving:
            task.cancel()
        await asyncio.gather(*house.serving, return_exceptions=True)
        await server.wait_closed()
