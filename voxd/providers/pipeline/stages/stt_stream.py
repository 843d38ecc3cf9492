"""Streaming speech-to-text over a WebSocket, which loses no word when the connection breaks.

Audio that the vendor has not confirmed as processed is buffered. On a new connection it is sent again, as
fast as the vendor takes it, followed by the live audio. So each word reaches exactly one connection whose
text is used.
"""

import asyncio
import contextlib
import math
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, ClassVar

from voxd.errors import ConnectionFailed, ProviderError
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Frame, samples_from_ms, samples_from_s
from voxd.net import faults
from voxd.net.endpoint import realtime_url
from voxd.net.faults import CloseReason
from voxd.net.transport import Access, Budget, Transport
from voxd.net.websocket import WebSocketAddress, WebSocketConnection
from voxd.providers.audio_buffer import AudioBuffer
from voxd.providers.pipeline.stages.contract import SpeechToText, Transcription, TranscriptionRequest
from voxd.providers.pipeline.stages.stt_protocol import (
    SttProtocol,
    TranscriptAssembler,
    TranscriptUpdate,
    WireMessage,
)
from voxd.providers.usage import Usage
from voxd.tasks import TaskScope

RECONNECTS = 2
"""How often the connection of one utterance is reopened."""

FINAL_S = 10.0
"""How long to wait for the final text when the budget has no deadline."""

ABORT_S = 0.5
"""How long sending the messages of `SttProtocol.abort` may take."""

_LATE = CloseReason("timeout", "the vendor did not finish the text in time")


