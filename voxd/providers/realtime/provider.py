"""Answers with a speech-to-speech vendor: audio goes out while the user speaks, replies stream back."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass

from voxd.audio.sound import Resampler
from voxd.clock import Clock
from voxd.errors import ConnectionFailed, NotConnected, ProviderError, VoxdError
from voxd.events import Emit
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Clip, Frame
from voxd.providers import events
from voxd.providers.audio_buffer import AudioBuffer, record
from voxd.providers.base import BaseProvider
from voxd.providers.contract import (
    TYPED,
    LatencyStep,
    ReplyAudio,
    ReplyEnd,
    ReplyItem,
    ReplyText,
    Request,
    Transcript,
)
from voxd.providers.events import ProviderEvent
from voxd.providers.realtime.connect import as_provider_error
from voxd.providers.realtime.reply_stream import ReplyStream
from voxd.providers.realtime.session import Session
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import MAX_TOOL_ROUNDS, ToolBox
from voxd.providers.usage import Cost, Usage
from voxd.tasks import TaskScope, cancel_and_wait

_log = logging.getLogger(__name__)

Record = Callable[[str, Usage, Cost | None], None]
"""Takes the provider's name, what was used since it was last called, and its price if that is known."""

TRANSCRIPT_GRACE_S = 1.0
"""How long the end of a turn waits, after its audio, for transcripts, which some vendors send last."""

SETTLE_S = 2.0
"""How long a provider may take to accept that its reply was cut."""

SETTLE_FAILED_S = 0.2
"""The same after a failure: the next provider cannot begin before."""

TURN_END_S = 60.0
"""A turn may last this long after its provider was to be closed; then it is cut."""

CLOSING_SILENCE_S = 2.0
"""The silence a vendor with turn detection gets after the utterance, so that it detects the end."""


QUEUE_LOOK_S = 0.05
"""The shortest time between two looks at a deadline that moves on."""


@dataclass(frozen=True, slots=True)
class RealtimeConfig:
    """A provider as the configuration describes it; ``make`` returns a new, unconnected session."""

    name: str
    kind: str
    make: Callable[[], BaseProvider]
    config: SessionConfig
    idle_close_s: float = 60.0
    connect_timeout_s: float = 5.0
    first_audio_timeout_s: float = 2.0
    max_tool_rounds: int = MAX_TOOL_ROUNDS


