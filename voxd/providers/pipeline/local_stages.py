"""The device's own engines as stages of a pipeline."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from voxd.config.provider_schema import LOCAL
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.local.contract import Synthesizer, Transcriber
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import (
    SpeechToText,
    StageConfig,
    TextToSpeech,
    Transcription,
    TranscriptionRequest,
)

_CONFIG = StageConfig(LOCAL, LOCAL)


@dataclass(frozen=True, slots=True)
class LocalEngines:
    """The device's own ears and voice; whoever built them closes them.

    ``hears_anything`` is False for ears that take whatever they hear for one of the sentences they know.
    """

    transcriber: Transcriber
    synthesizer: Synthesizer
    hears_anything: bool = True


class LocalStt(SpeechToText):
    """Hears the whole utterance, then says what it was."""

    key = 0

    def __init__(self, engine: Transcriber) -> None:
        # No line: it reaches nobody.
        self.config = _CONFIG
        self._engine = engine

    def prepare(self) -> None:
        """Begin to load the engine."""
        self._engine.prepare()

    async def check(self, budget: Budget) -> None:
        """Nothing: the engine tells of its faults itself."""

    async def transcribe(
        self, audio: AsyncIterator[Frame], told: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        """Yield the final words. Raises `EngineError`, `ModelError`, `DeadlineExceeded`."""
        pcm = b"".join([frame.pcm async for frame in audio])
        heard = await self._engine.transcribe(Clip(pcm, SAMPLE_RATE_HZ))
        yield Transcription(heard.text, final=True)


class LocalTts(TextToSpeech):
    """Speaks with the device's own voice."""

    key = 0

    def __init__(self, engine: Synthesizer) -> None:
        # No line: it reaches nobody.
        self.config = _CONFIG
        self._engine = engine

    def prepare(self) -> None:
        """Begin to load the voice."""
        self._engine.prepare()

    async def check(self, budget: Budget) -> None:
        """Nothing: the engine tells of its faults itself."""

    async def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Yield the sound of ``text``. Raises `EngineError`, `ModelError`, `DeadlineExceeded`."""
        async with aclosing(self._engine.synthesize(text)) as clips:
            async for clip in clips:
                yield clip
