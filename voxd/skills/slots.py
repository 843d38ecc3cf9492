"""Finds the durations, times of day and numbers in a sentence, so that templates see one word for each."""

from collections.abc import Iterator
from dataclasses import dataclass

from voxd.skills.clock_times import read_clock
from voxd.skills.numbers import ClockTime, read_number
from voxd.skills.temporal import read_duration

READ_SLOTS = ("duration", "clock", "number")
"""Slots whose words are read by `voxd.skills.numbers` and not by a list."""

MAX_SPANS = 4
"""A sentence holds no more values than this; further ones stay words."""


@dataclass(frozen=True, slots=True)
class Span:
    """Words ``start`` to ``end`` of a sentence, which mean ``value``."""

    slot: str
    start: int
    end: int
    value: float | int | ClockTime


def find_spans(said: list[str]) -> list[Span]:
    """Return the values in ``said``, from left to right, each as long as it can be."""
    found: list[Span] = []
    at = 0
    while at < len(said) and len(found) < MAX_SPANS:
        span = _span_at(said, at)
        if span is None:
            at += 1
        else:
            found.append(span)
            at = span.end
    return found


def _span_at(said: list[str], at: int) -> Span | None:
    duration = read_duration(said, at)
    if duration is not None:
        return Span("duration", at, duration[1], duration[0])
    clock = read_clock(said, at)
    if clock is not None:
        return Span("clock", at, clock[1], clock[0])
    number = read_number(said, at)
    return Span("number", at, number[1], number[0]) if number is not None else None


def placeholder(slot: str, index: int) -> str:
    """Return the word that stands for value ``index`` of a sentence; no transcript holds such a word."""
    return f"q{slot}{index}"


@dataclass(frozen=True, slots=True)
class MarkedSentence:
    """A sentence in which some values are single words; ``spans`` says which word stands for what."""

    said: list[str]
    spans: dict[str, Span]
    words: list[str]

    @property
    def text(self) -> str:
        """The sentence as one string."""
        return " ".join(self.words)

    def restored(self, text: str) -> str:
        """Return ``text``, a part of the sentence, as it was said."""
        words: list[str] = []
        for word in text.split():
            span = self.spans.get(word)
            words.extend(self.said[span.start : span.end] if span else [word])
        return " ".join(words)


def mark(said: list[str], found: list[Span]) -> MarkedSentence:
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


def readings(said: list[str]) -> Iterator[MarkedSentence]:
    """Yield the ways to read ``said``: every value marked, then one of them left as words, then all.

    "Start a second timer" holds no second, and a command of the owner may hold the word "five".
    """
    found = find_spans(said)
    yield mark(said, found)
    if len(found) > 1:
        for left_out in found:
            yield mark(said, [span for span in found if span is not left_out])
    if found:
        yield mark(said, [])
