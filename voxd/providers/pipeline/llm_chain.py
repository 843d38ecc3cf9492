"""The list of models: the next one is asked while nothing of an answer was spoken, and never after that."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace

from voxd.clock import Clock
from voxd.errors import ContextTooLong, StreamError, VoxdError
from voxd.net.transport import Budget
from voxd.providers.pipeline.budget import Share
from voxd.providers.pipeline.candidates import TOO_LATE, Health, Roster
from voxd.providers.pipeline.latency import Latencies
from voxd.providers.pipeline.stage_stream import Crew, Stream
from voxd.providers.pipeline.stages.contract import Completion, LanguageModel, Prompt, TextChunk
from voxd.providers.usage import Usage

STALL_S = 3.0
"""A stream that began and then gives nothing for so long has broken off."""

LEFT_FOR_VOICE_S = 0.4
"""The last model leaves so much of the turn to the voice."""


@dataclass(frozen=True, slots=True)
class Again:
    """What was written so far is void: another model begins anew."""


@dataclass(frozen=True, slots=True)
class Written:
    """The answer is complete; ``vendor`` is the kind of who wrote it."""

    end: Completion
    vendor: str


Thought = TextChunk | Again | Written

PromptOf = Callable[[LanguageModel, bool], Prompt]
"""Returns what a model is told; True asks for a shorter one, for a vendor said that it was too long."""

Used = Callable[[LanguageModel, Usage], None]


@dataclass(frozen=True, slots=True)
class Asking:
    """How an answer is asked for; ``may_begin_again`` is whether nothing of it was spoken yet."""

    prompt_of: PromptOf
    budget: Budget
    may_begin_again: Callable[[], bool]
    used: Used


class LlmChain:
    """``stages`` in order."""

    def __init__(
        self, stages: Sequence[LanguageModel], *, health: Health, latencies: Latencies, clock: Clock
    ) -> None:
        self.roster: Roster[LanguageModel] = Roster(
            "thinks", stages, health=health, latencies=latencies, clock=clock
        )

    @property
    def is_open(self) -> bool:
        """Whether anybody may be asked to think."""
        return self.roster.is_open

    def prepare(self) -> None:
        """Make ready who will be asked first."""
        self.roster.prepare()

    async def answer(self, asking: Asking, crew: Crew) -> AsyncGenerator[Thought]:
        """Yield the answer as it is written; the last item is `Written`. Raises what the last model raised.

        Once something was spoken a fault is raised as it is: whoever hears an answer begin twice has to
        listen twice.
        """
        error: VoxdError = self.roster.nobody()
        candidates = self.roster.candidates()
        for position, stage in enumerate(candidates):
            attempt = _Attempt(self.roster, stage, asking, crew, others=len(candidates) - position - 1)
            for is_shorter in (False, True):
                stream = attempt.stream(is_shorter=is_shorter)
                try:
                    while True:
                        item = await attempt.next(stream)
                        yield item
                        if isinstance(item, Written):
                            return
                except VoxdError as raised:
                    error = raised
                finally:
                    stream.give_up()
                if not isinstance(error, ContextTooLong) or attempt.began:
                    break
            self.roster.failed(stage, error)
            if not asking.may_begin_again():
                break
            if attempt.began:
                yield Again()
        raise error

    async def close(self) -> None:
        """Free every stage."""
        await self.roster.close()


class _Attempt:
    """One model asked once, and once more with less if it was too much."""

    def __init__(
        self,
        roster: Roster[LanguageModel],
        stage: LanguageModel,
        asking: Asking,
        crew: Crew,
        *,
        others: int,
    ) -> None:
        self.began = False
        self._roster = roster
        self._stage = stage
        self._asking = asking
        self._crew = crew
        self._others = others
        self._asked_s = 0.0

    def stream(self, *, is_shorter: bool) -> Stream[TextChunk | Completion]:
        """Ask."""
        self._asked_s = self._roster.clock.monotonic()
        prompt = self._asking.prompt_of(self._stage, is_shorter)
        share = Share(self._asking.budget, self._is_followed, reserve_s=LEFT_FOR_VOICE_S)
        reply = self._stage.reply(replace(prompt, budget=share))
        return Stream(reply, name=self._stage.name, crew=self._crew, clock=self._roster.clock)

    async def next(self, stream: Stream[TextChunk | Completion]) -> TextChunk | Written:
        """Return the next item. Raises `VoxdError` when there is none, or none in time."""
        since_s = self._roster.clock.monotonic() if self.began else self._asked_s
        try:
            item = await stream.next(self._due_s(since_s))
        except TimeoutError:
            if not self.began:
                waited_s = self._roster.clock.monotonic() - since_s
                raise self._roster.too_late(self._stage, waited_s) from None
            msg = f"{self._stage.name} stopped in the middle of its answer"
            raise StreamError(msg, provider=self._stage.name, code=TOO_LATE) from None
        except StopAsyncIteration:
            msg = f"{self._stage.name} broke its answer off"
            raise StreamError(msg, provider=self._stage.name, code="truncated") from None
        if not self.began:
            self.began = True
            self._roster.answered(self._stage, self._roster.clock.monotonic() - self._asked_s)
        if isinstance(item, TextChunk):
            return item
        self._asking.used(self._stage, item.usage)
        return Written(item, self._stage.config.kind)

    def _is_followed(self) -> bool:
        return self._others > 0 and self._asking.may_begin_again()

    def _due_s(self, since_s: float) -> float | None:
        """Return when the next token is due."""
        if not self._asking.may_begin_again():
            return since_s + STALL_S
        until_s = self._asking.budget.until_s
        left_s = None if until_s is None else until_s - LEFT_FOR_VOICE_S
        return self._roster.due_s(self._stage, since_s, self._others, left_s)
