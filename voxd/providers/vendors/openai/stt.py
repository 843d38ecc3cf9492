"""Speech-to-text by upload to OpenAI's ``/audio/transcriptions``, or to a compatible server.

The response is one JSON object or, with models that support it, a stream of text. Facts: `README.md`.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from voxd.errors import ProviderError, StreamError
from voxd.frames import Clip
from voxd.net import faults
from voxd.net.endpoint import belongs_to, require_key
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse
from voxd.providers.json_fields import rows
from voxd.providers.languages import code_of
from voxd.providers.pipeline.stages.contract import (
    ConfiguredStage,
    Transcription,
    TranscriptionRequest,
)
from voxd.providers.pipeline.stages.speakers import labelled, parts_of
from voxd.providers.pipeline.stages.stt_upload import FLAC_TYPE, UploadSpeechToText, parse_answer
from voxd.providers.usage import Usage
from voxd.providers.vendors.openai.options import OpenAISttOptions, account_headers

SMALL_MACHINE_S = 30.0
"""How long a local server may take to start its response; the budget of the turn may end earlier."""

_OWN_HOST = "openai.com"
# The model with a field for likely words; for others they are added to the prompt.
_KEYWORDS = "gpt-transcribe"
# Parts of the names of transcription models: one provider may be configured for several stages.
_STT_MODELS = ("transcribe", "whisper")
# It ignores ``stream``.
_NOT_STREAMED = "whisper"
# The models that tell speakers apart.
_DIARIZE = "diarize"
_DIARIZES = "gpt-4o-transcribe-diarize"
_DELTA = "transcript.text.delta"
_DONE = "transcript.text.done"
_OVER = "[DONE]"


class _Details(msgspec.Struct):
    audio_tokens: int | None = None
    text_tokens: int | None = None


class _Used(msgspec.Struct):
    seconds: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    input_token_details: _Details | None = None


class _Whole(msgspec.Struct):
    """The response when it is not a stream."""

    text: str
    usage: _Used | None = None
    segments: Any = None


class _ErrorBody(msgspec.Struct):
    code: str | int | None = None
    message: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: str = ""
    text: str | None = None
    usage: _Used | None = None
    error: _ErrorBody | None = None


class OpenAIStt(ConfiguredStage[OpenAISttOptions], UploadSpeechToText):
    """Transcribes an upload."""

    default_endpoint = "https://api.openai.com/v1"

    options_type = OpenAISttOptions

    @property
    def model(self) -> str:
        """The transcription model; at OpenAI another configured model belongs to another stage."""
        model = self.config.model
        if not self._is_openai:
            return model or self.default_model
        if self._options.diarize and _DIARIZE not in model:
            return _DIARIZES
        return model if any(part in model for part in _STT_MODELS) else self.default_model

    @property
    def _first_byte_s(self) -> float | None:
        return None if self._is_openai else SMALL_MACHINE_S

    def _call(self, request: TranscriptionRequest, sound: bytes, access: Access) -> HttpRequest:
        streamed = self._options.stream
        if self._options.diarize:
            # Its stream has the speakers in events of their own; the whole answer has them in one list.
            streamed = False
        elif streamed is None:
            streamed = belongs_to(self._base(access), _OWN_HOST) and _NOT_STREAMED not in self.model
        form = self._form(request, sound, streamed=streamed)
        url = self.url_at(access, "/audio/transcriptions", prefix="/v1")
        return HttpRequest("POST", url, self._headers(access), form=form)

    async def _read(self, answer: HttpResponse, clip: Clip) -> AsyncGenerator[Transcription]:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            async with aclosing(self._streamed(answer, clip)) as pieces:
                async for piece in pieces:
                    yield piece
        else:
            whole = parse_answer(self.name, await answer.json(), _Whole)
            parts = rows(whole.segments) if self._options.diarize else []
            speakers = parts_of((each.get("speaker"), each.get("text", "")) for each in parts)
            text, usage = labelled(speakers, whole.text.strip()), _usage(whole.usage, clip)
            yield Transcription(text, final=True, usage=usage, speakers=speakers)

    async def check(self, budget: Budget) -> None:
        """Request the description of the model, which is free; compatible servers may not have any."""
        own = True

        def build(access: Access) -> HttpRequest:
            nonlocal own
            own = belongs_to(self._base(access), _OWN_HOST)
            one = f"/{self.model}" if own else ""
            url = self.url_at(access, f"/models{one}", prefix="/v1")
            return HttpRequest("GET", url, self._headers(access))

        try:
            async with self.transport.request(build, budget, kind="check") as answer:
                await answer.read()
        except ProviderError as error:
            if own or error.code != "model_not_found":
                raise

    @property
    def _is_openai(self) -> bool:
        return belongs_to(self.config.endpoint or self.default_endpoint, _OWN_HOST)

    def _base(self, access: Access) -> str:
        return access.endpoint or self.default_endpoint

    def _headers(self, access: Access) -> Mapping[str, str]:
        headers = account_headers(self._options)
        # Local servers often need no key.
        if access.key or belongs_to(self._base(access), _OWN_HOST):
            headers["Authorization"] = f"Bearer {require_key(self.name, access.key)}"
        return headers

    def _form(
        self, request: TranscriptionRequest, sound: bytes, *, streamed: bool
    ) -> dict[str, str | list[str] | tuple[str, str, bytes]]:
        form: dict[str, str | list[str] | tuple[str, str, bytes]] = {
            "model": self.model,
            "response_format": "json",
            # The extension of the name tells the server the format.
            "file": ("utterance.flac", FLAC_TYPE, sound),
        }
        language = request.language or self.config.language
        if language:
            form["language"] = code_of(language)
        prompt = self._options.prompt
        likely = list(dict.fromkeys((*self._options.keywords, *request.hints)))
        if likely and self.model.startswith(_KEYWORDS):
            form["keywords[]"] = likely
        elif likely:
            prompt = f"{prompt} {', '.join(likely)}".strip()
        if self._options.temperature is not None:
            form["temperature"] = str(self._options.temperature)
        if prompt:
            form["prompt"] = prompt
        if streamed:
            form["stream"] = "true"
        if self._options.diarize:
            form["response_format"] = "diarized_json"
            # Required for more than 30 s of audio.
            form["chunking_strategy"] = "auto"
            # The model refuses a prompt.
            form.pop("prompt", None)
        return form

    async def _streamed(self, answer: HttpResponse, clip: Clip) -> AsyncGenerator[Transcription]:
        text = ""
        async for _, data in answer.events():
            if data.strip() == _OVER:
                break
            event = parse_answer(self.name, data, _Event)
            if event.error is not None:
                raise faults.error_for_code(self.name, str(event.error.code or ""), event.error.message)
            if event.type == _DONE:
                whole = text if event.text is None else event.text
                yield Transcription(whole.strip(), final=True, usage=_usage(event.usage, clip))
                return
            if event.type == _DELTA and event.delta:
                text += event.delta
                yield Transcription(text.strip())
        raise StreamError("the transcript broke off", provider=self.name, code="truncated")


def _usage(used: _Used | None, clip: Clip) -> Usage:
    """Return the reported tokens, and the duration for models that are billed by the minute."""
    if used is None:
        return Usage(transcribed_seconds=clip.duration_s)
    details = used.input_token_details or _Details(audio_tokens=used.input_tokens)
    return Usage(
        transcribed_seconds=used.seconds or clip.duration_s,
        input_audio_tokens=details.audio_tokens or 0,
        input_text_tokens=details.text_tokens or 0,
        output_text_tokens=used.output_tokens,
    )
