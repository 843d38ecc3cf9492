"""Speech-to-text by a Wyoming server on the local network, such as faster-whisper's.

The audio is sent while the user speaks, on a new connection for each utterance. Facts: `README.md`.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator

from wyoming.asr import Transcribe, Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event

from voxd.errors import ConnectionFailed, StreamError
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Frame
from voxd.net.transport import Budget
from voxd.providers.languages import code_of
from voxd.providers.pipeline.stages.contract import SpeechToText, Transcription, TranscriptionRequest
from voxd.providers.usage import Usage
from voxd.providers.vendors.wyoming.options import WyomingSttOptions
from voxd.providers.vendors.wyoming.wire import WyomingConnection, check, connect
from voxd.tasks import TaskScope

FINAL_S = 20.0
"""How long the text may take after the end of the audio without a deadline in the budget."""


class WyomingStt(SpeechToText):
    """The model is a name that the server knows; without one the server uses its default."""

    options_type = WyomingSttOptions
    default_endpoint = "tcp://127.0.0.1:10300"

    async def transcribe(
        self, audio: AsyncIterator[Frame], request: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        """Yield partial texts, which few servers send, and the whole text. Raises `ProviderError`."""
        # No connection without audio.
        first = await anext(audio, None)
        if first is None:
            yield Transcription("", final=True)
            return
        async with connect(
            self.transport, request.budget, self.default_endpoint, kind="transcribe"
        ) as server:
            sound = _Upload(server, first, audio)
            tasks = TaskScope(f"transcribe {self.name}")
            language = request.language or self.config.language
            query = Transcribe(
                name=self.model or None,
                language=code_of(language) if language else None,
                transcript_terms=list(request.hints) or None,
            )
            sending = tasks.start(sound.send(query), is_awaited=True)
            text = ""
            try:
                while True:
                    event = await self._next(server, sending, request.budget)
                    if Transcript.is_type(event.type):
                        final = _text_of(server.read(Transcript.from_event, event), self.name)
                        break
                    # Servers that stream send pieces first, and the whole text all the same.
                    if TranscriptChunk.is_type(event.type):
                        text += _text_of(server.read(TranscriptChunk.from_event, event), self.name)
                        yield Transcription(text.strip())
            finally:
                await tasks.close()
            yield Transcription(final.strip(), final=True, usage=Usage(transcribed_seconds=sound.sent_s))

    async def check(self, budget: Budget) -> None:
        """Ask the server which services it has. Raises `ProviderError`."""
        await check(self.name, self.transport, budget, self.default_endpoint, "asr", "speech-to-text")

    async def _next(self, server: WyomingConnection, sending: "asyncio.Task[None]", budget: Budget) -> Event:
        """Return the next event; after the end of the audio it must arrive in time."""
        tasks = TaskScope(f"receive {self.name}")
        receiving = tasks.start(server.receive(), is_awaited=True)
        try:
            # The server may fail while audio is still being sent.
            await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done():
                sending.result()
                has_deadline = budget.until_s is not None
                left_s = self.transport.remaining_s(budget, math.inf) if has_deadline else FINAL_S
                async with asyncio.timeout(left_s):
                    await asyncio.wait({receiving})
            return receiving.result()
        except TimeoutError:
            msg = "the server did not finish the text in time"
            raise ConnectionFailed(msg, provider=self.name, code="timeout") from None
        finally:
            await tasks.close()


def _text_of(said: Transcript | TranscriptChunk, provider: str) -> str:
    """Return the text. Raises `StreamError` for a list or an object: its form would be taken for words."""
    if not isinstance(said.text, str | int | float):
        raise StreamError("the server's transcript is not a text", provider=provider, code="bad_answer")
    return str(said.text)


class _Upload:
    """Sends the audio of one utterance."""

    def __init__(self, server: WyomingConnection, first: Frame, rest: AsyncIterator[Frame]) -> None:
        self._server = server
        self._first = first
        self._rest = rest
        self.sent_s = 0.0

    async def send(self, query: Transcribe) -> None:
        """Send everything until the end of the audio. Raises what the audio raises, and `ProviderError`."""
        form = {"rate": SAMPLE_RATE_HZ, "width": BYTES_PER_SAMPLE, "channels": 1}
        await self._server.send(query, AudioStart(**form))
        await self._send(self._first)
        async for frame in self._rest:
            await self._send(frame)
        await self._server.send(AudioStop())

    async def _send(self, frame: Frame) -> None:
        chunk = AudioChunk(rate=SAMPLE_RATE_HZ, width=BYTES_PER_SAMPLE, channels=1, audio=frame.pcm)
        await self._server.send(chunk)
        self.sent_s += frame.samples / SAMPLE_RATE_HZ
