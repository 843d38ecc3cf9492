"""Answers with a speech-to-speech vendor: sound goes out while the user speaks, replies play as they come."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from voxd.audio.resample import Resampler
from voxd.clock import Clock
from voxd.errors import ConnectionFailed, NotConnected, ProviderError, VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Clip, Frame
from voxd.providers.audio_buffer import AudioBuffer, record
from voxd.providers.base import BaseProvider
from voxd.providers.contract import TYPED, LatencyStep, ReplyEnd, ReplyItem, Request, Transcript
from voxd.providers.realtime.account import Record, UsageReporter
from voxd.providers.realtime.connect import as_provider_error
from voxd.providers.realtime.reply_stream import ReplyStream
from voxd.providers.realtime.session import Session
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox

_log = logging.getLogger(__name__)

TRANSCRIPT_GRACE_S = 1.0
"""So long the end of a turn waits for the words of the question, which some vendors tell last."""

FAREWELL_S = 2.0
"""A provider that cannot be told within this that its reply was cut is left to itself."""

HURRIED_S = 0.2
"""The same when he has failed: somebody else waits to answer."""

TURN_END_S = 60.0
"""A turn that lasts longer after its provider was to be closed is cut."""

CLOSING_SILENCE_S = 2.0
"""What a vendor that decides itself when the user has finished is sent when we know that he has."""


@dataclass(frozen=True, slots=True)
class RealtimeConfig:
    """A vendor as the configuration describes it; ``make`` returns a new, unconnected provider."""

    name: str
    kind: str
    make: Callable[[], BaseProvider]
    config: SessionConfig
    idle_close_s: float = 60.0
    connect_timeout_s: float = 5.0
    first_audio_timeout_s: float = 2.0


class RealtimeProvider:
    """Implements `voxd.providers.contract.Provider` over one `Session`, which it owns.

    One turn at a time: the next one begins when the one before was told how much of it was heard. ``speak``
    is the device's own voice, for sentences that are to be said as they are. What was used is given to
    ``record``; that no session can be had, also between turns, to ``failed``, who finds out when one can.
    """

    def __init__(
        self,
        brain: RealtimeConfig,
        *,
        tools: ToolBox,
        emit: Emit,
        clock: Clock,
        speak: Callable[[str], AsyncGenerator[Clip]],
        record: Record = lambda provider, usage, cost: None,
        failed: Callable[[str, VoxdError], None] = lambda provider, error: None,
    ) -> None:
        self.brain = brain
        self._emit = emit
        self._clock = clock
        self._speak = speak
        self._tools = tools
        self._session = Session(
            brain.make,
            name=brain.name,
            kind=brain.kind,
            config=brain.config,
            tools=tools,
            emit=self._hear,
            clock=clock,
            idle_close_s=brain.idle_close_s,
            retries=0,
        )
        self._account = UsageReporter(brain.name, self._session, record)
        self._failed = failed
        self._feed: ReplyStream | None = None
        self._turn: str | None = None
        self._one = asyncio.Lock()
        self._connecting: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The provider's name in the configuration."""
        return self.brain.name

    def prepare(self) -> None:
        """Open the session in the background, so that the first word need not wait for it."""
        if self._session.is_connected or (self._connecting and not self._connecting.done()):
            return
        self._connecting = asyncio.create_task(self._connect(), name=f"connect {self.name}")
        # Who needs the session asks for the error; nobody may.
        self._connecting.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def converse(self, request: Request) -> AsyncGenerator[ReplyItem]:
        """Answer ``request``. Raises `ProviderError`, code ``timeout`` when the vendor stays silent.

        His time runs from the end of the question, whether or not there was a session to tell it to.
        """
        async with self._one, AsyncExitStack() as stack:
            hears_ends = request.audio is not None and self.brain.config.turn_detection != "client"
            self._turn = request.turn
            self._feed = feed = ReplyStream(
                self.name, sound=request.speak, hears_ends=hears_ends, acts=self._tools.acts
            )
            tape = None
            if request.audio is not None:
                tape = await stack.enter_async_context(record(request.audio))
            asking = asyncio.create_task(self._ask(request.text, tape, feed), name=f"ask {self.name}")
            waiting = asyncio.create_task(_wait_for_end(tape, feed))
            farewell_s = FAREWELL_S
            try:
                if request.audio is None:
                    yield Transcript(request.text or "", True, TYPED)
                async for item in self._replies(feed, spoken=request.audio is not None):
                    yield item
                yield ReplyEnd(feed.sentences.is_question)
            except VoxdError:
                farewell_s = HURRIED_S
                raise
            finally:
                self._feed = None
                for task in (asking, waiting):
                    task.cancel()
                await asyncio.gather(asking, waiting, return_exceptions=True)
                await self._settle(feed, request.heard.played_ms, farewell_s)
                self._turn = None

    def speak(self, text: str) -> AsyncGenerator[Clip]:
        """Speak ``text`` with the device's own voice: a vendor would answer it."""
        return self._speak(text)

    async def switch(self, brain: RealtimeConfig) -> None:
        """Go on with another vendor after the turn under way; the conversation is carried over.

        Raises `ProviderError` when a session is open and the other cannot be had; this one then goes on.
        """
        async with self._one:
            await self._session.switch(brain.make, brain.name, brain.config, kind=brain.kind)
            await self._account.rename(brain.name)
            self.brain = brain

    async def forget(self) -> None:
        """Forget the conversation, after the turn under way, and close the session that knows it."""
        async with self._one:
            self._session.forget()
            await self._session.close()

    async def close(self) -> None:
        """Close the session, after the turn under way; idempotent."""
        with suppress(TimeoutError):
            async with asyncio.timeout(TURN_END_S), self._one:
                await self._close()
                return
        await self._close()

    async def _close(self) -> None:
        if self._connecting:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._closing:
            await asyncio.gather(self._closing, return_exceptions=True)
        await self._session.close()
        await self._account.settle()

    # --- the question -----------------------------------------------------------------------------

    async def _connect(self) -> None:
        limit_s = self.brain.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._session.connect(0)
        except TimeoutError as error:
            msg = f"{self.name} did not open a session within {limit_s:g} s"
            raise ConnectionFailed(msg, provider=self.name, code="timeout") from error

    async def _ask(self, text: str | None, tape: AudioBuffer | None, feed: ReplyStream) -> None:
        try:
            self.prepare()
            if not self._session.is_connected and self._connecting:
                # Shielded: when this turn is given up the next one still wants the session.
                await asyncio.shield(self._connecting)
            feed.reached(LatencyStep.SESSION_READY, self._clock.monotonic())
            if tape is None:
                feed.ask()
                await self._session.send_text(text or "")
            else:
                await self._send(tape.play(), feed)
        except VoxdError as error:
            feed.fail(error)

    async def _send(self, frames: AsyncIterator[Frame], feed: ReplyStream) -> None:
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
                    feed.reached(LatencyStep.AUDIO_SENT, self._clock.monotonic())
        if rest := resampler.feed(b"", last=True):
            await self._session.send_audio(rest)
        feed.ask()
        if self._session.config.turn_detection == "client":
            await self._session.commit()
        else:
            await self._session.send_audio(bytes(round(CLOSING_SILENCE_S * rate_hz) * BYTES_PER_SAMPLE))

    # --- the reply --------------------------------------------------------------------------------

    def _hear(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        """Take an event of the session: an `Emit`."""
        if self._feed is not None:
            self._feed.take(type, data)
        if type == E.CONNECTION_FAILED:
            self._failed(self.name, data["error"])
        if type in (E.USAGE_UPDATED, E.CONNECTION_CLOSED, E.CONNECTION_LOST):
            self._account.update()
        # Sound and single words come many times a second: they go to the loudspeaker, and as sentences.
        if type != E.AUDIO_OUTPUT_CHUNK and not data.get("is_partial", False):
            self._emit(type, turn=self._turn, **data)

    async def _replies(self, feed: ReplyStream, *, spoken: bool) -> AsyncIterator[ReplyItem]:
        while True:
            while (item := feed.pop()) is not None:
                yield item
            if feed.error is not None:
                raise as_provider_error(feed.error, self.name)
            if feed.complete:
                break
            await self._wait(feed)
        if spoken and not feed.understood and self.brain.config.transcription:
            with suppress(TimeoutError):
                async with asyncio.timeout(TRANSCRIPT_GRACE_S):
                    while not feed.understood and feed.error is None:
                        await feed.changed()
                        while (item := feed.pop()) is not None:
                            yield item

    async def _wait(self, feed: ReplyStream) -> None:
        limit_s = self.brain.first_audio_timeout_s
        since_s = feed.waiting_since_s
        try:
            async with asyncio.timeout_at(None if since_s is None else since_s + limit_s):
                await feed.changed()
        except TimeoutError as error:
            if not self._session.is_connected:
                msg = f"{self.name} did not open a session in time"
                raise ConnectionFailed(msg, provider=self.name, code="timeout") from error
            # Whatever holds this session up holds the next question up too.
            self._closing = asyncio.create_task(self._session.close(), name=f"close {self.name}")
            msg = f"{self.name} said nothing for {limit_s:g} s"
            raise ProviderError(msg, provider=self.name, code="timeout") from error

    async def _settle(self, feed: ReplyStream, played_ms: float | None, farewell_s: float) -> None:
        """Tell the vendor what of this turn did not happen."""
        if not self._session.is_connected:
            return
        try:
            async with asyncio.timeout(farewell_s):
                if not feed.asked:
                    await self._session.clear_audio()
                elif played_ms is not None or not feed.complete:
                    await self._session.interrupt(played_ms)
        except (VoxdError, TimeoutError) as error:
            _log.info("%s was not told that its reply was cut: %s", self.name, error)


async def _wait_for_end(tape: AudioBuffer | None, feed: ReplyStream) -> None:
    if tape is not None:
        await tape.ended.wait()
    feed.spoken()
