"""Polite words are stripped from the edges, and phrases are found."""

import pytest

from voxd.skills.understanding.numbers import words
from voxd.skills.understanding.speech import find_phrases, load_speech, strip_edges


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("set a timer", "set a timer"),
        ("please set a timer", "set a timer"),
        ("hey could you please set a timer for me thanks", "set a timer"),
        ("okay so i would like you to set a timer please", "set a timer"),
        # The shorter polite word is stripped too: "can you hear me" is a sentence of its own.
        ("please can you hear me", "can you hear me"),
        ("thanks", "thanks"),
        ("please", "please"),
    ],
)
def test_polite_words_go_one_after_the_other(text: str, stripped: str) -> None:
    ways = [" ".join(way) for way in strip_edges(tuple(text.split()), load_speech())]
    assert stripped in ways
    assert ways[0] == text
    assert [len(way.split()) for way in ways] == sorted((len(way.split()) for way in ways), reverse=True)
    assert len(ways) == len({*ways})


def test_words_inside_a_sentence_stay() -> None:
    said = ("remind", "me", "to", "thank", "you")
    assert all("thank" in way or way[-1] == "to" for way in strip_edges(said, load_speech()))


def test_the_longest_phrase_at_each_place_is_found() -> None:
    said = ("no", "sorry", "ten", "no")
    assert find_phrases(said, ("no", "no sorry")) == [(0, 2), (3, 4)]
    assert find_phrases(said, ("yes",)) == []
    assert find_phrases((), ("no",)) == []


def test_the_phrases_are_written_as_they_are_said() -> None:
    speech = load_speech()
    phrases = (
        *speech.polite_start, *speech.polite_end, *speech.hesitation, *speech.corrections, *speech.joints,
        *speech.retractions, *speech.instead_of, *speech.conditions, *speech.questions, *speech.nouns,
        *speech.not_in_names, *speech.not_in_references, *speech.rewrites, *speech.misheard,
        *(text for texts in speech.misheard.values() for text in texts),
    )  # fmt: skip
    assert sorted(phrase for phrase in phrases if words(phrase) != phrase.split()) == []
