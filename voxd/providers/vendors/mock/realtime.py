"""A provider without a network: scripted replies, delays and faults, with real events and real audio."""

import array
import asyncio
import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from voxd.clock import Clock, SystemClock
from voxd.config.provider_options import read_options
from voxd.errors import AuthenticationError, ConfigError, ConnectionFailed, NotConnected, RateLimited
from voxd.frames import BYTES_PER_SAMPLE
from voxd.providers import events
from voxd.providers.base import BaseProvider, Capabilities, as_session_config
from voxd.providers.costs import cost_of
from voxd.providers.facts import facts
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage
from voxd.providers.vendors.mock.script import Fault, MockReply, MockScript
from voxd.tasks import TaskScope, cancel_and_wait

RATE_HZ = 24_000
"""The rate of the mock's audio in both directions, as OpenAI's."""

IN_TOKENS_PER_S = 10
OUT_TOKENS_PER_S = 20
"""OpenAI counts one audio token per 100 ms of input and per 50 ms of output: the mock does the same."""

CHARS_PER_TOKEN = 4

CHUNK_MS = 100
MS_PER_CHAR = 65.0
"""People speak about 15 letters a second."""

_SAMPLES_PER_MS = RATE_HZ // 1000
_BYTES_PER_MS = _SAMPLES_PER_MS * BYTES_PER_SAMPLE
# A low voice; the peak is about -15 dBFS, so a test of levels neither clips nor misses it.
_PITCH_HZ = 150
_PEAK = 6000


