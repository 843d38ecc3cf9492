"""The chain of language models: the next one starts while nothing of the answer was spoken, never later."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace

from voxd.errors import ContextTooLong, NoAnswer, StreamError, VoxdError
from voxd.net.transport import Budget
from voxd.providers.facts import is_free
from voxd.providers.pipeline.candidates import TIMEOUT, Candidates, RecordUsage, StageChain
from voxd.providers.pipeline.deadlines import StageBudget
from voxd.providers.pipeline.stage_stream import StageStream
from voxd.providers.pipeline.stages.contract import (
    NO_ANSWER,
    Completion,
    LanguageModel,
    Prompt,
    StageKind,
    TextChunk,
)
from voxd.providers.pipeline.stages.tokens import estimated_usage
from voxd.providers.usage import Usage
from voxd.tasks import TaskScope

STALL_S = 3.0
"""A stream that began and yields nothing for this time has failed."""

TTS_RESERVE_S = 0.4
"""Time at the end of the turn that the last model leaves to text-to-speech."""


@dataclass(frozen=True, slots=True)
class Restart:
    """The text so far is void: another model starts the answer again."""


@dataclass(frozen=True, slots=True)
class AnswerEnd:
    """The answer is complete; ``provider`` is the name of the model that wrote it."""

    completion: Completion
    provider: str


# What the codes of an answer without words mean.
_WHY = {
    "answer_cut_off": "reached the limit of output tokens before the first word",
    "answer_filtered": "withheld its answer",
    "tool_loop": "calls tools again and again",
    NoAnswer.code: "gave no answer",
}

AnswerEvent = TextChunk | Restart | AnswerEnd

BuildPrompt = Callable[[LanguageModel, bool], Prompt]
"""Returns the prompt for a model; True requests a shorter one, after the vendor refused its length."""


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """One answer to generate.

    ``can_restart`` returns whether nothing of it was spoken yet, ``says_something`` whether a text has words
    for the user.
    """

    build_prompt: BuildPrompt
    budget: Budget
    can_restart: Callable[[], bool]
    record_usage: RecordUsage
    says_something: Callable[[str], bool]


class LlmChain(StageChain[LanguageModel]):
    """The models in order of preference."""

    kind = StageKind.LLM

    async def answer(self, request: LlmRequest, tasks: TaskScope) -> AsyncGenerator[AnswerEvent]:
        """Yield the answer as it is generated, at last `AnswerEnd`. Raises the last model's error."""
        error: VoxdError = self.candidates.unavailable_error()
        candidates = self.candidates.available()
        for position, stage in enumerate(candidates):
            attempt = _LlmAttempt(self.candidates, stage, request, tasks, len(candidates) - position - 1)
            for is_shorter in (False, True):
                stream = attempt.start(is_shorter=is_shorter)
                try:
                    while True:
                        item = await attempt.next(stream)
                        yield item
                        if isinstance(item, AnswerEnd):
                            return
                except VoxdError as raised:
                    error = raised
                finally:
                    # Also when the caller has closed this generator: the vendor bills every token it
                    # generates.
                    stream.cancel()
                    attempt.bill()
                # The vendor's token count is the exact one, ours an estimate: retry once with less.
                if not isinstance(error, ContextTooLong) or attempt.has_begun:
                    break
            self.candidates.record_failure(stage, error)
            # After the first sound another model would repeat, in other words, what the user has heard.
            if not request.can_restart():
                break
            if attempt.has_begun:
                yield Restart()
        raise error


class _LlmAttempt:
    """One model's attempts at one answer; ``others`` models follow it."""

    def __init__(
        self,
        candidates: Candidates[LanguageModel],
        stage: LanguageModel,
        request: LlmRequest,
        tasks: TaskScope,
        others: int,
    ) -> None:
        self.has_begun = False
        self._candidates = candidates
        self._stage = stage
        self._request = request
        self._tasks = tasks
        self._others = others
        self._started_s = 0.0
        self._queued_s = 0.0
        self._text = ""
        self._prompt: Prompt | None = None
        self._is_billed = False

    def start(self, *, is_shorter: bool) -> StageStream[TextChunk | Completion]:
        """Send the request."""
        self._started_s = self._candidates.clock.monotonic()
        self._queued_s = self._request.budget.queued_s
        self._text = ""
        self._prompt = prompt = self._stage.tuned(self._request.build_prompt(self._stage, is_shorter))
        budget = StageBudget(
            self._request.budget,
            lambda: self._others > 0 and self._request.can_restart(),
            reserve_s=TTS_RESERVE_S,
        )
        reply = self._stage.reply(replace(prompt, budget=budget))
        clock = self._candidates.clock
        return StageStream(reply, name=self._stage.name, tasks=self._tasks, clock=clock, budget=budget)

    async def next(self, stream: StageStream[TextChunk | Completion]) -> TextChunk | AnswerEnd:
        """Return the next item. Raises `VoxdError` when the stream failed, or the item is late."""
        name, clock = self._stage.name, self._candidates.clock
        # The first token counts from the request, any later one from the token before it.
        since_s = clock.monotonic() if self.has_begun else self._started_s
        try:
            item = await stream.next(self._due_s(since_s))
        except TimeoutError:
            if not self.has_begun:
                raise self._candidates.record_timeout(self._stage, self._took_s) from None
            msg = f"{name} stopped in the middle of its answer"
            raise StreamError(msg, provider=name, code=TIMEOUT) from None
        except StopAsyncIteration:
            msg = f"the answer of {name} is incomplete"
            raise StreamError(msg, provider=name, code="truncated") from None
        if not self.has_begun:
            self.has_begun = True
            self._candidates.record_success(self._stage, self._took_s)
        if isinstance(item, TextChunk):
            self._text += item.text
            return item
        self.bill(item.usage)
        return AnswerEnd(self._checked(item), name)

    def _checked(self, end: Completion) -> Completion:
        """Return the end of an answer that says something or calls tools. Raises `NoAnswer`."""
        calls = end.calls if self._prompt is None or self._prompt.may_call else ()
        # What was spoken, or may be about to be, is an answer.
        if calls or not self._request.can_restart() or self._request.says_something(self._text):
            return end if calls == end.calls else replace(end, calls=(), reason="stop")
        code = "tool_loop" if end.calls else NO_ANSWER.get(end.reason, NoAnswer.code)
        raise NoAnswer(f"{self._stage.name} {_WHY[code]}", provider=self._stage.name, code=code)

    def bill(self, usage: Usage = Usage()) -> None:  # noqa: B008 - frozen
        """Record ``usage``, once; without one, an estimate of what was sent and written.

        A model that was broken off never says what it used, and some servers never do.
        """
        if self._is_billed or not self.has_begun or self._prompt is None:
            return
        self._is_billed = True
        if usage == Usage() and not is_free(self._stage.config.kind):
            usage = estimated_usage(self._prompt, self._text)
        self._request.record_usage(self._stage, usage)

    @property
    def _took_s(self) -> float:
        """The time since the request, without that in a queue of ours: it says nothing about the vendor."""
        passed_s = self._candidates.clock.monotonic() - self._started_s
        return passed_s - (self._request.budget.queued_s - self._queued_s)

    def _due_s(self, since_s: float) -> float | None:
        """Return when the next token is due."""
        # Something was spoken, so no other model can take over: only a stalled stream ends the answer.
        if not self._request.can_restart():
            return since_s + STALL_S
        until_s = self._request.budget.until_s
        left_s = None if until_s is None else until_s - TTS_RESERVE_S
        return self._candidates.due_s(self._stage, since_s, self._others, left_s)
