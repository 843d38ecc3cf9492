"""Deepgram Flux, live API version 2, which has turns of its own (reference/providers.md, section 5)."""

from typing import ClassVar

import msgspec

from voxd.errors import ProviderError
from voxd.frames import SAMPLE_RATE_HZ
from voxd.net.faults import CloseReason, RefusalReader
from voxd.net.transport import Access, Budget, Transport
from voxd.net.websocket import WebSocketAddress
from voxd.providers.languages import code_of
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest, parse_options
from voxd.providers.pipeline.stages.stt_protocol import (
    MessageDecoder,
    SttProtocol,
    TranscriptUpdate,
    WireMessage,
    query_options,
    select_terms,
)
from voxd.providers.pipeline.stages.stt_stream import StreamingSpeechToText
from voxd.providers.vendors.deepgram import stt as deepgram
from voxd.providers.vendors.deepgram.wire import refused

PATH = "/v2/listen"
BEHIND_S = 2.0
"""Who has not told of the last seconds of the sound when he closes has not heard them."""

MANY = "flux-general-multi"


class DeepgramFluxSttOptions(msgspec.Struct, frozen=True):
    """The vendor's own settings under the vendor's own names; what is not set is left to the vendor.

    ``eager_eot_threshold`` is when the words are told to be settled: early starts of an answer need it.
    """

    eager_eot_threshold: float = 0.5
    eot_threshold: float | None = None
    eot_timeout_ms: int | None = None
    keyterm: list[str] = []
    language_hint: list[str] = []
    profanity_filter: bool | None = None
    numerals: bool | None = None
    redact: str | list[str] | None = None
    mip_opt_out: bool | None = None
    tag: str | list[str] | None = None


class DeepgramFluxStt(StreamingSpeechToText):
    """Transcribes with a Flux model while the user speaks."""

    default_endpoint: ClassVar[str] = "wss://api.deepgram.com"

    def __init__(self, config: StageConfig, wire: Transport) -> None:
        super().__init__(config, wire)
        self._options = parse_options(config, DeepgramFluxSttOptions)

    @property
    def model(self) -> str:
        """The model that listens: the one for many languages where another than English is spoken."""
        told = self.config.model
        if told.startswith("flux"):
            return told
        return MANY if code_of(self.config.language) not in {"", "en"} else self.default_model

    @property
    def refusal_reader(self) -> RefusalReader:
        """The function that turns an HTTP error response into an error."""
        return refused

    def address(self, access: Access, request: TranscriptionRequest) -> WebSocketAddress:
        """Return the address for ``request``. Raises `ProviderError`."""
        query = query_options(self._options) | {
            "model": self.model,
            "encoding": "linear16",
            "sample_rate": SAMPLE_RATE_HZ,
            "keyterm": select_terms(self._options.keyterm, request.hints, most=deepgram.MOST_TERMS),
            "language_hint": [],
        }
        if self.model.endswith("multi"):
            query["language_hint"] = select_terms(
                self._options.language_hint, (self.language(request),), most=10
            )
        return deepgram.address(self, access, PATH, query)

    def protocol(self, request: TranscriptionRequest) -> SttProtocol:
        """Return the protocol of one new connection."""
        return DeepgramFluxSttProtocol(self.name)

    async def check(self, budget: Budget) -> None:
        """Ask which projects the key is for, which costs nothing. Raises `ProviderError`."""
        await deepgram.check(self, budget, PATH)


class _TurnInfo(msgspec.Struct, tag="TurnInfo"):
    event: str
    transcript: str
    audio_window_end: float
    sequence_id: int


class _Error(msgspec.Struct, tag="Error"):
    code: str
    description: str = ""


_VOCABULARY = MessageDecoder(_TurnInfo | _Error)


class DeepgramFluxSttProtocol(SttProtocol):
    """One connection to ``/v2/listen``: turns, one after the other, each told again and again as it grows."""

    final_close_codes = frozenset({1000, 1005})
    chunk_ms = 80
    least_ms = 80

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self._last = -1
        self._heard_s = 0.0

    def finish(self) -> tuple[WireMessage, ...]:
        """Return what ends the turn under way, if there is one, and then the connection."""
        return ('{"type":"ForceEndTurn"}', '{"type":"CloseStream"}')

    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` changes. Raises `ProviderError`."""
        match _VOCABULARY.read(message, self):
            case _TurnInfo() as turn if turn.sequence_id > self._last:
                self._last = turn.sequence_id
                self._heard_s = turn.audio_window_end
                if turn.event == "EndOfTurn":
                    return TranscriptUpdate(turn.transcript, turn.audio_window_end, stable=True)
                # `TurnResumed` takes back what `EagerEndOfTurn` said; all others only tell the words.
                return TranscriptUpdate(partial=turn.transcript, stable=turn.event == "EagerEndOfTurn")
            case _Error() as error:
                raise deepgram.fault(self.provider, error.code, error.description)
        return None

    def is_complete(self, ending: CloseReason, sent_s: float) -> bool:
        """Whether this answers `CloseStream`: nothing does but a close without a code."""
        # He tells of every quarter of a second that he has heard, so it shows when he stopped listening.
        return super().is_complete(ending, sent_s) and sent_s - self._heard_s <= BEHIND_S

    def close_error(self, ending: CloseReason) -> ProviderError:
        """Return the error for a close."""
        return deepgram.closed(self.provider, ending) or super().close_error(ending)
