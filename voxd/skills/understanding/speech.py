"""How people talk in a language, as data: polite words, corrections, joints, misheard words."""

from functools import cache
from importlib import resources

import msgspec
import tomli


class Speech(msgspec.Struct, frozen=True):
    """What `languages/<code>/speech.toml` holds; every phrase is as `numbers.words` writes it."""

    polite_start: tuple[str, ...]
    polite_end: tuple[str, ...]
    hesitation: tuple[str, ...]
    corrections: tuple[str, ...]
    joints: tuple[str, ...]
    retractions: tuple[str, ...]
    instead_of: tuple[str, ...]
    more_words: frozenset[str]
    rewrites: dict[str, str]
    hour_prepositions: frozenset[str]
    not_in_names: frozenset[str]
    articles: frozenset[str]
    not_in_references: frozenset[str]
    not_text_start: frozenset[str]
    doubtful_in_texts: frozenset[str]
    conditions: tuple[str, ...]
    questions: tuple[str, ...]
    nouns: tuple[str, ...]
    misheard: dict[str, tuple[str, ...]]


@cache
def load_speech(code: str = "en") -> Speech:
    """Return how people talk in the language ``code``."""
    text = resources.files("voxd.skills").joinpath(f"languages/{code}/speech.toml").read_text("utf-8")
    return msgspec.convert(tomli.loads(text), Speech)


def strip_edges(said: tuple[str, ...], speech: Speech) -> list[tuple[str, ...]]:
    """Return ``said`` as it is, then with ever more polite words gone, at its start and at its end."""
    starts = _shorten(said, _longest_first(speech.polite_start), at_start=True)
    ways = [
        way for start in starts for way in _shorten(start, _longest_first(speech.polite_end), at_start=False)
    ]
    return list(dict.fromkeys(sorted(ways, key=len, reverse=True)))


@cache
def _longest_first(phrases: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted((tuple(phrase.split()) for phrase in phrases), key=len, reverse=True))


def _shorten(
    said: tuple[str, ...], phrases: tuple[tuple[str, ...], ...], *, at_start: bool
) -> list[tuple[str, ...]]:
    ways = [said]
    for way in ways:
        fitting = [
            words
            for words in phrases
            if len(words) < len(way) and (way[: len(words)] if at_start else way[-len(words) :]) == words
        ]
        # The longest and the shortest: "please can you hear me" is "hear me", or "can you hear me".
        for words in (*fitting[:1], *fitting[1:][-1:]):
            rest = way[len(words) :] if at_start else way[: -len(words)]
            if rest not in ways:
                ways.append(rest)
    return ways


def find_phrases(said: tuple[str, ...], phrases: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return where one of ``phrases`` stands in ``said`` (start, end), the longest at each place."""
    found = []
    for at in range(len(said)):
        ends = [
            at + len(words) for words in map(str.split, phrases) if said[at : at + len(words)] == tuple(words)
        ]
        if ends:
            found.append((at, max(ends)))
    return found
