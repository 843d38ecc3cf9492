"""What a speech-to-speech provider reports, as typed values from the vendor's reader to the event bus.

Each class is one type of event; its fields are the entries of the payload in `voxd.events.EVENT_TYPES` (a
test compares the two). A third party's provider may report a type and a dict instead, which
`event_of` converts once, in `BaseProvider.emit_event`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, get_args

import msgspec
from msgspec import UNSET, UnsetType

from voxd import errors
from voxd.errors import ProviderError, VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.frames import BYTES_PER_SAMPLE
from voxd.providers.usage import Usage


class _Event(msgspec.Struct, frozen=True):
    # Not a field: the bus carries the type beside the payload.
    type: ClassVar[E]

    @property
    def data(self) -> dict[str, Any]:
        """The payload, as it is published."""
        return msgspec.structs.asdict(self)


class AudioOutputStarted(_Event, frozen=True):
    """The audio of an item of a response begins."""

    type: ClassVar[E] = E.AUDIO_OUTPUT_STARTED
    sample_rate: int
    response_id: str | None = None
    item_id: str | None = None


class AudioOutputChunk(_Event, frozen=True):
    """A piece of the reply's audio: interleaved s16le PCM at ``sample_rate`` Hz."""

    type: ClassVar[E] = E.AUDIO_OUTPUT_CHUNK
    audio_data: bytes
    sample_rate: int
    channels: int = 1
    response_id: str | None = None
    item_id: str | None = None

    @property
    def duration_ms(self) -> float:
        """The length of the piece."""
        # A sample of every channel makes one frame of audio.
        return len(self.audio_data) * 1000 / (BYTES_PER_SAMPLE * self.channels) / self.sample_rate


class AudioOutputStopped(_Event, frozen=True):
    """No more audio of this item follows."""

    type: ClassVar[E] = E.AUDIO_OUTPUT_STOPPED
    duration_ms: float
    response_id: str | None = None
    item_id: str | None = None


class TextOutput(_Event, frozen=True):
    """Words of the assistant: a piece, or (``is_partial`` False) the whole text that the pieces make up."""

    type: ClassVar[E] = E.TEXT_OUTPUT
    text: str
    is_partial: bool = False
    response_id: str | None = None


class SpeakerPart(msgspec.Struct, frozen=True):
    """What one speaker said without a break; speakers are counted from 1, as they first spoke."""

    speaker: int
    text: str


class TextTranscription(_Event, frozen=True):
    """Words of the user: a piece, or (``is_partial`` False) the whole utterance.

    ``speakers`` is set where the vendor tells speakers apart; with more than one the text names them too.
    """

    type: ClassVar[E] = E.TEXT_TRANSCRIPTION
    text: str
    is_partial: bool = False
    item_id: str | None = None
    speakers: tuple[SpeakerPart, ...] = ()


class TextInput(_Event, frozen=True):
    """A typed message was sent."""

    type: ClassVar[E] = E.TEXT_INPUT
    text: str


class TurnDetected(_Event, frozen=True):
    """The vendor detected that the user began (``speaking``) or stopped speaking."""

    type: ClassVar[E] = E.CONVERSATION_TURN_DETECTED
    speaking: bool = False
    # Position in the audio of the session, if the vendor reports it.
    at_ms: float | None = None


class ReplyInterrupted(_Event, frozen=True):
    """The reply was cut after ``played_ms`` of its audio (None: not known)."""

    type: ClassVar[E] = E.CONVERSATION_INTERRUPTED
    played_ms: float | None = None
    response_id: str | None = None


class ConversationStarted(_Event, frozen=True):
    """The first turn of a session began."""

    type: ClassVar[E] = E.CONVERSATION_STARTED


class ConversationEnded(_Event, frozen=True):
    """The session was closed after ``turns`` questions."""

    type: ClassVar[E] = E.CONVERSATION_ENDED
    turns: int


class ResponseStarted(_Event, frozen=True):
    """The model begins a response."""

    type: ClassVar[E] = E.RESPONSE_STARTED
    response_id: str | None = None


class ResponseCompleted(_Event, frozen=True):
    """A response is complete; the tool calls in it are reported before.

    ``reason`` is the vendor's for an end before the end of the words, such as ``max_output_tokens`` or
    ``content_filter``; "" when it said all. Set by the session: ``tool_calls`` when another response follows,
    ``no_end`` when the vendor did not report the end.
    """

    type: ClassVar[E] = E.RESPONSE_COMPLETED
    response_id: str | None = None
    # What this response used; `UsageUpdated` has the totals of the session.
    usage: Any = None
    reason: str = ""


class ResponseCancelled(_Event, frozen=True):
    """A response was cancelled and will not be completed."""

    type: ClassVar[E] = E.RESPONSE_CANCELLED
    response_id: str | None = None
    reason: str = ""


class ToolCallInvoked(_Event, frozen=True):
    """The model calls a tool. ``arguments`` is an object; text means that the model sent malformed JSON."""

    type: ClassVar[E] = E.FUNCTION_CALL_INVOKED
    function_name: str
    arguments: Any = {}
    call_id: str | None = None


