"""AssemblyAI's streaming speech-to-text API, version 3. Protocol facts: `README.md` beside this file."""

from types import MappingProxyType
from typing import Any, ClassVar

import msgspec

from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, RateLimited, StreamError
from voxd.frames import SAMPLE_RATE_HZ
from voxd.net.endpoint import require_key
from voxd.net.faults import NO_CREDIT, CloseReason, ErrorMeaning, error_meaning
from voxd.net.transport import Access, Budget, HttpRequest
from voxd.net.websocket import WebSocketAddress
from voxd.providers.languages import code_of
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
from voxd.providers.usage import Usage
from voxd.providers.vendors.assemblyai.options import AssemblyAiSttOptions

PATH = "/v3/ws"
# The messages below are those of this version of the protocol.
VERSION = "2025-05-12"
# The vendor's limits: a longer list, or term, is refused.
MOST_TERMS = 100
LONGEST_TERM = 50

_TERMINATE = '{"type":"Terminate"}'


class AssemblyAiStt(ConfiguredStage[AssemblyAiSttOptions], StreamingSpeechToText):
    """Transcribes while the user speaks. The vendor bills the time a session is open, not the audio."""

    default_endpoint: ClassVar[str] = "wss://streaming.assemblyai.com"

    options_type = AssemblyAiSttOptions

    def address(self, access: Access, request: TranscriptionRequest) -> WebSocketAddress:
        """Return the address for ``request``. Raises `ProviderError`."""
        key = require_key(self.name, access.key)
        query = query_options(self._options) | {
            "speech_model": self.model,
            "encoding": "pcm_s16le",
            "sample_rate": SAMPLE_RATE_HZ,
        }
        del query["keyterms_prompt"]
        likely = select_terms(
            self._options.keyterms_prompt, request.hints, most=MOST_TERMS, longest=LONGEST_TERM
        )
        if likely:
            # Lists are JSON in the query, not repeated parameters.
            query["keyterms_prompt"] = msgspec.json.encode(likely).decode()
        if language := self.language(request):
            query["language_codes"] = msgspec.json.encode([code_of(language)]).decode()
        return self.address_at(access, PATH, query, {"Authorization": key, "AssemblyAI-Version": VERSION})

    def protocol(self, request: TranscriptionRequest) -> SttProtocol:
        """Return the protocol of one new connection."""
        return AssemblyAiSttProtocol(self.name, formatted=self._options.format_turns)

    async def check(self, budget: Budget) -> None:
        """Request a temporary token, which is free and needs a valid key. Raises `ProviderError`."""

        def build(access: Access) -> HttpRequest:
            url = self.url_at(access, "/v3/token", query={"expires_in_seconds": 60})
            return HttpRequest("GET", url, {"Authorization": require_key(self.name, access.key)})

        await self._check_by(build, budget)


_BAD_REQUEST = ErrorMeaning("invalid_request", StreamError, hint="check the options of the provider")
_BAD_SOUND = ErrorMeaning("bad_audio", StreamError)
_GONE = ErrorMeaning("session_expired", ConnectionFailed, retryable=True)
_BUSY = ErrorMeaning("rate_limited", RateLimited, retryable=True)

# 4001 is the key, 4002 and 4003 the funds, 4031 no audio for too long; 3007 a frame of the wrong length.
MEANINGS = MappingProxyType(
    {
        1013: ErrorMeaning("overloaded", ConnectionFailed, retryable=True),
        3005: ErrorMeaning("server_error", ConnectionFailed, retryable=True),
        3006: _BAD_REQUEST,
        3007: _BAD_SOUND,
        3008: _GONE,
        3009: _BUSY,
        4000: _BAD_REQUEST,
        4001: ErrorMeaning("invalid_api_key", AuthenticationError),
        4002: NO_CREDIT,
        4003: NO_CREDIT,
        4008: _GONE,
        4029: _BUSY,
        4031: ErrorMeaning("idle", ConnectionFailed, retryable=True),
        4032: _BAD_SOUND,
        4034: _BAD_SOUND,
        4100: _BAD_REQUEST,
        4101: _BAD_REQUEST,
        4102: _BUSY,
        4103: _GONE,
    }
)
"""Close codes, which the vendor also sends as ``error_code`` of an ``Error`` message."""


