"""A provider that needs no network: scripted replies, delays and faults, with real events and real sound."""

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from voxd.clock import Clock, SystemClock
from voxd.errors import AuthenticationError, ConfigError, ConnectionFailed, NotConnected, RateLimited
from voxd.events import EventType as E
from voxd.providers.base import BaseProvider, Capabilities, as_session_config
from voxd.providers.costs import cost_of
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage
from voxd.providers.vendors.mock.script import Fault, MockScript, Reply
from voxd.providers.vendors.mock.sound import RATE_HZ, Loudness, spoken

IN_TOKENS_PER_S = 10
OUT_TOKENS_PER_S = 20
"""What a second of sound costs at OpenAI (reference/providers.md, section 1): the mock counts alike."""

CHARS_PER_TOKEN = 4

_BYTES_PER_MS = RATE_HZ // 1000 * 2


class MockProvider(BaseProvider):
    """``config["metadata"]`` is a `MockScript` or its fields; ``config["clock"]`` the clock of its delays.

    What it was told can be read back: ``heard_ms`` of interruptions, ``told`` history, ``results`` of tools.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate_hz=RATE_HZ,
        output_rate_hz=RATE_HZ,
        server_vad=True,
        tools=True,
    )

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Raises `ConfigError` when the script makes no sense."""
        super().__init__(config)
        script = config.get("metadata") or {}
        try:
            self.script = script if isinstance(script, MockScript) else msgspec.convert(script, MockScript)
        except msgspec.ValidationError as error:
            raise ConfigError(f"the script of the mock provider: {error}") from error
        self.session = SessionConfig()
        self.heard_ms: list[float | None] = []
        self.told: list[tuple[str, str]] = []
        self.results: list[tuple[str, str]] = []
        self._clock: Clock = config.get("clock") or SystemClock()
        self._usage = Usage()
        self._numbers = itertools.count(1)
        self._connected = False
        self._sound_bytes = 0
        self._vad = Loudness(self.script.vad_rms, self.script.vad_silence_ms)
        self._task: asyncio.Task[None] | None = None
        self._response_id = ""
        self._events = 0
        self._awaited: set[str] = set()
        self._after_calls = ""

    @property
    def is_connected(self) -> bool:
        """Whether the session is open."""
        return self._connected

    async def connect(self) -> None:
        """Open the session, or fail as the script says."""
        if self._connected:
            return
        fault = self.script.opening()
        await self._pause(self.script.connect_delay_s)
        self._fail(fault)
        self._connected = True
        self.session_id = f"mock_{id(self):x}"
        self._usage += Usage(total_sessions=1)

    async def disconnect(self) -> None:
        """Close the session; idempotent."""
        self._connected = False
        await self._stop()

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Apply ``config``; `SessionConfig.voice` and instructions change nothing that can be heard."""
        self.session = as_session_config(config)
        silence_ms = self.session.vad_silence_ms or self.script.vad_silence_ms
        self._vad = Loudness(self.script.vad_rms, silence_ms)

    async def send_audio(self, audio_data: bytes) -> None:
        """Take sound; with server turn detection a pause after something loud is the end of a question."""
        self._require()
        self._sound_bytes += len(audio_data)
        self._usage += Usage(audio_seconds=len(audio_data) / _BYTES_PER_MS / 1000)
        if self.session.turn_detection == "client":
            return
        change = self._vad.feed(audio_data)
        if change is not None:
            if change and self._task is not None:
                await self._give_up("turn_detected")
            self._tell(E.CONVERSATION_TURN_DETECTED, speaking=change, at_ms=self._vad.at_ms)
            if change is False:
                self._spoken_question()

    async def commit(self) -> None:
        """Answer what was sent; an error event when that was less than 100 ms, as at OpenAI."""
        self._require()
        if self._sound_bytes < 100 * _BYTES_PER_MS:
            code = "input_audio_buffer_commit_empty"
            self._tell(E.ERROR_GENERAL, code=code, message="less than 100 ms of sound", hint="")
            return
        self._spoken_question()

    async def clear_audio(self) -> None:
        """Forget sound that was sent."""
        self._require()
        self._sound_bytes = 0

    async def send_text(self, text: str) -> None:
        """Answer ``text`` as the script says."""
        self._require()
        self._usage += Usage(input_text_tokens=_tokens(text))
        self._answer(self.script.reply_to(text))

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Give the response up."""
        self._require()
        self.heard_ms.append(played_ms)
        await self._give_up("client_cancelled")

    async def add_history(self, role: str, text: str) -> None:
        """Remember an earlier turn."""
        self._require()
        self.told.append((role, text))

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Take the result of a call."""
        self._require()
        self._awaited.discard(call_id)
        self.results.append((call_id, output))

    async def request_response(self) -> None:
        """Answer with the results of the tools."""
        self._require()
        results = "; ".join(output for _, output in self.results)
        self._answer(Reply(self._after_calls.replace("{results}", results)))

    async def get_usage(self) -> Usage | None:
        """Return what this session used, counted as OpenAI counts."""
        return self._usage

    async def estimate_cost(self) -> Cost | None:
        """Return what that would cost with ``prices_like``."""
        return cost_of(self.script.prices_like, self._usage)

    def _fail(self, fault: Fault) -> None:
        match fault:
            case "invalid_api_key":
                raise AuthenticationError("the mock refuses this key", provider="mock")
            case "rate_limited":
                after_s = self.script.retry_after_s
                raise RateLimited("the mock is busy", provider="mock", retry_after_s=after_s)
            case "refused":
                raise ConnectionFailed("the mock refuses connections", provider="mock")
            case "timeout":
                raise ConnectionFailed("the mock did not answer in time", provider="mock", code="timeout")

    def _require(self) -> None:
        if not self._connected:
            raise NotConnected("the mock is not connected", provider="mock")

    def _spoken_question(self) -> None:
        seconds = self._sound_bytes / _BYTES_PER_MS / 1000
        self._sound_bytes = 0
        self._usage += Usage(input_audio_tokens=round(seconds * IN_TOKENS_PER_S))
        text = self.script.transcript()
        if self.session.transcription and text:
            item_id = f"item_{next(self._numbers)}"
            self._tell(E.TEXT_TRANSCRIPTION, text=text, is_partial=False, item_id=item_id)
        self._answer(self.script.reply_to(text))

    def _answer(self, reply: Reply) -> None:
        if self.script.silent or not self._connected:
            return
        before, self._task = self._task, None
        if before is not None:
            before.cancel()
        self._response_id = f"response_{next(self._numbers)}"
        self._task = asyncio.create_task(self._respond(self._response_id, reply, before), name="mock reply")

    async def _respond(self, response_id: str, reply: Reply, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        self._tell(E.RESPONSE_STARTED, response_id=response_id)
        await self._pause(self.script.first_delay_s)
        used = Usage(responses=1)
        if not reply.calls:
            used += await self._say(response_id, reply.text)
        self._usage += used
        self._task = None
        self._tell(E.USAGE_UPDATED, provider="mock", usage=self._usage)
        for call in reply.calls:
            call_id = f"call_{next(self._numbers)}"
            self._after_calls = reply.text
            self._awaited.add(call_id)
            self._tell(
                E.FUNCTION_CALL_INVOKED,
                function_name=call.name,
                arguments=dict(call.arguments),
                call_id=call_id,
            )
        self._tell(E.RESPONSE_COMPLETED, response_id=response_id, usage=used)

    async def _say(self, response_id: str, text: str) -> Usage:
        """Tell words and sound side by side, as vendors do; returns what they cost."""
        ids = {"response_id": response_id, "item_id": f"item_{next(self._numbers)}"}
        sound_ms = 0.0
        if "audio" in self.session.modalities:
            self._tell(E.AUDIO_OUTPUT_STARTED, **ids, sample_rate=RATE_HZ)
        for word in _words(text):
            self._tell(E.TEXT_OUTPUT, text=word, is_partial=True, response_id=response_id)
            if "audio" in self.session.modalities:
                for pcm in spoken(word):
                    sound_ms += len(pcm) / _BYTES_PER_MS
                    self._tell(E.AUDIO_OUTPUT_CHUNK, audio_data=pcm, sample_rate=RATE_HZ, channels=1, **ids)
                    await self._pause(self.script.chunk_delay_s)
        self._tell(E.TEXT_OUTPUT, text=text, is_partial=False, response_id=response_id)
        if "audio" in self.session.modalities:
            self._tell(E.AUDIO_OUTPUT_STOPPED, **ids, duration_ms=sound_ms)
        tokens = round(sound_ms / 1000 * OUT_TOKENS_PER_S)
        return Usage(
            output_text_tokens=_tokens(text), output_audio_tokens=tokens, audio_seconds=sound_ms / 1000
        )

    async def _give_up(self, reason: str) -> None:
        if self._task is None:
            return
        await self._stop()
        self._tell(E.RESPONSE_CANCELLED, response_id=self._response_id, reason=reason)

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _tell(self, type: E, **data: Any) -> None:
        if not self._connected:
            return
        self.emit_event(type, data)
        self._events += 1
        if self.script.drop_after and self._events >= self.script.drop_after:
            self._connected = False
            if self._task is not None:
                self._task.cancel()
            self.emit_event(
                E.CONNECTION_LOST,
                {"provider": "mock", "code": "network_error", "reason": "dropped by its script"},
            )

    async def _pause(self, seconds: float) -> None:
        # A reply without delays also lets others run between its pieces, as one from a socket does.
        await (self._clock.sleep(seconds) if seconds > 0 else asyncio.sleep(0))


def _tokens(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)


def _words(text: str) -> list[str]:
    words = text.split()
    return [f"{word} " for word in words[:-1]] + words[-1:]
