"""The contracts of the three stages of a pipeline: speech-to-text, language model, text-to-speech."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast

import msgspec

from voxd.config.provider_options import lifted_options, read_options
from voxd.errors import ConfigError, ProviderError
from voxd.frames import Clip, Frame
from voxd.net.endpoint import resource_url
from voxd.net.faults import RefusalReader, error_for_refusal
from voxd.net.transport import Access, Budget, HttpRequest, Transport
from voxd.providers.events import SpeakerPart
from voxd.providers.facts import default_model, default_voice
from voxd.providers.pipeline.stages.llm_options import LlmOptions
from voxd.providers.settings import ToolSpec
from voxd.providers.usage import Usage


class StageKind(StrEnum):
    """The kind of a stage. Its entry point group is ``voxd.stt``, ``voxd.llm`` or ``voxd.tts``."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"


@dataclass(frozen=True, slots=True)
class StageConfig:
    """The configuration of one stage; "" selects the vendor's default.

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
    """One stage of one vendor. Subclass it in one file and register it by an entry point of its group.

    A stage holds no key and opens no connection itself: the transport supplies key and connection for every
    attempt, applies rate limits and deadlines, retries what is safe to retry, and writes the log. On any
    failure, malformed responses included, the methods raise `voxd.errors.ProviderError` (or a subclass) and
    nothing else.
    """

    stage: ClassVar[StageKind]
    options_type: ClassVar[type[msgspec.Struct] | None] = None
    """The fields of ``options``; None accepts any. See `ConfiguredStage`."""
    default_model: str = ""
    """Unless a subclass sets it, the model of the ``facts.toml`` of its kind."""
    default_endpoint: ClassVar[str] = ""

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        # Vendors spell model, voice and language in their own ways, and users copy that.
        lifted = lifted_options(config.options)
        unset: dict[str, Any] = {key: value for key, value in lifted.items() if not getattr(config, key)}
        self.config = replace(config, **unset) if unset else config
        self.transport = transport
        self.default_model = self.default_model or default_model(config.kind, self.stage)

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self.config.name

    @property
    def model(self) -> str:
        """The model in use; prices and shutdown dates are looked up by this name."""
        return self.config.model or self.default_model

    @property
    def key(self) -> int:
        """The number of the API key in use, 0 without one; usage is recorded for each key."""
        return self.transport.key

    @property
    def refusal_reader(self) -> RefusalReader:
        """The function that turns an HTTP error response into an error, also one to a WebSocket handshake."""
        return error_for_refusal

    def prepare(self) -> None:
        """Start, in the background, whatever makes the next request faster; never raises."""

    @abstractmethod
    async def check(self, budget: Budget) -> None:
        """Make a free request that needs a valid key. Raises `ProviderError` when the stage is
        unavailable."""

    async def _check_by(
        self, build: Callable[[Access], HttpRequest], budget: Budget, *, accepts: Container[str] = ()
    ) -> None:
        """Send the request of ``build``, for `check`; an error with a code in ``accepts`` is not one here."""
        try:
            async with self.transport.request(
                build, budget, kind="check", read_refusal=self.refusal_reader
            ) as answer:
                # Read and decoded: the log-in page of a network has status 200 too.
                await answer.json()
        except ProviderError as error:
            if error.code not in accepts:
                raise

    def url_at(
        self, access: Access, path: str, *, prefix: str = "", query: Mapping[str, Any] | None = None
    ) -> str:
        """Return the URL of ``path`` at the endpoint (`voxd.net.endpoint.resource_url`)."""
        endpoint = access.endpoint or self.default_endpoint
        return resource_url(self.name, endpoint, path, prefix=prefix, query=query)

    async def close(self) -> None:
        """Release all resources; idempotent."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """The text of the utterance so far, from its beginning (not only the last part).

    ``final``: it will not change, and nothing follows.
    """

    text: str
    final: bool = False
    # The vendor does not expect to change it, so an answer may be started early.
    stable: bool = False
    # Set in the final one: ``transcribed_seconds`` or tokens, as the vendor bills.
    usage: Usage = field(default_factory=Usage)
    # Set in the final one by a vendor that was asked who spoke.
    speakers: tuple[SpeakerPart, ...] = ()


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """The parameters of one transcription; ``hints`` are likely words, such as names."""

    language: str = ""
    hints: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)


class SpeechToText(PipelineStage):
    """Transcribes utterances."""

    stage = StageKind.STT
    live: ClassVar[bool] = False
    """Whether it transcribes while the user is still speaking."""

    @abstractmethod
    def transcribe(
        self, audio: AsyncIterator[Frame], request: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        """Yield the transcription of ``audio`` (16 kHz frames in real time, until the end of speech).

        Only the last item is final; its text is "" when there was no speech. Closing the iterator abandons
        the utterance.
        """


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call requested by the model; ``arguments`` is the text of a JSON object.

    Any other text was cut off or malformed: no tool may run with it.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation.

    A message of the assistant may contain ``calls``; one of role "tool" is the result of the call ``call_id``
    of tool ``tool``.
    """

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    tool: str = ""
    ok: bool = True
    # ``raw_of`` is the name of the provider that wrote the message, "" for none of this session. It gets its
    # ids of calls and ``raw`` back unchanged: Anthropic refuses a call whose signed reasoning is missing or
    # altered. No other provider gets them.
    raw: Any = None
    raw_of: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The input of a language model for one reply.

    With ``may_call`` False it must answer without tools; ``tools`` are those that it called before.
    """

    instructions: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    may_call: bool = True
    max_output_tokens: int | None = None
    temperature: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A part of the reply's text; parts are in order."""

    text: str


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of a reply. ``reason``: stop, length, tool_calls or refusal. ``calls`` are to be executed."""

    reason: str
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    raw: Any = None


NO_ANSWER: Mapping[str, str] = MappingProxyType({"length": "answer_cut_off", "refusal": "answer_filtered"})
"""The code of `NoAnswer` for the reason of a `Completion` without words; for any other, ``empty_answer``."""


class LanguageModel(PipelineStage):
    """Generates replies to a conversation."""

    stage = StageKind.LLM
    # Every current model of a vendor has at least this; a prompt that is too long costs a refused request.
    context_tokens: ClassVar[int] = 32_000
    """The size of a prompt in tokens, unless the option ``context_tokens`` sets another."""

    def tuned(self, prompt: Prompt) -> Prompt:
        """Return ``prompt`` with the temperature and the limit of the options, where they are set."""
        options = self._limits
        limit, temperature = options.max_tokens, options.temperature
        return replace(
            prompt,
            max_output_tokens=prompt.max_output_tokens if limit is None else limit,
            temperature=prompt.temperature if temperature is None else temperature,
        )

    @property
    def prompt_tokens(self) -> int:
        """The size of a prompt in tokens: that of the options, else ``context_tokens``."""
        return self._limits.context_tokens or self.context_tokens

    @property
    def _limits(self) -> LlmOptions:
        kind = self.options_type
        own = kind if kind is not None and issubclass(kind, LlmOptions) else LlmOptions
        return read_options(self.config.options, own)

    @abstractmethod
    def reply(self, prompt: Prompt) -> AsyncGenerator[TextChunk | Completion]:
        """Yield the reply's text as it is generated; only the last item is a `Completion`.

        Raises `ContextTooLong` when the prompt does not fit. Closing the iterator cancels the reply.
        """


class TextToSpeech(PipelineStage):
    """Synthesises a clause or a sentence."""

    stage = StageKind.TTS
    default_voice: ClassVar[str] = ""
    """Unless a subclass sets it, the voice of the ``facts.toml`` of its kind."""
    # Deepgram's limit, the lowest of those without one of their own (Polly 3000, OpenAI 4096 characters).
    max_chars: ClassVar[int] = 2000

    @property
    def voice(self) -> str:
        """The name of the voice."""
        return self.config.voice or self.default_voice or default_voice(self.config.kind)

    @property
    def variant(self) -> Mapping[str, Any]:
        """Return everything that changes the audio of a text: the key of the phrase cache."""
        config = self.config
        return {
            "kind": config.kind,
            "endpoint": config.endpoint,
            "model": self.model,
            "voice": self.voice,
            "language": config.language,
            "options": dict(config.options),
        }

    @property
    def heeds_previous(self) -> bool:
        """Whether ``previous`` changes the audio of a text, and so is part of the cache key."""
        return False

    def bill(self, text: str) -> Usage:
        """Return what the vendor bills for ``text``; an estimate when the unit is not characters."""
        return Usage(characters=len(text))

    @abstractmethod
    def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Yield the audio of ``text`` (plain text of at most ``max_chars``) as it arrives, all at one rate.

        ``previous`` is the text spoken just before. Yields at least one clip, each of whole samples.
        """


OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)


class ConfiguredStage(PipelineStage, Generic[OptionsT]):
    """A stage with options of its own, of the type ``options_type``."""

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        """Raises `ConfigError` when an option is invalid."""
        super().__init__(config, transport)
        # A class variable cannot have the type of a type variable.
        self._options: OptionsT = parse_options(config, cast("type[OptionsT]", self.options_type))


def parse_options(config: StageConfig, kind: type[OptionsT]) -> OptionsT:
    """Return the options of ``config`` as ``kind``. Raises `ConfigError` for an invalid one.

    Others are for the transport, such as ``ca_file``, or for another stage of the same vendor; those that
    nothing knows are refused where the table is read.
    """
    try:
        return read_options(config.options, kind, f"correct options in [providers.{config.name}]")
    except ConfigError as error:
        msg = f"an option of provider {config.name} is invalid: {error}"
        raise ConfigError(msg, hint=error.hint) from None
