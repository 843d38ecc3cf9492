"""The contracts of local engines, so that one can replace another."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from voxd.frames import Clip


@dataclass(frozen=True, slots=True)
class LocalTranscript:
    """A transcript: ``text`` is empty without speech; ``confidence`` is 0 to 1 where known."""

    text: str
    engine: str
    confidence: float | None = None


class Transcriber(Protocol):
    """Speech to text."""

    name: str

    def prepare(self) -> None:
        """Start loading in the background; never raises."""
        ...

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        """Return the transcript of ``clip`` (16 kHz).

        Raises `EngineError`, `ModelError` or `DeadlineExceeded`; a fault is never an empty transcript.
        """
        ...

    async def close(self) -> None:
        """End the process and free the model; idempotent."""
        ...


class Synthesizer(Protocol):
    """Text to speech."""

    name: str

    def prepare(self) -> None:
        """Start loading in the background; never raises."""
        ...

    def synthesize(self, text: str) -> AsyncGenerator[Clip]:
        """Yield the sound of ``text`` as it becomes ready, all clips at one rate; closing it ends the work.

        Raises `EngineError`, `ModelError` or `DeadlineExceeded`. Text without a word yields nothing.
        """
        ...

    async def close(self) -> None:
        """End the process and free the voice; idempotent."""
        ...


class LocalEngine(Protocol):
    """What both kinds of engine in a chain have in common."""

    name: str

    @property
    def loaded(self) -> bool:
        """Whether the next request need not wait for a model to load."""
        ...

    def prepare(self) -> None:
        """Start loading in the background."""
        ...

    async def close(self) -> None:
        """Free everything."""
        ...


class TranscribingEngine(LocalEngine, Protocol):
    """A `Transcriber` in a chain of engines."""

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        """Return the transcript of ``clip`` (16 kHz)."""
        ...


class SpeakingEngine(LocalEngine, Protocol):
    """A `Synthesizer` in a chain of engines."""

    def synthesize(self, text: str) -> AsyncIterator[Clip]:
        """Yield the sound of one piece of text."""
        ...
