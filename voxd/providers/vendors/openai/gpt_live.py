"""Speaks to GPT-Live, which hears and talks at the same time and knows no turns: they are told from silence.

What the protocol has no word for is refused, not guessed: typed questions, tools of our own, truncation.
"""

import asyncio
import base64
import contextlib
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from voxd.errors import ConfigError, ProviderError
from voxd.events import EventType as E
from voxd.net.endpoint import websocket_url
from voxd.net.faults import error_for_code
from voxd.net.websocket import WebSocketConnection
from voxd.providers.base import Capabilities, ProviderEvent, as_session_config
from voxd.providers.costs import cost_of
from voxd.providers.facts import default_model
from voxd.providers.realtime.openai_protocol import events, wire
from voxd.providers.realtime.openai_protocol.provider import OpenAIProvider
from voxd.providers.realtime.openai_protocol.reader import Reader, Reading
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage

RATE_HZ = 16_000
"""The rate of the microphone: nothing has to be resampled."""

QUIET_S = 1.0
"""A reply is over when nothing more of it came for this long; the protocol does not tell."""

_ENDS = {"expired": "session_expired", "connection_lost": "network_error"}


class _Frame(msgspec.Struct):
    type: str
    delta: str | None = None
    session: dict[str, Any] | None = None
    delegation: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    reason: str | None = None


class LiveReader(Reader):
    """The state of one session: whose words are coming, and whether they are to be dropped.

    ``outputs`` counts what came of replies, silence apart.
    """

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.outputs = 0
        self._count = 0
        self._reply = ""
        self._dropping = False
        self._sound_bytes = 0
        self._said: list[str] = []
        self._asked: list[str] = []

    @property
    def busy(self) -> bool:
        """Whether a reply is on its way."""
        return bool(self._reply)

    def read(self, text: str | bytes) -> Reading:
        """Return what the frame ``text`` leads to; one that is garbage is an event of type ``error``."""
        try:
            frame = msgspec.json.decode(text, type=_Frame)
            told, out = self._take(frame)
        except (msgspec.DecodeError, UnicodeError, ValueError, RecursionError):
            broken = ProviderError("the vendor sent a malformed frame", code="bad_frame")
            return Reading((events.error(broken),))
        if frame.type == "error":
            complaint = frame.error or {}
            error = error_for_code(self._provider, _text(complaint, "code"), _text(complaint, "message"))
            fatal = error.code if error.code in {"invalid_api_key", "session_expired"} else ""
            concerns = _text(complaint, "client_event_id")
            return Reading(() if fatal else (events.error(error),), (), "error", error, concerns, fatal)
        fatal = _ENDS.get(frame.reason or "", "closed_by_vendor") if frame.type == "session.closed" else ""
        return Reading(tuple(told), tuple(out), frame.type, fatal=fatal)

    def quiet(self) -> list[ProviderEvent]:
        """Nothing has come for a while: the reply, if there was one, is over."""
        reply, self._reply = self._reply, ""
        dropped, self._dropping = self._dropping, False
        if not reply or dropped:
            return []
        self.usage += Usage(responses=1)
        told = [events.words("".join(self._said).strip(), reply, partial=False)]
        if self._sound_bytes:
            told.append(events.sound_stopped(reply, reply, self._sound_bytes / (RATE_HZ * 2 / 1000)))
        return [*told, events.completed(reply, Usage(responses=1))]

    def interrupt(self, played_ms: float | None) -> Reading:
        """Drop the rest of the reply; the vendor hears the user himself and is not told."""
        if not self._reply or self._dropping:
            return Reading()
        self._dropping = True
        cut = (events.interrupted(played_ms, self._reply), events.cancelled(self._reply, "client_cancelled"))
        return Reading(cut)

    def _take(self, frame: _Frame) -> tuple[list[ProviderEvent], list[wire.Frame]]:
        match frame.type:
            case "session.started":
                self.session_id = _text(frame.session or {}, "id") or None
            case "session.input_transcript.delta" if frame.delta:
                self._asked.append(frame.delta)
                return [events.transcription(frame.delta, f"user_{self._count}", partial=True)], []
            case "session.output_transcript.delta" if frame.delta:
                return self._spoken(frame.delta), []
            case "session.output_audio.delta":
                return self._sound_of(base64.b64decode(frame.delta or "", validate=True)), []
            case "session.delegation.created":
                return [], [_no_delegate(_text(frame.delegation or {}, "id"))]
            case "session.usage.updated" | "session.closed" if frame.usage:
                seconds = float(frame.usage.get("seconds") or 0.0)
                self.usage = msgspec.structs.replace(self.usage, audio_seconds=seconds)
                return [events.used(self._provider, self.usage)], []
        return [], []

    def _begin_reply(self) -> list[ProviderEvent]:
        if self._reply:
            return []
        told = []
        if self._asked:
            whole = "".join(self._asked).strip()
            told.append(events.transcription(whole, f"user_{self._count}", partial=False))
        self._count += 1
        self._reply, self._sound_bytes, self._said, self._asked = f"reply_{self._count}", 0, [], []
        return [*told, events.started(self._reply)]

    def _spoken(self, text: str) -> list[ProviderEvent]:
        told = self._begin_reply()
        self.outputs += 1
        self._said.append(text)
        return [] if self._dropping else [*told, events.words(text, self._reply, partial=True)]

    def _sound_of(self, pcm: bytes) -> list[ProviderEvent]:
        silent = not any(pcm)
        if silent and not self._reply:
            return []
        told = self._begin_reply()
        self.outputs += not silent
        if self._dropping:
            return []
        about = {"response_id": self._reply, "item_id": self._reply}
        if not self._sound_bytes:
            told.append(ProviderEvent(E.AUDIO_OUTPUT_STARTED, {**about, "sample_rate": RATE_HZ}))
        self._sound_bytes += len(pcm)
        chunk = {"audio_data": pcm, "sample_rate": RATE_HZ, "channels": 1, **about}
        return [*told, ProviderEvent(E.AUDIO_OUTPUT_CHUNK, chunk)]


