"""Google Speech v1 speech-to-text by upload over HTTP, because streaming is offered by gRPC only.

Protocol facts: `README.md` beside this file.
"""

import base64
import functools
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec

from voxd.errors import ProviderError
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.net import faults
from voxd.net.endpoint import require_key
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse
from voxd.providers.events import SpeakerPart
from voxd.providers.languages import locale_of
from voxd.providers.pipeline.stages.contract import (
    ConfiguredStage,
    Transcription,
    TranscriptionRequest,
)
from voxd.providers.pipeline.stages.speakers import labelled, parts_of
from voxd.providers.pipeline.stages.stt_upload import UploadSpeechToText, parse_answer
from voxd.providers.usage import Usage
from voxd.providers.vendors.google.options import GoogleSttOptions

_PATH = "/v1/speech:recognize"
# Internal: the request was understood, and had no audio, which proves the key.
_NO_AUDIO = "nothing_to_hear"
_INVALID = b"INVALID_ARGUMENT"
_BAD_KEY = b"API_KEY_INVALID"


class _Word(msgspec.Struct):
    word: Any = ""
    speaker: Any = msgspec.field(default=None, name="speakerTag")


class _Alternative(msgspec.Struct):
    transcript: str = ""
    words: list[_Word] = []


class _Result(msgspec.Struct):
    alternatives: list[_Alternative] = []


class _Answer(msgspec.Struct):
    """The response; empty when there was no speech."""

    results: list[_Result] = []
    billed: str = msgspec.field(default="", name="totalBilledTime")


class GoogleStt(ConfiguredStage[GoogleSttOptions], UploadSpeechToText):
    """Transcribes an upload."""

    default_endpoint = "https://speech.googleapis.com"

    options_type = GoogleSttOptions

    async def _read(self, answer: HttpResponse, clip: Clip) -> AsyncGenerator[Transcription]:
        found = parse_answer(self.name, await answer.json(), _Answer)
        text = "".join(result.alternatives[0].transcript for result in found.results if result.alternatives)
        # "15s" is the JSON form of a protobuf duration.
        try:
            billed_s = float(found.billed.removesuffix("s"))
        except ValueError:
            billed_s = clip.duration_s
        speakers = _speakers(found.results) if self._options.diarize else ()
        usage = Usage(transcribed_seconds=billed_s)
        yield Transcription(labelled(speakers, text.strip()), final=True, usage=usage, speakers=speakers)

    async def check(self, budget: Budget) -> None:
        """Send a request without audio: with a valid key it fails as an invalid argument, free of charge."""
        call = functools.partial(self._call, TranscriptionRequest(), b"")
        try:
            async with self.transport.request(
                call, budget, kind="check", read_refusal=_check_error
            ) as answer:
                await answer.read()
        except ProviderError as error:
            if error.code != _NO_AUDIO:
                raise

    def _call(self, request: TranscriptionRequest, sound: bytes, access: Access) -> HttpRequest:
        audio = {"audio": {"content": base64.b64encode(sound).decode()}} if sound else {}
        body = {"config": self._config(request), **audio}
        headers = {"x-goog-api-key": require_key(self.name, access.key)}
        return HttpRequest("POST", self.url_at(access, _PATH), headers, json=body)

    def _config(self, request: TranscriptionRequest) -> dict[str, Any]:
        options = self._options
        config: dict[str, Any] = {
            # At most 10 MB or 60 s in a request; FLAC is about half of WAV.
            "encoding": "FLAC",
            "sampleRateHertz": SAMPLE_RATE_HZ,
            "languageCode": locale_of(request.language or self.config.language),
            "model": self.model,
            "enableAutomaticPunctuation": options.punctuation,
            "enableWordTimeOffsets": options.word_time_offsets,
            "enableWordConfidence": options.word_confidence,
            "enableSpokenPunctuation": options.spoken_punctuation,
            "enableSpokenEmojis": options.spoken_emojis,
            "profanityFilter": options.profanity_filter,
            "useEnhanced": options.use_enhanced,
        }
        if options.languages:
            config["alternativeLanguageCodes"] = [locale_of(each) for each in options.languages]
        if phrases := list(dict.fromkeys((*options.phrases, *request.hints))):
            boost = {} if options.boost is None else {"boost": options.boost}
            config["speechContexts"] = [{"phrases": phrases, **boost}]
        if options.diarize:
            config["diarizationConfig"] = _set(
                enableSpeakerDiarization=True,
                minSpeakerCount=options.min_speakers,
                maxSpeakerCount=options.max_speakers,
            )
        return _set(**config)


def _speakers(results: Sequence[_Result]) -> tuple[SpeakerPart, ...]:
    # With diarization the last result repeats all words of the audio, with their speakers.
    words = results[-1].alternatives[0].words if results and results[-1].alternatives else []
    return parts_of((word.speaker or None, word.word) for word in words)


def _set(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _check_error(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    error = faults.error_for_refusal(provider, status, headers, body)
    # Both have status 400; the key is checked before the arguments.
    if status == 400 and _INVALID in body and _BAD_KEY not in body:
        error.code = _NO_AUDIO
    return error
