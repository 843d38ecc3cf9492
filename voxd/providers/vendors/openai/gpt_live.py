"""Speaks to GPT-Live, a full-duplex protocol without turns: the end of a reply is inferred from silence.

What the protocol has no message for is refused, not imitated: typed questions, tools of our own, truncation.
"""

import asyncio
import base64
import contextlib
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from voxd.errors import ConfigError, ProviderError
from voxd.frames import BYTES_PER_SAMPLE
from voxd.net.endpoint import websocket_url
from voxd.net.faults import error_for_code
from voxd.net.websocket import WebSocketConnection
from voxd.providers import events, lenient
from voxd.providers.base import Capabilities, as_session_config
from voxd.providers.costs import cost_of
from voxd.providers.events import ProviderEvent
from voxd.providers.facts import default_model
from voxd.providers.json_fields import label
from voxd.providers.realtime.openai_protocol import wire
from voxd.providers.realtime.openai_protocol.reader import FrameOutcome, RealtimeReader
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage
from voxd.providers.vendors.openai.options import GptLiveOptions
from voxd.providers.vendors.openai.realtime import OpenAIProvider

RATE_HZ = 16_000
"""The rate of the microphone, so that nothing has to be resampled."""

QUIET_S = 1.0
"""A reply is over when nothing more of it came for this long: the protocol has no end of a reply."""

# Reasons in `session.closed`; any other is the vendor's own decision.
_ENDS = {"expired": "session_expired", "connection_lost": "network_error"}


class _Frame(msgspec.Struct):
    type: str
    delta: str | None = None
    session: dict[str, Any] | None = None
    delegation: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    reason: str | None = None


class GptLiveReader(RealtimeReader):
    """The state of one session: which reply arrives, and whether it is to be dropped.

    ``outputs`` counts the pieces of replies, silence apart.
    """

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.outputs = 0
        self._count = 0
        self._reply = ""
        # The rest of an interrupted reply is dropped; nothing tells the vendor.
        self._dropping = False
        self._sound_bytes = 0
        self._reply_words: list[str] = []
        self._question_words: list[str] = []

    @property
    def busy(self) -> bool:
        """Whether a reply is in progress."""
        return bool(self._reply)

    def read(self, text: str | bytes) -> FrameOutcome:
        """Return what the frame ``text`` leads to; a malformed one is an event of type ``error``."""
        try:
            frame = lenient.decode(text, _Frame)
            found, out = self._take(frame)
        except (msgspec.DecodeError, UnicodeError, ValueError, RecursionError):
            broken = ProviderError("the vendor sent a malformed frame", code="bad_frame")
            return FrameOutcome((events.ErrorOccurred.of(broken),))
        if frame.type == "error":
            details = frame.error or {}
            error = error_for_code(self._provider, label(details.get("code")), label(details.get("message")))
            fatal = error.code if error.code in {"invalid_api_key", "session_expired"} else ""
            concerns = label(details.get("client_event_id"))
            reported = () if fatal else (events.ErrorOccurred.of(error),)
            return FrameOutcome(reported, (), "error", error, concerns, fatal)
        fatal = _ENDS.get(frame.reason or "", "closed_by_vendor") if frame.type == "session.closed" else ""
        return FrameOutcome(tuple(found), tuple(out), frame.type, fatal=fatal)

    def end_reply(self) -> list[ProviderEvent]:
        """End a reply in progress: nothing has come for `QUIET_S`."""
        reply, self._reply = self._reply, ""
        dropped, self._dropping = self._dropping, False
        if not reply or dropped:
            return []
        self.usage += Usage(responses=1)
        found: list[ProviderEvent] = [events.TextOutput("".join(self._reply_words).strip(), False, reply)]
        if self._sound_bytes:
            duration_ms = self._sound_bytes / (RATE_HZ * BYTES_PER_SAMPLE / 1000)
            found.append(events.AudioOutputStopped(duration_ms, reply, reply))
        return [*found, events.ResponseCompleted(reply, Usage(responses=1))]

    def interrupt(self, played_ms: float | None) -> FrameOutcome:
        """Drop the rest of the reply. The vendor gets no message: it detects the user's speech itself."""
        if not self._reply or self._dropping:
            return FrameOutcome()
        self._dropping = True
        return FrameOutcome(
            (
                events.ReplyInterrupted(played_ms, self._reply),
                events.ResponseCancelled(self._reply, "client_cancelled"),
            )
        )

    def _take(self, frame: _Frame) -> tuple[list[ProviderEvent], list[wire.Frame]]:
        match frame.type:
            case "session.started":
                self.session_id = label((frame.session or {}).get("id")) or None
            case "session.input_transcript.delta" if frame.delta:
                self._question_words.append(frame.delta)
                return [events.TextTranscription(frame.delta, True, f"user_{self._count}")], []
            case "session.output_transcript.delta" if frame.delta:
                return self._spoken(frame.delta), []
            case "session.output_audio.delta":
                return self._sound_of(base64.b64decode(frame.delta or "", validate=True)), []
            case "session.delegation.created":
                return [], [_decline(label((frame.delegation or {}).get("id")))]
            case "session.usage.updated" | "session.closed" if frame.usage:
                # Cumulative for the session.
                seconds = float(frame.usage.get("seconds") or 0.0)
                self.usage = msgspec.structs.replace(self.usage, audio_seconds=seconds)
                return [events.UsageUpdated(self.usage, self._provider)], []
        return [], []

    def _begin_reply(self) -> list[ProviderEvent]:
        if self._reply:
            return []
        found: list[ProviderEvent] = []
        if self._question_words:
            whole = "".join(self._question_words).strip()
            found.append(events.TextTranscription(whole, False, f"user_{self._count}"))
        self._count += 1
        self._reply, self._sound_bytes = f"reply_{self._count}", 0
        self._reply_words, self._question_words = [], []
        return [*found, events.ResponseStarted(self._reply)]

    def _spoken(self, text: str) -> list[ProviderEvent]:
        found = self._begin_reply()
        self.outputs += 1
        self._reply_words.append(text)
        return [] if self._dropping else [*found, events.TextOutput(text, True, self._reply)]

    def _sound_of(self, pcm: bytes) -> list[ProviderEvent]:
        silent = not any(pcm)
        # The model sends audio all the time: silence does not begin a reply.
        if silent and not self._reply:
            return []
        found = self._begin_reply()
        self.outputs += not silent
        if self._dropping:
            return []
        if not self._sound_bytes:
            found.append(events.AudioOutputStarted(RATE_HZ, self._reply, self._reply))
        self._sound_bytes += len(pcm)
        return [*found, events.AudioOutputChunk(pcm, RATE_HZ, 1, self._reply, self._reply)]


