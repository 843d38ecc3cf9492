"""A fake OpenAI Realtime server: plays scripted replies and faults on a real WebSocket on loopback.

It speaks the GA protocol strictly enough for the vendor's own client to complete a session with it
(tests/conformance), keeps the rules a client depends on (one response at a time, no commit of less than
100 ms, no truncation behind the end), and records every frame it was sent.
"""

import asyncio
import base64
import itertools
import json
import math
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.servers.dripping import drip

RATE_HZ = 24_000
BYTES_PER_MS = 48
PATIENCE_S = 5.0
KEY = "sk-right"
TASK = "fake vendor"
"""The name of every task of the server."""

Frame = dict[str, Any]


def tone(duration_ms: int, hz: float = 440.0) -> bytes:
    """Return ``duration_ms`` of a sine as s16le PCM at 24 kHz."""
    count = duration_ms * RATE_HZ // 1000
    return struct.pack(
        f"<{count}h", *(int(9000 * math.sin(math.tau * hz * n / RATE_HZ)) for n in range(count))
    )


@dataclass(frozen=True)
class Call:
    name: str
    arguments: str
    call_id: str = "call_1"


@dataclass(frozen=True)
class Reply:
    """One response: words and sound, calls of tools, or how it fails.

    ``hold_after`` deltas the server waits for a cancel; ``late`` deltas of a cancelled response follow its
    end. ``status`` other than completed is what `response.done` says. ``pace_s`` is the time between two
    deltas, for benchmarks; tests let it be 0.
    """

    text: str = "Hello there."
    sound_ms: int = 200
    delta_ms: int = 20
    calls: tuple[Call, ...] = ()
    status: str = "completed"
    error: Frame | None = None
    hold_after: int | None = None
    late: int = 0
    modality: str = "audio"
    pace_s: float = 0.0


@dataclass(frozen=True)
class Refusal:
    """An HTTP answer instead of a WebSocket."""

    status: int
    body: Frame | str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Script:
    """What the server plays: the reply to a typed text, else ``replies`` in order, the last one for ever.

    ``read_aloud``: the model repeats the text instead, 10 ms a character.
    """

    replies: list[Reply] = field(default_factory=lambda: [Reply()])
    to_text: dict[str, Reply] = field(default_factory=dict)
    heard: str = "what time is it"
    read_aloud: bool = False
    greet: bool = True
    refusal: Refusal | None = None
    close_with: int | None = None
    complain_with: str = ""
    refuse_update: str = ""
    deaf_to: set[str] = field(default_factory=set)
    transcription_usage: Frame = field(default_factory=lambda: {"type": "duration", "seconds": 1.5})


class RealtimeServer:
    """The server; ``frames`` is what clients sent, the oldest first, over all connections."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.frames: list[Frame] = []
        self.sent: list[Frame] = []
        self.requests: list[Request] = []
        self.connections: list[Peer] = []
        self.open = 0
        self.port = 0
        self._changed = asyncio.Condition()
        self._number = itertools.count(1)

    @property
    def base_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1"

    @property
    def url(self) -> str:
        return f"{self.base_url}/realtime"

    @property
    def peer(self) -> "Peer":
        """The newest connection."""
        return self.connections[-1]

    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    def of_type(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == kind]

    def next_reply(self, text: str) -> Reply:
        if text in self.script.to_text:
            return self.script.to_text[text]
        if self.script.read_aloud:
            return Reply(text, sound_ms=max(len(text), 3) * 10)
        return self.script.replies.pop(0) if len(self.script.replies) > 1 else self.script.replies[0]

    def name(self, kind: str) -> str:
        return f"{kind}_{next(self._number)}"

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is looked at after every frame, opening and closing."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(condition)

    async def received(self, kind: str, count: int = 1) -> Frame:
        """Wait for the frame number ``count`` of type ``kind`` and return it."""
        await self.until(lambda: len(self.of_type(kind)) >= count)
        return self.of_type(kind)[count - 1]

    async def note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse the request for a WebSocket as the script says, or for a wrong key."""
        self.requests.append(request)
        task = asyncio.current_task()
        if task is not None:
            task.set_name(TASK)
        refusal = self.script.refusal
        if refusal is None and KEY not in f"{request.path} {list(request.headers.raw_items())}":
            error = {"message": "Incorrect API key provided.", "code": "invalid_api_key", "type": "x"}
            refusal = Refusal(401, {"error": error})
        if refusal is None:
            return None
        body = refusal.body if isinstance(refusal.body, str) else json.dumps(refusal.body)
        response = connection.respond(HTTPStatus(refusal.status), body)
        for name, value in refusal.headers.items():
            response.headers[name] = value
        return response

    async def serve(self, socket: ServerConnection) -> None:
        """Play one session."""
        peer = Peer(self, socket)
        self.connections.append(peer)
        self.open += 1
        try:
            await peer.run()
        except ConnectionClosed:
            pass
        finally:
            await peer.end()
            self.open -= 1
            await self.note()