class ToolCallCompleted(_Event, frozen=True):
    """A tool has run; ``output`` is what the model gets."""

    type: ClassVar[E] = E.FUNCTION_CALL_COMPLETED
    function_name: str
    call_id: str | None
    ok: bool
    duration_ms: float
    output: str


class ToolCallsStopped(_Event, frozen=True):
    """The tool calls of a turn reached their limit after ``rounds``; ``next`` is a `NextRound`."""

    type: ClassVar[E] = E.FUNCTION_CALLS_STOPPED
    provider: str
    rounds: int
    next: str


class UsageUpdated(_Event, frozen=True):
    """The totals of the session so far."""

    type: ClassVar[E] = E.USAGE_UPDATED
    usage: Usage
    provider: str = ""


class RateLimitUpdated(_Event, frozen=True):
    """What the vendor still allows until ``reset_s`` seconds from now."""

    type: ClassVar[E] = E.RATE_LIMIT_UPDATED
    name: str
    limit: int | None = None
    remaining: int | None = None
    reset_s: float | None = None


class ErrorOccurred(_Event, frozen=True):
    """An error after which the session continues. A third party may report the exception itself too."""

    type: ClassVar[E] = E.ERROR_GENERAL
    code: str = ""
    message: str = ""
    hint: str = ""
    # Set by third parties only; an entry that is not set is not published either.
    error: Exception | UnsetType = UNSET
    error_message: str | UnsetType = UNSET
    recoverable: bool | UnsetType = UNSET
    # How long the vendor asks to wait; not set where it does not say.
    retry_after_s: float | UnsetType = UNSET

    @property
    def data(self) -> dict[str, Any]:
        """The payload, as it is published, without the entries that were not reported."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}

    @classmethod
    def of(cls, error: VoxdError) -> "ErrorOccurred":
        """Return the event that reports ``error``."""
        wait_s = error.retry_after_s if isinstance(error, ProviderError) else None
        return cls(error.code, str(error), error.hint, retry_after_s=UNSET if wait_s is None else wait_s)


class ConnectionStarting(_Event, frozen=True):
    """A session is being opened."""

    type: ClassVar[E] = E.CONNECTION_STARTING
    source: str


class ConnectionEstablished(_Event, frozen=True):
    """A session is open."""

    type: ClassVar[E] = E.CONNECTION_ESTABLISHED
    provider: str = ""
    connection_id: str | None = None
    latency_ms: float | None = None


class ConnectFailed(_Event, frozen=True):
    """No session could be opened, also after ``retry_count`` retries."""

    type: ClassVar[E] = E.CONNECTION_FAILED
    provider: str
    error: Exception
    error_message: str
    code: str
    retry_count: int


class ConnectionLost(_Event, frozen=True):
    """The session broke."""

    type: ClassVar[E] = E.CONNECTION_LOST
    provider: str = ""
    code: str = errors.ConnectionFailed.code
    reason: str = ""
    # A provider leaves it False: the session decides whether it reconnects.
    reconnecting: bool = False


class ConnectionClosed(_Event, frozen=True):
    """The session was closed on purpose."""

    type: ClassVar[E] = E.CONNECTION_CLOSED
    provider: str = ""
    reason: str = ""


class OtherEvent(msgspec.Struct, frozen=True):
    """An event without a class of its own: it does not concern the conversation and is only published."""

    type: E
    data: dict[str, Any]


ProviderEvent = (
    AudioOutputStarted
    | AudioOutputChunk
    | AudioOutputStopped
    | TextOutput
    | TextTranscription
    | TextInput
    | TurnDetected
    | ReplyInterrupted
    | ConversationStarted
    | ConversationEnded
    | ResponseStarted
    | ResponseCompleted
    | ResponseCancelled
    | ToolCallInvoked
    | ToolCallCompleted
    | ToolCallsStopped
    | UsageUpdated
    | RateLimitUpdated
    | ErrorOccurred
    | ConnectionStarting
    | ConnectionEstablished
    | ConnectFailed
    | ConnectionLost
    | ConnectionClosed
    | OtherEvent
)

OnEvent = Callable[[ProviderEvent], None]

TYPED_EVENTS: Mapping[E, Any] = MappingProxyType(
    {kind.type: kind for kind in get_args(ProviderEvent) if kind is not OtherEvent}
)
"""The class of each type of event that has one."""


def event_of(type: E | str, data: Mapping[str, Any]) -> ProviderEvent:
    """Return ``type`` and ``data``, as a third party's provider reports them, as a typed event.

    Unknown entries are dropped. Raises `ValueError` for an unknown type and `ProviderError` (code
    ``bad_event``) when an entry is missing or of the wrong type.
    """
    type = E(type)
    kind = TYPED_EVENTS.get(type)
    if kind is None:
        return OtherEvent(type, dict(data))
    try:
        # Not strict: a number sent as text is still unambiguous.
        event: ProviderEvent = msgspec.convert(dict(data), kind, strict=False)
    except msgspec.ValidationError as error:
        hint = "report the entries that voxd.events.EVENT_TYPES lists"
        msg = f"the provider reported a malformed {type} event: {error}"
        raise ProviderError(msg, code="bad_event", hint=hint) from error
    return event


def publish_to(emit: Emit) -> OnEvent:
    """Return a function that publishes events on the bus by ``emit``."""
    return lambda event: emit(event.type, **event.data)
