"""What the turn machine is told, and what it orders: plain values, counted in samples."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What the device is doing; LEDs, STATUS line and `voxctl status` show it."""

    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    FOLLOW_UP = "follow_up"
    MUTED = "muted"
    ERROR = "error"


class Source(StrEnum):
    """Who started it."""

    WAKE_WORD = "wake_word"
    BUTTON = "button"
    SWITCH = "switch"
    SOCKET = "socket"
    VOICE = "voice"
    FOLLOW_UP = "follow_up"


class Earcon(StrEnum):
    """Short sounds."""

    WAKE = "wake"
    HEARD = "heard"
    ERROR = "error"
    MUTED = "muted"
    UNMUTED = "unmuted"
    RING = "ring"


# --- inputs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Woken:
    """A wake word was confirmed; ``end_sample`` is where it ended."""

    word: str
    agent: str
    score: float
    end_sample: int


@dataclass(frozen=True, slots=True)
class ListenAsked:
    """Button or socket: listen from ``at_sample`` on; ``hold`` means until `ListenReleased`."""

    source: Source
    at_sample: int
    hold: bool = False


@dataclass(frozen=True, slots=True)
class ListenReleased:
    """The held button came up, or a short press ended the utterance."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak."""

    sample: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The utterance is complete: ``reason`` is silence, max_length or released."""

    sample: int
    reason: str


@dataclass(frozen=True, slots=True)
class AwaitingSpeech:
    """The user paused after the wake word: an earcon now disturbs nothing."""


@dataclass(frozen=True, slots=True)
class NoSpeech:
    """Nobody spoke in time."""


@dataclass(frozen=True, slots=True)
class TextAsked:
    """A typed question (``speak`` the answer aloud or only return it)."""

    text: str
    speak: bool


@dataclass(frozen=True, slots=True)
class SayAsked:
    """Speak ``text`` as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class RepeatAsked:
    """Say the last reply again."""


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The first sound of the reply went to the device."""


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    """The reply was heard to its end; ``expects_answer`` when it asked something."""

    expects_answer: bool = False


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """No reply can be given; ``code`` says why."""

    code: str


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Be quiet: button, socket or voice."""

    source: Source


@dataclass(frozen=True, slots=True)
class MuteAsked:
    """Close (or open) the microphone."""

    muted: bool
    source: Source


@dataclass(frozen=True, slots=True)
class AudioLost:
    """The microphone is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class AudioRestored:
    """The microphone is back."""


@dataclass(frozen=True, slots=True)
class RingStarted:
    """A timer is due."""


Input = (
    Woken
    | ListenAsked
    | ListenReleased
    | SpeechStarted
    | SpeechEnded
    | AwaitingSpeech
    | NoSpeech
    | TextAsked
    | SayAsked
    | RepeatAsked
    | ReplyStarted
    | ReplyFinished
    | ReplyFailed
    | StopAsked
    | MuteAsked
    | AudioLost
    | AudioRestored
    | RingStarted
)


# --- actions --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """Open a turn in the ledger and tell the provider that it will be needed."""

    source: Source
    agent: str | None


@dataclass(frozen=True, slots=True)
class Capture:
    """Hand the sound from ``from_sample`` on to the provider and watch for the end of speech."""

    from_sample: int | None
    hold: bool = False
    follow_up: bool = False


@dataclass(frozen=True, slots=True)
class EndCapture:
    """The utterance ends at ``sample`` (None: now)."""

    sample: int | None


@dataclass(frozen=True, slots=True)
class DropCapture:
    """Forget the utterance."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a typed question."""

    text: str
    speak: bool


@dataclass(frozen=True, slots=True)
class Say:
    """Speak ``text`` as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """Speak the last reply again."""


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Stop thinking and speaking at once; ``by`` says who asked."""

    by: Source


@dataclass(frozen=True, slots=True)
class EndTurn:
    """Close the turn: ``outcome`` is answered, no_speech, cancelled or an error code."""

    outcome: str


@dataclass(frozen=True, slots=True)
class Chime:
    """Play a short sound."""

    earcon: Earcon


@dataclass(frozen=True, slots=True)
class Apologise:
    """Say aloud that, and why, it did not work."""

    code: str


@dataclass(frozen=True, slots=True)
class SetMicrophone:
    """Close or open the capture stream."""

    open: bool
    source: Source


@dataclass(frozen=True, slots=True)
class StopRing:
    """Silence a ringing timer."""

    by: Source


@dataclass(frozen=True, slots=True)
class StartRing:
    """Sound the ring until it is stopped."""


Action = (
    BeginTurn
    | Capture
    | EndCapture
    | DropCapture
    | Answer
    | Say
    | Repeat
    | CancelReply
    | EndTurn
    | Chime
    | Apologise
    | SetMicrophone
    | StopRing
    | StartRing
)
