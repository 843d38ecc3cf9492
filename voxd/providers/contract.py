"""The contract of everything that answers: sound or text in, transcript, text and sound out."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from voxd.frames import Clip, Frame


@dataclass(slots=True)
class PlaybackResult:
    """How much of a reply was heard, filled in by whoever plays it, before the provider's iterator is closed.

    ``played_ms`` is None while nothing has cut the reply short.
    """

    played_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One utterance or one typed question.

    ``audio`` yields frames from the end of the wake word on, while the user still speaks, and ends when
    he has finished; it is None for a typed question. ``speak`` is False when only text is wanted.
    ``heard`` tells the provider, when its iterator is closed, what the user heard. ``known_only`` asks the
    device itself to raise `voxd.errors.NotUnderstood` rather than to say that it does not understand:
    somebody else may.
    """

    turn: str
    agent: str
    audio: AsyncIterator[Frame] | None = None
    text: str | None = None
    speak: bool = True
    heard: PlaybackResult = field(default_factory=PlaybackResult)
    known_only: bool = False


TYPED = "text"
"""In the place of an engine: the words were typed, nothing was recognised."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was understood, by which engine (or `TYPED`); ``final`` when it will not change."""

    text: str
    final: bool
    engine: str


@dataclass(frozen=True, slots=True)
class ReplyText:
    """A piece of the reply, in order."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """A piece of the spoken reply, in order."""

    clip: Clip


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """The reply is complete; ``expects_answer`` when it asked something."""

    expects_answer: bool = False


class LatencyStep(StrEnum):
    """What a provider that is reached over a network does before it answers."""

    SESSION_READY = "session_ready"
    AUDIO_SENT = "audio_sent"


@dataclass(frozen=True, slots=True)
class StepReached:
    """A step was reached, for the latency ledger; ``at_s`` is CLOCK_MONOTONIC."""

    step: LatencyStep
    at_s: float


@dataclass(frozen=True, slots=True)
class ActionTaken:
    """Something was done for the question, such as a timer set: nobody else may be asked to do it again."""


ReplyItem = Transcript | ReplyText | ReplyAudio | ReplyEnd | StepReached | ActionTaken


class Provider(Protocol):
    """Whoever answers.

    `converse` raises `voxd.errors.VoxdError`; closing its iterator cancels the turn and frees everything
    it used. A provider holds no device: it never plays, records or shows anything.
    """

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    def prepare(self) -> None:
        """Begin, in the background, whatever makes the next turn faster; called at the wake word."""
        ...

    def converse(self, request: Request) -> AsyncGenerator[ReplyItem]:
        """Answer ``request``; the last item is `ReplyEnd`.

        Whoever consumes it closes it once the reply was heard, or has been cut: not before.
        """
        ...

    def speak(self, text: str) -> AsyncGenerator[Clip]:
        """Speak ``text`` as it is, sentence by sentence; closing the iterator ends the work."""
        ...

    async def close(self) -> None:
        """Free everything; idempotent."""
        ...
