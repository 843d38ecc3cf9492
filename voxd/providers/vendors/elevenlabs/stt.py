"""ElevenLabs Scribe realtime speech-to-text, with manual commits: the device marks the end of speech."""

import base64
from types import MappingProxyType
from typing import ClassVar

import msgspec

from voxd.errors import ConnectionFailed, StreamError
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, samples_from_ms
from voxd.net.faults import (
    BAD_KEY,
    NO_CREDIT,
    SLOW_DOWN,
    ErrorMeaning,
    RefusalReader,
    error_meaning,
    refusal_reader,
)
from voxd.net.transport import Access, Budget, HttpRequest
from voxd.net.websocket import WebSocketAddress
from voxd.providers.languages import code_of
from voxd.providers.pipeline.stages.contract import ConfiguredStage, TranscriptionRequest
from voxd.providers.pipeline.stages.stt_protocol import (
    MessageDecoder,
    SttProtocol,
    TranscriptUpdate,
    WireMessage,
    query_options,
    select_terms,
)
from voxd.providers.pipeline.stages.stt_stream import StreamingSpeechToText
from voxd.providers.vendors.elevenlabs import wire
from voxd.providers.vendors.elevenlabs.options import ElevenLabsSttOptions

PATH = "/v1/speech-to-text/realtime"
# The vendor's limits on key terms and their characters.
MOST_TERMS, LONGEST_TERM = 50, 20

# The vendor refuses to commit less than 0.3 s of audio; this leaves a margin.
_LEAST_BYTES = samples_from_ms(400) * BYTES_PER_SAMPLE


# The error code of this refusal has always differed from that of the TTS stages.
_refused = refusal_reader({**wire.NAMES, "too_many_concurrent_requests": SLOW_DOWN})


class ElevenLabsStt(ConfiguredStage[ElevenLabsSttOptions], StreamingSpeechToText):
    """Transcribes while the user speaks."""

    default_endpoint: ClassVar[str] = "wss://api.elevenlabs.io"

    options_type = ElevenLabsSttOptions

    @property
    def model(self) -> str:
        """The transcription model; another configured model belongs to the TTS stage of the same provider."""
        model = self.config.model
        return model if model.startswith("scribe") else self.default_model

    @property
    def refusal_reader(self) -> RefusalReader:
        """The function that turns an HTTP error response into an error."""
        return _refused

    def address(self, access: Access, request: TranscriptionRequest) -> WebSocketAddress:
        """Return the address for ``request``. Raises `ProviderError`."""
        query = query_options(self._options) | {
            "model_id": self.model,
            "audio_format": "pcm_16000",
            # The device detects the end of speech, not the vendor.
            "commit_strategy": "manual",
            "keyterms": select_terms(
                self._options.keyterms, request.hints, most=MOST_TERMS, longest=LONGEST_TERM
            ),
        }
        if language := self.language(request):
            query["language_code"] = code_of(language)
        return self.address_at(access, PATH, query, wire.auth_headers(self, access))

    def protocol(self, request: TranscriptionRequest) -> SttProtocol:
        """Return the protocol of one new connection."""
        return ElevenLabsSttProtocol(self.name)

    async def check(self, budget: Budget) -> None:
        """Request the state of the account, which is free. Raises `ProviderError`."""

        def build(access: Access) -> HttpRequest:
            url = self.url_at(access, "/v1/user/subscription")
            return HttpRequest("GET", url, wire.auth_headers(self, access))

        # A key restricted to speech-to-text may not read the account, but it is valid.
        await self._check_by(build, budget, accepts={"missing_permissions"})


_BAD_REQUEST = ErrorMeaning("invalid_request", StreamError, hint="check the options of the provider")
# The vendor documents which of them a retry can cure: throttling and overload, never key, quota or terms.
FAULTS = MappingProxyType(
    {
        "error": ErrorMeaning("stream_failed", StreamError, retryable=True),
        "auth_error": BAD_KEY,
        "quota_exceeded": NO_CREDIT,
        "unaccepted_terms": ErrorMeaning("unaccepted_terms", hint="accept the terms at the vendor's console"),
        "rate_limited": SLOW_DOWN,
        "commit_throttled": SLOW_DOWN,
        "queue_overflow": ErrorMeaning("overloaded", ConnectionFailed, retryable=True),
        "resource_exhausted": ErrorMeaning("overloaded", ConnectionFailed, retryable=True),
        "transcriber_error": ErrorMeaning("server_error", ConnectionFailed, retryable=True),
        "session_time_limit_exceeded": ErrorMeaning("session_expired", ConnectionFailed, retryable=True),
        "input_error": _BAD_REQUEST,
        "invalid_request": _BAD_REQUEST,
        "chunk_size_exceeded": _BAD_REQUEST,
    }
)
"""What the error types of its messages mean."""

_NO_SPEECH = "insufficient_audio_activity"


class _Partial(msgspec.Struct, tag="partial_transcript", tag_field="message_type"):
    text: str


class _Committed(msgspec.Struct, tag="committed_transcript", tag_field="message_type"):
    text: str


class _Fault(msgspec.Struct):
    message_type: str
    error: str | None = None


_VOCABULARY = MessageDecoder(_Partial | _Committed, tag="message_type")
_FAULT = msgspec.json.Decoder(_Fault)


class ElevenLabsSttProtocol(SttProtocol):
    """One session."""

    # Commits have no times, so it is unknown which audio they cover: their text stays partial until the end.

    chunk_ms = 100

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self._parts: list[str] = []
        self._sent_bytes = 0
        self._finishing = False

    def encode(self, pcm: bytes) -> WireMessage:
        """Return ``pcm`` as a message."""
        self._sent_bytes += len(pcm)
        return _chunk(pcm)

    def finish(self) -> tuple[WireMessage, ...]:
        """Return the commit, with silence before it when there is too little audio to commit."""
        self._finishing = True
        missing_bytes = max(_LEAST_BYTES - self._sent_bytes, 0)
        silence = (_chunk(bytes(missing_bytes)),) if missing_bytes else ()
        return (*silence, _chunk(b"", commit=True))

    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` changes. Raises `ProviderError`."""
        match _VOCABULARY.read(message, self):
            case _Partial() as partial:
                return TranscriptUpdate(partial=self._joined(partial.text))
            case _Committed() as committed:
                self._parts.append(committed.text)
                return TranscriptUpdate(partial=self._joined(), done=self._finishing)
        try:
            return self._read_fault(_FAULT.decode(message))
        except msgspec.ValidationError:
            raise self.malformed("a message with missing or invalid fields") from None

    def _joined(self, *rest: str) -> str:
        return " ".join(filter(None, (*self._parts, *rest)))

    def _read_fault(self, fault: _Fault) -> TranscriptUpdate | None:
        text = fault.error or "the vendor gave no reason"
        if fault.message_type == _NO_SPEECH:
            # Silence: there is nothing to commit.
            if self._finishing:
                return TranscriptUpdate(done=True)
            raise ConnectionFailed(text, provider=self.provider, code="idle")
        if fault.message_type in FAULTS:
            raise error_meaning(self.provider, FAULTS[fault.message_type], text)
        return None


def _chunk(pcm: bytes, *, commit: bool = False) -> str:
    """Return an audio message."""
    # Formatted directly: it is sent ten times a second, and base64 needs no escaping.
    audio = base64.b64encode(pcm).decode()
    return (
        f'{{"message_type":"input_audio_chunk","audio_base_64":"{audio}",'
        f'"commit":{"true" if commit else "false"},"sample_rate":{SAMPLE_RATE_HZ}}}'
    )
