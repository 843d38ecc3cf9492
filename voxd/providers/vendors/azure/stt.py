"""Speech to text by Azure Speech, over its own WebSocket protocol (USP), while the user speaks.

Wire facts: reference/providers.md, section 7.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

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
from voxd.net.transport import Access, Budget, Transport
from voxd.net.websocket import WebSocketAddress
from voxd.providers.languages import locale_of
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest, parse_options
from voxd.providers.pipeline.stages.stt_protocol import SttProtocol, Throttle, TranscriptUpdate, WireMessage
from voxd.providers.pipeline.stages.stt_stream import StreamingSpeechToText
from voxd.providers.vendors.azure import wire as usp

_TICKS_PER_S = 10_000_000
_HEARD = "success"
_FATAL = frozenset({1002, 1003, 1007, 4000})
_BAD_REQUEST = ErrorMeaning("invalid_request", StreamError, hint="check the options of the provider")
_UNHEARD = frozenset({"nomatch", "initialsilencetimeout", "babbletimeout", "endofdictation"})


class AzureSttOptions(msgspec.Struct, frozen=True):
    """The kind's own settings. ``region`` is the resource's, such as "westeurope"; or set an endpoint."""

    region: str = ""
    mode: Literal["conversation", "interactive", "dictation"] = "conversation"
    profanity: Literal["masked", "removed", "raw", ""] = ""


class _Hypothesis(msgspec.Struct, rename="pascal"):
    text: str


class _Phrase(msgspec.Struct, rename="pascal"):
    """A part of the utterance that will not change; times are in units of 100 ns."""

    recognition_status: str
    display_text: str = ""
    offset: int = 0
    duration: int = 0


class AzureStt(StreamingSpeechToText):
    """One turn of the protocol for each utterance."""

    subprotocols: ClassVar[tuple[str, ...]] = ("USP",)

    def __init__(self, config: StageConfig, wire: Transport) -> None:
        super().__init__(config, wire)
        self._options = parse_options(config, AzureSttOptions)
        if not (config.endpoint or self._options.region):
            hint = f'set options.region in [providers.{config.name}], such as "westeurope", or endpoint'
            raise ConfigError(f"where is the Azure resource of {config.name}?", hint=hint)

    def address(self, access: Access, told: TranscriptionRequest) -> WebSocketAddress:
        """Return where ``told`` is transcribed."""
        base = access.endpoint or f"wss://{self._options.region}.stt.speech.microsoft.com"
        query = {"language": locale_of(self.language(told)), "format": "simple"}
        if self._options.profanity:
            query["profanity"] = self._options.profanity
        path = f"/speech/recognition/{self._options.mode}/cognitiveservices/v1"
        key = require_key(self.name, access.key)
        headers = {"Ocp-Apim-Subscription-Key": key, "X-ConnectionId": uuid.uuid4().hex}
        return WebSocketAddress(realtime_url(self.name, base, path, query), headers, key=key)

    def dialect(self, told: TranscriptionRequest) -> SttProtocol:
        """Return what one connection speaks."""
        return AzureSttProtocol(self.name, locale_of(self.language(told)), told.hints)

    async def check(self, budget: Budget) -> None:
        """Open the socket, which needs a good key; nothing is billed before there is sound."""
        async with self.wire.socket(
            lambda access: self.address(access, TranscriptionRequest()),
            budget,
            kind="check",
            refused=self.refusals,
            subprotocols=self.subprotocols,
        ):
            pass


class AzureSttProtocol(SttProtocol):
    """One turn: its id is in every frame. ``now_s`` is the time since 1970 UTC."""

    chunk_ms = 100
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
        """Return who speaks, what is spoken, and the form of the sound."""
        now_s = self._now_s()
        return (
            usp.config(now_s),
            usp.context(self._language, self._hints, self._turn, now_s),
            usp.beginning(self._turn, now_s),
        )

    def sound(self, pcm: bytes) -> WireMessage:
        """Return ``pcm`` as a frame."""
        return usp.sound(pcm, self._turn, self._now_s())

    def finish(self) -> tuple[WireMessage, ...]:
        """Return a frame without sound."""
        return (usp.sound(b"", self._turn, self._now_s()),)

    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` tells; of the times, Azure counts from the first sound of the turn."""
        try:
            told = usp.read(message)
            if told.request_id.lower() != self._turn:
                return None
            if told.path == "speech.hypothesis":
                return TranscriptUpdate(partial=msgspec.json.decode(told.body, type=_Hypothesis).text)
            if told.path == "speech.phrase":
                return self._phrase(msgspec.json.decode(told.body, type=_Phrase))
        except (ValueError, RecursionError):
            raise self.malformed("a frame that cannot be read") from None
        return TranscriptUpdate(done=True) if told.path == "turn.end" else None

    def closed(self, ending: CloseReason) -> ProviderError:
        """Return the error for a close; some codes say that another connection will not do either."""
        if ending.close_code in _FATAL:
            return error_meaning(self.provider, _BAD_REQUEST, ending.reason)
        return super().closed(ending)

    def _phrase(self, phrase: _Phrase) -> TranscriptUpdate:
        status = phrase.recognition_status.lower()
        if status == _HEARD or status in _UNHEARD:
            heard_s = (phrase.offset + phrase.duration) / _TICKS_PER_S
            return TranscriptUpdate(committed=phrase.display_text, heard_s=heard_s)
        raise _refusal(self.provider, status)


def _refusal(provider: str, status: str) -> ProviderError:
    """Return the error for a phrase that is none."""
    known: Mapping[str, type[ProviderError]] = {
        "toomanyrequests": RateLimited,
        "forbidden": AuthenticationError,
        "serviceunavailable": ConnectionFailed,
        "error": ConnectionFailed,
    }
    kind = known.get(status, StreamError)
    code = "server_error" if kind is ConnectionFailed else ""
    return kind(f"Azure could not recognise the sound: {status[:64]}", provider=provider, code=code)
