"""Values found in a sentence, and the words that stand for them."""

from typing import Any

import pytest

from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.numbers import ClockTime
from voxd.skills.understanding.slots import MAX_SPANS, find_spans, mark, placeholder, readings
from voxd.skills.understanding.speech import load_speech
from voxd.skills.understanding.temporal import Day, When


def found(text: str) -> list[tuple[str, str, Any]]:
    said = text.split()
    return [
        (span.slot, " ".join(said[span.start : span.end]), span.value)
        for span in find_spans(said, load_language(), load_speech())
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("set a timer", []),
        ("set a timer for five minutes", [("duration", "five minutes", 300)]),
        ("a five minute timer and a ten minute timer",
         [("duration", "five minute", 300), ("duration", "ten minute", 600)]),
        ("wake me tomorrow at seven",
         [("when", "tomorrow at seven", When(clock=ClockTime(7), day=Day(days=1)))]),
        ("remind me in ten minutes", [("when", "in ten minutes", When(duration_s=600))]),
        # A bare hour is a time after some words, and else a number.
        ("cancel the alarm for seven", [("when", "for seven", When(clock=ClockTime(7)))]),
        ("the seven alarm", [("number", "seven", 7)]),
        ("a timer for fifty", [("number", "fifty", 50)]),
        # "The first" is a place in a list, "on the first" a date.
        ("cancel the first timer", [("ordinal", "first", 1)]),
        ("cancel the alarm on the first", [("when", "on the first", When(day=Day(day_of_month=1)))]),
        ("set the volume to forty", [("number", "forty", 40)]),
    ],
)  # fmt: skip
def test_the_longest_values_are_found(text: str, expected: list[tuple[str, str, Any]]) -> None:
    assert found(text) == expected


def test_no_more_than_a_few_values_are_marked() -> None:
    assert len(found(" and ".join(["five minutes"] * (MAX_SPANS + 2)))) == MAX_SPANS


def test_a_value_is_one_word_and_is_given_back_as_it_was_said() -> None:
    said = ["call", "mom", "in", "ten", "minutes", "please"]
    marked = mark(said, find_spans(said, load_language(), load_speech()))
    word = placeholder("when", 0)
    assert marked.text == f"call mom {word} please"
    assert marked.spans[word].value == When(duration_s=600)
    assert marked.restore(f"mom {word}") == "mom in ten minutes"


def test_a_sentence_is_read_in_several_ways_and_at_last_without_values() -> None:
    ways = [
        marked.text for marked in readings(["start", "a", "second", "timer"], load_language(), load_speech())
    ]
    assert ways[-1] == "start a second timer"
    assert "start qduration0 timer" in ways
    assert len(ways) == len({*ways})