class StreamingSpeechToText(SpeechToText):
    """A vendor that transcribes while the user speaks: subclass it with the address and the protocol."""

    live: ClassVar[bool] = True
    subprotocols: ClassVar[tuple[str, ...]] = ()
    """WebSocket subprotocols offered in the handshake; the server may select none."""

    @abstractmethod
    def address(self, access: Access, request: TranscriptionRequest) -> WebSocketAddress:
        """Return the address for ``request``, with its settings in the query. Raises `VoxdError`."""

    @abstractmethod
    def protocol(self, request: TranscriptionRequest) -> SttProtocol:
        """Return the protocol of one new connection."""

    def language(self, request: TranscriptionRequest) -> str:
        """Return the language of ``request`` or of the configuration, "" when neither is set."""
        return request.language or self.config.language

    def address_at(
        self,
        access: Access,
        path: str,
        query: Mapping[str, Any],
        headers: Mapping[str, str],
        *,
        prefix: str = "",
    ) -> WebSocketAddress:
        """Return the address of the socket at ``path`` of the endpoint. Raises `ProviderError`."""
        endpoint = access.endpoint or self.default_endpoint
        url = realtime_url(self.name, endpoint, path, query, prefix=prefix)
        return WebSocketAddress(url, headers, key=access.key)

    async def check(self, budget: Budget) -> None:
        """Open the socket, which needs a valid key; only audio is billed. Raises `ProviderError`."""
        async with self._socket(TranscriptionRequest(budget=budget), kind="check"):
            pass

    def _socket(
        self, request: TranscriptionRequest, *, kind: str
    ) -> AbstractAsyncContextManager[WebSocketConnection]:
        return self.transport.socket(
            lambda access: self.address(access, request),
            request.budget,
            kind=kind,
            read_refusal=self.refusal_reader,
            subprotocols=self.subprotocols,
        )

    async def transcribe(
        self, audio: AsyncIterator[Frame], request: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        """Yield the transcription of ``audio`` as it grows, the final one last.

        The deadline in ``request.budget`` applies from the end of ``audio``; set it before that. Raises
        `ProviderError`, of code "timeout" when the final text is late, and whatever ``audio`` raises.
        """
        sound = AudioBuffer()
        tasks = TaskScope(f"transcribe {self.name}")
        tasks.start(sound.fill(audio))
        try:
            async with aclosing(self._follow(sound, request)) as found:
                async for each in found:
                    yield each
        finally:
            await tasks.close()

    async def _follow(
        self, sound: AudioBuffer, request: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        transcript, used = TranscriptAssembler(), Usage()
        broken: ConnectionFailed | None = None
        reconnects = 0
        # No connection without audio: some vendors bill an open session, others refuse an empty one.
        if not await sound.frame(0):
            yield Transcription("", final=True)
            return
        # When the connection breaks after the last word was committed, nothing is missing.
        while not (broken and sound.is_acknowledged):
            link: _SttConnection | None = None
            try:
                async with self._socket(request, kind="transcribe") as connection:
                    link = _SttConnection(
                        self.name, connection, self.protocol(request), sound, request.budget, self.transport
                    )
                    if broken is not None:
                        self.transport.note("reconnected", code=broken.code, replayed_s=link.behind_s)
                    async with aclosing(link.updates()) as updates:
                        async for update in updates:
                            if found := transcript.add(update):
                                yield found
                    # Yielded before the block is left, so that it does not wait for the closing handshake.
                    yield transcript.final(used + link.used)
                    return
            except ConnectionFailed as error:
                # The budget is that of the turn: a reconnect takes one of its retries.
                if link is None or reconnects == RECONNECTS or request.budget.retries <= 0:
                    raise
                request.budget.retries -= 1
                reconnects += 1
                broken, used = error, used + link.used
                transcript.drop_partial()
        yield transcript.final(used)


class _SttConnection:
    """One connection of an utterance: sends the audio not yet processed, then the live audio."""

    def __init__(
        self,
        provider: str,
        connection: WebSocketConnection,
        protocol: SttProtocol,
        sound: AudioBuffer,
        budget: Budget,
        transport: Transport,
    ) -> None:
        self._provider = provider
        self._connection = connection
        self._protocol = protocol
        self._sound = sound
        self._budget = budget
        self._transport = transport
        self._start = sound.start  # the sample of the utterance at which this connection counts second 0
        self._sent = 0
        self._finishing = False
        self._billed: Usage | None = None

    @property
    def behind_s(self) -> float:
        """How much buffered audio is sent again, in seconds."""
        return round((self._sound.end - self._start) / SAMPLE_RATE_HZ, 3)

    @property
    def used(self) -> Usage:
        """What the vendor will bill."""
        return self._billed or Usage(transcribed_seconds=self._sent / SAMPLE_RATE_HZ)

    async def updates(self) -> AsyncGenerator[TranscriptUpdate]:
        """Yield the vendor's updates until the last. Raises `ProviderError`, or what ``audio`` raised."""
        self._connection.active = True
        tasks = TaskScope(f"transcribe {self._provider}")
        sending = tasks.start(self._send(), name=f"send {self._provider}", is_awaited=True)
        # The reader waits for the vendor, which waits for audio: a sender that failed has to wake it.
        sending.add_done_callback(self._break_if_failed)
        tasks.start(self._limit(), name=f"limit {self._provider}")
        try:
            while (message := await self._connection.receive()) is not None:
                update = self._protocol.read(message)
                if update is None:
                    continue
                self._apply(update)
                yield update
                if update.done:
                    return
            self._raise_unless_complete(sending)
        finally:
            await tasks.close()
            await self._abort()

    def _apply(self, update: TranscriptUpdate) -> None:
        if update.done and not self._finishing:
            ended = CloseReason("closed_by_vendor", "the vendor ended the session")
            raise faults.error_for_close(self._provider, ended)
        if update.processed_s is not None:
            # Clamped: a vendor's clock may be ahead of the audio it was sent, which would drop unheard sound.
            processed_s = min(max(update.processed_s, 0.0), self._sent / SAMPLE_RATE_HZ)
            self._sound.discard(self._start + samples_from_s(processed_s))
        self._billed = update.usage or self._billed

    def _raise_unless_complete(self, sending: "asyncio.Task[None]") -> None:
        """Raise the reason why the connection ended, unless the transcript is complete."""
        # What the audio source raised comes first: the vendor is not at fault for it.
        if sending.done() and not isinstance(sending.exception(), ProviderError | None):
            sending.result()
        ending = self._connection.ending or CloseReason("network_error", "the connection broke")
        if ending is _LATE:
            raise ProviderError(_LATE.reason, provider=self._provider, code=_LATE.code)
        sent_s = self._sent / SAMPLE_RATE_HZ
        if not (self._finishing and self._protocol.is_complete(ending, sent_s)):
            raise self._protocol.close_error(ending)

    async def _send(self) -> None:
        await self._send_all(*self._protocol.opening())
        chunk, at = samples_from_ms(self._protocol.chunk_ms), self._start
        least_bytes = samples_from_ms(self._protocol.least_ms) * BYTES_PER_SAMPLE
        began_s = asyncio.get_running_loop().time()
        while pcm := await self._next(at, chunk):
            at += len(pcm) // BYTES_PER_SAMPLE
            # Zero is silence in signed PCM.
            pcm = pcm.ljust(least_bytes, b"\0")
            if self._protocol.throttle is not None:
                passed_s = asyncio.get_running_loop().time() - began_s
                await asyncio.sleep(self._protocol.throttle.pause_s(self._sent / SAMPLE_RATE_HZ, passed_s))
            self._sent += len(pcm) // BYTES_PER_SAMPLE
            await self._send_all(self._protocol.encode(pcm))
        self._finishing = True
        await self._send_all(*self._protocol.finish())

    async def _next(self, at: int, samples: int) -> bytes:
        """Return the next chunk of audio; send keep-alives while there is none."""
        while True:
            try:
                async with asyncio.timeout(self._protocol.keep_alive_s):
                    return await self._sound.read(at, samples)
            except TimeoutError:
                await self._send_all(self._protocol.keep_alive)

    async def _send_all(self, *messages: WireMessage) -> None:
        for message in messages:
            if message:
                await self._connection.send(message)

    async def _limit(self) -> None:
        """Abort the connection when the text is not final in time."""
        # Before the end of speech no limit applies: the user may pause.
        await self._sound.ended.wait()
        has_deadline = self._budget.until_s is not None
        await asyncio.sleep(self._transport.remaining_s(self._budget, math.inf) if has_deadline else FINAL_S)
        self._connection.abort(_LATE)

    def _break_if_failed(self, sending: "asyncio.Task[None]") -> None:
        if not sending.cancelled() and sending.exception() is not None:
            self._connection.abort(CloseReason("network_error", "the audio could not be sent"))

    async def _abort(self) -> None:
        """Say that the utterance is abandoned, where the session would otherwise stay open (and billed)."""
        if self._connection.ending is None and not self._finishing:
            with contextlib.suppress(ProviderError, TimeoutError):
                async with asyncio.timeout(ABORT_S):
                    await self._send_all(*self._protocol.abort())
