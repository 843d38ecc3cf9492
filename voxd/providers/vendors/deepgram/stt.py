"""Deepgram's live speech-to-text API, version 1, with Nova models. Protocol facts: `README.md`."""

from typing import Any, ClassVar

import msgspec

from voxd.errors import ProviderError
from voxd.frames import SAMPLE_RATE_HZ
from voxd.net.faults import CloseReason
from voxd.net.transport import Access
from voxd.net.websocket import WebSocketAddress
from voxd.providers.pipeline.stages.contract import ConfiguredStage, TranscriptionRequest
from voxd.providers.pipeline.stages.speakers import LabelledWord
from voxd.providers.pipeline.stages.stt_protocol import (
    MessageDecoder,
    SttProtocol,
    TranscriptUpdate,
    WireMessage,
    query_options,
    select_terms,
)
from voxd.providers.pipeline.stages.stt_stream import StreamingSpeechToText
from voxd.providers.vendors.deepgram import wire
from voxd.providers.vendors.deepgram.options import DeepgramSttOptions

KEEP_ALIVE_S = 4.0
"""Deepgram closes with 1011 NET-0001 after 10 s without audio, and advises a message every 3 to 5 s."""

# ``start`` and ``duration`` are rounded, so equal positions differ by less than this.
_EPSILON_S = 0.001


class DeepgramStt(wire.DeepgramStage, ConfiguredStage[DeepgramSttOptions], StreamingSpeechToText):
    """Transcribes with a Nova model while the user speaks."""

    default_endpoint: ClassVar[str] = "wss://api.deepgram.com"

    options_type = DeepgramSttOptions

    @property
    def model(self) -> str:
        """The transcription model; an Aura model belongs to the TTS stage of the same provider."""
        model = self.config.model
        return self.default_model if not model or model.startswith("aura") else model

    def address(self, access: Access, request: TranscriptionRequest) -> WebSocketAddress:
        """Return the address for ``request``. Raises `ProviderError`."""
        # Models before Nova-3 have ``keywords`` instead of ``keyterm``.
        takes = "keyterm" if self.model.startswith("nova-3") else "keywords"
        query = query_options(self._options) | {
            "model": self.model,
            "encoding": "linear16",
            "sample_rate": SAMPLE_RATE_HZ,
            "channels": 1,
            "keyterm": [],
            "keywords": [],
        }
        query[takes] = select_terms(getattr(self._options, takes), request.hints, most=wire.MOST_TERMS)
        if language := self.language(request):
            query["language"] = language
        return self.address_at(access, self.live_path, query, self.auth_headers(access))

    def protocol(self, request: TranscriptionRequest) -> SttProtocol:
        """Return the protocol of one new connection."""
        return DeepgramSttProtocol(self.name)


class _Word(msgspec.Struct):
    word: Any = ""
    punctuated_word: Any = None
    speaker: Any = None


class _Alternative(msgspec.Struct):
    transcript: str = ""
    words: list[_Word] = []


class _Channel(msgspec.Struct):
    alternatives: list[_Alternative] = []


class _Results(msgspec.Struct, tag="Results"):
    start: float
    duration: float
    channel: _Channel
    is_final: bool = False
    speech_final: bool = False

    @property
    def text(self) -> str:
        return self.channel.alternatives[0].transcript if self.channel.alternatives else ""

    @property
    def words(self) -> tuple[LabelledWord, ...]:
        found = self.channel.alternatives[0].words if self.channel.alternatives else []
        if all(word.speaker is None for word in found):
            return ()
        return tuple((word.speaker, word.punctuated_word or word.word) for word in found)

    @property
    def end_s(self) -> float:
        return self.start + self.duration


class _UtteranceEnd(msgspec.Struct, tag="UtteranceEnd"):
    last_word_end: float = 0.0


class _Metadata(msgspec.Struct, tag="Metadata"):
    duration: float = 0.0


class _Error(msgspec.Struct, tag="Error"):
    variant: str = ""
    code: str | None = None
    description: str = ""
    message: str | None = None


_VOCABULARY = MessageDecoder(_Results | _UtteranceEnd | _Metadata | _Error)


class DeepgramSttProtocol(SttProtocol):
    """One connection to ``/v1/listen``: final results follow each other, each for a section of audio."""

    # The vendor takes 20 to 250 ms a message.
    chunk_ms = 50
    keep_alive = '{"type":"KeepAlive"}'
    keep_alive_s = KEEP_ALIVE_S

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self._processed_s = 0.0

    def finish(self) -> tuple[WireMessage, ...]:
        """Return the message after which the vendor sends the remaining results and closes."""
        # Never an empty binary message, which closes the stream on older servers.
        return ('{"type":"CloseStream"}',)

    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` changes. Raises `ProviderError`."""
        match _VOCABULARY.read(message, self):
            case _Results() as results:
                return self._results(results)
            # Only with ``utterance_end_ms``: the words before it will not change.
            case _UtteranceEnd():
                return TranscriptUpdate(stable=True)
            # Sent once, in response to `CloseStream`.
            case _Metadata():
                return TranscriptUpdate(done=True)
            case _Error() as error:
                raise wire.stream_error(
                    self.provider, error.code or error.variant, error.message or error.description
                )
        return None

    def close_error(self, ending: CloseReason) -> ProviderError:
        """Return the error for a close."""
        return wire.close_error(self.provider, ending) or super().close_error(ending)

    def _results(self, results: _Results) -> TranscriptUpdate | None:
        if results.end_s <= self._processed_s + _EPSILON_S:
            # A repetition, or a result for audio that is final already; the end of speech may arrive alone.
            return TranscriptUpdate(stable=True) if results.speech_final else None
        if not results.is_final:
            return TranscriptUpdate(partial=results.text)
        self._processed_s = results.end_s
        return TranscriptUpdate(results.text, results.end_s, stable=results.speech_final, words=results.words)
