"""Answers sentences on the device: finds the skill, runs it, and remembers the one question it asked."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

import msgspec

from voxd.clock import Clock
from voxd.config import schema
from voxd.config.commands import Command
from voxd.errors import VoxdError
from voxd.skills import custom, replies
from voxd.skills.contract import SkillDevice, SkillReply
from voxd.skills.dialogue import Question, Said
from voxd.skills.dictionary import pronunciation_test
from voxd.skills.jsgf import to_jsgf
from voxd.skills.localtime import local_zone
from voxd.skills.numbers import number_words, words
from voxd.skills.smalltalk import FIXED, JOKES
from voxd.skills.timer_intents import TimerIntents
from voxd.skills.timers import Timers

if TYPE_CHECKING:
    from voxd.skills.grammar import Grammar, Match

_log = logging.getLogger(__name__)

QUESTION_OPEN_S = 30.0
"""A question of the device may be answered for this long."""

_COMMAND = "command."
_STEP_PERCENT = 10
_Slots = dict[str, Any]


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
    ) -> None:
        """Raises `ConfigError` when a sentence of the owner's commands cannot be read."""
        self._config = config
        self._device = device
        self._clock = clock
        self._tz = tz or local_zone()
        self._timers = timers
        self._talk = TimerIntents(timers, clock, self._tz, clock_24h=config.clock_24h)
        self._commands = {command.name: command for command in config.commands}
        self._question: tuple[Question, float] | None = None
        self._volume_before = 50
        self._jokes = itertools.cycle(JOKES)
        self._lock = asyncio.Lock()
        self._handlers = self._table()
        # Only an owner's template can be wrong, so only then the grammar is needed at the start.
        self._grammar: Grammar | None = self._built() if config.commands else None

    def configure(self, config: schema.Skills) -> None:
        """Apply the live keys of a reloaded configuration: near_miss, ring_s, clock_24h."""
        self._config = msgspec.structs.replace(config, commands=self._config.commands)
        self._talk.clock_24h = config.clock_24h
        self._timers.ring_s = config.ring_s
        if self._grammar is not None:
            self._grammar.near_miss = config.near_miss

    async def prepare(self) -> None:
        """Load the grammar, in a thread, if it is not there yet; `answer` does it when needed."""
        async with self._lock:
            if self._grammar is None:
                self._grammar = await asyncio.to_thread(self._built)

    @property
    def commands(self) -> tuple[Command, ...]:
        """The owner's own commands."""
        return self._config.commands

    def jsgf(self) -> str:
        """Return the usual sentences, and the owner's, as a JSGF grammar for pocketsphinx."""
        return to_jsgf(self._config.commands, pronunciation_test() if self._config.commands else bool)

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

        grammar = Grammar(self._config.commands, near_miss=self._config.near_miss)
        # hassil parses its templates with the first sentence, and what is near them is collected with the
        # first that is not understood: better now than while somebody waits for an answer.
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
            if answer is None and not self._talk.has_name(question.slots["kind"], name):
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

    async def perform(self, intent: str, slots: _Slots) -> SkillReply:
        """Do what a sentence of ``intent`` (a name in `en.toml`) with ``slots`` does."""
        if intent in FIXED:
            return SkillReply(FIXED[intent], intent)
        try:
            said = await self._handlers[intent](slots)
        except VoxdError as error:
            _log.warning("the skill %s failed: %s; %s", intent, error, error.hint)
            return SkillReply(f"Sorry, that did not work: {error}.", intent)
        if said.asks is not None:
            self._question = (said.asks, self._clock.monotonic())
        return SkillReply(said.text, intent, expects_answer=said.asks is not None)

    def _table(self) -> dict[str, Callable[[_Slots], Awaitable[Said]]]:
        talk = self._talk
        return {
            "time": self._time,
            "date": self._date,
            "day": self._date,
            "timer_set": talk.set_timer,
            "timer_ask": talk.set_timer,
            "time_left": talk.time_left,
            "list": talk.list_all,
            "cancel": talk.cancel,
            "cancel_all": talk.cancel_all,
            "alarm_set": talk.set_alarm,
            "alarm_ask": talk.set_alarm,
            "wake_set": lambda slots: talk.set_alarm(slots, morning=True),
            "reminder_set": talk.set_reminder,
            "reminder_when": talk.set_reminder,
            "reminder_what": talk.set_reminder,
            "stop": self._stop,
            "never_mind": self._never_mind,
            "volume_up": lambda slots: self._volume_by(slots.get("number", _STEP_PERCENT)),
            "volume_down": lambda slots: self._volume_by(-slots.get("number", _STEP_PERCENT)),
            "volume_set": self._volume_set,
            "volume_max": lambda slots: self._volume_set({"number": 100}),
            "volume_get": lambda slots: self._volume_by(0),
            "sound_off": self._sound_off,
            "sound_on": self._sound_on,
            "mic_mute": self._mic_mute,
            "repeat": self._repeat,
            "status": self._status,
            "joke": self._joke,
            "sum": self._sum,
        }

    def now(self) -> datetime:
        """Return the local date and time."""
        return datetime.fromtimestamp(self._clock.wall(), self._tz)

    async def _time(self, slots: _Slots) -> Said:
        return Said(f"It is {replies.clock_words(self.now().time(), clock_24h=self._config.clock_24h)}.")

    async def _date(self, slots: _Slots) -> Said:
        return Said(f"It is {replies.date_words(self.now().date())}.")

    async def _stop(self, slots: _Slots) -> Said:
        self._device.stop()
        return Said("")

    async def _never_mind(self, slots: _Slots) -> Said:
        if self._talk.silenced():
            return Said("")
        return Said(replies.OKAY)

    async def _volume_by(self, percent: int) -> Said:
        level = self._device.set_volume(self._device.volume() + percent) if percent else self._device.volume()
        return Said(f"Volume {number_words(level)} percent.")

    async def _volume_set(self, slots: _Slots) -> Said:
        if slots["number"] > 100:
            return Said("The volume goes from zero to one hundred percent.")
        return Said(f"Volume {number_words(self._device.set_volume(slots['number']))} percent.")

    async def _sound_off(self, slots: _Slots) -> Said:
        self._volume_before = self._device.volume() or self._volume_before
        self._device.set_volume(0)
        return Said("")

    async def _sound_on(self, slots: _Slots) -> Said:
        if self._device.volume() == 0:
            self._device.set_volume(self._volume_before)
        return Said(f"Volume {number_words(self._device.volume())} percent.")

    async def _mic_mute(self, slots: _Slots) -> Said:
        self._device.mute()
        return Said("")

    async def _repeat(self, slots: _Slots) -> Said:
        return Said(self._device.last_reply() or "I have not said anything yet.")

    async def _status(self, slots: _Slots) -> Said:
        return Said(self._device.summary())

    async def _joke(self, slots: _Slots) -> Said:
        return Said(next(self._jokes))

    async def _sum(self, slots: _Slots) -> Said:
        left, right = slots["a"], slots["b"]
        match slots["operator"]:
            case "+":
                result: float = left + right
            case "-":
                result = left - right
            case "*":
                result = left * right
            case _ if right == 0:
                return Said("Nothing can be divided by zero.")
            case _:
                result = left / right
        return Said(replies.sentence(f"it is {replies.figure_words(result)}"))
