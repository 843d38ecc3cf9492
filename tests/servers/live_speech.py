"""What the fakes of live transcription share: a WebSocket on loopback, faults by script, and records.

A vendor's own file defines its messages. What is understood follows from the samples that came.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.servers.words import Recogniser, Word, text_of

PATIENCE_S = 5.0
KEY = "live-key-0123456789"
TASK = "fake live vendor"
"""The name of every task of a server."""

Message = str | bytes
Frame = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What goes wrong on connection number ``on`` (0 is the first; None: on all), once.

    It happens when ``after_s`` seconds of sound have come, before anything is said of them: ``says`` is sent,
    then the connection is reset (``breaks``), closed with ``closes``, or left open and dead (``freezes``).
    """

    after_s: float = 0.0
    on: int | None = 0
    says: tuple[Message, ...] = ()
    breaks: bool = False
    closes: tuple[int, str] | None = None
    freezes: bool = False


@dataclass(frozen=True)
class Refusal:
    """An HTTP answer instead of a WebSocket, and to any question."""

    status: int
    body: Frame | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Script:
    """How the server behaves.

    ``settles`` words are settled together; ``mute``: it takes everything and says nothing; ``echoes``: so
    often each message is sent; ``hold``: what follows the user's end waits for it; ``silence_s``: who sends
    nothing for so long is sent away.
    """

    faults: Sequence[Fault] = ()
    refusal: Refusal | None = None
    settles: int = 2
    mute: bool = False
    echoes: int = 1
    hold: asyncio.Event | None = None
    silence_s: float | None = None


class Session:
    """One client. A vendor subclasses it: `took` is called for each message that is not sound."""

    rate_hz: ClassVar[int] = 16_000

    def __init__(self, server: "LiveSpeech", socket: ServerConnection, number: int) -> None:
        self.server = server
        self.script = server.script
        self.socket = socket
        self.number = number
        self.recogniser = Recogniser(self.rate_hz)
        self.settled = 0
        self.messages: list[Message] = []
        self.told: list[Message] = []
        self._faults = [each for each in self.script.faults if each.on in (number, None)]

    @property
    def query(self) -> dict[str, list[str]]:
        assert self.socket.request is not None
        return parse_qs(urlsplit(self.socket.request.path).query, keep_blank_values=True)

    @property
    def frames(self) -> list[Frame]:
        """The messages that are JSON."""
        return [json.loads(message) for message in self.messages if isinstance(message, str)]

    @property
    def pending(self) -> list[Word]:
        """The words that are not settled yet."""
        return self.recogniser.words[self.settled :]

    @property
    def pending_text(self) -> str:
        return text_of(self.pending)

    def settle(self) -> list[Word]:
        """Return the words that are settled now."""
        words = self.pending
        self.settled = len(self.recogniser.words)
        return words

    async def greet(self) -> None:
        """Say what is said at the beginning."""

    async def took(self, message: Message) -> None:
        """Do what ``message`` asks."""
        raise NotImplementedError

    async def heard(self) -> None:
        """Say what is understood, after new sound."""
        raise NotImplementedError

    async def starved(self) -> None:
        """The client has sent nothing for too long."""
        raise NotImplementedError

    async def hear(self, pcm: bytes) -> None:
        """Take sound, and say what is understood of it."""
        self.recogniser.feed(pcm)
        await self.play_faults()
        if not self.script.mute:
            await self.heard()

    async def say(self, frame: Frame | Message) -> None:
        if self.script.mute:
            return
        message = json.dumps(frame) if isinstance(frame, dict) else frame
        for _ in range(self.script.echoes):
            self.told.append(message)
            await self.socket.send(message)
        await self.server.note()

    async def end(self) -> None:
        """Close, because everything was said."""
        if not self.script.mute:
            await self.socket.close(1000)

    async def finishing(self) -> None:
        """The user has finished: understand the rest."""
        self.recogniser.finish()
        if self.script.hold is not None:
            async with asyncio.TaskGroup() as waiting:
                held = waiting.create_task(self.script.hold.wait(), name=TASK)
                gone = waiting.create_task(self.socket.wait_closed(), name=TASK)
                await asyncio.wait({held, gone}, return_when=asyncio.FIRST_COMPLETED)
                held.cancel()
                gone.cancel()

    async def play_faults(self) -> None:
        for fault in [each for each in self._faults if self.recogniser.processed_s >= each.after_s]:
            self._faults.remove(fault)
            for message in fault.says:
                await self.socket.send(message)
            if fault.closes:
                await self.socket.close(*fault.closes)
            if fault.breaks:
                self.socket.transport.abort()
            if fault.freezes:
                self.socket.transport.pause_reading()
                await self.socket.wait_closed()
            if fault.closes or fault.breaks:
                raise ConnectionClosed(None, None)

    async def run(self) -> None:
        await self.play_faults()
        await self.greet()
        while True:
            try:
                async with asyncio.timeout(self.script.silence_s):
                    message = await self.socket.recv()
            except TimeoutError:
                await self.starved()
                return
            self.messages.append(message)
            await self.server.note()
            await self.took(message)


