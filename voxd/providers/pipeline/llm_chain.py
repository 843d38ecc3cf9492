"""The list of models: the next one is asked while nothing of an answer was spoken, and never after that."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace

from voxd.clock import Clock
from voxd.errors import ContextTooLong, StreamError, VoxdError
from voxd.net.transport import Budget
from voxd.providers.pipeline.budget import StageBudget
from voxd.providers.pipeline.candidates import TIMEOUT, Candidates, StageHealth
from voxd.providers.pipeline.latency import Latencies
from voxd.providers.pipeline.stage_stream import Crew, StageStream
from voxd.providers.pipeline.stages.contract import Completion, LanguageModel, Prompt, TextChunk
from voxd.providers.usage import Usage

STALL_S = 3.0
"""A stream that began and then gives nothing for so long has broken off."""

LEFT_FOR_VOICE_S = 0.4
"""The last model leaves so much of the turn to the voice."""


@dataclass(frozen=True, slots=True)
class Restart:
    """What was written so far is void: another model begins anew."""


@dataclass(frozen=True, slots=True)
class AnswerEnd:
    """The answer is complete; ``vendor`` is the kind of who wrote it."""

    end: Completion
    vendor: str


AnswerEvent = TextChunk | Restart | AnswerEnd

BuildPrompt = Callable[[LanguageModel, bool], Prompt]
"""Returns what a model is told; True asks for a shorter one, for a vendor said that it was too long."""

RecordUsage = Callable[[LanguageModel, Usage], None]


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """How an answer is asked for; ``may_begin_again`` is whether nothing of it was spoken yet."""

    prompt_of: BuildPrompt
    budget: Budget
    may_begin_again: Callable[[], bool]
    used: RecordUsage


class LlmChain:
    """``stages`` in order."""

    def __init__(
        self, stages: Sequence[LanguageModel], *, health: StageHealth, latencies: Latencies, clock: Clock
    ) -> None:
        self.candidates: Candidates[LanguageModel] = Candidates(
            "thinks", stages, health=health, latencies=latencies, clock=clock
        )

    @property
    def is_open(self) -> bool:
        """Whether anybody may be asked to think."""
        return self.candidates.is_open

    def prepare(self) -> None:
        """Make ready who will be asked first."""
        self.candidates.prepare()

    async def answer(self, asking: LlmRequest, crew: Crew) -> AsyncGenerator[AnswerEvent]:
        """Yield the answer as it is written; the last item is `AnswerEnd`. Raises what the last model raised.

        Once something was spoken a fault is raised as it is: whoever hears an answer begin twice has to
        listen twice.
        """
        error: VoxdError = self.candidates.unavailable()
        candidates = self.candidates.available()
        for position, stage in enumerate(candidates):
            attempt = _Attempt(self.candidates, stage, asking, crew, others=len(candidates) - position - 1)
            for is_shorter in (False, True):
                stream = attempt.stream(is_shorter=is_shorter)
                try:
                    while True:
                        item = await attempt.next(stream)
                        yield item
                        if isinstance(item, AnswerEnd):
                            return
                except VoxdError as raised:
                    error = raised
                finally:
                    stream.give_up()
                if not isinstance(error, ContextTooLong) or attempt.began:
                    break
            self.candidates.failed(stage, error)
            if not asking.may_begin_again():
                break
            if attempt.began:
                yield Restart()
        raise error

    async def close(self) -> None:
        """Free every stage."""
        await self.candidates.close()


class _Attempt:
    """One model asked once, and once more with less if it was too much."""

    def __init__(
        self,
        candidates: Candidates[LanguageModel],
        stage: LanguageModel,
        asking: LlmRequest,
        crew: Crew,
        *,
        others: int,
    ) -> None:
        self.began = False
        self._candidates = candidates
        self._stage = stage
        self._asking = asking
        self._crew = crew
        self._others = others
        self._asked_s = 0.0

    def stream(self, *, is_shorter: bool) -> StageStream[TextChunk | Completion]:
        """Ask."""
        self._asked_s = self._candidates.clock.monotonic()
        prompt = self._asking.prompt_of(self._stage, is_shorter)
        share = StageBudget(self._asking.budget, self._is_followed, reserve_s=LEFT_FOR_VOICE_S)
        reply = self._stage.reply(replace(prompt, budget=share))
        return StageStream(reply, name=self._stage.name, crew=self._crew, clock=self._candidates.clock)

    async def next(self, stream: StageStream[TextChunk | Completion]) -> TextChunk | AnswerEnd:
        """Return the next item. Raises `VoxdError` when there is none, or none in time."""
        since_s = self._candidates.clock.monotonic() if self.began else self._asked_s
        try:
            item = await stream.next(self._due_s(since_s))
        except TimeoutError:
            if not self.began:
                waited_s = self._candidates.clock.monotonic() - since_s
                raise self._candidates.too_late(self._stage, waited_s) from None
            msg = f"{self._stage.name} stopped in the middle of its answer"
            raise StreamError(msg, provider=self._stage.name, code=TIMEOUT) from None
        except StopAsyncIteration:
            msg = f"{self._stage.name} broke its answer off"
            raise StreamError(msg, provider=self._stage.name, code="truncated") from None
        if not self.began:
            self.began = True
            self._candidates.answered(self._stage, self._candidates.clock.monotonic() - self._asked_s)
        if isinstance(item, TextChunk):
            return item
        self._asking.used(self._stage, item.usage)
        return AnswerEnd(item, self._stage.config.kind)

    def _is_followed(self) -> bool:
        return self._others > 0 and self._asking.may_begin_again()

    def _due_s(self, since_s: float) -> float | None:
        """Return when the next token is due."""
        if not self._asking.may_begin_again():
            return since_s + STALL_S
        until_s = self._asking.budget.until_s
        left_s = None if until_s is None else until_s - LEFT_FOR_VOICE_S
        return self._candidates.due_s(self._stage, since_s, self._others, left_s)