class _Word(msgspec.Struct):
    text: str
    end: float = 0.0


class _Turn(msgspec.Struct, tag="Turn"):
    turn_order: int
    transcript: str
    end_of_turn: bool = False
    turn_is_formatted: bool = False
    speaker_label: Any = None
    words: list[_Word] = []

    @property
    def text(self) -> str:
        # Until the turn ends, ``transcript`` holds final words only; ``words`` has the others too.
        return self.transcript if self.end_of_turn else " ".join(word.text for word in self.words)


class _Termination(msgspec.Struct, tag="Termination"):
    audio_duration_seconds: float | None = None
    session_duration_seconds: float | None = None


class _Error(msgspec.Struct, tag="Error"):
    error: str = ""
    error_code: int | None = None


_VOCABULARY = MessageDecoder(_Turn | _Termination | _Error)


class AssemblyAiSttProtocol(SttProtocol):
    """One session: numbered turns, each sent again as it grows, and once more when it is formatted."""

    chunk_ms = 60
    least_ms = 60
    # A frame of less than 50 ms or more than 1000 ms closes the session with 3007. So does audio far ahead of
    # real time: other users report about 300 s, more than any utterance has, so a throttle is not needed.
    keep_alive = '{"type":"KeepAlive"}'
    keep_alive_s = 5.0

    def __init__(self, provider: str, *, formatted: bool) -> None:
        super().__init__(provider)
        self._formatted = formatted
        self._turns: dict[int, _Turn] = {}
        self._next = 0
        self._processed_s = 0.0

    def finish(self) -> tuple[WireMessage, ...]:
        """Return the message after which the vendor sends the remaining turns and ends the session."""
        return (_TERMINATE,)

    def abort(self) -> tuple[WireMessage, ...]:
        """Return the message that ends the session: an open one is billed."""
        return (_TERMINATE,)

    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` changes. Raises `ProviderError`."""
        match _VOCABULARY.read(message, self):
            case _Turn() as turn:
                return self._turn(turn)
            case _Termination() as end:
                # Billed is the time the session was open, not the audio.
                billed_s = end.session_duration_seconds
                return TranscriptUpdate(
                    done=True, usage=Usage(transcribed_seconds=billed_s) if billed_s else None
                )
            case _Error() as error:
                ending = CloseReason(
                    "server_error", error.error or "the vendor gave no reason", error.error_code
                )
                raise self.close_error(ending)
        return None

    def close_error(self, ending: CloseReason) -> ProviderError:
        """Return the error for a close, by the vendor's own code if there is one."""
        means = MEANINGS.get(ending.close_code or 0)
        return (
            super().close_error(ending)
            if means is None
            else error_meaning(self.provider, means, ending.reason)
        )

    def _turn(self, turn: _Turn) -> TranscriptUpdate | None:
        # Each `Turn` replaces the earlier ones of its ``turn_order``.
        known = self._turns.get(turn.turn_order)
        if turn.turn_order < self._next or (known and known.end_of_turn and not turn.end_of_turn):
            return None  # A repetition of a turn that is final already.
        self._turns[turn.turn_order] = turn
        final: list[str] = []
        words: list[LabelledWord] = []
        while (first := self._turns.get(self._next)) and self._is_final(first):
            final.append(first.transcript)
            words.append((first.speaker_label, first.transcript))
            # Milliseconds of the audio of this session.
            self._processed_s = max([word.end / 1000 for word in first.words], default=self._processed_s)
            del self._turns[self._next]
            self._next += 1
        rest = " ".join(filter(None, (self._turns[order].text for order in sorted(self._turns))))
        stable = all(turn.end_of_turn for turn in self._turns.values())
        return TranscriptUpdate(
            " ".join(final),
            self._processed_s if final else None,
            partial=rest,
            stable=stable,
            words=tuple(words) if any(label for label, _ in words) else (),
        )

    def _is_final(self, turn: _Turn) -> bool:
        # Only the words have times, and without them it is unknown which audio the turn covers.
        placed = bool(turn.words) or not turn.transcript
        return turn.end_of_turn and placed and (turn.turn_is_formatted or not self._formatted)
