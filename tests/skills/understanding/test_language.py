"""The words of each language: complete, and written as they are said."""

import pytest

from voxd.errors import ConfigError
from voxd.skills.understanding.language import languages, load_language
from voxd.skills.understanding.numbers import words
from voxd.skills.understanding.speech import load_speech


@pytest.mark.parametrize("code", languages())
def test_the_tables_of_a_language_are_complete(code: str) -> None:
    tables = load_language(code).tables
    assert len(tables.numbers.below_hundred) == len(set(tables.numbers.below_hundred)) == 100
    assert len(tables.numbers.ordinals) == len(set(tables.numbers.ordinals)) == 100
    assert tables.numbers.ordinal_scales.keys() == {tables.numbers.hundred, *tables.numbers.scales}
    assert len(tables.calendar.weekdays) == 7
    assert len(tables.calendar.months) == 12


@pytest.mark.parametrize("code", languages())
def test_the_words_are_written_as_they_are_said(code: str) -> None:
    language = load_language(code)
    numbers = language.tables.numbers
    for phrase in (*numbers.below_hundred, *numbers.ordinals, *language.temporal_words, *language.units):
        assert words(phrase, language) == phrase.split()


@pytest.mark.parametrize("code", languages())
def test_no_known_confusion_turns_a_word_into_its_opposite(code: str) -> None:
    opposites, misheard = load_language(code).opposites, load_speech(code).misheard
    assert [one for one in opposites if one[0] == one[1] or one[::-1] not in opposites] == []
    assert [
        (said, meant) for said, texts in misheard.items() for meant in texts if (said, meant) in opposites
    ] == []


def test_opposite_verbs_are_known() -> None:
    assert {
        ("mute", "unmute"),
        ("pause", "resume"),
        ("extend", "shorten"),
        ("cancel", "set"),
    } <= load_language().opposites


def test_temporal_words_are_those_of_times() -> None:
    temporal = load_language("en").temporal_words
    assert {
        "every",
        "tomorrow",
        "minutes",
        "monday",
        "mondays",
        "december",
        "noon",
        "pm",
        "later",
    } <= temporal
    assert not temporal & {"a", "at", "in", "on", "the", "to", "call", "seven"}


def test_an_unknown_language_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load_language("xx")
    assert "en" in (caught.value.hint or "")
