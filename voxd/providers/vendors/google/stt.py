"""Speech to text by Google's Speech v1, over REST: its streaming is offered to gRPC only.

Wire facts: reference/providers.md, section 8.
"""

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import msgspec

from voxd.errors import ProviderError
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.net import faults
from voxd.net.endpoint import require_key
from voxd.net.transport import Access, Budget, HttpRequest, Transport
from voxd.providers.languages import locale_of
from voxd.providers.pipeline.stages.contract import (
    SpeechToText,
    StageConfig,
    Transcription,
    TranscriptionRequest,
    parse_options,
)
from voxd.providers.pipeline.stages.stt_upload import collect_audio, encode_flac, parse_answer
from voxd.providers.usage import Usage

_PATH = "/v1/speech:recognize"
_NOTHING_TO_HEAR = "nothing_to_hear"
_INVALID = b"INVALID_ARGUMENT"
_BAD_KEY = b"API_KEY_INVALID"


class GoogleSttOptions(msgspec.Struct, frozen=True):
    """The kind's own settings: other languages that may be spoken, how much likely words count (0 to 20)."""

    languages: tuple[str, ...] = ()
    boost: float | None = None
    punctuation: bool = True


class _Alternative(msgspec.Struct):
    transcript: str = ""


class _Result(msgspec.Struct):
    alternatives: list[_Alternative] = []


class _Answer(msgspec.Struct):
    """What was recognised; empty when nobody spoke."""

    results: list[_Result] = []
    billed: str = msgspec.field(default="", name="totalBilledTime")


class GoogleStt(SpeechToText):
    """Uploads the utterance when the user has finished."""

    default_endpoint = "https://speech.googleapis.com"

    def __init__(self, config: StageConfig, wire: Transport) -> None:
        super().__init__(config, wire)
        self._options = parse_options(config, GoogleSttOptions)

    async def transcribe(
        self, audio: AsyncIterator[Frame], request: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        """Yield the whole text."""
        clip = await collect_audio(audio)
        if not clip.pcm:
            yield Transcription("", final=True)
            return
        body = {
            "config": self._config(request),
            "audio": {"content": base64.b64encode(await encode_flac(clip)).decode()},
        }
        async with self.wire.request(
            lambda access: self._call(access, body), request.budget, kind="transcribe"
        ) as answer:
            found = parse_answer(self.name, await answer.json(), _Answer)
        text = "".join(result.alternatives[0].transcript for result in found.results if result.alternatives)
        yield Transcription(
            text.strip(), final=True, usage=Usage(transcribed_seconds=_billed_s(found.billed, clip))
        )

    def prepare(self) -> None:
        """Connect while the user still speaks."""
        self.wire.prepare(lambda access: self._call(access, {}))

    async def check(self, budget: Budget) -> None:
        """Ask for a transcript of nothing: a good key is told that nothing was sent, and pays nothing."""
        body = {"config": self._config(TranscriptionRequest())}
        try:
            async with self.wire.request(
                lambda access: self._call(access, body), budget, kind="check", refused=_told_of_nothing
            ) as answer:
                await answer.read()
        except ProviderError as error:
            if error.code != _NOTHING_TO_HEAR:
                raise

    def _call(self, access: Access, body: Mapping[str, Any]) -> HttpRequest:
        base = (access.endpoint or self.default_endpoint).rstrip("/")
        headers = {"x-goog-api-key": require_key(self.name, access.key)}
        return HttpRequest("POST", f"{base}{_PATH}", headers, json=body)

    def _config(self, request: TranscriptionRequest) -> dict[str, Any]:
        config: dict[str, Any] = {
            "encoding": "FLAC",
            "sampleRateHertz": SAMPLE_RATE_HZ,
            "languageCode": locale_of(request.language or self.config.language),
            "model": self.model,
            "enableAutomaticPunctuation": self._options.punctuation,
        }
        if self._options.languages:
            config["alternativeLanguageCodes"] = [locale_of(each) for each in self._options.languages]
        if request.hints:
            boost = {} if self._options.boost is None else {"boost": self._options.boost}
            config["speechContexts"] = [{"phrases": list(request.hints), **boost}]
        return config


def _told_of_nothing(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    error = faults.error_for_refusal(provider, status, headers, body)
    if status == 400 and _INVALID in body and _BAD_KEY not in body:
        error.code = _NOTHING_TO_HEAR
    return error


def _billed_s(told: str, clip: Clip) -> float:
    """Return the seconds in "15s", as a duration is written in protobuf's JSON."""
    try:
        return float(told.removesuffix("s"))
    except ValueError:
        return clip.duration_s