class GptLiveProvider(OpenAIProvider):
    """One session of GPT-Live. Every second it is open costs money, silence included.

    Instructions, voice and format are fixed when it begins, there are no typed questions and no tools, and
    it must hear silence too: use turn detection "server". It believes that all of a reply was heard, and
    the end of one is told after `QUIET_S` without sound or words. A task that the model delegates is
    answered with an apology: voxd has no second model to give it to.
    """

    name: ClassVar[str] = "gpt_live"
    endpoint: ClassVar[str] = "wss://api.openai.com/v1/live/sessions"
    model: ClassVar[str] = default_model("gpt_live", "realtime")
    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate_hz=RATE_HZ, output_rate_hz=RATE_HZ, server_vad=True
    )
    quiet_s: ClassVar[float] = QUIET_S
    _timer: asyncio.TimerHandle | None = None
    _outputs = 0

    def url(self, **query: str) -> str:
        """Return the URL of the endpoint; the model is told in the first frame. Raises `ConfigError`."""
        return websocket_url(self.endpoint_url, query, path="/live/sessions")

    async def disconnect(self) -> None:
        """Finish the session, so that its bill is closed, and close the socket; idempotent."""
        self._stop_timer()
        if self.is_connected:
            self._ready = False
            # A session that cannot be finished any more is broken, which `disconnect` does not mind.
            with contextlib.suppress(ProviderError, TimeoutError):
                async with asyncio.timeout(self._deadlines.close_s):
                    await self._ask({"type": "session.close", "event_id": "close_1"}, "session.closed")
        await super().disconnect()

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Say how the session is to begin.

        Raises `ProviderError` when it has begun otherwise, `ConfigError` for turns that the caller would end.
        """
        session = as_session_config(config)
        if session.turn_detection == "client":
            hint = 'set turn_detection = "server", in the library vad_type="server"'
            raise ConfigError("GPT-Live hears by itself when somebody has finished", hint=hint)
        if self._ready and session != self._session:
            msg = "a session of GPT-Live cannot be changed"
            raise ProviderError(msg, provider=self.name, code="session_fixed", hint="open a new session")
        self._session = session

    async def send_audio(self, audio_data: bytes) -> None:
        """Send mono s16le PCM at 16 kHz, silence too: the model listens all the time."""
        sound = base64.b64encode(audio_data).decode()
        await self._open().send(wire.encode({"type": "session.input_audio.append", "audio": sound}))

    async def send_text(self, text: str) -> None:
        """Raises `ProviderError`: the protocol has no typed questions."""
        self._open()
        raise ProviderError("GPT-Live takes no typed questions", provider=self.name, code="unsupported")

    async def add_history(self, role: str, text: str) -> None:
        """Tell an earlier turn as silent context. Raises `ProviderError`."""
        content = f"Earlier the {role} said: {text}"
        await self._send([{"type": "session.thinking.append", "content": content, "delegation_id": None}])

    async def commit(self) -> None:
        """Do nothing: the model hears by itself when somebody has finished."""
        self._open()

    async def clear_audio(self) -> None:
        """Do nothing: what was sent has been heard."""

    async def request_response(self) -> None:
        """Do nothing: the model speaks when it wants to."""

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Do nothing: no tools are called."""

    async def estimate_cost(self) -> Cost | None:
        """Return what the open time costs."""
        return cost_of(self.model_name, self._reader.usage)

    def _new_reader(self) -> Reader:
        return LiveReader(self.name)

    async def _begin(self) -> None:
        voice = self._session.voice or str(self.config.get("voice") or "")
        sound: wire.Frame = {"format": {"type": "audio/pcm", "rate": RATE_HZ}}
        if voice:
            sound["output"] = {"voice": voice}
        session: wire.Frame = {"model": self.model_name, "audio": sound, "store": False}
        if self._session.instructions:
            session["instructions"] = self._session.instructions
        await self._ask(
            {"type": "session.start", "event_id": "start_1", "session": session}, "session.started"
        )

    def _note_activity(self) -> None:
        super()._note_activity()
        reader = self._reader
        if isinstance(reader, LiveReader) and reader.outputs != self._outputs:
            self._outputs = reader.outputs
            self._stop_timer()
            self._timer = asyncio.get_running_loop().call_later(self.quiet_s, self._quiet)

    def _over(self, connection: WebSocketConnection) -> None:
        self._stop_timer()
        super()._over(connection)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _quiet(self) -> None:
        if isinstance(self._reader, LiveReader):
            self._tell(self._reader.quiet())


def _no_delegate(delegation_id: str) -> wire.Frame:
    return {
        "type": "session.commentary.append",
        "content": "Nobody here can do that task. Say so briefly.",
        "delegation_id": delegation_id or None,
    }


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""
