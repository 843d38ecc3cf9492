"""Speaks a text by one HTTP request, and asks again when the sound breaks off, if nobody can hear that.

Two things are safe to ask again (seed 001 wants retry by chunks): a text of which nothing was used yet, and
one whose second answer begins with exactly the sound that was used of the first. The latter is not taken on
trust: vendors who take a seed promise a best effort only, so the bytes are compared, and where they differ
the fault goes to the caller, who knows what was heard.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from voxd.errors import ProviderError, StreamError
from voxd.frames import Clip
from voxd.net import faults
from voxd.net.endpoint import http_url
from voxd.net.faults import RefusalReader
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse
from voxd.providers.pipeline.stages.contract import TextToSpeech
from voxd.providers.pipeline.stages.tts_pcm import PcmDecoder, PlaybackLead, check_type

WHOLE_S = 600.0
"""The deadline of a whole answer, during which its listener listens; `PlaybackLead` notices who is late."""


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A text and the request that has it spoken as PCM at ``rate_hz``.

    ``bill`` names the header, in lower case, in which the vendor counts the characters he bills.
    ``repeatable``: the vendor may give the same sound again for the same request.
    """

    text: str
    build: Callable[[Access], HttpRequest]
    rate_hz: int
    refused: RefusalReader = faults.error_for_refusal
    bill: str = ""
    repeatable: bool = False


class ReplayMismatch(StreamError):
    """A second answer is not the first one over again."""

    code = "another_answer"


class ReplaySkipper:
    """Passes over what was used of an earlier answer, if a new one begins with just that."""

    def __init__(self) -> None:
        self.used_bytes = 0
        self._used = hashlib.blake2b()
        self._seen = hashlib.blake2b()
        self._to_see = 0

    def rewind(self) -> None:
        """A new answer begins."""
        self._seen = hashlib.blake2b()
        self._to_see = self.used_bytes

    def fresh(self, clip: Clip) -> Clip | None:
        """Return what of ``clip`` was not used before. Raises `ReplayMismatch`."""
        pcm = clip.pcm
        if self._to_see:
            again, pcm = pcm[: self._to_see], pcm[self._to_see :]
            self._seen.update(again)
            self._to_see -= len(again)
            if not self._to_see and self._seen.digest() != self._used.digest():
                raise ReplayMismatch("the vendor spoke the same text in another way")
        if not pcm:
            return None
        self.used_bytes += len(pcm)
        self._used.update(pcm)
        return Clip(pcm, clip.rate_hz)

    def finish(self) -> None:
        """Nothing follows. Raises `ReplayMismatch` when the new answer was shorter than what was used."""
        if self._to_see:
            raise ReplayMismatch("the vendor spoke the same text in another way")


async def stream_speech(stage: TextToSpeech, speech: SpeechRequest, budget: Budget) -> AsyncGenerator[Clip]:
    """Yield the sound of ``speech`` as it comes. Raises `ProviderError`."""
    replay = ReplaySkipper()
    broken: ProviderError | None = None
    while True:
        begun = False
        try:
            async with stage.wire.request(
                speech.build, budget, kind="speak", refused=speech.refused, whole_s=WHOLE_S
            ) as answer:
                begun = True
                async with aclosing(_clips(stage.name, answer, speech.rate_hz)) as clips:
                    async for clip in clips:
                        if fresh := replay.fresh(clip):
                            yield fresh
                replay.finish()
                _tell_bill(stage, speech, answer.headers)
                return
        except ReplayMismatch as another:
            raise broken or another from None
        except ProviderError as error:
            # What failed before an answer began was tried again on the wire already.
            again = begun and error.retryable and (speech.repeatable or not replay.used_bytes)
            # Nothing of it was heard: another voice, if there is one, says it just as well, and sooner.
            is_anothers = not replay.used_bytes and not budget.is_last
            if not again or is_anothers or budget.retries <= 0:
                raise
            broken = error
        budget.retries -= 1
        stage.wire.note("speech_again", code=broken.code, used_bytes=replay.used_bytes)
        replay.rewind()


def stage_url(stage: TextToSpeech, access: Access, path: str, *, live_path: str = "") -> str:
    """Return the URL of ``path``; the endpoint may be written as that of the socket at ``live_path``."""
    return http_url(access.endpoint or stage.default_endpoint, live_path, path)


async def _clips(provider: str, answer: HttpResponse, rate_hz: int) -> AsyncGenerator[Clip]:
    check_type(provider, answer.headers.get("content-type", ""))
    pcm, pace = PcmDecoder(provider, rate_hz), PlaybackLead(provider)
    pieces = answer.chunks()
    while data := await pace.keeps(anext(pieces, b"")):
        if clip := pcm.feed(data):
            pace.heard(clip)
            yield clip
    if clip := pcm.finish():
        yield clip


def _tell_bill(stage: TextToSpeech, speech: SpeechRequest, headers: Mapping[str, str]) -> None:
    """Tell when the vendor bills something else than the length of the text."""
    billed = headers.get(speech.bill, "")
    if billed.isdecimal() and int(billed) != len(speech.text):
        stage.wire.note("billed", characters=int(billed))
