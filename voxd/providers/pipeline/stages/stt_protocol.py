"""What a streaming speech-to-text vendor must implement of its protocol: pure, one object per connection."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import msgspec

from voxd.errors import ProviderError, StreamError
from voxd.json_text import decode_json
from voxd.net import faults
from voxd.net.faults import CloseReason
from voxd.providers import lenient
from voxd.providers.events import SpeakerPart
from voxd.providers.pipeline.stages.contract import Transcription
from voxd.providers.pipeline.stages.speakers import LabelledWord, labelled, parts_of
from voxd.providers.usage import Usage

WireMessage = str | bytes
"""A text or binary WebSocket message."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """How fast a vendor accepts buffered audio: ``burst_s`` seconds at once, then ``speed`` times real time.

    Audio from the microphone is never delayed, because it does not arrive faster than real time.
    """

    burst_s: float
    speed: float

    def pause_s(self, sent_s: float, passed_s: float) -> float:
        """Return how long the next chunk must wait, ``passed_s`` after the first of ``sent_s`` was sent."""
        return max((sent_s - self.burst_s) / self.speed - passed_s, 0.0)


@dataclass(frozen=True, slots=True)
class TranscriptUpdate:
    """What one message of the vendor changes in the transcript.

    ``committed`` is final and appended to the text. ``done``: the vendor has sent everything.
    """

    committed: str = ""
    # With ``committed``, how many seconds of this connection's audio it covers: every word before that point
    # is committed, every word after it is not. Audio before it is not sent again after a reconnect.
    processed_s: float | None = None
    # Replaces the text after that point; None leaves it unchanged.
    partial: str | None = None
    stable: bool = False
    done: bool = False
    # What the vendor bills; None means the duration of the audio that was sent.
    usage: Usage | None = None
    # The words of ``committed`` with the vendor's label of who said each, if it was asked for that.
    words: tuple[LabelledWord, ...] = ()


class SttProtocol(ABC):
    """One vendor's protocol on one connection. Subclass it in the vendor's folder."""

    # Vendors advise 20 to 250 ms a message: less is overhead, more is latency.
    chunk_ms: ClassVar[int] = 60
    # The last chunk is padded with silence up to this: some vendors refuse a shorter one.
    least_ms: ClassVar[int] = 0
    # Sent after ``keep_alive_s`` seconds without audio, if the vendor has such a message.
    keep_alive: ClassVar[str] = ""
    keep_alive_s: ClassVar[float | None] = None
    # For buffered audio; None means as fast as the connection takes it.
    throttle: ClassVar[Throttle | None] = None
    final_close_codes: ClassVar[frozenset[int]] = frozenset()
    """Close codes that mean, after `finish` was sent, that the vendor has sent everything."""

    def __init__(self, provider: str) -> None:
        self.provider = provider

    def opening(self) -> tuple[WireMessage, ...]:
        """Return the messages to send before the first audio."""
        return ()

    def encode(self, pcm: bytes) -> WireMessage:
        """Return the message that carries ``pcm`` (16 kHz, 16 bit, mono); an empty message is not sent."""
        return pcm

    @abstractmethod
    def finish(self) -> tuple[WireMessage, ...]:
        """Return the messages that mark the end of the utterance."""

    def abort(self) -> tuple[WireMessage, ...]:
        """Return the messages to send when the utterance is abandoned."""
        return ()

    @abstractmethod
    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` changes, or None.

        Raises `StreamError` when it is malformed, and `ProviderError` when it reports an error.
        """

    def is_complete(self, ending: CloseReason, sent_s: float) -> bool:
        """Whether nothing is missing when the connection ends so after `finish` and ``sent_s`` of audio."""
        return ending.close_code in self.final_close_codes

    def close_error(self, ending: CloseReason) -> ProviderError:
        """Return the error for a connection that ended before the transcript was complete."""
        return faults.error_for_close(self.provider, ending)

    def malformed(self, problem: str) -> StreamError:
        """Return the error for an invalid message; ``problem`` quotes nothing of it."""
        return StreamError(f"the vendor sent {problem}", provider=self.provider)


class MessageDecoder:
    """Decodes a vendor's JSON messages: a union of tagged structs. Messages with other tags are ignored."""

    def __init__(self, union: Any, *, tag: str = "type") -> None:
        self._tag = tag
        self._decoder = msgspec.json.Decoder(union)
        self._known = {kind.__struct_config__.tag: kind for kind in get_args(union)}

    def read(self, message: WireMessage, protocol: SttProtocol) -> Any:
        """Return the struct in ``message``, None for an unknown tag. Raises `StreamError` when malformed."""
        try:
            return self._decoder.decode(message)
        # msgspec reports an unknown tag like a wrong field: only the tag itself tells them apart.
        except (msgspec.DecodeError, UnicodeError):
            pass
        try:
            body = decode_json(message)
        except (msgspec.DecodeError, RecursionError):
            raise protocol.malformed("invalid JSON") from None
        if not isinstance(body, dict):
            raise protocol.malformed("JSON that is not an object")
        tag = body.get(self._tag)
        if isinstance(tag, str) and tag not in self._known:
            return None
        try:
            return lenient.convert(body, self._known[str(tag)])
        except (KeyError, msgspec.ValidationError):
            raise protocol.malformed("a message with missing or invalid fields") from None


class TranscriptAssembler:
    """The text of an utterance, assembled from the updates of all its connections."""

    def __init__(self) -> None:
        self._committed: list[str] = []
        self._words: list[LabelledWord] = []
        self._partial = ""
        self._last = Transcription("")

    @property
    def text(self) -> str:
        """The committed text and the partial text after it."""
        committed = " ".join(filter(None, self._committed))
        return " ".join(filter(None, (labelled(self.speakers, committed), self._partial)))

    @property
    def speakers(self) -> tuple[SpeakerPart, ...]:
        """Who said what of the committed text, () where the vendor does not say."""
        return parts_of(self._words)

    def add(self, update: TranscriptUpdate) -> Transcription | None:
        """Apply ``update``; return the new transcription, None when nothing has changed."""
        if update.processed_s is not None:
            self._committed.append(update.committed.strip())
            self._words += update.words or [(None, update.committed)]
            self._partial = ""
        if update.partial is not None:
            self._partial = update.partial.strip()
        found = Transcription(self.text, stable=update.stable)
        if found == self._last:
            return None
        self._last = found
        return found

    def final(self, usage: Usage) -> Transcription:
        """Return the whole transcription, for which the vendor bills ``usage``."""
        return Transcription(self.text, final=True, usage=usage, speakers=self.speakers)

    def drop_partial(self) -> None:
        """Discard the text that is not committed: its audio is sent again on the next connection."""
        self._partial = ""


def query_options(options: msgspec.Struct) -> dict[str, Any]:
    """Return the options that are set as query parameters, with booleans written ``true`` and ``false``."""
    values = {name: getattr(options, name) for name in options.__struct_fields__}
    return {
        # In a URL a boolean is a word, which vendors write in lower case.
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in values.items()
        if value is not None
    }


def select_terms(*lists: Iterable[str], most: int, longest: int = 100) -> list[str]:
    """Return the likely words, each once, limited to the vendor's number and length in characters."""
    found = dict.fromkeys(term.strip() for terms in lists for term in terms)
    return [term for term in found if 0 < len(term) <= longest][:most]
