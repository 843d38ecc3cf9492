"""The skill engine: recognises a sentence, runs its handler, and keeps the question it asked."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo

import msgspec

from voxd.clock import Clock
from voxd.config import schema
from voxd.config.commands import Command
from voxd.entry_points import find_entry_points, load_entry_point
from voxd.errors import ConfigError, VoxdError, third_party
from voxd.skills import custom
from voxd.skills.contract import (
    Handler,
    Match,
    Phrases,
    Question,
    Refusal,
    Skill,
    SkillContext,
    SkillDevice,
    SkillReply,
    Slots,
)
from voxd.skills.dialogue import read_answer
from voxd.skills.recent import Recent
from voxd.skills.replies import say
from voxd.skills.timing.schedule import local_zone
from voxd.skills.timing.timers import Timers
from voxd.skills.understanding.jsgf import pronunciation_test, to_jsgf
from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.numbers import words
from voxd.skills.understanding.speech import load_speech
from voxd.skills.understanding.understander import Understander, Understanding, Verdict

_log = logging.getLogger(__name__)

GROUP = "voxd.skills"
"""The entry point group in which a package names its skills."""

QUESTION_OPEN_S = 30.0
"""A question of the device may be answered for this long."""

MAX_NAMED_WORDS = 3
"""A refusal names the words that were not understood if they are no more than this."""

_COMMAND = "command."


class SkillEngine:
    """Everything the device can do by itself."""

    def __init__(
        self,
        config: schema.Skills,
        *,
        timers: Timers,
        device: SkillDevice,
        clock: Clock,
        tz: tzinfo | None = None,
        understander: Understander | None = None,
    ) -> None:
        """``understander`` is what `prepare` of another engine with the same ``config`` returned.

        Raises `ConfigError` when a sentence of the owner's commands cannot be read.
        """
        self.failed_commands: dict[str, str] = {}
        """Why each of the owner's commands failed that did not work the last time, by name."""
        self._config = config
        self._clock = clock
        self._timers = timers
        self._context = SkillContext(
            device, timers, clock, tz or local_zone(), config.clock_24h, Recent(clock)
        )
        self._commands = {command.name: command for command in config.commands}
        self._question: tuple[Question, float] | None = None
        self._last_said: tuple[str, ...] = ()
        self._lock = asyncio.Lock()
        self._handlers, self._phrases = _load_skills(self._context)
        # Only an owner's template can be wrong, so only then the grammar is needed at the start.
        self._understander = self._build() if config.commands and understander is None else understander

    def configure(self, config: schema.Skills) -> None:
        """Apply the live keys of a reloaded configuration: near_miss, ring_s, clock_24h."""
        self._config = msgspec.structs.replace(config, commands=self._config.commands)
        self._context.clock_24h = config.clock_24h
        self._timers.ring_s = config.ring_s
        if self._understander is not None:
            self._understander.near_miss = config.near_miss

    async def prepare(self) -> Understander:
        """Load the grammar, in a thread, if it is not there yet; `answer` does it when needed."""
        async with self._lock:
            if self._understander is None:
                self._understander = await asyncio.to_thread(self._build)
            return self._understander

    @property
    def commands(self) -> tuple[Command, ...]:
        """The owner's own commands."""
        return self._config.commands

    def jsgf(self) -> str:
        """Return the usual sentences, and the owner's, as a JSGF grammar for pocketsphinx."""
        own: tuple[Command | Phrases, ...] = (*self._config.commands, *self._phrases)
        return to_jsgf(own, pronunciation_test() if own else bool)

    async def answer(self, text: str) -> SkillReply:
        """Answer the sentence ``text``; one that is not understood has no intent and an honest reply."""
        said = tuple(words(text))
        if not said:
            return SkillReply(say("not_heard"), refusal=Refusal.NOT_HEARD)
        understander = await self.prepare()
        question = self._take_question()
        if question is not None:
            match = await asyncio.to_thread(read_answer, question, said, understander)
            if match is not None:
                return await self._perform(match, question.options if question.missing == "confirm" else ())
        understanding = await self.understand(said)
        if understanding.verdict is not Verdict.ACT or not understanding.is_exact:
            corrected = await self._correct_last(understander, said)
            if corrected is not None:
                return corrected
        match understanding.verdict:
            case Verdict.ACT:
                self._last_said = said
                return await self._perform_all(understanding.matches)
            case Verdict.CONFIRM:
                return self._ask(
                    SkillReply(
                        say("did_you_mean", text=understanding.text),
                        "confirm",
                        Question("confirm", "confirm", options=understanding.matches),
                    )
                )
            case Verdict.KNOWLEDGE:
                return SkillReply(say("needs_model"), refusal=Refusal.NEEDS_MODEL)
        if question is not None:
            # "Let me think": what is not understood leaves the question open, and is not an answer to it.
            self._ask(SkillReply("", question=question))
        if 0 < len(understanding.unknown) <= MAX_NAMED_WORDS:
            text = say("unknown_words", words=" ".join(understanding.unknown))
        else:
            text = say("not_understood")
        return SkillReply(text, refusal=Refusal.NOT_UNDERSTOOD)

    async def understand(self, said: Sequence[str]) -> Understanding:
        """Return what would be done with the words ``said``, and what else was considered. Does nothing."""
        understander = await self.prepare()
        return await asyncio.to_thread(understander.understand, tuple(said))

    async def _correct_last(self, understander: Understander, said: tuple[str, ...]) -> SkillReply | None:
        """Do the last request again as ``said`` corrects it ("no, ten minutes"); None when it does not."""
        if not self._last_said or not self._context.recent.is_undoable:
            return None
        corrected = await asyncio.to_thread(understander.correct, self._last_said, said)
        if corrected is None:
            return None
        try:
            await self._context.recent.revert()
        except VoxdError as error:
            return _failed(corrected[1].intent, error)
        self._last_said = corrected[0]
        return await self._perform_all((corrected[1],))

    def _build(self) -> Understander:
        # hassil and rapidfuzz cost 14 MB: they are loaded with the first sentence, not with the daemon.
        from voxd.skills.understanding.grammar import Grammar

        language, speech = load_language(), load_speech()
        grammar = Grammar((*self._config.commands, *self._phrases), language, speech)
        understander = Understander(grammar, language, speech, near_miss=self._config.near_miss)
        # hassil parses its templates with the first sentence: better now than while a user waits.
        understander.understand(("nothing", "in", "particular"))
        return understander

    def _take_question(self) -> Question | None:
        asked, self._question = self._question, None
        if asked is None or self._clock.monotonic() - asked[1] > QUESTION_OPEN_S:
            return None
        return asked[0]

    def _ask(self, reply: SkillReply) -> SkillReply:
        if reply.question is not None:
            self._question = (reply.question, self._clock.monotonic())
        return reply

    async def _perform_all(self, matches: Sequence[Match]) -> SkillReply:
        """Do what each of ``matches`` asks for, as one change that can be undone."""
        self._context.recent.begin()
        given = [await self._do(match) for match in matches]
        if len(given) == 1:
            return given[0]
        question = next((reply.question for reply in given if reply.question is not None), None)
        return SkillReply(" ".join(reply.text for reply in given if reply.text), given[0].intent, question)

    async def _perform(self, match: Match, confirmed: Sequence[Match]) -> SkillReply:
        return await self._perform_all(confirmed if match.intent == "confirm" else (match,))

    async def _do(self, match: Match) -> SkillReply:
        if match.intent.startswith(_COMMAND):
            command = self._commands[match.intent.removeprefix(_COMMAND)]
            return SkillReply(await custom.run(command, match.slots, self.failed_commands), match.intent)
        return await self._handle(match.intent, match.slots)

    async def perform(self, intent: str, slots: Slots) -> SkillReply:
        """Do what a sentence of ``intent`` (a name in `sentences.toml`) with ``slots`` does."""
        self._context.recent.begin()
        return await self._handle(intent, slots)

    async def _handle(self, intent: str, slots: Slots) -> SkillReply:
        try:
            reply = await self._handlers[intent](slots)
        except VoxdError as error:
            return _failed(intent, error)
        except Exception:  # a skill may be third-party code; the device goes on without its answer
            _log.exception("the skill %s failed", intent)
            return SkillReply(say("failed"), intent)
        return self._ask(replace(reply, intent=intent))

    def now(self) -> datetime:
        """Return the local date and time."""
        return self._context.now()


