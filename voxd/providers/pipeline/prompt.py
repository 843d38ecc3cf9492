"""What a model is asked in one turn: the prompt of each model, the cache before them, the early start."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from voxd.net.transport import Budget
from voxd.providers.pipeline import context_window as context
from voxd.providers.pipeline.answer_cache import key_of
from voxd.providers.pipeline.conversation import ChatHistory, for_vendor, instructed
from voxd.providers.pipeline.dependencies import PipelineDependencies
from voxd.providers.pipeline.llm_chain import AnswerEvent, LlmRequest, RecordUsage
from voxd.providers.pipeline.stage_stream import Crew, StageStream, drain
from voxd.providers.pipeline.stages.contract import ChatMessage, LanguageModel, Prompt, TextChunk
from voxd.providers.pipeline.stt_turn import normalize
from voxd.providers.settings import SessionConfig

SUMMARY_S = 30.0
"""A summary that takes longer is given up; the oldest lines are then left out when they no longer fit."""

SUMMARY_TOKENS = 300

_SUMMARISE = (
    "You keep the notes of a conversation between a user and an assistant. Write down in at most 150 words "
    "what the assistant must still know of it later: names, wishes, decisions, open questions. Notes only."
)


@dataclass(frozen=True, slots=True)
class PendingAnswer:
    """An answer on its way; ``begun`` is set once it goes out: nobody may begin again then."""

    thoughts: AsyncGenerator[AnswerEvent]
    budget: Budget
    begun: asyncio.Event


@dataclass(slots=True)
class EarlyAnswer:
    """An answer that was begun before the user had finished; ``begun`` is set once it goes out."""

    words: str
    thoughts: StageStream[AnswerEvent]
    budget: Budget
    begun: asyncio.Event


class PromptSession:
    """Asks the models of ``parts`` for one session."""

    def __init__(
        self, parts: PipelineDependencies, conversation: ChatHistory, crew: Crew, used: RecordUsage
    ) -> None:
        self.session = SessionConfig()
        self._parts = parts
        self._conversation = conversation
        self._crew = crew
        self._used = used
        self._early: EarlyAnswer | None = None
        self._summarising: asyncio.Task[None] | None = None

    def ask(self, budget: Budget, early: EarlyAnswer | None = None) -> PendingAnswer:
        """Return the answer to the conversation so far: ``early`` if it was begun, within ``budget``."""
        if early is None:
            begun = asyncio.Event()
            return PendingAnswer(self._thoughts(budget, begun), budget, begun)
        early.budget.until_s = budget.until_s
        return PendingAnswer(drain(early.thoughts), early.budget, early.begun)

    def _thoughts(
        self, budget: Budget, begun: asyncio.Event, *messages: ChatMessage
    ) -> AsyncGenerator[AnswerEvent]:
        """Return the answer to the conversation so far, and ``messages`` behind it."""
        told = (*self._conversation.messages, *messages)
        instructions = instructed(self.session.instructions, self._conversation.summary)

        def prompt_of(stage: LanguageModel, is_shorter: bool) -> Prompt:
            return self._prompt(stage, instructions, told, budget, is_shorter=is_shorter)

        chain = self._parts.llm
        asking = LlmRequest(prompt_of, budget, lambda: not begun.is_set(), self._used)
        written = chain.answer(asking, self._crew)
        if self._parts.answers is None or not chain.candidates.stages:
            return written
        stages = chain.candidates.stages
        names = [f"{stage.config.kind} {stage.model}" for stage in stages]
        key = key_of(self._prompt(stages[0], instructions, told, Budget(), is_shorter=False), names)
        return self._parts.answers.through(key, written)

    # --- before the user has finished -------------------------------------------------------------

    def guess(self, text: str | None) -> None:
        """Ask what the user has probably said, unless that is being asked; None: it was wrong."""
        words = normalize(text) if text is not None else ""
        if self._early is not None and self._early.words == words:
            return
        self.drop_guess()
        if text is None:
            return
        budget, begun = Budget(), asyncio.Event()
        source = self._thoughts(budget, begun, ChatMessage("user", text))
        stream = StageStream(source, name="early start", crew=self._crew, clock=self._parts.clock)
        self._early = EarlyAnswer(words, stream, budget, begun)

    def take_guess(self, text: str) -> EarlyAnswer | None:
        """Return the answer that was begun to the words of ``text``, None when there is none."""
        early, self._early = self._early, None
        if early is None or early.words == normalize(text):
            return early
        early.thoughts.give_up()
        return None

    def drop_guess(self) -> None:
        """Give up what was begun early; nothing of it was said."""
        if self._early is not None:
            self._early.thoughts.give_up()
            self._early = None

    # --- keeping it short -------------------------------------------------------------------------

    def tidy(self) -> None:
        """After a turn: have a long conversation summarised in the background, if that is wanted."""
        stages = self._parts.llm.candidates.stages
        busy = self._summarising is not None and not self._summarising.done()
        if self._parts.settings.history != "summarise" or busy or not stages:
            return
        messages = self._conversation.messages
        room = self._room(stages[0], self.session.instructions)
        if count := context.to_summarise(messages, room):
            self._summarising = self._crew.start(self._summarise(messages[:count]), "summary")

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
        asking = LlmRequest(lambda stage, is_shorter: prompt, budget, lambda: False, self._used)
        text = ""
        async with aclosing(self._parts.llm.answer(asking, self._crew)) as thoughts:
            async for thought in thoughts:
                if isinstance(thought, TextChunk):
                    text += thought.text
        # Lines are only ever added behind: those that were summarised are still the oldest, or forgotten.
        if text.strip() and self._conversation.messages[: len(messages)] == messages:
            self._conversation.shorten(len(messages), text.strip())

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
        room = self._room(stage, instructions)
        if is_shorter:
            told = sum(map(context.message_tokens, context.fitted(messages, room)))
            room = int(told * context.HARDER)
        return Prompt(
            instructions,
            for_vendor(context.fitted(messages, room), stage.config.kind),
            tools=session.tools,
            max_output_tokens=session.max_output_tokens or settings.max_output_tokens,
            temperature=settings.temperature if session.temperature is None else session.temperature,
            budget=budget,
        )

    def _room(self, stage: LanguageModel, instructions: str) -> int:
        """Return how many tokens the conversation may take with ``stage``."""
        configured = stage.config.options.get("context_tokens")
        holds = configured if isinstance(configured, int) else stage.context_tokens
        limit = self.session.max_output_tokens or self._parts.settings.max_output_tokens
        return context.room(holds, instructions, self.session.tools, limit)
