"""The contracts of the three stages of a pipeline: speech to text, a language model, text to speech."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeVar

import msgspec

from voxd.errors import ConfigError
from voxd.frames import Clip, Frame
from voxd.net.transport import Budget, Transport
from voxd.providers.settings import ToolSpec
from voxd.providers.usage import Usage


class StageKind(StrEnum):
    """What a stage does. Each is also the end of an entry point group: ``voxd.stt`` and so on."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"


@dataclass(frozen=True, slots=True)
class StageConfig:
    """One stage as the configuration describes it; "" leaves the vendor's default.

    ``name`` is the name in the configuration, ``kind`` the vendor, ``language`` an ISO 639-1 code or a
    BCP 47 tag, ``options`` the vendor's own settings.
    """

    name: str
    kind: str
    model: str = ""
    voice: str = ""
    language: str = ""
    endpoint: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


class PipelineStage(ABC):
    """One vendor's one stage. Subclass it in one file; register it by an entry point of its group.

    It holds no key and opens nothing by itself: `Transport` gives it one of each for every attempt, keeps to
    limits and deadlines, tries again what may be tried again, and writes the log. All its methods raise
    `voxd.errors.ProviderError` (or a subclass) and nothing else on a fault, also for a garbled answer.
    """

    stage: ClassVar[StageKind]
    default_model: ClassVar[str] = ""
    default_endpoint: ClassVar[str] = ""

    def __init__(self, config: StageConfig, wire: Transport) -> None:
        self.config = config
        self.wire = wire

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self.config.name

    @property
    def model(self) -> str:
        """The model that is asked: prices and shutdown dates are known by this name."""
        return self.config.model or self.default_model

    @property
    def key(self) -> int:
        """The number of the key it is asked with, 0 without one: what is used is written down by it."""
        return self.wire.key

    def prepare(self) -> None:
        """Begin, in the background, whatever makes the next request faster; never raises."""

    @abstractmethod
    async def check(self, budget: Budget) -> None:
        """Ask the vendor for something that costs nothing. Raises `ProviderError` when he cannot answer."""

    async def close(self) -> None:
        """Free everything; idempotent."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """What was understood so far, all of the utterance (not the last piece only).

    ``stable``: the vendor does not expect to change it. ``final``: it will not change, and nothing follows.
    ``usage`` comes with the final one: ``transcribed_seconds``, or tokens, as the vendor bills.
    """

    text: str
    final: bool = False
    stable: bool = False
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """What a transcription is told: ``hints`` are words that are likely, such as names."""

    language: str = ""
    hints: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)


class SpeechToText(PipelineStage):
    """Turns one utterance into text."""

    stage = StageKind.STT
    live: ClassVar[bool] = False
    """Whether it transcribes while the user still speaks."""

    @abstractmethod
    def transcribe(
        self, audio: AsyncIterator[Frame], told: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        """Yield what is understood of ``audio`` (16 kHz frames, in real time, until the user has finished).

        The last item is the final one, and the only one; its text is "" when nobody spoke. Closing the
        iterator gives the utterance up.
        """


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model wants to be run; ``arguments`` is the text of a JSON object."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One line of a conversation as a model sees it.

    An assistant's may hold ``calls``; role "tool" answers the call ``call_id`` (of tool ``tool``).
    ``raw`` is what the vendor ``raw_of`` needs back word for word, such as signed thoughts; others ignore it.
    """

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    tool: str = ""
    ok: bool = True
    raw: Any = None
    raw_of: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a model is told."""

    instructions: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_output_tokens: int | None = None
    temperature: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of the answer's text, in order."""

    text: str


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer is complete. ``reason``: stop, length, tool_calls, refusal. ``calls`` are to be run."""

    reason: str
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    raw: Any = None


class LanguageModel(PipelineStage):
    """Answers a conversation."""

    stage = StageKind.LLM
    context_tokens: ClassVar[int] = 32_000
    """What a prompt may hold, unless the options say otherwise (``context_tokens``)."""

    @abstractmethod
    def reply(self, prompt: Prompt) -> AsyncGenerator[TextChunk | Completion]:
        """Yield the answer's text as it is written; the last item is `Completion`, and the only one.

        Raises `ContextTooLong` when the prompt does not fit. Closing the iterator gives the answer up.
        """


class TextToSpeech(PipelineStage):
    """Speaks a clause or a sentence."""

    stage = StageKind.TTS
    default_voice: ClassVar[str] = ""
    max_chars: ClassVar[int] = 2000

    @property
    def voice(self) -> str:
        """The voice that speaks."""
        return self.config.voice or self.default_voice

    @property
    def variant(self) -> Mapping[str, Any]:
        """Return everything that changes the sound of a text: the key of the cache of phrases."""
        told = self.config
        return {
            "kind": told.kind,
            "endpoint": told.endpoint,
            "model": self.model,
            "voice": self.voice,
            "language": told.language,
            "options": dict(told.options),
        }

    @property
    def heeds_previous(self) -> bool:
        """Whether ``previous`` changes the sound of a text, and so belongs to the key of the cache."""
        return False

    def bill(self, text: str) -> Usage:
        """Return what the vendor bills for ``text``; an estimate where he counts something else than it."""
        return Usage(characters=len(text))

    @abstractmethod
    def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Yield the sound of ``text`` (plain words, at most ``max_chars``) as it comes, all at one rate.

        ``previous`` was spoken just before it. Yields at least one clip; the clips hold whole samples.
        """


Options = TypeVar("Options", bound=msgspec.Struct)


def parse_options(config: StageConfig, kind: type[Options]) -> Options:
    """Return the options of ``config`` as ``kind``. Raises `ConfigError` for one that cannot be used.

    Others are passed over: they may be meant for the line, such as ``ca_file``, or for another stage of the
    same vendor.
    """
    try:
        return msgspec.convert(dict(config.options), kind)
    except msgspec.ValidationError as error:
        hint = f"correct options in [providers.{config.name}]"
        raise ConfigError(
            f"an option of the provider {config.name} cannot be used: {error}", hint=hint
        ) from None