class Peer:
    """One client's session, and the faults a test may play on it."""

    def __init__(self, server: RealtimeServer, socket: ServerConnection) -> None:
        self.server = server
        self.socket = socket
        self.session: Frame = {
            "type": "realtime",
            "id": server.name("sess"),
            "object": "realtime.session",
            "expires_at": 1_800_000_000,
            "model": "gpt-realtime-2.1-mini",
        }
        self._buffer = bytearray()
        self._buffered_ms = 0
        self._speaking = False
        self._sounds: dict[str, int] = {}
        self._reply: asyncio.Task[None] | None = None
        self._response: str | None = None
        self._cancel = asyncio.Event()
        self._reason = "client_cancelled"
        self._previous: str | None = None
        self._text = ""

    async def run(self) -> None:
        if self.socket.request and "OpenAI-Beta" in self.socket.request.headers:
            await self.socket.close(4000, "beta_api_shape_disabled")
        if self.server.script.close_with:
            await self.socket.close(self.server.script.close_with, "no")
        if self.server.script.complain_with:
            await self.complain(self.server.script.complain_with, "no")
        if self.server.script.greet:
            await self.say({"type": "session.created", "session": self.session})
        async for text in self.socket:
            frame = json.loads(text)
            self.server.frames.append(frame)
            if frame["type"] not in self.server.script.deaf_to:
                await self._obey(frame)
            await self.server.note()

    async def end(self) -> None:
        if self._reply is not None:
            self._reply.cancel()
            await asyncio.gather(self._reply, return_exceptions=True)

    async def say(self, frame: Frame) -> None:
        """Send ``frame``, which gets an ``event_id``."""
        whole = {"event_id": self.server.name("event"), **frame}
        self.server.sent.append(whole)
        await self.socket.send(json.dumps(whole))
        await self.server.note()

    async def complain(self, code: str, message: str, event_id: str | None = None) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "event_id": event_id}
        await self.say({"type": "error", "error": error})

    async def close(self, code: int, reason: str = "") -> None:
        await self.socket.close(code, reason)

    def freeze(self) -> None:
        """Be half-open: read nothing more, so answer no ping either."""
        self.socket.transport.pause_reading()

    def drip(self, interval_s: float) -> None:
        """Read nothing more and send a frame one byte at a time, for ever."""
        drip(self.socket, interval_s)

    def forget_sound(self) -> None:
        """Say that nothing was generated, so that every truncation is behind the end."""
        self._sounds = dict.fromkeys(self._sounds, 0)

    def break_off(self) -> None:
        """Reset the connection without a word."""
        self.socket.transport.abort()

    async def _obey(self, frame: Frame) -> None:
        match frame["type"]:
            case "session.update":
                await self._update(frame)
            case "input_audio_buffer.append":
                await self._append(base64.b64decode(frame["audio"]))
            case "input_audio_buffer.commit":
                await self._commit(frame.get("event_id"))
            case "input_audio_buffer.clear":
                self._buffer.clear()
                await self.say({"type": "input_audio_buffer.cleared"})
            case "conversation.item.create":
                await self._add(frame["item"])
            case "conversation.item.truncate":
                await self._truncate(frame)
            case "response.create":
                await self._respond(frame.get("event_id"), frame.get("response"))
            case "response.cancel":
                await self._give_up(frame)
            case kind:
                await self.complain("invalid_value", f"Unknown type {kind}", frame.get("event_id"))

    async def _update(self, frame: Frame) -> None:
        asked = frame["session"]
        if self.server.script.refuse_update:
            await self.complain(self.server.script.refuse_update, "no", frame.get("event_id"))
            return
        if asked.get("type") != "realtime":
            await self.complain("missing_required_parameter", "session.type", frame.get("event_id"))
            return
        self.session = {**self.session, **asked}
        await self.say({"type": "session.updated", "session": self.session})

    def _heard_settings(self) -> Frame:
        return dict(self.session.get("audio", {}).get("input", {}))

    async def _append(self, pcm: bytes) -> None:
        self._buffer += pcm
        self._buffered_ms += len(pcm) // BYTES_PER_MS
        detection = self._heard_settings().get("turn_detection")
        if detection is None:
            return
        loud = any(pcm)
        if loud and not self._speaking:
            self._speaking = True
            item = self.server.name("item")
            started = {"audio_start_ms": self._buffered_ms, "item_id": item}
            await self.say({"type": "input_audio_buffer.speech_started", **started})
            if detection.get("interrupt_response", True):
                await self._stop_reply("turn_detected")
        elif self._speaking and not loud:
            self._speaking = False
            stopped = {"audio_end_ms": self._buffered_ms, "item_id": self.server.name("item")}
            await self.say({"type": "input_audio_buffer.speech_stopped", **stopped})
            await self._commit(None)
            if detection.get("create_response", True):
                await self._respond(None)

    async def _commit(self, event_id: str | None) -> None:
        if len(self._buffer) < 100 * BYTES_PER_MS:
            await self.complain("input_audio_buffer_commit_empty", "buffer too small", event_id)
            return
        self._buffer.clear()
        item_id = self.server.name("item")
        committed = {"item_id": item_id, "previous_item_id": self._previous}
        await self.say({"type": "input_audio_buffer.committed", **committed})
        content = [{"type": "input_audio", "transcript": None}]
        await self._add({"id": item_id, "type": "message", "role": "user", "content": content})
        if self._heard_settings().get("transcription") is None:
            return
        about = {"item_id": item_id, "content_index": 0}
        stem = "conversation.item.input_audio_transcription"
        for word in self.server.script.heard.split(" "):
            await self.say({"type": f"{stem}.delta", "delta": f"{word} ", **about})
        usage = self.server.script.transcription_usage
        whole = {"transcript": self.server.script.heard, "usage": usage}
        await self.say({"type": f"{stem}.completed", **whole, **about})

    async def _add(self, item: Frame) -> None:
        if item.get("role") == "user":
            self._text = item["content"][0].get("text", "")
        whole = {"id": self.server.name("item"), "object": "realtime.item", "status": "completed", **item}
        for kind in ("added", "done"):
            frame = {"type": f"conversation.item.{kind}", "previous_item_id": self._previous, "item": whole}
            await self.say(frame)
        self._previous = whole["id"]

    async def _truncate(self, frame: Frame) -> None:
        item_id, end_ms = frame["item_id"], frame["audio_end_ms"]
        if item_id not in self._sounds:
            await self.complain("item_truncate_invalid_item_id", f"no item {item_id}", frame.get("event_id"))
        elif end_ms > self._sounds[item_id]:
            message = f"Audio content of {self._sounds[item_id]}ms is already shorter than {end_ms}ms"
            await self.complain("invalid_value", message, frame.get("event_id"))
        else:
            about = {key: frame[key] for key in ("item_id", "content_index", "audio_end_ms")}
            await self.say({"type": "conversation.item.truncated", **about})

    async def _give_up(self, frame: Frame) -> None:
        if self._response is None:
            message = "Cancellation failed: no active response found"
            await self.complain("response_cancel_not_active", message, frame.get("event_id"))
        else:
            await self._stop_reply("client_cancelled")

    async def _stop_reply(self, reason: str) -> None:
        if self._reply is not None and self._response is not None:
            self._reason = reason
            self._cancel.set()
            await self._reply

    async def _respond(self, event_id: str | None, asked: Frame | None = None) -> None:
        if self._response is not None:
            message = "Conversation already has an active response in progress"
            await self.complain("conversation_already_has_active_response", message, event_id)
            return
        self._response = self.server.name("resp")
        self._cancel.clear()
        text = self._text
        if asked and asked.get("input"):
            # Out of band: what is answered is in the request, and the conversation is not touched.
            text = asked["input"][-1]["content"][0]["text"]
        self._reply = asyncio.create_task(self._play(self.server.next_reply(text), self._response), name=TASK)

    async def _play(self, reply: Reply, response_id: str) -> None:
        response: Frame = {"id": response_id, "object": "realtime.response", "output": []}
        try:
            await self.say({"type": "response.created", "response": {**response, "status": "in_progress"}})
            limit = {"name": "tokens", "limit": 40_000, "remaining": 39_000, "reset_seconds": 1.5}
            await self.say({"type": "rate_limits.updated", "rate_limits": [limit]})
            output = []
            if reply.text:
                output.append(await self._speak(reply, response_id))
            output += [await self._call(call, response_id, index) for index, call in enumerate(reply.calls)]
            await self._finish(reply, {**response, "output": output})
        except ConnectionClosed:
            return

    async def _speak(self, reply: Reply, response_id: str) -> Frame:
        item_id = self.server.name("item")
        item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "role": "assistant",
            "content": [],
        }
        at = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        place = {"response_id": response_id, "output_index": 0}
        await self.say({"type": "response.output_item.added", "item": item, **place})
        part = (
            {"type": "audio", "transcript": ""} if reply.modality == "audio" else {"type": "text", "text": ""}
        )
        await self.say({"type": "response.content_part.added", "part": part, **at})
        if reply.modality == "audio":
            await self._sound(reply, at)
        else:
            for word in reply.text.split(" "):
                await self.say({"type": "response.output_text.delta", "delta": f"{word} ", **at})
            await self.say({"type": "response.output_text.done", "text": reply.text, **at})
        item["status"] = "incomplete" if self._cancel.is_set() else "completed"
        await self.say({"type": "response.output_item.done", "item": item, **place})
        return item

    async def _sound(self, reply: Reply, at: Frame) -> None:
        stem = "response.output_audio"
        words = reply.text.split(" ")
        for index, start_ms in enumerate(range(0, reply.sound_ms, reply.delta_ms)):
            if index < len(words):
                await self.say({"type": f"{stem}_transcript.delta", "delta": f"{words[index]} ", **at})
            await self.delta(at, min(reply.delta_ms, reply.sound_ms - start_ms))
            if index + 1 == reply.hold_after:
                await self._cancel.wait()
            if reply.pace_s:
                await asyncio.sleep(reply.pace_s)
            if self._cancel.is_set():
                break
        await self.say({"type": f"{stem}.done", **at})
        await self.say({"type": f"{stem}_transcript.done", "transcript": reply.text, **at})

    async def delta(self, at: Frame, duration_ms: int) -> None:
        """Send a piece of sound of the item ``at``."""
        self._sounds[at["item_id"]] = self._sounds.get(at["item_id"], 0) + duration_ms
        pcm = base64.b64encode(tone(duration_ms)).decode()
        await self.say({"type": "response.output_audio.delta", "delta": pcm, **at})

    async def _call(self, call: Call, response_id: str, index: int) -> Frame:
        item_id = self.server.name("item")
        item = {"id": item_id, "object": "realtime.item", "type": "function_call", "status": "completed"}
        item |= {"name": call.name, "call_id": call.call_id, "arguments": call.arguments}
        place = {"response_id": response_id, "output_index": index}
        about = {**place, "item_id": item_id, "call_id": call.call_id}
        stem = "response.function_call_arguments"
        await self.say({"type": "response.output_item.added", "item": {**item, "arguments": ""}, **place})
        await self.say({"type": f"{stem}.delta", "delta": call.arguments, **about})
        await self.say({"type": f"{stem}.done", "arguments": call.arguments, "name": call.name, **about})
        await self.say({"type": "response.output_item.done", "item": item, **place})
        return item

    async def _finish(self, reply: Reply, response: Frame) -> None:
        details: Frame | None = None
        status = reply.status
        if self._cancel.is_set():
            status, details = "cancelled", {"type": "cancelled", "reason": self._reason}
        elif status == "failed":
            details = {"type": "failed", "error": reply.error}
        elif status == "incomplete":
            details = {"type": "incomplete", "reason": "max_output_tokens"}
        done = {**response, "status": status, "status_details": details, "usage": usage_of(reply)}
        self._response = None
        await self.say({"type": "response.done", "response": done})
        for item in response["output"] if status == "cancelled" else ():
            at = {"response_id": response["id"], "item_id": item["id"], "output_index": 0, "content_index": 0}
            for _ in range(reply.late):
                await self.delta(at, reply.delta_ms)


def usage_of(reply: Reply) -> Frame:
    """Return the usage of a reply as the vendor reports it: 20 tokens for a second of speech."""
    said = {"text_tokens": 10, "audio_tokens": reply.sound_ms // 50}
    cached = {"text_tokens": 20, "audio_tokens": 5, "image_tokens": 0}
    heard = {"text_tokens": 100, "audio_tokens": 30, "cached_tokens": 25, "cached_tokens_details": cached}
    sums = {
        "input_tokens": 130,
        "output_tokens": sum(said.values()),
        "total_tokens": 130 + sum(said.values()),
    }
    return {**sums, "input_token_details": heard, "output_token_details": said}


@asynccontextmanager
async def realtime_server(
    script: Script | None = None, *, replies: Sequence[Reply] = ()
) -> AsyncIterator[RealtimeServer]:
    """Run a server on a free port of loopback."""
    server = RealtimeServer(script or Script())
    if replies:
        server.script.replies = list(replies)
    listening = await serve(
        server.serve,
        "127.0.0.1",
        0,
        process_request=server.answer,
        compression=None,
        max_size=None,
        ping_interval=None,
        close_timeout=0.2,
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        for peer in server.connections:
            peer.break_off()
        listening.close()
        await listening.wait_closed()
