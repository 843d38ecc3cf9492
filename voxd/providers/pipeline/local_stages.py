"""The local engines as stages of a pipeline."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

from voxd.config.provider_schema import LOCAL
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.local.contract import Synthesizer, Transcriber
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import (
    PipelineStage,
    SpeechToText,
    StageConfig,
    TextToSpeech,
    Transcription,
    TranscriptionRequest,
)

_CONFIG = StageConfig(LOCAL, LOCAL)

EngineT = TypeVar("EngineT", Transcriber, Synthesizer)


@dataclass(frozen=True, slots=True)
class LocalEngines:
    """The local engines; their creator closes them.

    ``is_open_vocabulary`` is False for a transcriber that maps any speech to a sentence of its grammar.
    """

    transcriber: Transcriber
    synthesizer: Synthesizer
    is_open_vocabulary: bool = True


class _LocalStage(PipelineStage, Generic[EngineT]):
    # No key: usage is recorded under number 0.
    key = 0

    def __init__(self, engine: EngineT) -> None:
        # Without the base constructor: local stages have no transport.
        self.config = _CONFIG
        self._engine: EngineT = engine

    def prepare(self) -> None:
        """Start loading the model."""
        self._engine.prepare()

    async def check(self, budget: Budget) -> None:
        """Do nothing: the engine reports its own faults."""


class LocalStt(_LocalStage[Transcriber], SpeechToText):
    """Transcribes the utterance as a whole, after the end of speech."""

    async def transcribe(
        self, audio: AsyncIterator[Frame], request: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        """Yield the final text. Raises `LocalEngineError`, `ModelError`, `DeadlineExceeded`."""
        # The engines take whole utterances: nothing begins before the end of speech.
        pcm = b"".join([frame.pcm async for frame in audio])
        result = await self._engine.transcribe(Clip(pcm, SAMPLE_RATE_HZ))
        yield Transcription(result.text, final=True)


class LocalTts(_LocalStage[Synthesizer], TextToSpeech):
    """Speaks with the local engine."""

    async def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Yield the audio of ``text``. Raises `LocalEngineError`, `ModelError`, `DeadlineExceeded`."""
        async with aclosing(self._engine.synthesize(text)) as clips:
            async for clip in clips:
                yield clip
