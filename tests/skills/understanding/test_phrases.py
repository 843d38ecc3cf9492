"""Phrases: optional words, alternatives and values."""

from collections.abc import Sequence
from typing import Any

import pytest

from voxd.skills.understanding.phrases import Phrase, PhraseReading, PhraseTable


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
    assert Phrase(say, {}).longest(PhraseReading(said.split(), READERS), 0) == expected


def test_constants_come_with_the_values() -> None:
    assert Phrase("at {digit:hour}", {"half": "am"}).longest(PhraseReading(["at", "7"], READERS), 0) == (
        {"half": "am", "hour": 7},
        2,
    )


def test_the_longest_phrase_counts_and_then_the_first() -> None:
    table = PhraseTable(
        [
            {"say": "a", "n": 1},
            {"say": "a b", "n": 2},
            {"say": "a [b]", "n": 3},
            {"say": "{digit} [b]", "n": 4},
        ]
    )
    assert table.longest(PhraseReading(["a", "b"], READERS), 0) == ({"n": 2}, 2)
    assert table.longest(PhraseReading(["a"], READERS), 0) == ({"n": 1}, 1)
    assert table.longest(PhraseReading(["5", "b"], READERS), 0) == ({"digit": 5, "n": 4}, 2)
    assert table.longest(PhraseReading(["c"], READERS), 0) is None
    assert table.longest(PhraseReading(["c"], READERS), 1) is None


@pytest.mark.parametrize("say", ["(a", "[a", "a)", "(a]", "a (b|c", "", "[a] [b]"])
def test_a_phrase_that_cannot_be_read_is_an_error(say: str) -> None:
    with pytest.raises(ValueError, match="bracket"):
        Phrase(say, {})
