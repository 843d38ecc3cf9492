"""The skill engine: recognises a sentence, runs its handler, and keeps the question it asked."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

import msgspec

from voxd.clock import Clock
from voxd.config import schema
from voxd.config.commands import Command
from voxd.entry_points import find_entry_points, load_entry_point
from voxd.errors import ConfigError, VoxdError, third_party
from voxd.skills import custom, replies
from voxd.skills.contract import (
    Handler,
    Phrases,
    Question,
    Skill,
    SkillContext,
    SkillDevice,
    SkillReply,
    Slots,
)
from voxd.skills.jsgf import pronunciation_test, to_jsgf
from voxd.skills.numbers import words
from voxd.skills.schedule import local_zone
from voxd.skills.timers import Timers

if TYPE_CHECKING:
    from voxd.skills.grammar import Grammar, Match

_log = logging.getLogger(__name__)

GROUP = "voxd.skills"
"""The entry point group in which a package names its skills."""

QUESTION_OPEN_S = 30.0
"""A question of the device may be answered for this long."""

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
        grammar: "Grammar | None" = None,
    ) -> None:
        """``grammar`` is what `prepare` of another engine with the same ``config`` returned.

        Raises `ConfigError` when a sentence of the owner's commands cannot be read.
        """
        self._config = config
        self._clock = clock
        self._timers = timers
        self._context = SkillContext(device, timers, clock, tz or local_zone(), config.clock_24h)
        self._commands = {command.name: command for command in config.commands}
        self._question: tuple[Question, float] | None = None
        self._lock = asyncio.Lock()
        self._handlers, self._phrases = _load_skills(self._context)
        # Only an owner's template can be wrong, so only then the grammar is needed at the start.
        self._grammar = self._built() if config.commands and grammar is None else grammar

    def configure(self, config: schema.Skills) -> None:
        """Apply the live keys of a reloaded configuration: near_miss, ring_s, clock_24h."""
        self._config = msgspec.structs.replace(config, commands=self._config.commands)
        self._context.clock_24h = config.clock_24h
        self._timers.ring_s = config.ring_s
        if self._grammar is not None:
            self._grammar.near_miss = config.near_miss

    async def prepare(self) -> "Grammar":
        """Load the grammar, in a thread, if it is not there yet; `answer` does it when needed."""
        async with self._lock:
            if self._grammar is None:
                self._grammar = await asyncio.to_thread(self._built)
            return self._grammar

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
        said_words = words(text)
        if not said_words:
            return SkillReply(replies.NOT_HEARD)
        await self.prepare()
        question = self._open_question()
        if question is not None:
            reply = await self._answered(question, text, said_words)
            if reply is not None:
                return reply
        match = await asyncio.to_thread(self._require().recognize, text)
        if match is None:
            return SkillReply(replies.NOT_UNDERSTOOD)
        return await self._perform(match)

    def _built(self) -> "Grammar":
        # hassil and rapidfuzz cost 14 MB: they are loaded with the first sentence, not with the daemon.
        from voxd.skills.grammar import Grammar

        grammar = Grammar((*self._config.commands, *self._phrases), near_miss=self._config.near_miss)
        # hassil parses its templates with the first sentence, and what is near them is collected with the
        # first that is not understood: better now than while a user waits for an answer.
        grammar.recognize("nothing in particular")
        return grammar

    def _require(self) -> "Grammar":
        assert self._grammar is not None
        return self._grammar

    def _open_question(self) -> Question | None:
        asked, self._question = self._question, None
        if asked is None or self._clock.monotonic() - asked[1] > QUESTION_OPEN_S:
            return None
        return asked[0]

    async def _answered(self, question: Question, text: str, said_words: list[str]) -> SkillReply | None:
        """Return the reply if ``text`` answers ``question``, None when it is about something else."""
        answer = await asyncio.to_thread(self._require().answer, text)
        slots = answer.slots if answer is not None else {}
        if question.missing == "which":
            if answer is not None and answer.intent == "all":
                return await self.perform("cancel_all", question.slots)
            name = slots.get("name") or " ".join(said_words)
            known = (
                {**slots} if "duration" in slots or "clock" in slots or "hour" in slots else {"name": name}
            )
            if answer is None and not self._has_timer(question.slots["kind"], name):
                return None
            return await self.perform("cancel", {**question.slots, **known})
        if question.missing == "text":
            other = await asyncio.to_thread(self._require().recognize, text)
            text_words = " ".join(said_words[1:] if said_words[0] == "to" else said_words)
            return (
                None if other else await self.perform(question.intent, {**question.slots, "text": text_words})
            )
        if slots:
            return await self.perform(question.intent, {**question.slots, **slots})
        return None

    async def _perform(self, match: "Match") -> SkillReply:
        if match.intent.startswith(_COMMAND):
            command = self._commands[match.intent.removeprefix(_COMMAND)]
            return SkillReply(await custom.run(command, match.slots), match.intent)
        return await self.perform(match.intent, match.slots)

    async def perform(self, intent: str, slots: Slots) -> SkillReply:
        """Do what a sentence of ``intent`` (a name in `en.toml`) with ``slots`` does."""
        try:
            reply = await self._handlers[intent](slots)
        except VoxdError as error:
            _log.warning("the skill %s failed: %s; %s", intent, error, error.hint)
            return SkillReply(f"Sorry, that did not work: {error}.", intent)
        except Exception:  # a skill may be third-party code; the device goes on without its answer
            _log.exception("the skill %s failed", intent)
            return SkillReply("Sorry, that did not work.", intent)
        if reply.question is not None:
            self._question = (reply.question, self._clock.monotonic())
        return replace(reply, intent=intent)

    def now(self) -> datetime:
        """Return the local date and time."""
        return self._context.now()

    def _has_timer(self, kind: str, name: str) -> bool:
        return any(entry.kind == kind and entry.name == name for entry in self._timers.list())


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
                    from voxd.skills.templates import command_data

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
