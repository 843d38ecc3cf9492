"""The contract of everything that answers: sound or text in, transcript, text and sound out."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from voxd.frames import Clip, Frame


@dataclass(frozen=True, slots=True)
class Request:
    """One utterance or one typed question.

    ``audio`` yields frames from the end of the wake word on, while the user still speaks, and ends when
    he has finished; it is None for a typed question. ``speak`` is False when only text is wanted.
    """

    turn: str
    agent: str
    audio: AsyncIterator[Frame] | None = None
    text: str | None = None
    speak: bool = True


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was understood; ``final`` when it will not change."""

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


Reply = Transcript | ReplyText | ReplyAudio | ReplyEnd


class Provider(Protocol):
    """Whoever answers.

    `converse` raises `voxd.errors.VoxdError`; closing its iterator cancels the turn and frees everything
    it used. A provider holds no device: it never plays, records or shows anything.
    """

    name: str

    def prepare(self) -> None:
        """Begin, in the background, whatever makes the next turn faster; called at the wake word."""
        ...

    def converse(self, request: Request) -> AsyncGenerator[Reply]:
        """Answer ``request``; the last item is `ReplyEnd`."""
        ...

    def speak(self, text: str) -> AsyncGenerator[Clip]:
        """Speak ``text`` as it is, sentence by sentence; closing the iterator ends the work."""
        ...

    async def close(self) -> None:
        """Free everything; idempotent."""
        ...
