"""A scripted Gemini Live on a real socket of the loopback: strict about what it is sent, with faults to play.

`tests/conformance/test_gemini_live.py` lets the vendor's own client judge it. What it refuses with 1007 is
what the vendor refuses; every refusal is also kept in `violations`, so that a test sees it.
"""

import asyncio
import base64
import contextlib
import json
from collections import deque
from collections.abc import Iterable
from http import HTTPStatus
from typing import Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.servers.gemini_served import Served, camel
from tests.servers.gemini_steps import (
    TURN_COMPLETE,
    Break,
    Close,
    Message,
    Raw,
    Step,
    ToolResults,
    Until,
    content,
    speech,
)

PATH = "/ws/google.ai.generativelanguage.v1.GenerativeService.BidiGenerateContent"
KEY = "a-good-key"
TASK = "gemini live fake"
"""The name of every task of the server."""

INVALID = (1007, "Request contains an invalid argument.")
BAD_KEY = (1007, "API key not valid. Please pass a valid API key.")
DEADLINE = (1011, "Deadline expired before operation could complete.")
QUOTA = (1011, "You exceeded your current quota, please check your plan and billing details.")


class GeminiLive:
    """The server. `replies` are the answers to come, one for each time it is asked; then it says "ok".

    What is typed and found in `answers` is answered with that.
    """

    def __init__(self, *replies: Iterable[Step], key: str = KEY) -> None:
        self.replies: deque[tuple[Step, ...]] = deque(tuple(reply) for reply in replies)
        self.answers: dict[str, tuple[Step, ...]] = {}
        self.connections: list[Served] = []
        self.violations: list[str] = []
        self.handles: set[str] = set()
        self.http: tuple[int, dict[str, str], bytes] | None = None
        self.greeting: tuple[Step, ...] = ({"setupComplete": {}},)
        self.resumable = True
        self.binary = True
        self._key = key
        self._connected = asyncio.Condition()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve, "127.0.0.1", 0, process_request=self._refuse, ping_interval=None, max_size=None
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        for served in self.connections:
            served.socket.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """What a client takes for the vendor's host."""
        assert self._server is not None
        return f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    @property
    def received(self) -> list[Message]:
        """Everything that came, over all connections."""
        return [message for served in self.connections for message in served.received]

    async def connection(self, number: int = 1) -> Served:
        """Wait for connection ``number``, the first is 1."""
        async with asyncio.timeout(5), self._connected:
            await self._connected.wait_for(lambda: len(self.connections) >= number)
        return self.connections[number - 1]

    def _refuse(self, socket: ServerConnection, request: Request) -> Response | None:
        _name_task()
        if self.http is None:
            return None
        status, headers, body = self.http
        response = socket.respond(HTTPStatus(status), "")
        for name in ("Content-Length", "Content-Type"):
            del response.headers[name]
        response.headers.update({"Content-Length": str(len(body)), **headers})
        return Response(status, response.reason_phrase, response.headers, body)

    async def _serve(self, socket: ServerConnection) -> None:
        _name_task()
        assert socket.request is not None
        served = Served(socket, dict(socket.request.headers.raw_items()), socket.request.path)
        served.binary = self.binary
        async with self._connected:
            self.connections.append(served)
            self._connected.notify_all()
        try:
            await _Talk(self, served).run(self._key)
        except ConnectionClosed:
            pass
        finally:
            served.closed.set()


