"""Understands sentences: hassil templates over spoken words, with values read by `voxd.skills.numbers`."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hassil import Intents, RecognizeResult, recognize_all

from voxd.config.commands import Command
from voxd.skills import templates
from voxd.skills.contract import Phrases
from voxd.skills.near_miss import NearMisses
from voxd.skills.numbers import words
from voxd.skills.slots import MarkedSentence, readings

_POLITE_START = re.compile(
    r"^(?:please|hey|okay|ok|so|um|uh|well|and|can you|could you|would you|will you|can i have"
    r"|i want you to|i'd like you to|i need|i want|i would like|i'd like|let's|just) (?=\w)"
)
_MAX_POLITE = 3
_POLITE_END = re.compile(r" (?:please|for me|thanks|thank you|now|right now)$")


@dataclass(frozen=True, slots=True)
class Match:
    """What a sentence asks for: the intent and its values (seconds, `ClockTime`, numbers, words)."""

    intent: str
    slots: dict[str, Any] = field(default_factory=dict)


class Grammar:
    """The sentences of a language and of the owner."""

    def __init__(self, commands: Iterable[Command | Phrases] = (), *, near_miss: float = 0.8) -> None:
        """``near_miss``: how alike (0 to 1) a misheard sentence must be. Raises `ConfigError`."""
        self.templates = templates.load()
        own = {templates.intent_of(command): templates.command_data(command) for command in commands}
        self.own = templates.compile_intents(self.templates, own)
        self.builtin = templates.compile_intents(self.templates, self.templates.intents)
        self.answers = templates.compile_intents(self.templates, self.templates.answers)
        self.near_miss = near_miss
        self._near: NearMisses | None = None

    def recognize(self, text: str) -> Match | None:
        """Return what ``text`` asks for, None when no sentence matches or is near enough."""
        for said in _ways_to_say(words(text)):
            match = self._exact(said, (self.own, self.builtin))
            if match is not None:
                return match
        return self._nearest(words(text))

    def answer(self, text: str) -> Match | None:
        """Return what ``text`` means as the answer to a question of the device."""
        for said in _ways_to_say(words(text)):
            match = self._exact(said, (self.answers,))
            if match is not None:
                return match
        return None

    def _exact(self, said: list[str], grammars: tuple[Intents, ...]) -> Match | None:
        for intents in grammars:
            for marked in readings(said):
                match = _best(marked, intents)
                if match is not None:
                    return match
        return None

    def _nearest(self, said: list[str]) -> Match | None:
        if self._near is None:
            self._near = NearMisses((self.own, self.builtin))
        for way in _ways_to_say(said):
            near = self._near.find(way, self.near_miss)
            if near is not None:
                return self._exact(near, (self.own, self.builtin))
        return None


def _ways_to_say(said: list[str]) -> Iterator[list[str]]:
    """Yield the sentence as it is, then with ever more polite words gone, at its end and at its start."""
    ends = _stripped(" ".join(said), _POLITE_END)
    for text in dict.fromkeys(way for end in ends for way in _stripped(end, _POLITE_START)):
        yield text.split()


def _stripped(text: str, polite: re.Pattern[str]) -> list[str]:
    ways = [text]
    while len(ways) <= _MAX_POLITE and (shorter := polite.sub("", ways[-1])) != ways[-1]:
        ways.append(shorter)
    return ways


def _best(marked: MarkedSentence, intents: Intents) -> Match | None:
    """Return the match that leaves the fewest words to wildcards: they take what no template knows."""
    results = [result for result in recognize_all(marked.text, intents) if not _names_a_value(result, marked)]
    if not results:
        return None
    best = min(results, key=lambda result: (_free_length(result), -result.text_chunks_matched))
    slots: dict[str, Any] = {}
    for entity in best.entities_list:
        value = str(entity.value).strip()
        if entity.is_wildcard:
            slots[entity.name] = marked.restored(value)
        else:
            slots[entity.name] = marked.spans[value].value if value in marked.spans else value
    return Match(best.intent.name, slots)


def _free_length(result: RecognizeResult) -> int:
    return sum(len(entity.text.strip()) for entity in result.entities_list if entity.is_wildcard)


def _names_a_value(result: RecognizeResult, marked: MarkedSentence) -> bool:
    """Whether a timer would be called by a number or a duration: "a second timer" is not a name."""
    return any(
        entity.name == "name" and entity.is_wildcard and set(entity.text.split()) & marked.spans.keys()
        for entity in result.entities_list
    )
