"""Text-to-speech with an OpenAI Realtime session that is instructed to read a text aloud.

It replaces the speech endpoint, whose models OpenAI shuts down on 2027-01-06. Every text is an out-of-band
response, in which the model sees no conversation. The model may still reword, so its transcript is compared
with the text, and a difference is noted in the log.
"""

import itertools
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import msgspec
from rapidfuzz import fuzz

from voxd.audio.formats.samples import Encoding
from voxd.errors import StreamError
from voxd.frames import Clip
from voxd.net import faults
from voxd.net.endpoint import realtime_url, require_key
from voxd.net.transport import Access, Budget, Transport
from voxd.net.websocket import Deadlines, WebSocketAddress, WebSocketConnection
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.pipeline.stages.tts_pace import PlaybackLead
from voxd.providers.pipeline.stages.tts_socket import SocketTextToSpeech
from voxd.providers.pipeline.stages.tts_sound import SoundDecoder
from voxd.providers.realtime.openai_protocol import frames, wire
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Usage
from voxd.providers.vendors.openai.options import OpenAIRealtimeTtsOptions

MIN_SIMILARITY = 90.0
"""The least similarity, of 100, between the text and the transcript of what was read."""

# Averages of English; the real numbers of tokens are noted in the log afterwards.
_CHARS_PER_TOKEN = 4
_CHARS_PER_S = 14
# Output tokens per second of audio at OpenAI; the other two are averages of English.
_TOKENS_PER_S = 20


class OpenAIRealtimeTts(SocketTextToSpeech[OpenAIRealtimeTtsOptions]):
    """Text-to-speech by OpenAI Realtime."""

    options_type = OpenAIRealtimeTtsOptions
    default_endpoint: ClassVar[str] = "wss://api.openai.com/v1"

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        super().__init__(config, transport)
        self._numbers = itertools.count(1)

    def bill(self, text: str) -> Usage:
        """Return an estimate of the tokens of ``text``; the real numbers are in the log."""
        read = self._instructions()
        words = math.ceil(len(text) / _CHARS_PER_TOKEN)
        return Usage(
            responses=1,
            input_text_tokens=math.ceil(len(read) / _CHARS_PER_TOKEN) + words,
            output_text_tokens=words,
            output_audio_tokens=math.ceil(len(text) / _CHARS_PER_S * _TOKENS_PER_S),
        )

    async def check(self, budget: Budget) -> None:
        """Open a session; only responses are billed. Raises `ProviderError`."""
        async with self.connect(budget, kind="check"):
            pass

    @asynccontextmanager
    async def connect(self, budget: Budget, *, kind: str) -> AsyncIterator[WebSocketConnection]:
        """Open a session and send the voice and the instructions."""
        async with self.transport.socket(self._address, budget, kind=kind) as connection:
            pace = PlaybackLead(self.name, first_s=self.transport.remaining_s(budget, Deadlines().answer_s))
            await self._wait_for(connection, frames.SessionCreated, pace)
            config = SessionConfig(
                instructions=wire.READ_ALOUD, speed=self._options.speed, transcription=False
            )
            update = wire.update_session(f"update_{next(self._numbers)}", config, {}, voice=self.voice)
            await connection.send(wire.encode(update))
            await self._wait_for(connection, frames.SessionUpdated, pace)
            yield connection

    async def speak(
        self, connection: WebSocketConnection, text: str, pace: PlaybackLead
    ) -> AsyncGenerator[Clip]:
        """Request ``text`` and yield its audio. Raises `ProviderError`."""
        create = wire.create_response(f"create_{next(self._numbers)}")
        await connection.send(wire.encode(wire.read_aloud(create, text, self._instructions())))
        decoder = SoundDecoder(self.name, Encoding(wire.RATE_HZ))
        while True:
            match await self._next(connection, pace):
                case frames.AudioDelta(delta=sound):
                    for clip in await decoder.feed(sound):
                        yield clip
                case frames.SpokenDone(transcript=words):
                    # Numbers and abbreviations are transcribed in other forms: equality would be too strict.
                    similarity = fuzz.ratio(_plain(text), _plain(words))
                    if similarity < MIN_SIMILARITY:
                        self.transport.note("reworded", likeness=round(similarity))
                case frames.ResponseDone(response=response):
                    self._settle(response)
                    break
                case _:
                    pass
        for clip in await decoder.finish():
            yield clip

    def _instructions(self) -> str:
        how = self._options.instructions
        return f"{wire.READ_ALOUD} Speak like this: {how}" if how else wire.READ_ALOUD

    def _address(self, access: Access) -> WebSocketAddress:
        key = require_key(self.name, access.key)
        endpoint = access.endpoint or self.default_endpoint
        url = realtime_url(self.name, endpoint, "/realtime", {"model": self.model}, prefix="/v1")
        return WebSocketAddress(url, {"Authorization": f"Bearer {key}"}, key=key)

    async def _wait_for(
        self, connection: WebSocketConnection, kind: type[msgspec.Struct], pace: PlaybackLead
    ) -> None:
        while not isinstance(await self._next(connection, pace), kind):
            pass

    async def _next(self, connection: WebSocketConnection, pace: PlaybackLead) -> frames.ServerFrame | None:
        """Return the next frame, None for an unknown one. Raises `ProviderError`."""
        message = await self.receive(connection, pace)
        try:
            frame = frames.decode(message)
        except ValueError as error:
            raise StreamError(str(error), provider=self.name, code="bad_frame") from None
        if isinstance(frame, frames.ErrorFrame):
            raise faults.error_for_code(self.name, frame.error.code, frame.error.message)
        return frame

    def _settle(self, response: frames.Response) -> None:
        """Note the billed tokens. Raises `ProviderError` when the response is not complete."""
        used = msgspec.to_builtins(response.spent())
        self.transport.note("billed", **{name: value for name, value in used.items() if value})
        if response.status == "completed":
            return
        details = response.status_details or frames.StatusDetails()
        if details.error is not None:
            raise faults.error_for_code(self.name, details.error.code, details.error.message)
        reason = details.reason or response.status or "it was not completed"
        raise StreamError(f"the text was not read completely: {reason}", provider=self.name, code="truncated")


def _plain(text: str) -> str:
    """Return the words without case and punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold()))