class GptLiveProvider(OpenAIProvider):
    """One session of GPT-Live. Every second it is open is billed, silence included.

    Instructions, voice and format are fixed when it begins, it has no typed questions and no tools, and
    the model needs the silence too: use turn detection "server". The model assumes that all of a reply was
    played; a reply ends after `QUIET_S` without audio or words. A task that the model delegates is declined:
    voxd has no second model for it.
    """

    name: ClassVar[str] = "gpt_live"
    options_type = GptLiveOptions
    endpoint: ClassVar[str] = "wss://api.openai.com/v1/live/sessions"
    model: ClassVar[str] = default_model("gpt_live", "realtime")
    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate_hz=RATE_HZ, output_rate_hz=RATE_HZ, server_vad=True, speaks_text=False
    )
    quiet_s: ClassVar[float] = QUIET_S
    _timer: asyncio.TimerHandle | None = None
    _outputs = 0

    def url(self) -> str:
        """Return the URL of the endpoint; the model goes into the first frame. Raises `ConfigError`."""
        return websocket_url(self.endpoint_url, {}, path="/live/sessions", prefix="/v1")

    async def disconnect(self) -> None:
        """Finish the session, so that billing stops, and close the socket; idempotent."""
        self._stop_timer()
        if self.is_connected:
            self._ready = False
            # A session that can no longer be finished is broken; `disconnect` never raises for that.
            with contextlib.suppress(ProviderError, TimeoutError):
                async with asyncio.timeout(self._deadlines.close_s):
                    await self._request({"type": "session.close", "event_id": "close_1"}, "session.closed")
        await super().disconnect()

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Set what the session begins with.

        Raises `ProviderError` when it has begun with something else, `ConfigError` for client turn detection.
        """
        session = as_session_config(config)
        if session.turn_detection == "client":
            hint = 'set turn_detection = "server", in the library vad_type="server"'
            raise ConfigError("GPT-Live detects the end of a turn itself", hint=hint)
        if self._ready and session != self._session:
            msg = "a session of GPT-Live cannot be changed"
            raise ProviderError(msg, provider=self.name, code="session_fixed", hint="open a new session")
        self._session = session

    async def send_audio(self, audio_data: bytes) -> None:
        """Send mono s16le PCM at 16 kHz, silence too: the model detects turns by it."""
        audio = base64.b64encode(audio_data).decode()
        await self._open().send(wire.encode({"type": "session.input_audio.append", "audio": audio}))

    async def send_text(self, text: str) -> None:
        """Raises `ProviderError`: the protocol has no typed questions."""
        self._open()
        raise ProviderError(
            "GPT-Live does not accept typed questions", provider=self.name, code="unsupported"
        )

    async def add_history(self, role: str, text: str) -> None:
        """Add an earlier message as silent context. Raises `ProviderError`."""
        content = f"Earlier the {role} said: {text}"
        # ``delegation_id`` must be there, null or not.
        await self._send([{"type": "session.thinking.append", "content": content, "delegation_id": None}])

    async def commit(self) -> None:
        """Do nothing: the model detects the end of a turn itself."""
        self._open()

    async def clear_audio(self) -> None:
        """Do nothing: sent audio cannot be taken back."""

    async def request_response(self) -> None:
        """Do nothing: the model decides when it speaks."""

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Do nothing: no tools are called."""

    async def estimate_cost(self) -> Cost | None:
        """Return what the time it was open costs."""
        return cost_of(self.model_name, self._reader.usage, prices=self.config.get("prices"))

    def _new_reader(self) -> RealtimeReader:
        return GptLiveReader(self.name)

    async def _begin(self) -> None:
        voice = self._session.voice or str(self.config.get("voice") or "")
        audio: wire.Frame = {"format": {"type": "audio/pcm", "rate": RATE_HZ}}
        if voice:
            audio["output"] = {"voice": voice}
        # ``store`` is true by default: the vendor would keep the conversation.
        session: wire.Frame = {"model": self.model_name, "audio": audio, "store": False}
        if self._session.instructions:
            session["instructions"] = self._session.instructions
        await self._request(
            {"type": "session.start", "event_id": "start_1", "session": session}, "session.started"
        )

    def _note_activity(self) -> None:
        super()._note_activity()
        reader = self._reader
        if isinstance(reader, GptLiveReader) and reader.outputs != self._outputs:
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
        if isinstance(self._reader, GptLiveReader):
            self._report(self._reader.end_reply())


def _decline(delegation_id: str) -> wire.Frame:
    return {
        "type": "session.commentary.append",
        "content": "This device cannot do that task. Say so briefly.",
        "delegation_id": delegation_id or None,
    }
