"""The words of a language, as its folder in `languages` lists them: numbers, times, and opposites."""

from functools import cache, cached_property
from importlib import resources
from typing import Any

import msgspec
import tomli

from voxd.errors import ConfigError
from voxd.skills.understanding.phrases import PhraseTable

DEFAULT_LANGUAGE = "en"


class Numbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Number words; ``below_hundred`` and ``ordinals`` hold one phrase for each number from 0 to 99."""

    below_hundred: list[str]
    hundred: str
    scales: dict[str, int]
    one: list[str]
    joiners: list[str]
    point: str
    minus: str
    zero: str
    ordinals: list[str]
    ordinal_scales: dict[str, str]
    ordinal_endings: list[str]


class Spellings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What signs and fractions are in words."""

    full_hour: str
    between_numbers: dict[str, str]
    symbols: dict[str, str]
    fractions: dict[str, str]
    mixed_fractions: dict[str, str]
    hours_minutes: str


class Unit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A unit of time; a bare number after it counts in units of ``bare`` seconds, 0 for none."""

    say: list[str]
    seconds: int
    bare: int = 0


class Durations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words of lengths of time."""

    units: list[Unit]
    amounts: list[dict[str, Any]]
    fractions: list[dict[str, Any]]
    joiners: list[str]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the day: its hours from ``first`` to ``last``, those after midnight as 24, 25 …

    The first word of ``say`` is one, the second all of them ("mornings").
    """

    name: str
    say: list[str]
    first: int
    last: int


class ClockWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words of times of day."""

    prefixes: list[str]
    times: list[dict[str, Any]]
    digital_times: list[dict[str, Any]]
    open_times: list[dict[str, Any]]
    halves: list[dict[str, Any]]
    not_after: list[str]
    parts: list[Part]


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words of days, dates and repetitions. The first word of a weekday is one, the second all of them."""

    weekdays: list[list[str]]
    weekday_ranges: list[str]
    joiners: list[str]
    months: list[list[str]]
    prefixes: list[str]
    phrases: list[dict[str, Any]]
    temporal: list[str]


class Meaning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pairs of words that must never be taken for each other."""

    opposites: list[tuple[str, str]]


class Tables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file `words.toml`."""

    numbers: Numbers
    spellings: Spellings
    durations: Durations
    clock: ClockWords
    calendar: Calendar
    meaning: Meaning


class Language:
    """The tables of a language, and the ways the readers look things up in them."""

    def __init__(self, tables: Tables) -> None:
        """Raises `ValueError` when a phrase of the tables cannot be read."""
        self.tables = tables
        cardinals = enumerate(tables.numbers.below_hundred)
        self.cardinals = {tuple(phrase.split()): value for value, phrase in cardinals}
        self.ordinal_endings = _ordinal_endings(tables.numbers)
        self.units = {word: unit for unit in tables.durations.units for word in unit.say}
        self.parts = {word: part for part in tables.clock.parts for word in part.say}
        self.weekdays = _positions(tables.calendar.weekdays)
        self.months = _positions(tables.calendar.months)
        self.amounts = PhraseTable(tables.durations.amounts)
        self.fractions = PhraseTable(tables.durations.fractions)
        self.times = PhraseTable(tables.clock.times)
        self.digital_times = PhraseTable(tables.clock.digital_times)
        self.open_times = PhraseTable(tables.clock.open_times)
        self.halves = PhraseTable(tables.clock.halves)
        self.when_phrases = PhraseTable(tables.calendar.phrases)

    @cached_property
    def number_words(self) -> frozenset[str]:
        """The single words that numbers are made of: "seven", "twenty", "hundred"."""
        numbers = self.tables.numbers
        return frozenset(
            {word for said in self.cardinals for word in said} | {numbers.hundred, *numbers.scales}
        )

    @cached_property
    def opposites(self) -> frozenset[tuple[str, str]]:
        """Pairs of words that mean the opposite, in both orders."""
        pairs = self.tables.meaning.opposites
        return frozenset((*pairs, *((other, one) for one, other in pairs)))

    @cached_property
    def temporal_words(self) -> frozenset[str]:
        """The single words that only times have: units, days, months, parts of the day, "every", "later"."""
        return frozenset(self.tables.calendar.temporal) | {
            *self.units, *self.parts, *self.weekdays, *self.months,
        }  # fmt: skip


def _ordinal_endings(numbers: Numbers) -> dict[str, str]:
    """Return the last word of each ordinal with that of its number: "first" is one, "hundredth" hundred."""
    pairs = zip(numbers.ordinals, numbers.below_hundred, strict=True)
    small = {ordinal.split()[-1]: cardinal.split()[-1] for ordinal, cardinal in pairs}
    return small | {ordinal: scale for scale, ordinal in numbers.ordinal_scales.items()}


def _positions(names: list[list[str]]) -> dict[str, int]:
    return {word: position for position, words in enumerate(names) for word in words}


def languages() -> list[str]:
    """Return the codes of the languages there are."""
    return sorted(entry.name for entry in resources.files("voxd.skills").joinpath("languages").iterdir())


@cache
def load_language(code: str = DEFAULT_LANGUAGE) -> Language:
    """Return the words of the language ``code``. Raises `ConfigError` when that language does not exist."""
    if code not in languages():
        raise ConfigError(
            f"there are no sentences for the language {code!r}", hint=f"use one of {', '.join(languages())}"
        )
    file = resources.files("voxd.skills").joinpath("languages", code, "words.toml")
    return Language(msgspec.convert(tomli.loads(file.read_text(encoding="utf-8")), Tables))
