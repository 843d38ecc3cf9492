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


class LocalEngine(Protocol):
    """What every local engine, and every chain of them, can do."""

    name: str

    def prepare(self) -> None:
        """Start loading in the background; never raises."""

    async def close(self) -> None:
        """End the process and free the model; idempotent."""


class Transcriber(LocalEngine, Protocol):
    """Speech to text."""

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        """Return the transcript of ``clip`` (16 kHz).

        Raises `LocalEngineError`, `ModelError` or `DeadlineExceeded`; a fault is never an empty transcript.
        """


class Synthesizer(LocalEngine, Protocol):
    """Text to speech."""

    def synthesize(self, text: str) -> AsyncGenerator[Clip]:
        """Yield the sound of ``text`` as it becomes ready, all clips at one rate; closing it ends the work.

        Raises `LocalEngineError`, `ModelError` or `DeadlineExceeded`. Text without a word yields nothing.
        """


class ChainedEngine(LocalEngine, Protocol):
    """What a chain needs of each of its engines."""

    @property
    def loaded(self) -> bool:
        """Whether the next request need not wait for a model to load."""


class TranscribingEngine(ChainedEngine, Transcriber, Protocol):
    """A `Transcriber` in a chain of engines."""


class SpeakingEngine(ChainedEngine, Protocol):
    """A `Synthesizer` in a chain of engines."""

    def synthesize(self, text: str) -> AsyncIterator[Clip]:
        """Yield the sound of one piece of text."""
