"""Transcribes over a WebSocket while the user speaks, and loses no word when the connection breaks.

What a vendor has not yet dealt with is kept; on a new connection it is sent again as fast as he takes it,
and what follows is sent as it is spoken. So each word reaches exactly one connection whose text is used.
"""

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import ClassVar

from voxd.errors import ConnectionFailed, ProviderError
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Frame, samples_from_ms, samples_from_s
from voxd.net import faults
from voxd.net.faults import CloseReason, RefusalReader
from voxd.net.transport import Access, Budget
from voxd.net.websocket import WebSocketAddress, WebSocketConnection
from voxd.providers.pipeline.stages.contract import SpeechToText, Transcription, TranscriptionRequest
from voxd.providers.pipeline.stages.stt_buffer import Kept
from voxd.providers.pipeline.stages.stt_protocol import (
    SttProtocol,
    TranscriptAssembler,
    TranscriptUpdate,
    WireMessage,
)
from voxd.providers.usage import Usage

RECONNECTS = 2
"""So often the connection of one utterance is opened again."""

FINAL_S = 10.0
"""So long the final text is waited for where the budget has no end."""

PARTING_S = 0.5
"""So long it may take to say good-bye to a vendor whose answer is not wanted any more."""

_LATE = CloseReason("timeout", "the vendor did not finish the text in time")


class StreamingSpeechToText(SpeechToText):
    """A vendor who transcribes while the user speaks: subclass it, and give the address and the dialect."""

    live: ClassVar[bool] = True
    subprotocols: ClassVar[tuple[str, ...]] = ()
    """What is offered in the handshake; the vendor may pass it over."""

    @property
    def refusals(self) -> RefusalReader:
        """What reads an answer of the vendor that is no WebSocket."""
        return faults.error_for_refusal

    @abstractmethod
    def address(self, access: Access, told: TranscriptionRequest) -> WebSocketAddress:
        """Return where, and with what settings, ``told`` is transcribed. Raises `VoxdError`."""

    @abstractmethod
    def dialect(self, told: TranscriptionRequest) -> SttProtocol:
        """Return what one connection speaks."""

    def language(self, told: TranscriptionRequest) -> str:
        """Return what is spoken, "" when nobody knows."""
        return told.language or self.config.language

    async def transcribe(
        self, audio: AsyncIterator[Frame], told: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        """Yield what is understood of ``audio``; the budget's end counts from when the user has finished.

        Set ``told.budget.until_s`` before ``audio`` ends. Raises `ProviderError`, of code "timeout" when
        the final text is late, and whatever ``audio`` raises.
        """
        sound = Kept()
        filling = asyncio.create_task(sound.fill(audio), name=f"hear {self.name}")
        try:
            async with aclosing(self._follow(sound, told)) as heard:
                async for each in heard:
                    yield each
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)

    async def _follow(self, sound: Kept, told: TranscriptionRequest) -> AsyncGenerator[Transcription]:
        transcript, used = TranscriptAssembler(), Usage()
        broken: ConnectionFailed | None = None
        reconnects = 0
        if not await sound.begun():
            yield Transcription("", final=True)
            return
        while not (broken and sound.understood):
            link: _SttConnection | None = None
            try:
                async with self.wire.socket(
                    lambda access: self.address(access, told),
                    told.budget,
                    kind="transcribe",
                    refused=self.refusals,
                    subprotocols=self.subprotocols,
                ) as connection:
                    link = _SttConnection(self.name, connection, self.dialect(told), sound, told.budget)
                    if broken is not None:
                        self.wire.note("reconnected", code=broken.code, replayed_s=link.behind_s)
                    async with aclosing(link.readings()) as readings:
                        async for reading in readings:
                            if heard := transcript.take(reading):
                                yield heard
                    # Within the block: the closing handshake is nothing to wait for.
                    yield Transcription(transcript.text, final=True, usage=used + link.used)
                    return
            except ConnectionFailed as error:
                if link is None or reconnects == RECONNECTS or told.budget.retries <= 0:
                    raise
                told.budget.retries -= 1
                reconnects += 1
                broken, used = error, used + link.used
                transcript.break_off()
        yield Transcription(transcript.text, final=True, usage=used)


