"""Builds the prompt of each model: trims the conversation to its context, summarises it, starts early."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from voxd.errors import VoxdError, named
from voxd.net.transport import Budget
from voxd.providers.pipeline.answer_cache import answer_key
from voxd.providers.pipeline.builder import PipelineDependencies
from voxd.providers.pipeline.candidates import RecordUsage
from voxd.providers.pipeline.conversation import ChatHistory, add_summary
from voxd.providers.pipeline.llm_chain import AnswerEnd, AnswerEvent, LlmRequest
from voxd.providers.pipeline.stage_stream import StageStream, drain
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, LanguageModel, Prompt, TextChunk
from voxd.providers.pipeline.stages.messages import sendable
from voxd.providers.pipeline.stages.tokens import fixed_tokens, message_tokens
from voxd.providers.pipeline.stt_chain import normalize
from voxd.providers.settings import SessionConfig, ToolSpec
from voxd.tasks import TaskScope
from voxd.text import sentences

_log = logging.getLogger(__name__)

ANSWER_TOKENS = 1024
"""Tokens kept free for the answer when its length is not limited."""

SAFETY_FRACTION = 0.9
"""Part of the context that is used: the token count is an estimate."""

RETRY_FRACTION = 0.5
"""Part of the estimated size that is sent after the vendor refused the prompt as too long."""

SUMMARISE_FRACTION = 0.6
"""A conversation that takes this part of its tokens is summarised."""

SUMMARY_S = 30.0
"""Deadline of a summary; without one the oldest messages are left out when they no longer fit."""

SUMMARY_TOKENS = 300

_SUMMARISE = (
    "You keep the notes of a conversation between a user and an assistant. Write down in at most 150 words "
    "what the assistant must still know of it later: names, wishes, decisions, open questions. Notes only."
)


@dataclass(frozen=True, slots=True)
class PendingAnswer:
    """An answer in progress. ``begun`` is set when it becomes audible: then no model may start it again."""

    events: AsyncGenerator[AnswerEvent]
    budget: Budget
    begun: asyncio.Event


async def given_answer(text: str) -> AsyncGenerator[AnswerEvent]:
    """Yield ``text`` as the answer of a model that was not asked."""
    yield TextChunk(text)
    yield AnswerEnd(Completion("stop"), "")


@dataclass(slots=True)
class EarlyAnswer:
    """An answer to ``words``, started before the end of speech."""

    words: str
    stream: StageStream[AnswerEvent]
    budget: Budget
    begun: asyncio.Event


class PromptSession:
    """Prompts the models of ``parts`` for one session, with background work in ``tasks``."""

    def __init__(
        self,
        parts: PipelineDependencies,
        conversation: ChatHistory,
        tasks: TaskScope,
        record_usage: RecordUsage,
    ) -> None:
        self.session = SessionConfig()
        self._parts = parts
        self._conversation = conversation
        self._tasks = tasks
        self._record_usage = record_usage
        self._early: EarlyAnswer | None = None
        self._summary: asyncio.Task[None] | None = None

    def answer(
        self, budget: Budget, early: EarlyAnswer | None = None, *, may_call: bool = True
    ) -> PendingAnswer:
        """Return the answer to the conversation within ``budget``; ``early`` if that was started already.

        With ``may_call`` False it calls no tool: a model that calls one all the same gives no answer.
        """
        if early is None:
            begun = asyncio.Event()
            return PendingAnswer(self._events(budget, begun, may_call=may_call), budget, begun)
        # The stages of the early answer read the budget they were started with.
        early.budget.until_s = budget.until_s
        return PendingAnswer(drain(early.stream), early.budget, early.begun)

    def _events(
        self, budget: Budget, begun: asyncio.Event, *messages: ChatMessage, may_call: bool = True
    ) -> AsyncGenerator[AnswerEvent]:
        """Return the answer to the conversation followed by ``messages``."""
        conversation = (*self._conversation.messages, *messages)
        instructions = add_summary(self.session.instructions, self._conversation.summary)

        def build_prompt(stage: LanguageModel, is_shorter: bool) -> Prompt:
            prompt = self._prompt(stage, instructions, conversation, budget, is_shorter=is_shorter)
            return replace(prompt, may_call=may_call)

        chain = self._parts.llm
        request = LlmRequest(
            build_prompt, budget, lambda: not begun.is_set(), self._record_usage, self._says_something
        )
        events = chain.answer(request, self._tasks)
        stages = chain.candidates.stages
        if self._parts.answers is None or not stages or not may_call:
            return events
        names = [f"{stage.config.kind} {stage.model}" for stage in stages]
        # The key needs one prompt: other models get the same conversation, at most trimmed further.
        prompt = self._prompt(stages[0], instructions, conversation, Budget(), is_shorter=False)
        return self._parts.answers.fetch(answer_key(prompt, names), events)

    def _says_something(self, text: str) -> bool:
        is_split = "audio" in self.session.modalities or bool(self._parts.middleware)
        return bool(sentences(text) if is_split else text.strip())

    # --- early start ------------------------------------------------------------------------------

    def start_guess(self, text: str | None) -> None:
        """Start the answer to ``text``, the probable question; None: the last guess was wrong."""
        words = normalize(text) if text is not None else ""
        if self._early is not None and self._early.words == words:
            return
        self.drop_guess()
        if text is None:
            return
        # The end of the turn is not known yet: `answer` sets it.
        budget, begun = Budget(), asyncio.Event()
        events = self._events(budget, begun, ChatMessage("user", text))
        stream = StageStream(events, name="early start", tasks=self._tasks, clock=self._parts.clock)
        self._early = EarlyAnswer(words, stream, budget, begun)

    def take_guess(self, text: str) -> EarlyAnswer | None:
        """Return the early answer if it is one to the words of ``text``, else drop it."""
        early, self._early = self._early, None
        # The final text may still differ from the guess in punctuation and case.
        if early is None or early.words == normalize(text):
            return early
        early.stream.cancel()
        return None

    def drop_guess(self) -> None:
        """Cancel the early answer; nothing of it was spoken."""
        if self._early is not None:
            self._early.stream.cancel()
            self._early = None

    # --- context ----------------------------------------------------------------------------------

    def summarise_if_long(self) -> None:
        """After a turn: summarise a long conversation in the background, if the settings say so."""
        stages = self._parts.llm.candidates.stages
        is_busy = self._summary is not None and not self._summary.done()
        if self._parts.settings.history != "summarise" or is_busy or not stages:
            return
        messages = self._conversation.messages
        available = self._history_tokens(stages[0], self.session.instructions)
        if count := count_to_summarise(messages, available):
            self._summary = self._tasks.start(self._summarise(messages[:count]), name="summary")

    async def _summarise(self, messages: tuple[ChatMessage, ...]) -> None:
        budget = Budget(self._parts.clock.monotonic() + SUMMARY_S)
        before = f"Notes so far: {self._conversation.summary}\n" if self._conversation.summary else ""
        lines = "\n".join(f"{message.role}: {message.text}" for message in messages if message.text)
        prompt = Prompt(
            _SUMMARISE,
            (ChatMessage("user", f"{before}{lines}"),),
            max_output_tokens=SUMMARY_TOKENS,
            budget=budget,
        )
        # Never restarted: a summary is not worth a request to a second model.
        request = LlmRequest(
            lambda stage, is_shorter: prompt, budget, lambda: False, self._record_usage, lambda text: True
        )
        text = ""
        try:
            async with aclosing(self._parts.llm.answer(request, self._tasks)) as events:
                async for event in events:
                    if isinstance(event, TextChunk):
                        text += event.text
        except VoxdError as error:
            _log.warning("the conversation was not summarised: %s", named(error))
            return
        # Messages are only ever appended, so these are still the oldest, unless they were removed meanwhile.
        if text.strip() and self._conversation.messages[: len(messages)] == messages:
            self._conversation.replace_oldest(len(messages), text.strip())

    def _prompt(
        self,
        stage: LanguageModel,
        instructions: str,
        messages: tuple[ChatMessage, ...],
        budget: Budget,
        *,
        is_shorter: bool,
    ) -> Prompt:
        settings, session = self._parts.settings, self.session
        available = self._history_tokens(stage, instructions)
        if is_shorter:
            estimate = sum(map(message_tokens, trim(messages, available)))
            available = int(estimate * RETRY_FRACTION)
        return Prompt(
            instructions,
            sendable(trim(messages, available), stage.name),
            tools=session.tools,
            max_output_tokens=session.max_output_tokens or settings.max_output_tokens,
            temperature=settings.temperature if session.temperature is None else session.temperature,
            budget=budget,
        )

    def _history_tokens(self, stage: LanguageModel, instructions: str) -> int:
        """Return how many tokens the conversation may take with ``stage``."""
        limit = self.session.max_output_tokens or self._parts.settings.max_output_tokens
        return history_tokens(stage.prompt_tokens, instructions, self.session.tools, limit)


def history_tokens(
    context_tokens: int,
    instructions: str,
    tools: Sequence[ToolSpec] = (),
    max_output_tokens: int | None = None,
) -> int:
    """Return how many tokens of a context are left for the conversation; 0 or more."""
    fixed = fixed_tokens(instructions, tools)
    answer = ANSWER_TOKENS if max_output_tokens is None else max_output_tokens
    # A limit larger than the context must not leave nothing for the question.
    return max(0, int(context_tokens * SAFETY_FRACTION) - fixed - min(answer, context_tokens // 4))


def group_exchanges(messages: Sequence[ChatMessage]) -> list[list[ChatMessage]]:
    """Return ``messages`` in groups: a question and all that followed it.

    So a tool call and its result are always in the same group; vendors refuse one without the other.
    """
    groups: list[list[ChatMessage]] = []
    for message in messages:
        if message.role == "user" or not groups:
            groups.append([])
        groups[-1].append(message)
    return groups


def trim(messages: Sequence[ChatMessage], max_tokens: int) -> tuple[ChatMessage, ...]:
    """Return the newest exchanges that fit into ``max_tokens``, but always the last one: the question."""
    groups: list[list[ChatMessage]] = []
    left = max_tokens
    for group in reversed(group_exchanges(messages)):
        left -= sum(map(message_tokens, group))
        if left < 0 and groups:
            break
        groups.append(group)
    return tuple(message for group in reversed(groups) for message in group)


def count_to_summarise(messages: Sequence[ChatMessage], max_tokens: int) -> int:
    """Return how many of the oldest messages are to be summarised: the older half of the exchanges, or 0."""
    groups = group_exchanges(messages)
    if len(groups) < 2 or sum(map(message_tokens, messages)) < SUMMARISE_FRACTION * max_tokens:
        return 0
    return sum(len(group) for group in groups[: len(groups) // 2])
