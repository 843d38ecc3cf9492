"""Stages that follow a script, in this process: what they say, how long they take and where they fail."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from voxd.clock import Clock
from voxd.errors import ProviderError
from voxd.frames import Clip, Frame
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import (
    Completion,
    LanguageModel,
    Prompt,
    SpeechToText,
    StageConfig,
    TextChunk,
    TextToSpeech,
    ToolCall,
    Transcription,
    TranscriptionRequest,
)
from voxd.providers.usage import Usage

RATE_HZ = 16_000
MS_PER_CHAR = 10

Step = str | float | Exception | ToolCall | Completion | Transcription
"""A number of seconds to wait, a fault to raise, or something to say."""


class Hang:
    """Never goes on."""


HANG = Hang()


class Scripted:
    """What the three have in common."""

    config: StageConfig
    clock: Clock
    key = 0
    prepared = 0
    closed = 0
    checked: ProviderError | None = None

    def _setup(self, name: str, clock: Clock, kind: str) -> None:
        self.config = StageConfig(name, kind, model=f"{name}-model")
        self.clock = clock

    def prepare(self) -> None:
        self.prepared += 1

    async def check(self, budget: Budget) -> None:
        if self.checked is not None:
            raise self.checked

    async def close(self) -> None:
        self.closed += 1

    async def _step(self, step: Any) -> None:
        if isinstance(step, Hang):
            await asyncio.Event().wait()
        elif isinstance(step, Exception):
            raise step
        else:
            await self.clock.sleep(step)


class Ears(Scripted, SpeechToText):
    """Says ``partials`` while it hears, then goes through ``steps`` and says ``text``.

    ``early`` are steps taken after the first frame, while the user speaks.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        text: str = "what time is it",
        *,
        kind: str = "scripted",
        partials: tuple[Any, ...] = (),
        early: tuple[Any, ...] = (),
        steps: tuple[Any, ...] = (),
    ) -> None:
        self._setup(name, clock, kind)
        self.text = text
        self.partials = list(partials)
        self.early = early
        self.steps = steps
        self.heard: list[bytes] = []
        self.calls = 0
        self.gone = 0

    async def transcribe(
        self, audio: AsyncIterator[Frame], request: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        self.calls += 1
        pcm = b""
        said = 0
        try:
            async for frame in audio:
                pcm += frame.pcm
                if said == 0:
                    for step in self.early:
                        await self._step(step)
                if said < len(self.partials):
                    partial = self.partials[said]
                    yield partial if isinstance(partial, Transcription) else Transcription(partial)
                said += 1
            self.heard.append(pcm)
            for step in self.steps:
                await self._step(step)
            yield Transcription(self.text, final=True, usage=Usage(transcribed_seconds=len(pcm) / 2 / 16_000))
        finally:
            self.gone += 1


class Brain(Scripted, LanguageModel):
    """Gives one of ``answers`` after the other, the last for good: each a text, or a tuple of steps.

    A text is written word by word. A `Completion` among the steps gives the reason of the end. ``raw`` comes
    with the end of each answer.
    """

    context_tokens = 8_000

    def __init__(
        self, name: str, clock: Clock, *answers: Any, kind: str = "scripted", raw: Any = None
    ) -> None:
        self._setup(name, clock, kind)
        self.answers = list(answers) or ["It is noon."]
        self.raw = raw
        self.prompts: list[Prompt] = []
        self.gone = 0

    async def reply(self, prompt: Prompt) -> AsyncGenerator[TextChunk | Completion]:
        self.prompts.append(prompt)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        steps = answer if isinstance(answer, tuple) else (answer,)
        calls: list[ToolCall] = []
        reason = ""
        try:
            for step in steps:
                if isinstance(step, str):
                    for word in step.split(" "):
                        yield TextChunk(word + " ")
                elif isinstance(step, ToolCall):
                    calls.append(step)
                elif isinstance(step, Completion):
                    reason = step.reason
                else:
                    await self._step(step)
            reason = reason or ("tool_calls" if calls else "stop")
            usage = Usage(input_text_tokens=100, output_text_tokens=10)
            yield Completion(reason, tuple(calls), usage, raw=self.raw)
        finally:
            self.gone += 1


@dataclass
class Voice(Scripted, TextToSpeech):
    """Speaks every text as long as it is, in two clips; ``steps`` by text go before, between and after them.

    A step list ``(before, between)`` of None for a text (or "*") is none.
    """

    name_: str
    clock: Clock
    before: dict[str, Any] = field(default_factory=dict)
    between: dict[str, Any] = field(default_factory=dict)
    kind: str = "scripted"
    rate_hz: int = RATE_HZ

    def __post_init__(self) -> None:
        self._setup(self.name_, self.clock, self.kind)
        self.spoken: list[str] = []
        self.previous: list[str] = []
        self.gone = 0

    async def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        self.spoken.append(text)
        self.previous.append(previous)
        half = self.rate_hz * MS_PER_CHAR // 1000 * len(text) // 2
        try:
            if (step := self.before.get(text, self.before.get("*"))) is not None:
                await self._step(step)
            yield Clip(b"\x01\x00" * half, self.rate_hz)
            if (step := self.between.get(text, self.between.get("*"))) is not None:
                await self._step(step)
            yield Clip(b"\x01\x00" * half, self.rate_hz)
        finally:
            self.gone += 1

    __hash__ = object.__hash__


class Board:
    """Health set by a test: ``unhealthy`` providers, of which the ``barred`` may not even be tried."""

    def __init__(self, *unhealthy: str, barred: tuple[str, ...] = ()) -> None:
        self.barred = set(barred)
        self.unhealthy = {*unhealthy, *barred}
        self.failures: list[tuple[str, str]] = []
        self.answers: list[str] = []

    def is_healthy(self, name: str) -> bool:
        return name not in self.unhealthy

    def can_try(self, name: str) -> bool:
        return name not in self.barred

    def record_failure(self, name: str, error: Any) -> None:
        self.failures.append((name, error.code))

    def record_success(self, name: str) -> None:
        self.answers.append(name)
