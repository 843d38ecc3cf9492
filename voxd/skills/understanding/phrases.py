"""Phrases with values, as the tables of a language write them: [optional], (this|that), {reader:value}."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Reader = Callable[[Sequence[str], int], tuple[Any, int] | None]
"""Reads a value that begins at a word; returns it and the index after it, or None."""

_Found = tuple[dict[str, Any], int]

_TOKEN = re.compile(r"\{(\w+)(?::(\w+))?\}|[()\[\]|]|[^\s()\[\]|{}]+")


class PhraseReading:
    """Words in which phrases are looked for; every value in them is read only once."""

    def __init__(self, said: Sequence[str], readers: Mapping[str, Reader]) -> None:
        self.said = said
        self._readers = readers
        self._read: dict[tuple[str, int], tuple[Any, int] | None] = {}

    def value(self, reader: str, at: int) -> tuple[Any, int] | None:
        """Return the value that ``reader`` finds at word ``at`` and the index after it, or None."""
        key = (reader, at)
        if key not in self._read:
            self._read[key] = self._readers[reader](self.said, at)
        return self._read[key]


class Phrase:
    """One phrase; ``constants`` are the values it stands for besides those it reads."""

    def __init__(self, say: str, constants: Mapping[str, Any]) -> None:
        """Raises `ValueError` when ``say`` cannot be read."""
        self._constants = dict(constants)
        tokens = list(_TOKEN.finditer(say))
        self._node, end = _alternatives(tokens, 0)
        if end != len(tokens) or self._node.is_empty:
            raise ValueError(f"the phrase {say!r} has a bracket too many, or only optional words")
        self.starts = self._node.starts

    def longest(self, reading: PhraseReading, start: int) -> _Found | None:
        """Return the values and the end of the longest way to read this phrase at word ``start``."""
        best: _Found | None = None
        for values, end in self._node.match(reading, start):
            if best is None or end > best[1]:
                best = values, end
        return best and ({**self._constants, **best[0]}, best[1])


class PhraseTable:
    """Phrases that may stand in one place."""

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Take what is said and the constants from ``entries``. Raises `ValueError` for a wrong phrase."""
        # Nearly every phrase fails at its first word, so they are found by it.
        self._by_word: dict[str, dict[int, Phrase]] = {}
        self._by_reader: dict[str, dict[int, Phrase]] = {}
        for index, entry in enumerate(entries):
            phrase = Phrase(entry["say"], {key: entry[key] for key in entry if key != "say"})
            for first in phrase.starts:
                index_of = self._by_reader if first[0] == "{" else self._by_word
                index_of.setdefault(first.strip("{}"), {})[index] = phrase

    def all(self, reading: PhraseReading, start: int) -> list[_Found]:
        """Return the values and the end of each phrase that can be read at word ``start``."""
        if start >= len(reading.said):
            return []
        phrases = dict(self._by_word.get(reading.said[start], {}))
        for reader, more in self._by_reader.items():
            if reading.value(reader, start) is not None:
                phrases |= more
        found = [phrases[index].longest(reading, start) for index in sorted(phrases)]
        return [each for each in found if each is not None]

    def longest(self, reading: PhraseReading, start: int) -> _Found | None:
        """Return the values and the end of the phrase that takes the most words; the first of equal ones."""
        return max(self.all(reading, start), key=lambda found: found[1], default=None)


@dataclass(frozen=True, slots=True)
class _Node:
    """A piece of a phrase: how it is found, what words and {readers} it begins with, if it may be missing."""

    match: Callable[[PhraseReading, int], Iterator[_Found]]
    starts: frozenset[str]
    is_empty: bool = False


def _alternatives(tokens: list[re.Match[str]], at: int) -> tuple[_Node, int]:
    ways: list[_Node] = []
    while True:
        way, at = _sequence(tokens, at)
        ways.append(way)
        if at == len(tokens) or tokens[at][0] != "|":
            break
        at += 1
    if len(ways) == 1:
        return ways[0], at

    def match(reading: PhraseReading, start: int) -> Iterator[_Found]:
        for way in ways:
            yield from way.match(reading, start)

    starts = frozenset().union(*(way.starts for way in ways))
    return _Node(match, starts, any(way.is_empty for way in ways)), at


def _sequence(tokens: list[re.Match[str]], at: int) -> tuple[_Node, int]:
    items: list[_Node] = []
    starts: frozenset[str] = frozenset()
    while at < len(tokens) and tokens[at][0] not in ("|", ")", "]"):
        item, at = _item(tokens, at)
        if all(before.is_empty for before in items):
            starts |= item.starts
        items.append(item)

    def match(reading: PhraseReading, start: int, index: int = 0) -> Iterator[_Found]:
        if index == len(items):
            yield {}, start
            return
        for head, middle in items[index].match(reading, start):
            for tail, end in match(reading, middle, index + 1):
                yield {**head, **tail}, end

    return _Node(match, starts, all(item.is_empty for item in items)), at


def _item(tokens: list[re.Match[str]], at: int) -> tuple[_Node, int]:
    token = tokens[at]
    if token[0] in ("(", "["):
        inside, end = _alternatives(tokens, at + 1)
        if end == len(tokens) or tokens[end][0] != {"(": ")", "[": "]"}[token[0]]:
            raise ValueError(f"the phrase {token.string!r} has an open bracket")
        return (_optional(inside) if token[0] == "[" else inside), end + 1
    return (_slot(token[1], token[2] or token[1]) if token[1] else _word(token[0])), at + 1


def _optional(inside: _Node) -> _Node:
    def match(reading: PhraseReading, start: int) -> Iterator[_Found]:
        yield from inside.match(reading, start)
        yield {}, start

    return _Node(match, inside.starts, is_empty=True)


def _word(word: str) -> _Node:
    def match(reading: PhraseReading, start: int) -> Iterator[_Found]:
        if start < len(reading.said) and reading.said[start] == word:
            yield {}, start + 1

    return _Node(match, frozenset({word}))


def _slot(reader: str, value: str) -> _Node:
    def match(reading: PhraseReading, start: int) -> Iterator[_Found]:
        found = reading.value(reader, start)
        if found is not None:
            yield {value: found[0]}, found[1]

    return _Node(match, frozenset({f"{{{reader}}}"}))