class MockProvider(BaseProvider):
    """``config["metadata"]`` is a `MockScript` or its fields; ``config["clock"]`` the clock of its delays.

    What it received can be read back: ``played_ms`` of interruptions, ``history``, ``results`` of tools.
    """

    options_type = MockScript
    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate_hz=RATE_HZ, output_rate_hz=RATE_HZ, server_vad=True, tools=True, speaks_text=True
    )

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Raises `ConfigError` when the script is invalid."""
        super().__init__(config)
        script = config.get("metadata") or {}
        # A script is shared by all sessions that it is given to.
        self.script = script if isinstance(script, MockScript) else self._script()
        self.session = SessionConfig()
        self.played_ms: list[float | None] = []
        self.history: list[tuple[str, str]] = []
        self.results: list[tuple[str, str]] = []
        self._clock: Clock = config.get("clock") or SystemClock()
        self._usage = Usage()
        self._numbers = itertools.count(1)
        self._connected = False
        self._sound_bytes = 0
        self._vad = LevelDetector(self.script.vad_rms, self.script.vad_silence_ms)
        self._tasks = TaskScope("mock reply")
        self._task: asyncio.Task[None] | None = None
        self._response_id = ""
        self._events = 0
        self._awaited: set[str] = set()
        self._after_calls = ""

    def _script(self) -> MockScript:
        try:
            return read_options(self.own_settings(), MockScript)
        except ConfigError as error:
            raise ConfigError(f"the script of the mock provider: {error}", hint=error.hint) from None

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
        """Apply ``config``; `SessionConfig.voice` and instructions have no audible effect."""
        self.session = as_session_config(config)
        silence_ms = self.session.vad_silence_ms or self.script.vad_silence_ms
        self._vad = LevelDetector(self.script.vad_rms, silence_ms)

    async def send_audio(self, audio_data: bytes) -> None:
        """Take audio; with server turn detection a pause after speech ends the question."""
        self._require()
        self._sound_bytes += len(audio_data)
        self._usage += Usage(audio_seconds=len(audio_data) / _BYTES_PER_MS / 1000)
        if self.session.turn_detection == "client":
            return
        change = self._vad.feed(audio_data)
        if change is not None:
            if change and self._task is not None:
                # As with a real vendor: speech over a reply is a barge-in.
                await self._give_up("turn_detected")
            self._report(events.TurnDetected(change, self._vad.at_ms))
            if change is False:
                self._spoken_question()

    async def commit(self) -> None:
        """Answer what was sent; an error event when that was less than 100 ms, as at OpenAI."""
        self._require()
        if self._sound_bytes < 100 * _BYTES_PER_MS:
            code = "input_audio_buffer_commit_empty"
            self._report(events.ErrorOccurred(code, "less than 100 ms of audio"))
            return
        self._spoken_question()

    async def clear_audio(self) -> None:
        """Discard audio that was sent."""
        self._require()
        self._sound_bytes = 0

    async def send_text(self, text: str) -> None:
        """Answer ``text`` as the script says."""
        self._require()
        self._usage += Usage(input_text_tokens=_tokens(text))
        self._answer(self.script.reply_to(text))

    async def speak_text(self, text: str) -> None:
        """Say ``text``."""
        self._require()
        self._answer(MockReply(text))

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Cancel the response."""
        self._require()
        self.played_ms.append(played_ms)
        await self._give_up("client_cancelled")

    async def add_history(self, role: str, text: str) -> None:
        """Keep an earlier message."""
        self._require()
        self.history.append((role, text))

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Take the result of a call."""
        self._require()
        self._awaited.discard(call_id)
        self.results.append((call_id, output))

    async def request_response(self) -> None:
        """Answer with the results of the tools."""
        self._require()
        results = "; ".join(output for _, output in self.results)
        self._answer(MockReply(self._after_calls.replace("{results}", results)))

    async def get_usage(self) -> Usage | None:
        """Return what this session used, counted as OpenAI counts."""
        return self._usage

    async def estimate_cost(self) -> Cost | None:
        """Return what that would cost with ``prices_like``: by itself it costs nothing."""
        if not self.script.prices_like:
            return Cost(prices_of=facts().prices.as_of)
        return cost_of(self.script.prices_like, self._usage, prices=self.config.get("prices"))

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
            self._report(events.TextTranscription(text, False, item_id))
        self._answer(self.script.reply_to(text))

    def _answer(self, reply: MockReply) -> None:
        if self.script.silent or not self._connected:
            return
        before, self._task = self._task, None
        if before is not None:
            before.cancel()
        self._response_id = f"response_{next(self._numbers)}"
        self._task = self._tasks.start(self._respond(self._response_id, reply, before))

    async def _respond(self, response_id: str, reply: MockReply, before: asyncio.Task[None] | None) -> None:
        # One response at a time, as at a vendor: the events of two would be mixed.
        await cancel_and_wait(before)
        self._report(events.ResponseStarted(response_id))
        await self._pause(self.script.first_delay_s)
        used = Usage(responses=1)
        if not reply.calls:
            used += await self._say(response_id, reply.text)
        self._usage += used
        self._task = None
        self._report(events.UsageUpdated(self._usage, "mock"))
        for call in reply.calls:
            call_id = f"call_{next(self._numbers)}"
            self._after_calls = reply.text
            self._awaited.add(call_id)
            self._report(events.ToolCallInvoked(call.name, dict(call.arguments), call_id))
        self._report(events.ResponseCompleted(response_id, used))

    async def _say(self, response_id: str, text: str) -> Usage:
        """Report words and audio interleaved, as vendors do; returns their usage."""
        item_id = f"item_{next(self._numbers)}"
        sound_ms = 0.0
        if "audio" in self.session.modalities:
            self._report(events.AudioOutputStarted(RATE_HZ, response_id, item_id))
        for word in _words(text):
            self._report(events.TextOutput(word, True, response_id))
            if "audio" in self.session.modalities:
                for pcm in synthesize(word):
                    sound_ms += len(pcm) / _BYTES_PER_MS
                    self._report(events.AudioOutputChunk(pcm, RATE_HZ, 1, response_id, item_id))
                    await self._pause(self.script.chunk_delay_s)
        self._report(events.TextOutput(text, False, response_id))
        if "audio" in self.session.modalities:
            self._report(events.AudioOutputStopped(sound_ms, response_id, item_id))
        tokens = round(sound_ms / 1000 * OUT_TOKENS_PER_S)
        return Usage(
            output_text_tokens=_tokens(text), output_audio_tokens=tokens, audio_seconds=sound_ms / 1000
        )

    async def _give_up(self, reason: str) -> None:
        if self._task is None:
            return
        await self._stop()
        self._report(events.ResponseCancelled(self._response_id, reason))

    async def _stop(self) -> None:
        task, self._task = self._task, None
        await cancel_and_wait(task)

    def _report(self, event: events.ProviderEvent) -> None:
        if not self._connected:
            return
        self.on_event(event)
        self._events += 1
        # After the event: a test says which was the last to arrive.
        if self.script.drop_after and self._events >= self.script.drop_after:
            self._connected = False
            if self._task is not None:
                self._task.cancel()
            self.on_event(events.ConnectionLost("mock", "network_error", "dropped by its script"))

    async def _pause(self, seconds: float) -> None:
        # Also without delays other tasks run between the pieces of a reply, as with one from a socket.
        await (self._clock.sleep(seconds) if seconds > 0 else asyncio.sleep(0))


def _tokens(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)


def _words(text: str) -> list[str]:
    words = text.split()
    return [f"{word} " for word in words[:-1]] + words[-1:]


def synthesize(text: str) -> Iterator[bytes]:
    """Yield mono s16le chunks of at most `CHUNK_MS`: a buzz in syllables, `MS_PER_CHAR` a letter."""
    left_bytes = round(len(text) * MS_PER_CHAR) * _SAMPLES_PER_MS * 2
    while left_bytes > 0:
        chunk = _chunk()[:left_bytes]
        yield chunk
        left_bytes -= len(chunk)


# Sines in pure Python are slow; every chunk is the same.
@functools.cache
def _chunk() -> bytes:
    """Return one syllable; it begins and ends at zero, so that chunks join without a click."""
    count = CHUNK_MS * _SAMPLES_PER_MS
    loudness = (_PEAK * math.sin(math.pi * index / count) for index in range(count))
    step = 2 * math.pi * _PITCH_HZ / RATE_HZ
    samples = [round(level * math.sin(step * index)) for index, level in enumerate(loudness)]
    return array.array("h", samples).tobytes()


def rms(pcm: bytes) -> float:
    """Return the loudness of mono s16le ``pcm`` on the scale of its samples; 0 for none."""
    samples = array.array("h", pcm[: len(pcm) & ~1])
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples)) if samples else 0.0


class LevelDetector:
    """Detects speech by its level alone; time is counted in samples."""

    def __init__(self, threshold: float, silence_ms: float) -> None:
        self.speaking = False
        self.at_ms = 0.0
        self._threshold = threshold
        self._silence_ms = silence_ms
        self._quiet_ms = 0.0

    def feed(self, pcm: bytes) -> bool | None:
        """Take a block; returns True when speech begins, False when it ends, None when nothing changes."""
        block_ms = len(pcm) / 2 / _SAMPLES_PER_MS
        self.at_ms += block_ms
        if rms(pcm) >= self._threshold:
            self._quiet_ms = 0.0
            if not self.speaking:
                self.speaking = True
                return True
        elif self.speaking:
            self._quiet_ms += block_ms
            if self._quiet_ms >= self._silence_ms:
                self.speaking, self._quiet_ms = False, 0.0
                return False
        return None
