"""Inputs of the turn machine: plain values, counted in samples."""

from dataclasses import dataclass
from enum import StrEnum

from voxd.frames import Clip


# The values of these enums are in events, in `voxctl status` and in the history: they do not change.
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
    """Where a request came from."""

    WAKE_WORD = "wake_word"
    BUTTON = "button"
    SWITCH = "switch"
    SOCKET = "socket"
    VOICE = "voice"
    FOLLOW_UP = "follow_up"


class Earcon(StrEnum):
    """Short sounds."""

    WAKE = "wake"
    ERROR = "error"
    MUTED = "muted"
    UNMUTED = "unmuted"
    RING = "ring"


@dataclass(frozen=True, slots=True)
class WakeWordDetected:
    """A wake word was confirmed; ``end_sample`` is where it ended."""

    word: str
    agent: str
    score: float
    # Capture starts here, so that words right after the wake word are not lost to the time of its
    # confirmation.
    end_sample: int


@dataclass(frozen=True, slots=True)
class ListenRequested:
    """Button or socket: listen from ``at_sample`` on; ``hold`` means until `ListenReleased`."""

    source: Source
    # When the button was pressed: the event loop learns of it later.
    at_sample: int
    hold: bool = False


@dataclass(frozen=True, slots=True)
class ListenReleased:
    """The held button came up, or a short press ended the utterance."""


@dataclass(frozen=True, slots=True)
class UserSpeechStarted:
    """The user began to speak."""

    sample: int


@dataclass(frozen=True, slots=True)
class UserSpeechEnded:
    """The utterance is complete: ``reason`` is silence, max_length or released."""

    sample: int
    reason: str


@dataclass(frozen=True, slots=True)
class AwaitingSpeech:
    """The user paused after the wake word: an earcon now disturbs nothing."""


@dataclass(frozen=True, slots=True)
class NoSpeechDetected:
    """No speech in time."""


@dataclass(frozen=True, slots=True)
class CaptureFailed:
    """The rest of the utterance cannot be captured; ``code`` says why."""

    code: str


@dataclass(frozen=True, slots=True)
class QuestionReceived:
    """A typed or recorded question (``speak`` the answer aloud or only return it)."""

    question: str | Clip
    speak: bool


@dataclass(frozen=True, slots=True)
class SayRequested:
    """Speak ``text`` as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class RepeatRequested:
    """Say the last reply again."""

    source: Source


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The first sound of the reply went to the device."""


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    """The reply was played to its end; ``expects_answer``: it ends with a question to the user."""

    expects_answer: bool = False


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """The reply failed with the error ``code``."""

    code: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Be quiet: button, socket or voice."""

    source: Source


@dataclass(frozen=True, slots=True)
class MuteRequested:
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


@dataclass(frozen=True, slots=True)
class RingEnded:
    """The timer was cancelled, or has rung for long enough."""


Input = (
    WakeWordDetected
    | ListenRequested
    | ListenReleased
    | UserSpeechStarted
    | UserSpeechEnded
    | AwaitingSpeech
    | NoSpeechDetected
    | CaptureFailed
    | QuestionReceived
    | SayRequested
    | RepeatRequested
    | ReplyStarted
    | ReplyFinished
    | ReplyFailed
    | StopRequested
    | MuteRequested
    | AudioLost
    | AudioRestored
    | RingStarted
    | RingEnded
)
