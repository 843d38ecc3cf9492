"""Speech to text by Amazon Transcribe, over a WebSocket of event-stream frames, while the user speaks.

Wire facts: reference/providers.md, section 9. The URL is signed anew for every connection.
"""

import time
from collections.abc import Sequence
from typing import Literal

import msgspec

from voxd.frames import SAMPLE_RATE_HZ
from voxd.net.endpoint import realtime_url, require_key
from voxd.net.faults import RefusalReader, parse_refusal
from voxd.net.transport import Access, Budget, Transport
from voxd.net.websocket import WebSocketAddress
from voxd.providers.languages import locale_of
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest, parse_options
from voxd.providers.pipeline.stages.stt_protocol import SttProtocol, TranscriptUpdate, WireMessage
from voxd.providers.pipeline.stages.stt_stream import StreamingSpeechToText
from voxd.providers.vendors.aws.sigv4 import Signer, parse_credentials
from voxd.providers.vendors.aws.wire import decode, encode, find_region, read_error, stream_error

_PATH = "/stream-transcription-websocket"
_SOUND = {
    ":message-type": "event",
    ":event-type": "AudioEvent",
    ":content-type": "application/octet-stream",
}


class AwsSttOptions(msgspec.Struct, frozen=True):
    """The kind's own settings.

    ``region`` is AWS's, such as "eu-central-1"; ``vocabulary`` names a list of words kept there;
    ``languages`` are told apart by Amazon where no language is set; ``stability`` is how early it settles
    on words, "" for never before the end.
    """

    region: str = ""
    vocabulary: str = ""
    languages: tuple[str, ...] = ()
    stability: Literal["low", "medium", "high", ""] = "medium"


class _Item(msgspec.Struct, rename="pascal"):
    stable: bool = False


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
    def stable(self) -> bool:
        items = self.alternatives[0].items if self.alternatives else []
        return bool(items) and all(item.stable for item in items)


class _Transcript(msgspec.Struct, rename="pascal"):
    results: list[_Result] = []


class _Event(msgspec.Struct, rename="pascal"):
    transcript: _Transcript


class AwsStt(StreamingSpeechToText):
    """One session for each utterance."""

    def __init__(self, config: StageConfig, wire: Transport) -> None:
        super().__init__(config, wire)
        self._options = parse_options(config, AwsSttOptions)
        self._region = find_region(config.name, self._options.region, config.endpoint, "transcribestreaming")

    @property
    def refusals(self) -> RefusalReader:
        """What reads a refusal."""
        return read_error

    def address(self, access: Access, told: TranscriptionRequest) -> WebSocketAddress:
        """Return where ``told`` is transcribed, signed for the next five minutes."""
        base = access.endpoint or f"wss://transcribestreaming.{self._region}.amazonaws.com:8443"
        key = require_key(self.name, access.key)
        signer = Signer(parse_credentials(self.name, key), self._region, "transcribe")
        url = signer.url(realtime_url(self.name, base, _PATH, self._query(told)), time.time())
        return WebSocketAddress(url, key=key)

    def dialect(self, told: TranscriptionRequest) -> SttProtocol:
        """Return what one connection speaks."""
        return AwsSttProtocol(self.name)

    async def check(self, budget: Budget) -> None:
        """Open the socket, which needs a good signature, and send nothing."""
        async with self.wire.socket(
            lambda access: self.address(access, TranscriptionRequest()),
            budget,
            kind="check",
            refused=self.refusals,
        ):
            pass

    def _query(self, told: TranscriptionRequest) -> dict[str, str]:
        options, language = self._options, self.language(told)
        query = {"media-encoding": "pcm", "sample-rate": str(SAMPLE_RATE_HZ)}
        if language or not options.languages:
            query["language-code"] = locale_of(language)
        else:
            query["identify-language"] = "true"
            query["language-options"] = ",".join(map(locale_of, options.languages))
        if options.vocabulary:
            query["vocabulary-name"] = options.vocabulary
        if options.stability:
            query["enable-partial-results-stabilization"] = "true"
            query["partial-results-stability"] = options.stability
        return query


class AwsSttProtocol(SttProtocol):
    """Sound in frames of 100 ms, transcripts back; the vendor closes when he has told everything."""

    chunk_ms = 100
    last_words = frozenset({1000, 1005})

    def sound(self, pcm: bytes) -> WireMessage:
        """Return ``pcm`` as a frame."""
        return encode(_SOUND, pcm)

    def finish(self) -> tuple[WireMessage, ...]:
        """Return a frame without sound."""
        return (encode(_SOUND, b""),)

    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` tells. Raises `ProviderError` for an exception of the vendor."""
        try:
            told = decode(message if isinstance(message, bytes) else message.encode())
            kind = told.headers.get(":message-type")
            if kind == "event" and told.headers.get(":event-type") == "TranscriptEvent":
                return _reading(msgspec.json.decode(told.payload, type=_Event).transcript.results)
        except (ValueError, RecursionError):
            raise self.malformed("a frame that cannot be read") from None
        if kind == "exception":
            name = told.headers.get(":exception-type", "")
            raise stream_error(self.provider, name, parse_refusal(told.headers, told.payload).message)
        if kind == "error":
            message = told.headers.get(":error-message", "")
            raise stream_error(self.provider, told.headers.get(":error-code", ""), message)
        return None


def _reading(results: Sequence[_Result]) -> TranscriptUpdate | None:
    finals = [result for result in results if not result.is_partial]
    partials = [result for result in results if result.is_partial]
    if not results:
        return None
    return TranscriptUpdate(
        committed=" ".join(result.text for result in finals),
        heard_s=max(result.end_time for result in finals) if finals else None,
        partial=" ".join(result.text for result in partials) if partials else None,
        stable=bool(partials) and all(result.stable for result in partials),
    )
