"""Speech to text by a Wyoming server in this network, such as faster-whisper's.

Wire facts: reference/providers.md, section 11. The sound is sent while the user speaks, on a connection of
its own for each utterance.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator

from wyoming.asr import Transcribe, Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event

from voxd.errors import ConnectionFailed
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Frame
from voxd.net.transport import Budget
from voxd.providers.languages import code_of
from voxd.providers.pipeline.stages.contract import SpeechToText, Transcription, TranscriptionRequest
from voxd.providers.usage import Usage
from voxd.providers.vendors.wyoming.wire import WyomingConnection, check, connect

FINAL_S = 20.0
"""So long the text may take after the end of the sound, where the budget has no end: machines are small."""


class WyomingStt(SpeechToText):
    """The model's name is one that the server knows; it has its own where that is not set."""

    default_endpoint = "tcp://127.0.0.1:10300"

    async def transcribe(
        self, audio: AsyncIterator[Frame], request: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        """Yield what the server tells; most tell the whole text only."""
        first = await anext(audio, None)
        if first is None:
            yield Transcription("", final=True)
            return
        async with connect(self.wire, request.budget, self.default_endpoint, kind="transcribe") as server:
            sound = _Sound(server, first, audio)
            sending = asyncio.create_task(sound.send(self._question(request)), name=f"send {self.name}")
            text = ""
            try:
                while True:
                    event = await self._next(server, sending, request.budget)
                    if Transcript.is_type(event.type):
                        final = server.read(Transcript.from_event, event).text
                        break
                    if TranscriptChunk.is_type(event.type):
                        text += str(server.read(TranscriptChunk.from_event, event).text)
                        yield Transcription(text.strip())
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            yield Transcription(str(final).strip(), final=True, usage=Usage(transcribed_seconds=sound.sent_s))

    async def check(self, budget: Budget) -> None:
        """Ask the server what it offers."""
        await check(self.name, self.wire, budget, self.default_endpoint, "asr", "speech-to-text")

    def _question(self, request: TranscriptionRequest) -> Transcribe:
        language = request.language or self.config.language
        return Transcribe(
            name=self.model or None,
            language=code_of(language) if language else None,
            transcript_terms=list(request.hints) or None,
        )

    async def _next(self, server: WyomingConnection, sending: "asyncio.Task[None]", budget: Budget) -> Event:
        """Return the next event; once the sound is over it has to come in time."""
        hearing = asyncio.create_task(server.hear(), name=f"hear {self.name}")
        try:
            await asyncio.wait({hearing, sending}, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                sending.result()
                has_deadline = budget.until_s is not None
                left_s = self.wire.remaining_s(budget, math.inf) if has_deadline else FINAL_S
                async with asyncio.timeout(left_s):
                    await asyncio.wait({hearing})
            return hearing.result()
        except TimeoutError:
            msg = "the server did not finish the text in time"
            raise ConnectionFailed(msg, provider=self.name, code="timeout") from None
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)


class _Sound:
    """The sound of one utterance on its way."""

    def __init__(self, server: WyomingConnection, first: Frame, rest: AsyncIterator[Frame]) -> None:
        self._server = server
        self._first = first
        self._rest = rest
        self.sent_s = 0.0

    async def send(self, question: Transcribe) -> None:
        """Send everything until the user has finished. Raises what the sound raises, and `ProviderError`."""
        form = {"rate": SAMPLE_RATE_HZ, "width": BYTES_PER_SAMPLE, "channels": 1}
        await self._server.say(question, AudioStart(**form))
        await self._send(self._first)
        async for frame in self._rest:
            await self._send(frame)
        await self._server.say(AudioStop())

    async def _send(self, frame: Frame) -> None:
        chunk = AudioChunk(rate=SAMPLE_RATE_HZ, width=BYTES_PER_SAMPLE, channels=1, audio=frame.pcm)
        await self._server.say(chunk)
        self.sent_s += frame.samples / SAMPLE_RATE_HZ
