"""Phrases: optional words, alternatives and values."""

from collections.abc import Sequence
from typing import Any

import pytest

from voxd.skills.phrases import Phrase, longest


def read_digit(said: Sequence[str], at: int) -> tuple[int, int] | None:
    return (int(said[at]), at + 1) if at < len(said) and said[at].isdigit() else None


READERS = {"digit": read_digit}


@pytest.mark.parametrize(
    ("say", "said", "expected"),
    [
        ("a b", "a b c", ({}, 2)),
        ("a b", "a c", None),
        ("[a] b", "b", ({}, 1)),
        ("[a] b", "a b", ({}, 2)),
        ("a [b]", "a b", ({}, 2)),
        ("(a|b c) d", "b c d", ({}, 3)),
        ("[on|(in [the])] {digit}", "in the 5", ({"digit": 5}, 3)),
        ("{digit:hour} {digit:minute}", "5 7", ({"hour": 5, "minute": 7}, 2)),
        ("[a] a b", "a b", ({}, 2)),
        ("a", "", None),
    ],
)
def test_phrases(say: str, said: str, expected: tuple[dict[str, Any], int] | None) -> None:
    assert Phrase(say, {}).longest(said.split(), 0, READERS) == expected


def test_constants_come_with_the_values() -> None:
    assert Phrase("at {digit:hour}", {"half": "am"}).longest(["at", "7"], 0, READERS) == (
        {"half": "am", "hour": 7},
        2,
    )


def test_the_longest_phrase_counts_and_then_the_first() -> None:
    phrases = [Phrase("a", {"n": 1}), Phrase("a b", {"n": 2}), Phrase("a [b]", {"n": 3})]
    assert longest(phrases, ["a", "b"], 0, READERS) == ({"n": 2}, 2)
    assert longest(phrases, ["a"], 0, READERS) == ({"n": 1}, 1)
    assert longest(phrases, ["c"], 0, READERS) is None


@pytest.mark.parametrize("say", ["(a", "[a", "a)", "(a]", "a (b|c"])
def test_a_phrase_that_cannot_be_read_is_an_error(say: str) -> None:
    with pytest.raises(ValueError, match="bracket"):
        Phrase(say, {})
