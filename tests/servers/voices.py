"""What the fakes of text to speech over HTTP share: what a text sounds like, keys, refusals and faults."""

import asyncio
import contextlib
import json
import math
import struct
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qs, urlsplit

from tests.servers.plain_http import Asked, Plain, Play, head, plain_http, raw, reply

KEY = "sk-voice-0123456789abcdef"
PIECES = (1, 7, 333, 2, 4096)
"""How many bytes come at once, again and again: most cut a sample in two."""

MS_PER_CHAR = 10


def sound_of(text: str, rate_hz: int, salt: object = "") -> bytes:
    """Return what ``text`` sounds like: another tone for another text, and for another ``salt``."""
    hz = 150 + zlib.crc32(f"{salt}|{text}".encode()) % 800
    count = max(len(text), 3) * MS_PER_CHAR * rate_hz // 1000
    tone = (int(9000 * math.sin(math.tau * hz * n / rate_hz)) for n in range(count))
    return struct.pack(f"<{count}h", *tone)


def wav_of(pcm: bytes, rate_hz: int) -> bytes:
    """Return a WAV file as it is streamed when its length is unknown."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)
    return b"RIFF\xff\xff\xff\xffWAVE" + form + b"data\xff\xff\xff\xff" + pcm


def streamed(body: bytes, headers: dict[str, str] | None = None, *, content_type: str = "audio/pcm") -> Play:
    """Answer with ``body`` in `PIECES`."""
    return _streamed(body, headers, content_type, broken=False)


def broken(body: bytes, headers: dict[str, str] | None = None, *, content_type: str = "audio/pcm") -> Play:
    """Answer with ``body`` in `PIECES`, and hang up where more should come."""
    return _streamed(body, headers, content_type, broken=True)


def stalled(body: bytes) -> Play:
    """Answer with ``body``, and then nothing, for ever."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "audio/pcm", {"Transfer-Encoding": "chunked"}))
        if body:
            writer.write(b"%x\r\n%b\r\n" % (len(body), body))
        await writer.drain()

    return play


def garbled() -> Play:
    """Answer with data that is not an HTTP body."""
    return raw(head(200, "audio/pcm", {"Transfer-Encoding": "chunked"}) + b"what?\r\n")


def _streamed(body: bytes, headers: dict[str, str] | None, content_type: str, *, broken: bool) -> Play:
    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, content_type, {**(headers or {}), "Transfer-Encoding": "chunked"}))
        at = turn = 0
        while at < len(body):
            part = body[at : at + PIECES[turn % len(PIECES)]]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
            at, turn = at + len(part), turn + 1
        if broken:
            writer.close()
        else:
            writer.write(b"0\r\n\r\n")

    return play


def told(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Play:
    """Answer with ``body`` as JSON."""
    return reply(json.dumps(body).encode(), status=status, content_type="application/json", headers=headers)


class Voice:
    """A vendor. Each synthesis request is answered by the next of ``faults``, then as it should be.

    A request that breaks its rules is refused, and its reason kept in ``violations``.
    """

    speak_path: ClassVar[str]
    check_path: ClassVar[str]

    def __init__(self, plain: Plain) -> None:
        self.plain = plain
        self.faults: deque[Play] = deque()
        self.violations: list[str] = []

    @property
    def url(self) -> str:
        return self.plain.url

    @property
    def spoken(self) -> list[Asked]:
        """The requests to speak, the oldest first."""
        return [asked for asked in self.plain.requests if self.is_speech(asked)]

    def bodies(self) -> list[Any]:
        return [json.loads(asked.body) for asked in self.spoken]

    def is_speech(self, asked: Asked) -> bool:
        return asked.method == "POST" and urlsplit(asked.target).path.startswith(self.speak_path)

    def knows(self, asked: Asked) -> bool:
        """Whether the key is right."""
        raise NotImplementedError

    def unknown(self) -> Play:
        """Refuse a wrong key."""
        raise NotImplementedError

    def speak(self, asked: Asked) -> Play:
        """Answer a request to speak. Raises `ValueError` when it breaks a rule."""
        raise NotImplementedError

    def state(self) -> Play:
        """Answer the question that costs nothing."""
        raise NotImplementedError

    def wrong(self, why: str) -> Play:
        return told({"error": {"message": why}}, 400)

    async def play(self, writer: asyncio.StreamWriter) -> None:
        await self.answer(self.plain.requests[-1])(writer)

    def answer(self, asked: Asked) -> Play:
        if not self.knows(asked):
            return self.unknown()
        if asked.method == "GET" and urlsplit(asked.target).path.startswith(self.check_path):
            return self.state()
        if not self.is_speech(asked):
            return told({"error": {"message": f"no such path: {asked.target}"}}, 404)
        if self.faults:
            return self.faults.popleft()
        try:
            return self.speak(asked)
        except (ValueError, KeyError) as error:
            self.violations.append(repr(error))
            return self.wrong(repr(error))


V = TypeVar("V", bound=Voice)


@contextlib.asynccontextmanager
async def served(vendor: Callable[[Plain], V]) -> AsyncIterator[V]:
    """Run a vendor on a free port of loopback."""
    async with plain_http() as plain:
        voice = vendor(plain)
        plain.script(voice.play)
        yield voice


def need(condition: object, why: str) -> None:
    """Raise `ValueError` unless ``condition``: the vendor would refuse that."""
    if not condition:
        raise ValueError(why)


def query_of(asked: Asked) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(asked.target).query).items()}
