"""OpenAI's streaming speech-to-text: a Realtime session of type "transcription"."""

from typing import Any, ClassVar

from voxd.audio.sound import Resampler
from voxd.errors import ConnectionFailed
from voxd.frames import SAMPLE_RATE_HZ
from voxd.net import faults
from voxd.net.endpoint import require_key
from voxd.net.transport import Access, Budget, HttpRequest
from voxd.net.websocket import WebSocketAddress
from voxd.providers.languages import code_of
from voxd.providers.pipeline.stages.contract import ConfiguredStage, TranscriptionRequest
from voxd.providers.pipeline.stages.stt_protocol import (
    SttProtocol,
    TranscriptUpdate,
    WireMessage,
    select_terms,
)
from voxd.providers.pipeline.stages.stt_stream import StreamingSpeechToText
from voxd.providers.realtime.openai_protocol import frames, wire
from voxd.providers.usage import Usage
from voxd.providers.vendors.openai.options import OpenAILiveSttOptions, account_headers

PATH = "/realtime"
MOST_TERMS = 100

# Error codes after which a new session may succeed.
_RETRYABLE = frozenset({"session_expired", "server_error"})

# The utterance was shorter than 100 ms: no words, and no error of ours.
_NOTHING_SENT = "input_audio_buffer_commit_empty"


class OpenAILiveStt(ConfiguredStage[OpenAILiveSttOptions], StreamingSpeechToText):
    """Transcribes while the user speaks."""

    default_endpoint: ClassVar[str] = "wss://api.openai.com/v1"

    options_type = OpenAILiveSttOptions

    def address(self, access: Access, request: TranscriptionRequest) -> WebSocketAddress:
        """Return the address for ``request``. Raises `ProviderError`."""
        return self.address_at(access, PATH, {"intent": "transcription"}, self._headers(access), prefix="/v1")

    def protocol(self, request: TranscriptionRequest) -> SttProtocol:
        """Return the protocol of one new connection."""
        settings: dict[str, Any] = {"model": self.model}
        if language := self.language(request):
            settings["language"] = code_of(language)
        if likely := select_terms(self._options.keywords, request.hints, most=MOST_TERMS):
            settings["keywords"] = likely
        if self._options.prompt:
            settings["prompt"] = self._options.prompt
        if self._options.delay:
            settings["delay"] = self._options.delay
        return OpenAILiveSttProtocol(self.name, wire.transcribe(settings, self._options.noise_reduction))

    async def check(self, budget: Budget) -> None:
        """Request the description of the model, which is free. Raises `ProviderError`."""

        def build(access: Access) -> HttpRequest:
            return HttpRequest(
                "GET", self.url_at(access, f"/models/{self.model}", prefix="/v1"), self._headers(access)
            )

        await self._check_by(build, budget)

    def _headers(self, access: Access) -> dict[str, str]:
        key = {"Authorization": f"Bearer {require_key(self.name, access.key)}"}
        return key | account_headers(self._options)


class OpenAILiveSttProtocol(SttProtocol):
    """One session. Audio is committed once, at the end, so the utterance is one item or a few."""

    # The vendor refuses to commit less than 100 ms (`input_audio_buffer_commit_empty`).
    chunk_ms = 120
    least_ms = 120

    def __init__(self, provider: str, update: wire.Frame) -> None:
        super().__init__(provider)
        self._update = update
        self._resampler = Resampler(SAMPLE_RATE_HZ, wire.RATE_HZ)
        self._texts: dict[str, str] = {}
        self._open: set[str] = set()
        self._committed = False
        self._used = Usage()

    def opening(self) -> tuple[WireMessage, ...]:
        """Return the session settings."""
        return (wire.encode(self._update),)

    def encode(self, pcm: bytes) -> WireMessage:
        """Return ``pcm`` resampled to 24 kHz, the only rate the API accepts."""
        resampled = self._resampler.feed(pcm)
        return wire.append_audio(resampled) if resampled else ""

    def finish(self) -> tuple[WireMessage, ...]:
        """Return the rest of the audio, and the commit."""
        rest = self._resampler.feed(b"", last=True)
        return (wire.append_audio(rest) if rest else "", wire.encode(wire.commit("commit_1")))

    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` changes. Raises `ProviderError`."""
        try:
            frame = frames.decode(message)
        except ValueError as error:
            raise self.malformed(str(error)) from None
        match frame:
            case frames.Committed(item_id=item):
                self._committed = True
                self._open.add(item)
                self._texts.setdefault(item, "")  # Items are committed in the order of the audio.
                return None
            case frames.TranscriptionDelta(item_id=item, delta=delta):
                self._texts[item] = self._texts.get(item, "") + (delta or "")
                return TranscriptUpdate(partial=self._text)
            case frames.TranscriptionCompleted(item_id=item, transcript=text):
                # The complete transcript replaces the pieces: it may differ from their sum.
                self._texts[item] = text
                self._open.discard(item)
                self._used += frame.spent()
                done = self._committed and not self._open
                return TranscriptUpdate(partial=self._text, done=done, usage=self._used)
            case frames.TranscriptionFailed(error=complaint) | frames.ErrorFrame(error=complaint):
                return self._complaint(complaint)
        return None

    @property
    def _text(self) -> str:
        return " ".join(filter(None, map(str.strip, self._texts.values())))

    def _complaint(self, complaint: frames.ErrorDetails) -> TranscriptUpdate | None:
        if complaint.code == _NOTHING_SENT:
            return TranscriptUpdate(done=True)
        for name in (complaint.code, complaint.type):
            if name in _RETRYABLE:
                text = complaint.message or "the vendor gave no reason"
                raise ConnectionFailed(text, provider=self.provider, code=str(name))
        raise faults.error_for_code(self.provider, complaint.code, complaint.message)
