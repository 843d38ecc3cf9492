"""What a vendor of live transcription has to say about his protocol: pure, one object for one connection."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import msgspec

from voxd.errors import ProviderError, StreamError
from voxd.net import faults
from voxd.net.faults import CloseReason
from voxd.providers.pipeline.stages.contract import Transcription
from voxd.providers.usage import Usage


@dataclass(frozen=True, slots=True)
class Throttle:
    """``burst_s`` seconds of sound at once, and then ``speed`` times as fast as it was spoken.

    Sound that comes from the microphone never waits: it is not faster than it was spoken.
    """

    burst_s: float
    speed: float

    def pause_s(self, sent_s: float, passed_s: float) -> float:
        """Return how long the next piece has to wait, ``passed_s`` after the first of ``sent_s`` was sent."""
        return max((sent_s - self.burst_s) / self.speed - passed_s, 0.0)


WireMessage = str | bytes


@dataclass(frozen=True, slots=True)
class TranscriptUpdate:
    """What one message of the vendor tells.

    ``committed`` will not change and is added to the text; then ``heard_s`` says how many seconds of this
    connection's sound are dealt with: a word lies before it and is committed, or behind it and is not.
    ``partial`` replaces what is understood behind that, None leaves it as it is. ``done``: the vendor has
    told everything. ``usage`` is what he bills, None where that is the sound he was sent.
    """

    committed: str = ""
    heard_s: float | None = None
    partial: str | None = None
    stable: bool = False
    done: bool = False
    usage: Usage | None = None


class SttProtocol(ABC):
    """How one vendor speaks on one connection. Subclass it in the vendor's file.

    Sound is sent in pieces of ``chunk_ms``, the last one with silence up to ``least_ms`` (not more). After
    ``keep_alive_s`` without sound ``keep_alive`` is sent, where the vendor has such a message. Sound that was
    spoken before is sent as ``throttle`` allows, None for as fast as the vendor takes it.
    """

    chunk_ms: ClassVar[int] = 60
    least_ms: ClassVar[int] = 0
    keep_alive: ClassVar[str] = ""
    keep_alive_s: ClassVar[float | None] = None
    throttle: ClassVar[Throttle | None] = None
    last_words: ClassVar[frozenset[int]] = frozenset()
    """Codes of a close that says, once `finish` was sent, that everything was told."""

    def __init__(self, provider: str) -> None:
        self.provider = provider

    def opening(self) -> tuple[WireMessage, ...]:
        """Return what is sent before the first sound."""
        return ()

    def sound(self, pcm: bytes) -> WireMessage:
        """Return ``pcm`` (16 kHz) as it is sent; an empty message is not."""
        return pcm

    @abstractmethod
    def finish(self) -> tuple[WireMessage, ...]:
        """Return what tells the vendor that the user has finished."""

    def parting(self) -> tuple[WireMessage, ...]:
        """Return what is sent when the utterance is given up."""
        return ()

    @abstractmethod
    def read(self, message: WireMessage) -> TranscriptUpdate | None:
        """Return what ``message`` tells, None when that is nothing.

        Raises `ProviderError` for a fault he tells of; `ConnectionFailed` where another connection may do.
        """

    def is_complete(self, ending: CloseReason, sent_s: float) -> bool:
        """Whether a close, after `finish` and ``sent_s`` seconds of sound, says that everything was told."""
        return ending.close_code in self.last_words

    def closed(self, ending: CloseReason) -> ProviderError:
        """Return the error for a connection that ended before everything was told."""
        return faults.error_for_close(self.provider, ending)

    def malformed(self, why: str) -> StreamError:
        """Return the error for a message that is none; ``why`` holds nothing of it."""
        return StreamError(f"the vendor sent {why}", provider=self.provider)


class MessageDecoder:
    """Reads a vendor's messages: a union of tagged structs. Types that are not in it are passed over."""

    def __init__(self, union: Any, *, tag: str = "type") -> None:
        self._tag = tag
        self._decoder = msgspec.json.Decoder(union)
        self._known = {kind.__struct_config__.tag for kind in get_args(union)}

    def read(self, message: WireMessage, dialect: SttProtocol) -> Any:
        """Return the struct in ``message``, None for an unknown type. Raises `StreamError` for garbage."""
        try:
            return self._decoder.decode(message)
        except msgspec.ValidationError:
            self._check(message, dialect)
            return None
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise dialect.malformed("something that is not JSON") from None

    def _check(self, message: WireMessage, dialect: SttProtocol) -> None:
        """Raise `StreamError` unless ``message`` is whole, and of a type that is not ours to know."""
        try:
            kind = msgspec.json.decode(message, type=dict[str, Any]).get(self._tag)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise dialect.malformed("something that is no JSON object") from None
        if not isinstance(kind, str) or kind in self._known:
            raise dialect.malformed("a message that lacks what it needs")


class TranscriptAssembler:
    """The text of an utterance, put together from readings over all its connections."""

    def __init__(self) -> None:
        self._committed: list[str] = []
        self._partial = ""
        self._told = Transcription("")

    @property
    def text(self) -> str:
        """All that is understood."""
        return " ".join(filter(None, (*self._committed, self._partial)))

    def take(self, reading: TranscriptUpdate) -> Transcription | None:
        """Add ``reading``; return what is heard now, None when that was told before."""
        if reading.heard_s is not None:
            self._committed.append(reading.committed.strip())
            self._partial = ""
        if reading.partial is not None:
            self._partial = reading.partial.strip()
        heard = Transcription(self.text, stable=reading.stable)
        if heard == self._told:
            return None
        self._told = heard
        return heard

    def break_off(self) -> None:
        """Forget what is not committed: its sound is sent again."""
        self._partial = ""


def query_options(options: msgspec.Struct) -> dict[str, Any]:
    """Return the options that are set, as a URL has them: ``true`` and ``false`` in small letters."""
    told = {name: getattr(options, name) for name in options.__struct_fields__}
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in told.items()
        if value is not None
    }


def select_terms(*lists: Iterable[str], most: int, longest: int = 100) -> list[str]:
    """Return the words that are likely, each once, as many and as long as the vendor takes them."""
    found = dict.fromkeys(term.strip() for select_terms in lists for term in select_terms)
    return [term for term in found if 0 < len(term) <= longest][:most]
