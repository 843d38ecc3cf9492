"""The actions of the turn machine: plain values that the runner performs."""

from dataclasses import dataclass

from voxd.frames import Clip
from voxd.turn.inputs import Earcon, Source


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """Begin a turn, and its latency record."""

    source: Source
    agent: str | None


@dataclass(frozen=True, slots=True)
class SwitchAgent:
    """Continue the turn under way with ``agent``."""

    agent: str


@dataclass(frozen=True, slots=True)
class StartCapture:
    """Send the sound from ``from_sample`` to the end of speech to the provider."""

    # None: from now on, which is right after a reply; else a sample that the ring still holds.
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
class AnswerQuestion:
    """Answer a typed or recorded question."""

    question: str | Clip
    speak: bool


@dataclass(frozen=True, slots=True)
class SpeakText:
    """Speak ``text`` as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class RepeatReply:
    """Speak the last reply again."""


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Stop the reply at once; ``by`` is the source of the request."""

    by: Source


@dataclass(frozen=True, slots=True)
class EndTurn:
    """Close the turn: ``outcome`` is answered, no_speech, cancelled or an error code."""

    outcome: str


@dataclass(frozen=True, slots=True)
class PlayEarcon:
    """Play a short sound."""

    earcon: Earcon


@dataclass(frozen=True, slots=True)
class SpeakError:
    """Speak the error message of ``code``."""

    code: str


@dataclass(frozen=True, slots=True)
class SetMicrophone:
    """Close or open the capture stream."""

    open: bool
    source: Source


@dataclass(frozen=True, slots=True)
class EndRing:
    """End the ringing timer: the user has noticed it."""

    by: Source


@dataclass(frozen=True, slots=True)
class PauseRing:
    """Silence the ring during a turn."""


@dataclass(frozen=True, slots=True)
class StartRing:
    """Ring until `PauseRing`."""


Action = (
    BeginTurn
    | SwitchAgent
    | StartCapture
    | EndCapture
    | DropCapture
    | AnswerQuestion
    | SpeakText
    | RepeatReply
    | CancelReply
    | EndTurn
    | PlayEarcon
    | SpeakError
    | SetMicrophone
    | EndRing
    | PauseRing
    | StartRing
)
