"""Amazon Transcribe's streaming speech-to-text: event-stream frames over a WebSocket.

The URL carries the signature, so it is signed again for every connection. Protocol facts: `README.md`.
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from voxd.frames import SAMPLE_RATE_HZ
from voxd.net.endpoint import realtime_url, require_key
from voxd.net.faults import RefusalReader, parse_refusal
from voxd.net.transport import Access, Transport
from voxd.net.websocket import WebSocketAddress
from voxd.providers import lenient
from voxd.providers.languages import locale_of
from voxd.providers.pipeline.stages.contract import ConfiguredStage, StageConfig, TranscriptionRequest
from voxd.providers.pipeline.stages.speakers import LabelledWord
from voxd.providers.pipeline.stages.stt_protocol import SttProtocol, TranscriptUpdate, WireMessage
from voxd.providers.pipeline.stages.stt_stream import StreamingSpeechToText
from voxd.providers.vendors.aws.options import AwsSttOptions
from voxd.providers.vendors.aws.sigv4 import Signer, parse_credentials
from voxd.providers.vendors.aws.wire import decode, encode, find_region, read_error, stream_error

_PATH = "/stream-transcription-websocket"
_AUDIO_HEADERS = {
    ":message-type": "event",
    ":event-type": "AudioEvent",
    ":content-type": "application/octet-stream",
}


class _Item(msgspec.Struct, rename="pascal"):
    stable: bool = False
    content: Any = ""
    speaker: Any = None


class _Alternative(msgspec.Struct, rename="pascal"):
    transcript: str = ""
    items: list[_Item] = []


class _Result(msgspec.Struct, rename="pascal"):
    end_time: float = 0.0
    is_partial: bool = False
    alternatives: list[_Alternative] = []

    @property
    def text(self) -> str:
        return self.alternatives[0].transcript if self.alternatives else ""

    @property
    def words(self) -> tuple[LabelledWord, ...]:
        items = self.alternatives[0].items if self.alternatives else []
        if all(item.speaker is None for item in items):
            return ((None, self.text),)
        # Punctuation marks are items of their own, without a speaker.
        return tuple((item.speaker, item.content) for item in items)

    @property
    def stable(self) -> bool:
        items = self.alternatives[0].items if self.alternatives else []
        return bool(items) and all(item.stable for item in items)


class _Transcript(msgspec.Struct, rename="pascal"):
    results: list[_Result] = []


class _Event(msgspec.Struct, rename="pascal"):
    transcript: _Transcript


class AwsStt(ConfiguredStage[AwsSttOptions], StreamingSpeechToText):
    """One session for each utterance."""

    options_type = AwsSttOptions

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        super().__init__(config, transport)
        self._region = find_region(config.name, self._options.region, config.endpoint, "transcribestreaming")

    @property
    def refusal_reader(self) -> RefusalReader:
        """The function that turns an HTTP error response into an error."""
        return read_error

    def address(self, access: Access, request: TranscriptionRequest) -> WebSocketAddress:
        """Return the address for ``request``, signed for the next five minutes."""
        base = access.endpoint or f"wss://transcribestreaming.{self._region}.amazonaws.com:8443"
        key = require_key(self.name, access.key)
        signer = Signer(parse_credentials(self.name, key), self._region, "transcribe")
        # The wall clock: a signature is refused when the time is off by more than five minutes.
        url = signer.url(realtime_url(self.name, base, _PATH, self._query(request)), time.time())
        return WebSocketAddress(url, key=key)

    def protocol(self, request: TranscriptionRequest) -> SttProtocol:
        """Return the protocol of one new connection."""
        return AwsSttProtocol(self.name)

    def _query(self, request: TranscriptionRequest) -> dict[str, str]:
        options, language = self._options, self.language(request)
        query = {"media-encoding": "pcm", "sample-rate": str(SAMPLE_RATE_HZ)}
        if language or not options.languages:
            query["language-code"] = locale_of(language)
        else:
            # Either a language or candidates: the service refuses both together.
            query["identify-language"] = "true"
            query["language-options"] = ",".join(map(locale_of, options.languages))
        named = {
            "preferred-language": options.preferred_language,
            "vocabulary-name": options.vocabulary,
            "vocabulary-filter-name": options.vocabulary_filter,
            "vocabulary-filter-method": options.vocabulary_filter_method,
            "language-model-name": options.language_model,
            "content-redaction-type": options.content_redaction_type,
            "content-identification-type": options.content_identification_type,
            "pii-entity-types": options.pii_entity_types,
            "show-speaker-label": "true" if options.diarize else "",
        }
        query |= {name: value for name, value in named.items() if value}
        if options.stability:
            query["enable-partial-results-stabilization"] = "true"
            query["partial-results-stability"] = options.stability
        return query


class AwsSttProtocol(SttProtocol):
    """Audio in frames of 100 ms up, transcripts down; the vendor closes after the last transcript."""

    # Amazon advises 50 to 200 ms a frame.
    chunk_ms = 100
    # AWS closes after the last transcript, with or without a code.
    final_close_codes = frozenset({1000, 1005})

    def encode(self, pcm: bytes) -> WireMessage:
        """Return ``pcm`` in an audio frame."""
        return encode(_AUDIO_HEADERS, pcm)

    def finish(self) -> tuple[WireMessage, ...]:
        """Return an audio frame with an empty payload, which ends the stream."""
        return (encode(_AUDIO_HEADERS, b""),)

    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` changes. Raises `ProviderError` for an exception of the vendor."""
        try:
            frame = decode(message if isinstance(message, bytes) else message.encode())
            kind = frame.headers.get(":message-type")
            if kind == "event" and frame.headers.get(":event-type") == "TranscriptEvent":
                return _update(lenient.decode(frame.payload, _Event).transcript.results)
        except (ValueError, RecursionError):
            raise self.malformed("an invalid frame") from None
        # An exception is a frame of its own; the close that follows says nothing more.
        if kind == "exception":
            name = frame.headers.get(":exception-type", "")
            raise stream_error(self.provider, name, parse_refusal(frame.headers, frame.payload).message)
        if kind == "error":
            text = frame.headers.get(":error-message", "")
            raise stream_error(self.provider, frame.headers.get(":error-code", ""), text)
        return None


def _update(results: Sequence[_Result]) -> TranscriptUpdate | None:
    finals = [result for result in results if not result.is_partial]
    partials = [result for result in results if result.is_partial]
    if not results:
        return None
    words = tuple(word for result in finals for word in result.words)
    return TranscriptUpdate(
        committed=" ".join(result.text for result in finals),
        words=words if any(speaker is not None for speaker, _ in words) else (),
        processed_s=max(result.end_time for result in finals) if finals else None,
        partial=" ".join(result.text for result in partials) if partials else None,
        stable=bool(partials) and all(result.stable for result in partials),
    )