class _Talk:
    """One connection's protocol."""

    def __init__(self, house: GeminiLive, served: Served) -> None:
        self._house = house
        self._served = served
        self._greeting: asyncio.Task[None] | None = None
        self._reply: asyncio.Task[None] | None = None
        self._typed = ""
        self._seeding = False
        self._manual = False
        self._active = False

    async def run(self, key: str) -> None:
        served = self._served
        query = parse_qs(urlsplit(served.path).query)
        given = {name.lower(): value for name, value in served.headers.items()}.get("x-goog-api-key")
        if (given or query.get("key", [""])[0]) != key:
            await self._note(camel(json.loads(await served.socket.recv())))
            await served.socket.close(*BAD_KEY)
            return
        try:
            async for frame in served.socket:
                message = camel(json.loads(frame))
                await self._note(message)
                if not await self._take(message):
                    return
        finally:
            await self._stop()
            if self._greeting is not None:
                self._greeting.cancel()
                await asyncio.gather(self._greeting, return_exceptions=True)

    async def _note(self, message: Message) -> None:
        async with self._served.arrived:
            self._served.received.append(message)
            self._served.arrived.notify_all()

    async def _take(self, message: Message) -> bool:
        [(kind, body)] = message.items()
        first = len(self._served.received) == 1
        if first != (kind == "setup"):
            return await self._invalid("setup must come first, and once")
        match kind:
            case "setup":
                return await self._begin(body)
            case "clientContent":
                return await self._content(body)
            case "realtimeInput":
                return await self._input(body)
            case "toolResponse":
                return await self._tool_results(body)
        return await self._invalid(f"unknown message {kind}")

    async def _begin(self, setup: Message) -> bool:
        handle = (setup.get("sessionResumption") or {}).get("handle")
        if handle is not None and handle not in self._house.handles:
            await self._served.socket.close(*INVALID)
            return False
        detection = (setup.get("realtimeInputConfig") or {}).get("automaticActivityDetection") or {}
        self._manual = bool(detection.get("disabled"))
        self._seeding = bool((setup.get("historyConfig") or {}).get("initialHistoryInClientContent"))
        self._greeting = asyncio.create_task(self._play(self._house.greeting), name=TASK)
        return True

    async def _content(self, body: Message) -> bool:
        complete = body.get("turnComplete", False)
        if any(turn.get("role") not in ("user", "model") for turn in body.get("turns") or ()):
            return await self._invalid("a turn without a role")
        if self._seeding:
            self._seeding = not complete
            return True
        if "gemini-3.8" not in self._served.setup["model"]:
            return await self._invalid("this model takes content only as initial history")
        await self._interrupt()
        if complete:
            self._answer("".join(part["text"] for turn in body["turns"][-1:] for part in turn["parts"]))
        return True

    async def _input(self, body: Message) -> bool:
        if self._seeding:
            return await self._invalid("input before the initial history was complete")
        if body.keys() & {"activityStart", "activityEnd"} and not self._manual:
            return await self._invalid("activity signals need the automatic detection disabled")
        if "audioStreamEnd" in body and self._manual:
            return await self._invalid("the end of a stream is for automatic detection")
        if "activityStart" in body or ("text" in body and not self._manual):
            await self._interrupt()
        if "audio" in body and not await self._audio(body["audio"]):
            return False
        self._typed = body.get("text", self._typed)
        self._active = "activityEnd" not in body and (self._active or "activityStart" in body)
        if body.keys() & {"activityEnd", "audioStreamEnd"} or ("text" in body and not self._manual):
            self._answer(self._typed)
            self._typed = ""
        return True

    async def _audio(self, blob: Message) -> bool:
        if blob.get("mimeType") != "audio/pcm;rate=16000":
            return await self._invalid(f"sound of type {blob.get('mimeType')}")
        if self._manual and not self._active:
            return await self._invalid("sound outside an activity")
        self._served.sound += base64.b64decode(blob["data"])
        return True

    async def _tool_results(self, body: Message) -> bool:
        for response in body.get("functionResponses", ()):
            if response.get("id") not in self._served.open_calls:
                return await self._invalid(f"no call {response.get('id')} is open")
            self._served.open_calls.discard(response["id"])
        async with self._served.arrived:
            self._served.arrived.notify_all()
        return True

    async def _invalid(self, why: str) -> bool:
        self._house.violations.append(why)
        await self._served.socket.close(*INVALID)
        return False

    def _answer(self, typed: str) -> None:
        house = self._house
        reply = house.answers.get(typed) or (house.replies.popleft() if house.replies else speech("ok"))
        self._reply = asyncio.create_task(self._play(reply), name=TASK)

    async def _interrupt(self) -> None:
        if self._reply is not None and not self._reply.done():
            await self._stop()
            if self._served.open_calls:
                await self._served.send({"toolCallCancellation": {"ids": sorted(self._served.open_calls)}})
                self._served.open_calls.clear()
            await self._served.send(content(interrupted=True))
            await self._served.send(TURN_COMPLETE)

    async def _stop(self) -> None:
        if self._reply is not None:
            self._reply.cancel()
            await asyncio.gather(self._reply, return_exceptions=True)
            self._reply = None

    async def _play(self, reply: Iterable[Step]) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._steps(reply)

    async def _steps(self, reply: Iterable[Step]) -> None:
        served = self._served
        for step in reply:
            match step:
                case Close(code, reason):
                    await served.socket.close(code, reason)
                case Raw(frame):
                    await served.socket.send(frame)
                case Until(event):
                    await event.wait()
                case Break():
                    served.socket.transport.abort()
                case ToolResults():
                    async with served.arrived:
                        await served.arrived.wait_for(lambda: not served.open_calls)
                case _:
                    for each in step.get("toolCall", {}).get("functionCalls", ()):
                        served.open_calls.add(each["id"])
                    await served.send(step)
        if self._house.resumable and "sessionResumption" in served.setup:
            handle = f"handle-{len(self._house.handles) + 1}"
            self._house.handles.add(handle)
            await served.send({"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}})


def _name_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.set_name(TASK)