def _failed(intent: str, error: VoxdError) -> SkillReply:
    _log.warning("the skill %s failed: %s; %s", intent, error, error.hint)
    return SkillReply(say("failed_because", reason=str(error)), intent)


def _load_skills(context: SkillContext) -> tuple[dict[str, Handler], tuple[Phrases, ...]]:
    """Return the handlers of all installed skills by intent, and the sentences that skills bring along."""
    handlers: dict[str, Handler] = {}
    phrases: list[Phrases] = []
    for name, reference in find_entry_points(GROUP).items():
        try:
            with third_party(lambda error: ConfigError(f"{type(error).__name__}: {error}"), passes=()):
                skill: Skill = load_entry_point(reference)(context)
                own = skill.handlers()
                brought = [Phrases(intent, tuple(texts)) for intent, texts in skill.sentences.items()]
                if brought:
                    # hassil costs 11 MB: a device without third-party skills does not load it at the start.
                    from voxd.skills.understanding.templates import command_data

                    for phrase in brought:
                        command_data(phrase)
        except ConfigError as error:  # a broken skill must not stop the device
            _log.warning("the skill %s cannot be loaded: %s", name, error)
            continue
        if taken := (own.keys() | skill.sentences.keys()) & handlers.keys():
            _log.warning("the skill %s is left out: %s is taken", name, ", ".join(sorted(taken)))
            continue
        handlers |= own
        phrases += brought
    return handlers, tuple(phrases)
