"""The contract of every provider: audio or text in; transcript, reply text and reply audio out."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from voxd.frames import Clip, Frame


@dataclass(slots=True)
class PlaybackResult:
    """How much of a reply was played; set by the consumer before it closes the provider's iterator.

    ``played_ms`` is None while nothing has cut the reply short.
    """

    played_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One utterance or one typed question.

    ``audio`` is None for a typed question; ``speak`` is False when only text is wanted.
    """

    turn: str
    agent: str
    # Frames from the end of the wake word on, while the user still speaks; it ends at the endpoint.
    audio: AsyncIterator[Frame] | None = None
    text: str | None = None
    speak: bool = True
    # How much of the reply was played; the consumer writes it before it closes the iterator.
    playback: PlaybackResult = field(default_factory=PlaybackResult)
    # True makes the local provider raise `voxd.errors.NotUnderstood` instead of apologising, because
    # another provider may understand.
    known_only: bool = False


TYPED = "text"
"""Instead of an engine's name: the words were typed, no speech was recognised."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The question, and the engine that transcribed it (or `TYPED`); ``final`` when it will not change."""

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
    """The reply is complete; ``expects_answer`` when it ends with a question.

    ``refusal`` is why the device itself could not answer, a `voxd.skills.contract.Refusal`, "" when it could.
    ``silent``: what was done is the answer, such as a voice that stops; any other reply has words or audio.
    """

    expects_answer: bool = False
    refusal: str = ""
    silent: bool = False


class LatencyStep(StrEnum):
    """Steps of a provider over a network, before its reply."""

    SESSION_READY = "session_ready"
    AUDIO_SENT = "audio_sent"


@dataclass(frozen=True, slots=True)
class StepReached:
    """A step was reached, for the latency ledger; ``at_s`` is CLOCK_MONOTONIC."""

    step: LatencyStep
    at_s: float


@dataclass(frozen=True, slots=True)
class ActionTaken:
    """An action with effects was taken, such as setting a timer: no other provider may repeat it."""


ReplyItem = Transcript | ReplyText | ReplyAudio | ReplyEnd | StepReached | ActionTaken


class Provider(Protocol):
    """Answers questions: a vendor, a pipeline, the local engines, or a failover over several of them.

    `converse` raises `voxd.errors.VoxdError`; closing its iterator cancels the turn and frees everything
    it used. A provider holds no device: it never plays, records or shows anything.
    """

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    def prepare(self) -> None:
        """Begin in the background what makes the next turn faster; called at the wake word."""
        ...

    def converse(self, request: Request) -> AsyncGenerator[ReplyItem]:
        """Answer ``request``; the last item is `ReplyEnd`.

        The consumer closes it once the reply was played, or has been cut: not before.
        """
        ...

    def speak(self, text: str) -> AsyncGenerator[Clip]:
        """Speak ``text`` as it is, sentence by sentence; closing the iterator ends the work."""
        ...

    async def close(self) -> None:
        """Free everything; idempotent."""
        ...