class RealtimeProvider:
    """Implements `voxd.providers.contract.Provider` over one `Session`, which it owns.

    One turn at a time: the next one begins when it is settled how much of the last reply was played.
    ``speak`` is the local text-to-speech, for sentences to be spoken as they are. ``record`` gets the usage;
    ``failed`` is called when no session can be opened, also between turns.
    """

    def __init__(
        self,
        realtime: RealtimeConfig,
        *,
        tools: ToolBox,
        emit: Emit,
        clock: Clock,
        speak: Callable[[str], AsyncGenerator[Clip]],
        record: Record = lambda provider, usage, cost: None,
        failed: Callable[[str, VoxdError], None] = lambda provider, error: None,
    ) -> None:
        self.realtime = realtime
        self._emit = emit
        self._clock = clock
        self._speak = speak
        self._tools = tools
        self._session = Session(
            realtime.make,
            name=realtime.name,
            kind=realtime.kind,
            config=realtime.config,
            tools=tools,
            on_event=self._receive,
            clock=clock,
            idle_close_s=realtime.idle_close_s,
            # Failover tries the next provider instead, and the circuit breaker comes back to this one.
            retries=0,
            max_tool_rounds=realtime.max_tool_rounds,
        )
        self._usage = UsageReporter(realtime.name, self._session, record)
        self._failed = failed
        self._stream: ReplyStream | None = None
        self._turn: str | None = None
        # Held for a whole turn.
        self._one = asyncio.Lock()
        self._tasks = TaskScope(f"provider {realtime.name}")
        self._connecting: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The provider's name in the configuration."""
        return self.realtime.name

    def prepare(self) -> None:
        """Open the session in the background, so that the first word need not wait for it."""
        if self._session.is_connected or (self._connecting and not self._connecting.done()):
            return
        self._connecting = self._tasks.start(self._connect(), name=f"connect {self.name}", is_awaited=True)
        # A question that needs the session awaits the task; without one its error is retrieved here.
        self._connecting.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def converse(self, request: Request) -> AsyncGenerator[ReplyItem]:
        """Answer ``request``. Raises `ProviderError`, code ``timeout`` when no reply comes.

        The time runs from the end of the question, whether or not a session was open by then.
        """
        async with self._one, AsyncExitStack() as stack:
            detects_ends = request.audio is not None and self.realtime.config.turn_detection != "client"
            self._turn = request.turn
            self._stream = stream = ReplyStream(
                self.name, sound=request.speak, detects_ends=detects_ends, acts=self._tools.acts
            )
            buffer = None
            if request.audio is not None:
                buffer = await stack.enter_async_context(record(request.audio))
            asking = self._tasks.start(self._ask(request.text, buffer, stream), name=f"ask {self.name}")
            waiting = self._tasks.start(_wait_for_end(buffer, stream), name="end of speech")
            settle_s = SETTLE_S
            try:
                if request.audio is None:
                    yield Transcript(request.text or "", True, TYPED)
                words = []
                async for item in self._replies(stream, spoken=request.audio is not None):
                    yield item
                    if isinstance(item, ReplyText):
                        words.append(item.text)
                if request.speak and words and not stream.has_sound:
                    # A model may answer in words although sound was requested: the user is to hear them.
                    async with aclosing(self._speak(" ".join(words))) as clips:
                        async for clip in clips:
                            yield ReplyAudio(clip)
                yield ReplyEnd(stream.sentences.is_question)
            except VoxdError:
                settle_s = SETTLE_FAILED_S
                raise
            finally:
                self._stream = None
                # Before `_settle`, which must not overtake audio that is still being sent.
                await cancel_and_wait(asking, waiting)
                await self._settle(stream, request.playback.played_ms, settle_s)
                self._turn = None

    def speak(self, text: str) -> AsyncGenerator[Clip]:
        """Speak ``text`` by the local text-to-speech: a speech-to-speech vendor would answer it."""
        return self._speak(text)

    async def switch(self, realtime: RealtimeConfig) -> None:
        """Continue with another vendor after the turn in progress; the conversation is carried over.

        Raises `ProviderError` when a session is open and the other cannot be opened; the old one then stays.
        """
        async with self._one:
            await self._session.switch(realtime.make, realtime.name, realtime.config, kind=realtime.kind)
            await self._usage.rename(realtime.name)
            self.realtime = realtime

    async def forget(self) -> None:
        """Drop the conversation, after the turn in progress, and close the session that holds it."""
        async with self._one:
            self._session.forget()
            await self._session.close()

    async def close(self) -> None:
        """Close the session, after the turn in progress; idempotent."""
        # A turn that never ends must not keep the daemon from stopping.
        with suppress(TimeoutError):
            async with asyncio.timeout(TURN_END_S), self._one:
                await self._close()
                return
        await self._close()

    async def _close(self) -> None:
        await cancel_and_wait(self._connecting)
        if self._closing:
            await asyncio.gather(self._closing, return_exceptions=True)
        await self._session.close()
        await self._usage.settle()

    # --- the question -----------------------------------------------------------------------------

    async def _connect(self) -> None:
        limit_s = self.realtime.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._session.connect(0)
        except TimeoutError as error:
            msg = f"{self.name} did not open a session within {limit_s:g} s"
            raise ConnectionFailed(msg, provider=self.name, code="timeout") from error

    async def _ask(self, text: str | None, buffer: AudioBuffer | None, stream: ReplyStream) -> None:
        try:
            self.prepare()
            if not self._session.is_connected and self._connecting:
                # Shielded: when this turn is cancelled the next one still needs the session.
                await asyncio.shield(self._connecting)
            stream.reach(LatencyStep.SESSION_READY, self._clock.monotonic())
            if buffer is None:
                stream.ask()
                await self._session.send_text(text or "")
            else:
                await self._send(buffer.play(), stream)
        except VoxdError as error:
            stream.fail(error)

    async def _send(self, frames: AsyncIterator[Frame], stream: ReplyStream) -> None:
        provider = self._session.provider
        if provider is None:
            raise NotConnected(f"the session with {self.name} is gone", provider=self.name)
        rate_hz = provider.capabilities.input_rate_hz
        resampler = Resampler(SAMPLE_RATE_HZ, rate_hz)
        sent = False
        async for frame in frames:
            pcm = resampler.feed(frame.pcm)
            if pcm:
                await self._session.send_audio(pcm)
                if not sent:
                    sent = True
                    stream.reach(LatencyStep.AUDIO_SENT, self._clock.monotonic())
        # The resampler's filter still holds the last samples.
        if rest := resampler.feed(b"", last=True):
            await self._session.send_audio(rest)
        stream.ask()
        if self._session.config.turn_detection == "client":
            await self._session.commit()
        else:
            await self._session.send_audio(bytes(round(CLOSING_SILENCE_S * rate_hz) * BYTES_PER_SAMPLE))

    # --- the reply --------------------------------------------------------------------------------

    def _receive(self, event: ProviderEvent) -> None:
        if self._stream is not None:
            self._stream.take(event)
        match event:
            # Also between turns, so that the next question is not the one to find out.
            case events.ConnectFailed(error=VoxdError() as error):
                self._failed(self.name, error)
            case events.UsageUpdated() | events.ConnectionClosed() | events.ConnectionLost():
                self._usage.update()
            # Audio and single words come many times a second: they are played, and published as sentences.
            case events.AudioOutputChunk():
                return
            case events.TextOutput(is_partial=True) | events.TextTranscription(is_partial=True):
                return
        self._emit(event.type, turn=self._turn, **event.data)

    async def _replies(self, stream: ReplyStream, *, spoken: bool) -> AsyncIterator[ReplyItem]:
        while True:
            while (item := stream.pop()) is not None:
                yield item
            if stream.error is not None:
                raise as_provider_error(stream.error, self.name)
            if stream.complete:
                break
            await self._wait(stream)
        spoken = spoken and self.realtime.config.transcription
        # Some vendors send transcripts after the reply; they are for the history and the log.
        spoken = spoken and self.realtime.config.transcription
        until_s = max(asyncio.get_running_loop().time() + TRANSCRIPT_GRACE_S, stream.heard_s)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                while stream.error is None and ((spoken and not stream.understood) or stream.lacks_words):
                    await stream.changed()
                    while (item := stream.pop()) is not None:
                        yield item

    async def _wait(self, stream: ReplyStream) -> None:
        limit_s = self.realtime.first_audio_timeout_s
        # The session ends a response that is whole by itself: the user has heard an answer, not a fault.
        since_s = None if self._session.is_answer_whole else stream.waiting_since_s
        queued_s = self._queued_s
        due_s = None if since_s is None else since_s + limit_s + queued_s
        if due_s is not None and queued_s:
            # While the question queues the deadline moves on with every look at it.
            due_s = max(due_s, asyncio.get_running_loop().time() + QUEUE_LOOK_S)
        try:
            async with asyncio.timeout_at(due_s):
                await stream.changed()
        except TimeoutError as error:
            if self._queued_s > queued_s:
                # The question waits, or has waited, in a queue of ours: that is not the vendor's time.
                return
            if not self._session.is_connected:
                msg = f"{self.name} did not open a session in time"
                raise ConnectionFailed(msg, provider=self.name, code="timeout") from error
            # A session without a reply would delay the next question too.
            self._closing = self._tasks.start(self._session.close(), name=f"close {self.name}")
            msg = f"no reply from {self.name} for {limit_s:g} s"
            raise ProviderError(msg, provider=self.name, code="timeout") from error

    @property
    def _queued_s(self) -> float:
        provider = self._session.provider
        return provider.queued_s if provider is not None else 0.0

    async def _settle(self, stream: ReplyStream, played_ms: float | None, settle_s: float) -> None:
        """Discard what was sent of an incomplete question, and cut a reply that was not played whole."""
        if not self._session.is_connected:
            return
        try:
            async with asyncio.timeout(settle_s):
                if not stream.question_sent:
                    await self._session.clear_audio()
                elif played_ms is not None or not stream.complete:
                    await self._session.interrupt(played_ms)
        except (VoxdError, TimeoutError) as error:
            _log.info("%s did not accept that its reply was cut: %s", self.name, error)