class LiveSpeech:
    """A server of one vendor; `sessions` are all it ever had, the oldest first."""

    session: ClassVar[type[Session]] = Session
    path: ClassVar[str] = ""
    questions: ClassVar[Mapping[str, Frame]] = {}
    """What is answered to a question by HTTP, by its path."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.sessions: list[Session] = []
        self.requests: list[Request] = []
        self.open = 0
        self.port = 0
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def last(self) -> Session:
        """The newest session."""
        return self.sessions[-1]

    def knows(self, request: Request) -> bool:
        """Whether the key of ``request`` is right, and where it has to be."""
        raise NotImplementedError

    def unknown(self) -> Refusal:
        """What a wrong key is answered with."""
        raise NotImplementedError

    def invalid(self, query: Mapping[str, list[str]]) -> Refusal | None:
        """What a query is answered with that is not allowed."""
        return None

    def refuse_all(self) -> None:
        """From now on every connection is refused."""
        self.script.refusal = Refusal(503)

    async def note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is looked at after every message, opening and closing."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(condition)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer plain HTTP requests, and refuse WebSockets by script."""
        self.requests.append(request)
        task = asyncio.current_task()
        if task is not None:
            task.set_name(TASK)
        parts = urlsplit(request.path)
        refusal = self.script.refusal
        if refusal is None and not self.knows(request):
            refusal = self.unknown()
        if refusal is None and parts.path in self.questions:
            refusal = Refusal(200, dict(self.questions[parts.path]))
        if refusal is None and parts.path != self.path:
            refusal = Refusal(404)
        refusal = refusal or self.invalid(parse_qs(parts.query, keep_blank_values=True))
        if refusal is None:
            return None
        body = refusal.body if isinstance(refusal.body, str) else json.dumps(refusal.body)
        response = connection.respond(HTTPStatus(refusal.status), body)
        for name, value in refusal.headers.items():
            response.headers[name] = value
        return response

    async def serve(self, socket: ServerConnection) -> None:
        """Play one session."""
        session = self.session(self, socket, len(self.sessions))
        self.sessions.append(session)
        self.open += 1
        try:
            await session.run()
        except ConnectionClosed:
            pass
        finally:
            self.open -= 1
            await self.note()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["LiveSpeech"]:
        """Serve on a free port of loopback."""
        # Without a limit to the queue a close is read even when much sound waits before it.
        async with serve(
            self.serve,
            "127.0.0.1",
            0,
            process_request=self.answer,
            ping_interval=None,
            max_size=None,
            max_queue=None,
        ) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            try:
                yield self
            finally:
                for session in self.sessions:
                    session.socket.transport.abort()