class _SttConnection:
    """One connection of an utterance: sends the sound that is not yet understood, and what follows it."""

    def __init__(
        self,
        provider: str,
        connection: WebSocketConnection,
        dialect: SttProtocol,
        sound: Kept,
        budget: Budget,
    ) -> None:
        self._provider = provider
        self._connection = connection
        self._dialect = dialect
        self._sound = sound
        self._budget = budget
        self._from = sound.start  # where second 0 of this connection lies in the utterance
        self._sent = 0
        self._finishing = False
        self._billed: Usage | None = None

    @property
    def behind_s(self) -> float:
        """How much sound waits to be sent again, in seconds."""
        return round((self._sound.end - self._from) / SAMPLE_RATE_HZ, 3)

    @property
    def used(self) -> Usage:
        """What the vendor will bill."""
        return self._billed or Usage(transcribed_seconds=self._sent / SAMPLE_RATE_HZ)

    async def readings(self) -> AsyncGenerator[TranscriptUpdate]:
        """Yield what the vendor tells, to the end. Raises `ProviderError`, or what ``audio`` raised."""
        self._connection.active = True
        sending = asyncio.create_task(self._send(), name=f"send {self._provider}")
        sending.add_done_callback(self._break_if_failed)
        limiting = asyncio.create_task(self._limit(), name=f"limit {self._provider}")
        try:
            while (message := await self._connection.receive()) is not None:
                reading = self._dialect.read(message)
                if reading is None:
                    continue
                self._take(reading)
                yield reading
                if reading.done:
                    return
            self._explain(sending)
        finally:
            for task in (sending, limiting):
                task.cancel()
            await asyncio.gather(sending, limiting, return_exceptions=True)
            await self._part()

    def _take(self, reading: TranscriptUpdate) -> None:
        if reading.done and not self._finishing:
            raise faults.error_for_close(
                self._provider, CloseReason("closed_by_vendor", "the vendor ended the session")
            )
        if reading.heard_s is not None:
            # He cannot have dealt with what he was not sent, whatever he says.
            heard_s = min(max(reading.heard_s, 0.0), self._sent / SAMPLE_RATE_HZ)
            self._sound.forget(self._from + samples_from_s(heard_s))
        self._billed = reading.usage or self._billed

    def _explain(self, sending: "asyncio.Task[None]") -> None:
        """Raise why the connection is over; return when that is because everything was told."""
        if sending.done() and not isinstance(sending.exception(), ProviderError | None):
            sending.result()
        ending = self._connection.ending or CloseReason("network_error", "the connection broke")
        if ending is _LATE:
            raise ProviderError(_LATE.reason, provider=self._provider, code=_LATE.code)
        sent_s = self._sent / SAMPLE_RATE_HZ
        if not (self._finishing and self._dialect.is_complete(ending, sent_s)):
            raise self._dialect.closed(ending)

    async def _send(self) -> None:
        await self._say(*self._dialect.opening())
        chunk, at = samples_from_ms(self._dialect.chunk_ms), self._from
        least_bytes = samples_from_ms(self._dialect.least_ms) * BYTES_PER_SAMPLE
        began_s = asyncio.get_running_loop().time()
        while pcm := await self._next(at, chunk):
            at += len(pcm) // BYTES_PER_SAMPLE
            pcm = pcm.ljust(least_bytes, b"\0")
            await self._wait_since(began_s)
            self._sent += len(pcm) // BYTES_PER_SAMPLE
            await self._say(self._dialect.sound(pcm))
        self._finishing = True
        await self._say(*self._dialect.finish())

    async def _wait_since(self, began_s: float) -> None:
        """Wait until the vendor takes more; without a throttle at once."""
        if self._dialect.throttle is not None:
            passed_s = asyncio.get_running_loop().time() - began_s
            await asyncio.sleep(self._dialect.throttle.pause_s(self._sent / SAMPLE_RATE_HZ, passed_s))

    async def _next(self, at: int, samples: int) -> bytes:
        """Return the next piece of sound; while there is none, keep the vendor from going away."""
        while True:
            try:
                async with asyncio.timeout(self._dialect.keep_alive_s):
                    return await self._sound.piece(at, samples)
            except TimeoutError:
                await self._say(self._dialect.keep_alive)

    async def _say(self, *messages: WireMessage) -> None:
        for message in messages:
            if message:
                await self._connection.send(message)

    async def _limit(self) -> None:
        """Break off when the text is not final in time."""
        await self._sound.over.wait()
        now_s = asyncio.get_running_loop().time()
        until_s = self._budget.until_s
        await asyncio.sleep(FINAL_S if until_s is None else max(until_s - now_s, 0.0))
        self._connection.abort(_LATE)

    def _break_if_failed(self, sending: "asyncio.Task[None]") -> None:
        if not sending.cancelled() and sending.exception() is not None:
            self._connection.abort(CloseReason("network_error", "the sound could not be sent"))

    async def _part(self) -> None:
        if self._connection.ending is None and not self._finishing:
            with contextlib.suppress(ProviderError, TimeoutError):
                async with asyncio.timeout(PARTING_S):
                    await self._say(*self._dialect.parting())
