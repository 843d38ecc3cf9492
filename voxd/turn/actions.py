"""What the turn machine orders: plain values that the runner carries out."""

from dataclasses import dataclass

from voxd.frames import Clip
from voxd.turn.inputs import Earcon, Source


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """Open a turn in the ledger."""

    source: Source
    agent: str | None


@dataclass(frozen=True, slots=True)
class SwitchAgent:
    """The turn under way is for ``agent``."""

    agent: str


@dataclass(frozen=True, slots=True)
class StartCapture:
    """Hand the sound from ``from_sample`` on to the provider, which will be needed, until speech ends."""

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
    """Stop thinking and speaking at once; ``by`` is where that came from."""

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
    """Say aloud that, and why, it did not work."""

    code: str


@dataclass(frozen=True, slots=True)
class SetMicrophone:
    """Close or open the capture stream."""

    open: bool
    source: Source


@dataclass(frozen=True, slots=True)
class EndRing:
    """The ringing timer has been noticed: it is over."""

    by: Source


@dataclass(frozen=True, slots=True)
class PauseRing:
    """Silence the ring while the user is attended to."""


@dataclass(frozen=True, slots=True)
class StartRing:
    """Sound the ring until it is stopped."""


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
