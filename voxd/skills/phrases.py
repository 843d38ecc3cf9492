"""Phrases with values, as the tables of a language write them: [optional], (this|that), {reader:value}."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Reader = Callable[[Sequence[str], int], tuple[Any, int] | None]
"""Reads a value that begins at a word; returns it and the index after it, or None."""

Values = Mapping[str, Any]

_Found = tuple[dict[str, Any], int]
_Matcher = Callable[[Sequence[str], int, Mapping[str, Reader]], Iterator[_Found]]

_TOKEN = re.compile(r"\{(\w+)(?::(\w+))?\}|[()\[\]|]|[^\s()\[\]|{}]+")


class Phrase:
    """One phrase; ``constants`` are the values it stands for besides those it reads."""

    def __init__(self, say: str, constants: Values) -> None:
        """Raises `ValueError` when ``say`` cannot be read."""
        self._constants = dict(constants)
        tokens = list(_TOKEN.finditer(say))
        self._matcher, end = _alternatives(tokens, 0)
        if end != len(tokens):
            raise ValueError(f"the phrase {say!r} has a bracket too many")

    def longest(self, said: Sequence[str], start: int, readers: Mapping[str, Reader]) -> _Found | None:
        """Return the values and the end of the longest way to read this phrase at word ``start``."""
        best: _Found | None = None
        for values, end in self._matcher(said, start, readers):
            if best is None or end > best[1]:
                best = values, end
        return best and ({**self._constants, **best[0]}, best[1])


def longest(
    phrases: Sequence[Phrase], said: Sequence[str], start: int, readers: Mapping[str, Reader]
) -> _Found | None:
    """Return the values and the end of the phrase that takes the most words; the first of equal ones."""
    best: _Found | None = None
    for phrase in phrases:
        found = phrase.longest(said, start, readers)
        if found is not None and (best is None or found[1] > best[1]):
            best = found
    return best


def _alternatives(tokens: list[re.Match[str]], at: int) -> tuple[_Matcher, int]:
    ways = []
    while True:
        way, at = _sequence(tokens, at)
        ways.append(way)
        if at == len(tokens) or tokens[at][0] != "|":
            break
        at += 1
    if len(ways) == 1:
        return ways[0], at

    def match(said: Sequence[str], start: int, readers: Mapping[str, Reader]) -> Iterator[_Found]:
        for way in ways:
            yield from way(said, start, readers)

    return match, at


def _sequence(tokens: list[re.Match[str]], at: int) -> tuple[_Matcher, int]:
    items: list[_Matcher] = []
    while at < len(tokens) and tokens[at][0] not in ("|", ")", "]"):
        item, at = _item(tokens, at)
        items.append(item)

    def match(
        said: Sequence[str], start: int, readers: Mapping[str, Reader], index: int = 0
    ) -> Iterator[_Found]:
        if index == len(items):
            yield {}, start
            return
        for head, middle in items[index](said, start, readers):
            for tail, end in match(said, middle, readers, index + 1):
                yield {**head, **tail}, end

    return match, at


def _item(tokens: list[re.Match[str]], at: int) -> tuple[_Matcher, int]:
    token = tokens[at]
    if token[0] in ("(", "["):
        inside, end = _alternatives(tokens, at + 1)
        if end == len(tokens) or tokens[end][0] != {"(": ")", "[": "]"}[token[0]]:
            raise ValueError(f"the phrase {token.string!r} has an open bracket")
        return (_optional(inside) if token[0] == "[" else inside), end + 1
    return (_slot(token[1], token[2] or token[1]) if token[1] else _word(token[0])), at + 1


def _optional(inside: _Matcher) -> _Matcher:
    def match(said: Sequence[str], start: int, readers: Mapping[str, Reader]) -> Iterator[_Found]:
        yield from inside(said, start, readers)
        yield {}, start

    return match


def _word(word: str) -> _Matcher:
    def match(said: Sequence[str], start: int, readers: Mapping[str, Reader]) -> Iterator[_Found]:
        if start < len(said) and said[start] == word:
            yield {}, start + 1

    return match


def _slot(reader: str, value: str) -> _Matcher:
    def match(said: Sequence[str], start: int, readers: Mapping[str, Reader]) -> Iterator[_Found]:
        found = readers[reader](said, start)
        if found is not None:
            yield {value: found[0]}, found[1]

    return match
