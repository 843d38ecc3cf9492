"""Finds the values in a sentence (durations, moments, numbers), so that templates see one word for each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from voxd.skills.understanding.clock_times import read_clock
from voxd.skills.understanding.language import Language
from voxd.skills.understanding.numbers import ClockTime, read_number, read_ordinal
from voxd.skills.understanding.speech import Speech
from voxd.skills.understanding.temporal import Day, When, read_duration, read_when

READ_SLOTS = ("when", "duration", "clock", "ordinal", "number")
"""Slots whose words are read by `temporal` and `numbers`, not by a list."""

OWN_SLOTS = ("duration", "clock", "number")
"""Those of `READ_SLOTS` that the owner's commands know; every other slot of theirs takes any words."""

MAX_SPANS = 5
"""A sentence holds no more values than this; further ones stay words."""

_HOUR_LIMIT = 24

# The order decides between two readings of the same length. The commands of the owner know {clock} and
# {duration} only, so the second policy reads no {when}; the third reads "second" and "one" as ordinals.
_POLICIES = (
    ("when", "duration", "ordinal", "number"),
    ("duration", "clock", "number"),
    ("ordinal", "duration", "when", "number"),
    ("number", "duration"),
    ("when", "duration"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """Words ``start`` to ``end`` of a sentence, which mean ``value``."""

    slot: str
    start: int
    end: int
    value: float | int | ClockTime | When


@dataclass(frozen=True, slots=True)
class MarkedSentence:
    """A sentence in which some values are single words; ``spans`` says which word stands for what."""

    said: Sequence[str]
    spans: dict[str, Span]
    words: list[str]

    @property
    def text(self) -> str:
        """The sentence as one string."""
        return " ".join(self.words)

    def restore(self, text: str) -> str:
        """Return ``text``, a part of the sentence, as it was said."""
        words: list[str] = []
        for word in text.split():
            span = self.spans.get(word)
            words.extend(self.said[span.start : span.end] if span else [word])
        return " ".join(words)


def placeholder(slot: str, index: int) -> str:
    """Return the word that stands for value ``index`` of a sentence; no transcript holds such a word."""
    return f"q{slot}{index}"


def mark(said: Sequence[str], found: Sequence[Span]) -> MarkedSentence:
    """Return ``said`` with each of the spans ``found`` as one word."""
    marked: list[str] = []
    named: dict[str, Span] = {}
    at = 0
    for index, span in enumerate(found):
        name = placeholder(span.slot, index)
        named[name] = span
        marked += [*said[at : span.start], name]
        at = span.end
    return MarkedSentence(said, named, [*marked, *said[at:]])


def readings(said: Sequence[str], language: Language, speech: Speech) -> Iterator[MarkedSentence]:
    """Yield the ways to read ``said``, the likeliest first, and at last with no value marked.

    "Start a second timer" holds no second, and a command of the owner may hold the word "five".
    """
    seen: set[tuple[str, ...]] = set()
    for found in _span_lists(said, language, speech):
        marked = mark(said, found)
        if (key := tuple(marked.words)) not in seen:
            seen.add(key)
            yield marked


def _span_lists(said: Sequence[str], language: Language, speech: Speech) -> Iterator[list[Span]]:
    first = find_spans(said, language, speech)
    yield first
    if len(first) > 1:
        for left_out in first:
            yield [span for span in first if span is not left_out]
    for policy in _POLICIES[1:]:
        yield find_spans(said, language, speech, policy)
    yield []


def find_spans(
    said: Sequence[str], language: Language, speech: Speech, policy: Sequence[str] = _POLICIES[0]
) -> list[Span]:
    """Return the values of the slots ``policy`` in ``said``, from left to right, each as long as can be."""
    found: list[Span] = []
    at = 0
    while at < len(said) and len(found) < MAX_SPANS:
        span = _longest(said, at, language, speech, policy)
        if span is None:
            at += 1
        else:
            found.append(span)
            at = span.end
    return found


_READERS: dict[str, Callable[[Sequence[str], int, Language], tuple[Any, int] | None]] = {
    "when": read_when,
    "duration": read_duration,
    "clock": read_clock,
    "ordinal": read_ordinal,
    "number": read_number,
}


def _longest(
    said: Sequence[str], at: int, language: Language, speech: Speech, policy: Sequence[str]
) -> Span | None:
    best: Span | None = None
    for slot in policy:
        read = _READERS[slot](said, at, language)
        if slot == "when":
            if read is not None and _is_bare_date(read[0], said, at, speech):
                read = None
            read = read or _read_hour(said, at, language, speech)
        if read is not None and (best is None or read[1] > best.end):
            best = Span(slot, at, read[1], read[0])
    return best


def _is_bare_date(when: When, said: Sequence[str], at: int, speech: Speech) -> bool:
    """Return whether ``when`` is a day of the month without "on": "the first" is also a place in a list."""
    day = when.day
    is_alone = day is not None and day == Day(day_of_month=day.day_of_month) and when == When(day=day)
    return is_alone and (said[at] in speech.articles or read_ordinal(said, at) is not None)


def _read_hour(said: Sequence[str], at: int, language: Language, speech: Speech) -> tuple[When, int] | None:
    """Return a bare hour after "for" or "to" as a time of day: "cancel the alarm for seven"."""
    if at == 0 or said[at - 1] not in speech.hour_prepositions:
        return None
    number = read_number(said, at, language)
    if number is None or number[0] > _HOUR_LIMIT:
        return None
    return When(clock=ClockTime(number[0])), number[1]
