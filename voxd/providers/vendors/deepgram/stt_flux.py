"""Deepgram Flux speech-to-text, live API version 2, which detects turns. Protocol facts: `README.md`."""

from typing import ClassVar

import msgspec

from voxd.errors import ProviderError
from voxd.frames import SAMPLE_RATE_HZ
from voxd.net.faults import CloseReason
from voxd.net.transport import Access
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
from voxd.providers.vendors.deepgram import wire
from voxd.providers.vendors.deepgram.options import DeepgramFluxSttOptions

BEHIND_S = 2.0
"""When Flux closes without an update for the last seconds of audio, that audio was not processed."""

# The multilingual model; ``language_hint`` is accepted by this one only.
MANY = "flux-general-multi"


class DeepgramFluxStt(wire.DeepgramStage, ConfiguredStage[DeepgramFluxSttOptions], StreamingSpeechToText):
    """Transcribes with a Flux model while the user speaks."""

    default_endpoint: ClassVar[str] = "wss://api.deepgram.com"

    options_type = DeepgramFluxSttOptions
    live_path: ClassVar[str] = "/v2/listen"

    @property
    def model(self) -> str:
        """The transcription model: by default the multilingual one for any language but English."""
        model = self.config.model
        if model.startswith("flux"):
            return model
        return MANY if code_of(self.config.language) not in {"", "en"} else self.default_model

    def address(self, access: Access, request: TranscriptionRequest) -> WebSocketAddress:
        """Return the address for ``request``. Raises `ProviderError`."""
        query = query_options(self._options) | {
            "model": self.model,
            "encoding": "linear16",
            "sample_rate": SAMPLE_RATE_HZ,
            "keyterm": select_terms(self._options.keyterm, request.hints, most=wire.MOST_TERMS),
            "language_hint": [],
        }
        if self.model.endswith("multi"):
            query["language_hint"] = select_terms(
                self._options.language_hint, (self.language(request),), most=10
            )
        return self.address_at(access, self.live_path, query, self.auth_headers(access))

    def protocol(self, request: TranscriptionRequest) -> SttProtocol:
        """Return the protocol of one new connection."""
        return DeepgramFluxSttProtocol(self.name)


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
    """One connection to ``/v2/listen``: turns, one after the other, each sent again as it grows."""

    # After `CloseStream` Flux closes without a code (1005).
    final_close_codes = frozenset({1000, 1005})
    # The length that Deepgram recommends for Flux.
    chunk_ms = 80
    least_ms = 80

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self._last = -1
        self._processed_s = 0.0

    def finish(self) -> tuple[WireMessage, ...]:
        """Return the messages that end the current turn, if there is one, and then the connection."""
        # `CloseStream` alone produces no `EndOfTurn`, and the last words would stay partial.
        return ('{"type":"ForceEndTurn"}', '{"type":"CloseStream"}')

    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` changes. Raises `ProviderError`."""
        match _VOCABULARY.read(message, self):
            case _TurnInfo() as turn if turn.sequence_id > self._last:
                self._last = turn.sequence_id
                self._processed_s = turn.audio_window_end
                if turn.event == "EndOfTurn":
                    return TranscriptUpdate(turn.transcript, turn.audio_window_end, stable=True)
                # `TurnResumed` cancels an `EagerEndOfTurn`; the other events only carry the words.
                return TranscriptUpdate(partial=turn.transcript, stable=turn.event == "EagerEndOfTurn")
            case _Error() as error:
                raise wire.stream_error(self.provider, error.code, error.description)
        return None

    def is_complete(self, ending: CloseReason, sent_s: float) -> bool:
        """Whether the close is the response to `CloseStream`, which Flux sends no message for."""
        # Flux sends an update about every 0.25 s of audio, so its position shows what it has processed.
        return super().is_complete(ending, sent_s) and sent_s - self._processed_s <= BEHIND_S

    def close_error(self, ending: CloseReason) -> ProviderError:
        """Return the error for a close."""
        return wire.close_error(self.provider, ending) or super().close_error(ending)