async def _wait_for_end(buffer: AudioBuffer | None, stream: ReplyStream) -> None:
    if buffer is not None:
        await buffer.ended.wait()
    stream.speech_ended()


class UsageReporter:
    """Reads a session's totals and passes on what they grew by."""

    def __init__(self, name: str, session: Session, record: Record) -> None:
        self.name = name
        self._session = session
        self._record = record
        self._usage = Usage()
        self._cost = Cost()
        self._tasks = TaskScope(f"usage of {name}")
        self._task: asyncio.Task[None] | None = None
        # Asked for while it reads: the totals may have grown since.
        self._again = False

    def update(self) -> None:
        """Record soon what was used."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = self._tasks.start(self._run())

    async def rename(self, name: str) -> None:
        """Record what is used from now on for provider ``name``."""
        await self.settle()
        self.name = name

    async def settle(self) -> None:
        """Record what is not recorded yet."""
        self.update()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._again:
            self._again = False
            await self._record_growth()

    async def _record_growth(self) -> None:
        usage, cost = await self._session.usage(), await self._session.cost()
        # A total that shrinks while a session is replaced is not a refund.
        growth = {name: getattr(usage, name) - getattr(self._usage, name) for name in Usage.__struct_fields__}
        used = Usage(**{name: max(0, value) for name, value in growth.items()})
        if used == Usage():
            return
        price = None
        if cost is not None:
            audio, text = cost.audio_cost - self._cost.audio_cost, cost.text_cost - self._cost.text_cost
            # Totals shrink while a session is replaced; a negative cost would be a refund.
            price = Cost(audio_cost=max(0.0, audio), text_cost=max(0.0, text), prices_of=cost.prices_of)
            self._cost = cost
        self._usage += used
        self._record(self.name, used, price)
