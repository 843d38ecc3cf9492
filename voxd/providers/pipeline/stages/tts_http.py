"""Text-to-speech by one HTTP request, repeated when the audio breaks off, if the repetition is inaudible.

It is safe to repeat a text of which no audio was used yet, and a text whose second audio begins with exactly
the bytes used of the first. The latter is verified: vendors that accept a seed promise identical output only
as a best effort, so the bytes are compared, and when they differ the error goes to the caller.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from voxd.errors import ProviderError, StreamError
from voxd.frames import Clip
from voxd.net import faults
from voxd.net.faults import RefusalReader
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse
from voxd.providers.pipeline.stages.contract import TextToSpeech
from voxd.providers.pipeline.stages.tts_pace import PlaybackLead
from voxd.providers.pipeline.stages.tts_sound import SoundDecoder, encoding_of

WHOLE_S = 600.0
"""The deadline of a whole response, which is read at the speed of playback; `PlaybackLead` detects delays."""


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A text and the request that synthesises it as PCM at ``rate_hz``.

    ``bill`` is the response header, in lower case, with the number of billed characters.
    ``repeatable``: the same request may produce the same audio again.
    """

    text: str
    build: Callable[[Access], HttpRequest]
    rate_hz: int
    read_refusal: RefusalReader = faults.error_for_refusal
    bill: str = ""
    repeatable: bool = False


class ReplayMismatch(StreamError):
    """The audio of a repeated request differs from that of the first."""

    code = "another_answer"


class ReplaySkipper:
    """Skips the audio already used, after checking that the new response begins with the same bytes."""

    def __init__(self) -> None:
        self.used_bytes = 0
        # Hashes instead of the audio itself, which is 2.9 MB a minute at 24 kHz.
        self._used = hashlib.blake2b()
        self._seen = hashlib.blake2b()
        self._to_see = 0

    def rewind(self) -> None:
        """Start on a new response."""
        self._seen = hashlib.blake2b()
        self._to_see = self.used_bytes

    def fresh(self, clip: Clip) -> Clip | None:
        """Return the part of ``clip`` that was not used before. Raises `ReplayMismatch`."""
        pcm = clip.pcm
        if self._to_see:
            again, pcm = pcm[: self._to_see], pcm[self._to_see :]
            self._seen.update(again)
            self._to_see -= len(again)
            if not self._to_see and self._seen.digest() != self._used.digest():
                raise ReplayMismatch("the repeated request produced different audio")
        if not pcm:
            return None
        self.used_bytes += len(pcm)
        self._used.update(pcm)
        return Clip(pcm, clip.rate_hz)

    def finish(self) -> None:
        """End the response. Raises `ReplayMismatch` when it was shorter than the audio used."""
        if self._to_see:
            raise ReplayMismatch("the repeated request produced different audio")


async def stream_speech(stage: TextToSpeech, speech: SpeechRequest, budget: Budget) -> AsyncGenerator[Clip]:
    """Yield the audio of ``speech`` as it arrives. Raises `ProviderError`."""
    replay = ReplaySkipper()
    broken: ProviderError | None = None
    key = ""

    def build(access: Access) -> HttpRequest:
        # The JSON of an error may repeat the key.
        nonlocal key
        key = access.key
        return speech.build(access)

    while True:
        begun = False
        try:
            async with stage.transport.request(
                build, budget, kind="speak", read_refusal=speech.read_refusal, whole_s=WHOLE_S
            ) as answer:
                begun = True
                async with aclosing(_clips(stage.name, answer, speech, key)) as clips:
                    async for clip in clips:
                        if fresh := replay.fresh(clip):
                            yield fresh
                replay.finish()
                _note_bill(stage, speech, answer.headers)
                return
        except ReplayMismatch as another:
            # The first error is the cause; the repetition was an attempt to hide it.
            raise broken or another from None
        except ProviderError as error:
            # A failure before the response began was already retried by the transport.
            again = begun and error.retryable and (speech.repeatable or not replay.used_bytes)
            # No audio was used yet, so the next provider in the list, if any, is faster than a retry.
            next_can = not replay.used_bytes and not budget.is_last
            if not again or next_can or budget.retries <= 0:
                raise
            broken = error
        budget.retries -= 1
        stage.transport.note("speech_again", code=broken.code, used_bytes=replay.used_bytes)
        replay.rewind()


async def _clips(
    provider: str, answer: HttpResponse, speech: SpeechRequest, key: str
) -> AsyncGenerator[Clip]:
    label = answer.headers.get("content-type", "")
    encoding = encoding_of(label, speech.rate_hz)
    decoder = SoundDecoder(provider, encoding, label=label, read_refusal=speech.read_refusal, key=key)
    pieces, pace = answer.chunks(), PlaybackLead(provider)
    while data := await pace.wait_for(anext(pieces, b"")):
        for clip in await decoder.feed(data):
            pace.add(clip)
            yield clip
    for clip in await decoder.finish():
        yield clip


def _note_bill(stage: TextToSpeech, speech: SpeechRequest, headers: Mapping[str, str]) -> None:
    """Note the billed characters when they differ from the length of the text."""
    billed = headers.get(speech.bill, "")
    if billed.isdecimal() and int(billed) != len(speech.text):
        stage.transport.note("billed", characters=int(billed))
