"""Azure Speech's streaming speech-to-text over its WebSocket protocol, USP.

Protocol facts: `README.md` beside this file.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec

from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    ProviderError,
    RateLimited,
    StreamError,
)
from voxd.net.endpoint import realtime_url, require_key
from voxd.net.faults import CloseReason, ErrorMeaning, error_meaning
from voxd.net.transport import Access, Transport
from voxd.net.websocket import WebSocketAddress
from voxd.providers import lenient
from voxd.providers.languages import locale_of
from voxd.providers.pipeline.stages.contract import ConfiguredStage, StageConfig, TranscriptionRequest
from voxd.providers.pipeline.stages.stt_protocol import SttProtocol, Throttle, TranscriptUpdate, WireMessage
from voxd.providers.pipeline.stages.stt_stream import StreamingSpeechToText
from voxd.providers.vendors.azure import wire as usp
from voxd.providers.vendors.azure.options import AzureSttOptions

# Offsets and durations are in units of 100 ns.
_TICKS_PER_S = 10_000_000
_SUCCESS = "success"
# The request itself was invalid: the same one would be refused again.
_FATAL = frozenset({1002, 1003, 1007, 4000})
_BAD_REQUEST = ErrorMeaning("invalid_request", StreamError, hint="check the options of the provider")
# Statuses of a phrase without words; they are no errors.
_NO_SPEECH = frozenset({"nomatch", "initialsilencetimeout", "babbletimeout", "endofdictation"})


class _Hypothesis(msgspec.Struct, rename="pascal"):
    text: str


class _Phrase(msgspec.Struct, rename="pascal"):
    """A final part of the utterance; ``offset`` and ``duration`` are in units of 100 ns."""

    recognition_status: str
    display_text: str = ""
    offset: int = 0
    duration: int = 0


class AzureStt(ConfiguredStage[AzureSttOptions], StreamingSpeechToText):
    """One turn of the protocol for each utterance."""

    subprotocols: ClassVar[tuple[str, ...]] = ("USP",)

    options_type = AzureSttOptions

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        super().__init__(config, transport)
        if not (config.endpoint or self._options.region):
            hint = f'set options.region in [providers.{config.name}], such as "westeurope", or endpoint'
            raise ConfigError(f"provider {config.name} needs `region` or `endpoint`", hint=hint)

    def address(self, access: Access, request: TranscriptionRequest) -> WebSocketAddress:
        """Return the address for ``request``."""
        base = access.endpoint or f"wss://{self._options.region}.stt.speech.microsoft.com"
        query = {"language": locale_of(self.language(request)), "format": "simple"}
        if self._options.profanity:
            query["profanity"] = self._options.profanity
        if self._options.endpoint_id:
            query["cid"] = self._options.endpoint_id
        path = f"/speech/recognition/{self._options.mode}/cognitiveservices/v1"
        key = require_key(self.name, access.key)
        # 32 hexadecimal digits without dashes.
        headers = {"Ocp-Apim-Subscription-Key": key, "X-ConnectionId": uuid.uuid4().hex}
        return WebSocketAddress(realtime_url(self.name, base, path, query), headers, key=key)

    def protocol(self, request: TranscriptionRequest) -> SttProtocol:
        """Return the protocol of one new connection."""
        return AzureSttProtocol(self.name, locale_of(self.language(request)), request.hints)


class AzureSttProtocol(SttProtocol):
    """One turn, whose id is in every frame. ``now_s`` returns seconds since 1970 UTC, for the time stamps."""

    chunk_ms = 100
    # Azure accepts 5 s of buffered audio at once, then twice real time; more is throttled by the service.
    throttle = Throttle(burst_s=5.0, speed=2.0)

    def __init__(
        self,
        provider: str,
        language: str,
        hints: tuple[str, ...] = (),
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(provider)
        self._language = language
        self._hints = hints
        self._now_s = now_s
        self._turn = uuid.uuid4().hex

    def opening(self) -> tuple[WireMessage, ...]:
        """Return the client's description, the language and hints, and the audio format."""
        now_s = self._now_s()
        return (
            usp.config(now_s),
            usp.context(self._language, self._hints, self._turn, now_s),
            usp.beginning(self._turn, now_s),
        )

    def encode(self, pcm: bytes) -> WireMessage:
        """Return ``pcm`` in an audio frame."""
        return usp.sound(pcm, self._turn, self._now_s())

    def finish(self) -> tuple[WireMessage, ...]:
        """Return an audio frame with an empty body, which ends the audio."""
        return (usp.sound(b"", self._turn, self._now_s()),)

    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` changes; Azure counts times from the first audio of the turn."""
        try:
            found = usp.read(message)
            # Messages of another turn, or of none, on this connection.
            if found.request_id.lower() != self._turn:
                return None
            if found.path == "speech.hypothesis":
                return TranscriptUpdate(partial=lenient.decode(found.body, _Hypothesis).text)
            if found.path == "speech.phrase":
                return self._phrase(lenient.decode(found.body, _Phrase))
        except (ValueError, RecursionError):
            raise self.malformed("an invalid frame") from None
        return TranscriptUpdate(done=True) if found.path == "turn.end" else None

    def close_error(self, ending: CloseReason) -> ProviderError:
        """Return the error for a close; some codes mean that a retry would fail too."""
        if ending.close_code in _FATAL:
            return error_meaning(self.provider, _BAD_REQUEST, ending.reason)
        return super().close_error(ending)

    def _phrase(self, phrase: _Phrase) -> TranscriptUpdate:
        status = phrase.recognition_status.lower()
        if status == _SUCCESS or status in _NO_SPEECH:
            processed_s = (phrase.offset + phrase.duration) / _TICKS_PER_S
            # A phrase without speech still confirms that its audio was processed.
            return TranscriptUpdate(committed=phrase.display_text, processed_s=processed_s)
        raise _refusal(self.provider, status)


def _refusal(provider: str, status: str) -> ProviderError:
    """Return the error for a phrase whose status reports a failure."""
    known: Mapping[str, type[ProviderError]] = {
        "toomanyrequests": RateLimited,
        "forbidden": AuthenticationError,
        "serviceunavailable": ConnectionFailed,
        "error": ConnectionFailed,
    }
    kind = known.get(status, StreamError)
    code = "server_error" if kind is ConnectionFailed else ""
    return kind(f"speech recognition failed: {status[:64]}", provider=provider, code=code)
