"""A fake vendor of a language model: it plays scripted replies and faults over HTTP, in its own dialect.

A dialect (chat.py, anthropic.py, ...) turns a `Reply` into the vendor's events, and refuses the requests the
vendor would refuse. This file does the rest: order, faults of the stream, waiting on command.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.servers.plain_http import Asked, Plain, head, plain_http

KEY = "sk-test-0123456789abcdef"
PATIENCE_S = 5.0

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A call of a tool; ``arguments`` is JSON, and comes in two pieces where the vendor streams it."""

    name: str = "set_timer"
    arguments: str = '{"seconds": 5}'
    id: str = "call_1"

    @property
    def halves(self) -> tuple[str, str]:
        middle = len(self.arguments) // 2
        return self.arguments[:middle], self.arguments[middle:]


@dataclass(frozen=True)
class Used:
    """What an answer used; ``cached`` and ``written`` are parts of ``read``."""

    read: int = 120
    cached: int = 40
    written: int = 0
    said: int = 17


@dataclass(frozen=True)
class Reply:
    """One answer. ``end``: "stop", "length", "refusal" (``text`` is the refusal), or as the vendor says it.

    ``hold_after`` pieces the server waits for `Scripted.go`. ``fault`` plays after the text:

    - "error": the vendor's complaint ``complaint`` in the middle of the stream
    - "cut": the connection is reset; "quiet": it ends as if complete, without the last events
    - "garbage": an event that is not JSON; "odd": one that is JSON of a wrong shape; "half": half an event
    """

    text: tuple[str, ...] = ("Hello", " there", ".")
    calls: tuple[Call, ...] = ()
    end: str = "stop"
    used: Used = Used()
    thoughts: str = ""
    hold_after: int | None = None
    fault: str = ""
    complaint: Json = field(default_factory=lambda: {"type": "server_error", "message": "boom"})


@dataclass(frozen=True)
class Refusal:
    """An HTTP status other than 200."""

    status: int
    body: Json | str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bytes:
    """A body as it is."""

    body: bytes
    content_type: str
    status: int = 200


class Dialect(Protocol):
    """How one vendor speaks."""

    content_type: str
    paths: tuple[str, ...]
    """Where it is asked; a body at the first of them is checked and recorded."""

    def refuse(self, asked: Asked, body: Json) -> Refusal | None:
        """Return why the vendor would not take a request."""
        ...

    def other(self, asked: Asked) -> Json | None:
        """Return the answer to a request that asks no model."""
        ...

    def begin(self, reply: Reply, body: Json) -> list[Json]: ...

    def piece(self, reply: Reply, number: int) -> Json: ...

    def end(self, reply: Reply) -> list[Json | str]:
        """Return the calls and the last events; a str is sent as it is."""
        ...

    def complain(self, complaint: Json) -> Json: ...

    def encode(self, event: Json | str) -> bytes: ...


class Scripted:
    """The server; the last of ``script`` is played for ever."""

    def __init__(self, dialect: Dialect, script: Sequence[Reply | Refusal | Bytes]) -> None:
        self.dialect = dialect
        self.script = list(script) or [Reply()]
        self.plain = Plain()
        self.bodies: list[Json] = []
        self.sent: list[Json] = []
        self.held = asyncio.Event()
        self.newline = b"\n"
        self.noise: tuple[bytes, ...] = ()
        self.byte_by_byte = False
        self._go = asyncio.Event()

    @property
    def url(self) -> str:
        return self.plain.url

    @property
    def asked(self) -> Asked:
        """The newest request."""
        return self.plain.requests[-1]

    def go(self) -> None:
        """Let a held answer go on."""
        self._go.set()

    async def play(self, writer: asyncio.StreamWriter) -> None:
        asked = self.asked
        path = asked.target.partition("?")[0]
        if path not in self.dialect.paths or asked.method != "POST":
            other = self.dialect.other(asked)
            said = (
                other
                if other is not None
                else {"error": {"message": f"no {path}", "type": "not_found_error"}}
            )
            _whole(writer, json.dumps(said).encode(), "application/json", 404 if other is None else 200)
            return
        body = json.loads(asked.body)
        self.bodies.append(body)
        refusal = self.dialect.refuse(asked, body)
        step = refusal or (self.script.pop(0) if len(self.script) > 1 else self.script[0])
        if isinstance(step, Refusal):
            text = step.body if isinstance(step.body, str) else json.dumps(step.body)
            _whole(writer, text.encode(), "application/json", step.status, step.headers)
        elif isinstance(step, Bytes):
            _whole(writer, step.body, step.content_type, step.status)
        else:
            await self._answer(writer, step, body)

    async def _answer(self, writer: asyncio.StreamWriter, reply: Reply, body: Json) -> None:
        writer.write(head(200, self.dialect.content_type, {"Transfer-Encoding": "chunked"}))
        await self._say(writer, self.dialect.begin(reply, body))
        for number in range(len(reply.text)):
            if number == reply.hold_after:
                await self._hold(writer)
            await self._say(writer, [self.dialect.piece(reply, number)])
        if reply.fault:
            await self._fail(writer, reply)
            return
        await self._say(writer, self.dialect.end(reply))
        _end(writer)

    async def _fail(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        match reply.fault:
            case "error":
                await self._say(writer, [self.dialect.complain(reply.complaint)])
                _end(writer)
            case "cut":
                await writer.drain()
                writer.transport.abort()
            case "quiet":
                _end(writer)
            case "garbage":
                _chunk(writer, self.dialect.encode('{"choices": [{"del'))
                _end(writer)
            case "odd":
                _chunk(writer, self.dialect.encode('["x", 5, null]'))
                _end(writer)
            case "half":
                _chunk(writer, self.dialect.encode(self.dialect.piece(reply, 0))[:-9])
                _end(writer)
            case fault:
                raise AssertionError(f"there is no fault {fault}")

    async def _hold(self, writer: asyncio.StreamWriter) -> None:
        """Wait for `go`, or for the end of the test."""
        await writer.drain()
        self.held.set()
        going = asyncio.ensure_future(self._go.wait())
        leaving = asyncio.ensure_future(writer.wait_closed())
        await asyncio.wait({going, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (going, leaving):
            waiting.cancel()
        await asyncio.gather(going, leaving, return_exceptions=True)

    async def _say(self, writer: asyncio.StreamWriter, events: Iterable[Json | str]) -> None:
        for event in events:
            if isinstance(event, dict):
                self.sent.append(event)
            data = b"".join(self.noise) + self.dialect.encode(event)
            data = data.replace(b"\n", self.newline)
            for piece in [data[at : at + 1] for at in range(len(data))] if self.byte_by_byte else [data]:
                _chunk(writer, piece)
            await writer.drain()


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:  # An empty chunk would be the end.
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))


def _end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"0\r\n\r\n")


def _whole(
    writer: asyncio.StreamWriter, body: bytes, kind: str, status: int, headers: dict[str, str] | None = None
) -> None:
    writer.write(head(status, kind, {**(headers or {}), "Content-Length": str(len(body))}) + body)


def sse(event: Json | str, *, named: bool = False) -> bytes:
    """Return ``event`` as a server-sent event."""
    if isinstance(event, str):
        return f"data: {event}\n\n".encode()
    name = f"event: {event['type']}\n" if named else ""
    return f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


@contextlib.asynccontextmanager
async def scripted(dialect: Dialect, *script: Reply | Refusal | Bytes) -> AsyncIterator[Scripted]:
    """Run a server of ``dialect`` on a free port of loopback."""
    server = Scripted(dialect, script)
    async with plain_http(server.play) as plain:
        server.plain = plain
        yield server
