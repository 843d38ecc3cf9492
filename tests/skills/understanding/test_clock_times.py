"""Times of day as people say them, and what they are in a part of the day."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.skills.understanding.clock_times import (
    certain_hour,
    clock_readers,
    is_possible,
    read_any_clock,
    read_clock,
)
from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.numbers import ClockTime, number_words, words
from voxd.skills.understanding.phrases import PhraseReading

ENGLISH = load_language("en")


def reading(said: list[str]) -> PhraseReading:
    return PhraseReading(said, clock_readers(ENGLISH))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7:30", ClockTime(7, 30)),
        ("6 30 a.m.", ClockTime(6, 30, "am")),
        ("7pm", ClockTime(7, 0, "pm")),
        ("7 p.m.", ClockTime(7, 0, "pm")),
        ("9 PM", ClockTime(9, 0, "pm")),
        ("8:36pm", ClockTime(8, 36, "pm")),
        ("836pm", ClockTime(8, 36, "pm")),
        ("8.30 pm", ClockTime(8, 30, "pm")),
        ("nine 05 p.m.", ClockTime(9, 5, "pm")),
        ("7:00 p.m.", ClockTime(7, 0, "pm")),
        ("half past seven", ClockTime(7, 30)),
        ("quarter past six p m", ClockTime(6, 15, "pm")),
        ("quarter to nine", ClockTime(8, 45)),
        ("a quarter to nine", ClockTime(8, 45)),
        ("ten to one", ClockTime(12, 50)),
        ("twenty five to eight", ClockTime(7, 35)),
        ("twenty five minutes past three", ClockTime(3, 25)),
        ("ten past six p m", ClockTime(6, 10, "pm")),
        ("quarter to thirteen", ClockTime(12, 45)),
        ("quarter past midnight", ClockTime(12, 15, "night")),
        ("ten minutes to midnight", ClockTime(11, 50, "pm")),
        ("quarter to midnight", ClockTime(11, 45, "pm")),
        ("twenty past noon", ClockTime(12, 20, "pm")),
        ("five to noon", ClockTime(11, 55, "am")),
        ("seven o'clock sharp", ClockTime(7)),
        ("seven p m sharp", ClockTime(7, 0, "pm")),
        ("seven o'clock", ClockTime(7)),
        ("7 o clock", ClockTime(7)),
        ("3 o'clock in the afternoon", ClockTime(3, 0, "pm")),
        ("seven in the morning", ClockTime(7, 0, "am")),
        ("seven in the evening", ClockTime(7, 0, "pm")),
        ("seven p m in the evening", ClockTime(7, 0, "pm")),
        ("two at night", ClockTime(2, 0, "night")),
        ("eleven at night", ClockTime(11, 0, "pm")),
        ("twelve at night", ClockTime(12, 0, "night")),
        ("six oh five", ClockTime(6, 5)),
        ("seven thirty", ClockTime(7, 30)),
        ("twenty fifteen", ClockTime(20, 15, "24")),
        ("nineteen thirty", ClockTime(19, 30, "24")),
        ("19:30", ClockTime(19, 30, "24")),
        ("19:00", ClockTime(19, 0, "24")),
        ("15:00 in the afternoon", ClockTime(15, 0, "24")),
        ("0700 hours", ClockTime(7, 0, "24")),
        ("0730", ClockTime(7, 30, "24")),
        ("fourteen hundred hours", ClockTime(14, 0, "24")),
        ("noon", ClockTime(12, 0, "24")),
        ("twelve noon", ClockTime(12, 0, "24")),
        ("midday", ClockTime(12, 0, "24")),
        ("midnight", ClockTime(12, 0, "night")),
        ("12 a.m.", ClockTime(12, 0, "am")),
    ],
)
def test_times_of_day(text: str, expected: ClockTime) -> None:
    said = words(text)
    assert read_clock(said, 0) == (expected, len(said))


@pytest.mark.parametrize(
    "text",
    [
        "seven", "twenty five", "25:10", "five to call", "ten past", "oh five", "half", "seven seventy five",
        "ten to fifteen minutes", "seven thirty percent", "8.30", "836", "half an hour", "one hundred",
        "zero zero seven", "half seven", "25 o'clock", "13 p m", "", "in the morning", "seven minutes",
    ],
)  # fmt: skip
def test_other_text_is_not_a_time_of_day(text: str) -> None:
    assert read_clock(words(text), 0) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("half seven", "half_hour"),
        ("half seven p m", "half_hour"),
        ("25 o'clock", "no_such_time"),
        ("24:00", "no_such_time"),
        ("13 p m", "no_such_time"),
        ("half past twenty five", "no_such_time"),
        ("seventy past six", "no_such_time"),
        ("3 am in the afternoon", "no_such_time"),
        ("eleven in the afternoon", "no_such_time"),
        ("noon in the evening", "half_day"),
        ("twelve in the morning", "half_day"),
        ("ten to twelve p m", "half_day"),
    ],
)
def test_times_that_are_not_clear(text: str, reason: str) -> None:
    said = words(text)
    found = read_any_clock(reading(said), 0, ENGLISH)
    assert found is not None
    assert (found[0].unclear, found[1]) == (reason, len(said))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seven", ClockTime(7)),
        ("730", ClockTime(7, 30)),
        ("8.30", ClockTime(8, 30)),
        ("twenty two", ClockTime(22, 0, "24")),
    ],
)
def test_after_a_prefix_a_number_is_an_hour(text: str, expected: ClockTime) -> None:
    said = words(text)
    found = read_any_clock(reading(said), 0, ENGLISH, prefixed=True)
    assert found is not None
    assert (found[0].clock, found[0].unclear, found[1]) == (expected, "", len(said))


@pytest.mark.parametrize("text", ["seven percent", "seven minutes", "seven hundred", "twenty five", "7.5"])
def test_after_a_prefix_other_numbers_are_not_hours(text: str) -> None:
    assert read_any_clock(reading(words(text)), 0, ENGLISH, prefixed=True) is None


SPELLINGS = [
    lambda hour, minute: f"{hour}:{minute:02}",
    lambda hour, minute: f"{number_words(hour)} {'oh ' if minute < 10 else ''}{number_words(minute)}",
    lambda hour, minute: f"{number_words(minute)} past {number_words(hour)}",
    lambda hour, minute: f"{minute} minutes after {hour}",
    lambda hour, minute: f"{60 - minute} to {hour % 12 + 1}",
]
HALVES = {"am": ["am", " a.m.", " AM"], "pm": ["pm", " p m", " P.M."]}


@settings(max_examples=150)
@given(
    hour=st.integers(1, 12),
    minute=st.integers(1, 59),
    spelling=st.sampled_from(SPELLINGS),
    half=st.sampled_from(["", "am", "pm"]),
    data=st.data(),
)
def test_a_time_survives_every_spelling(hour: int, minute: int, spelling, half: str, data) -> None:
    text = spelling(hour, minute)
    if text.endswith(" to 12") and half:
        return  # it asks which half is meant
    ending = data.draw(st.sampled_from(HALVES[half])) if half else ""
    said = words(text + (ending if text[-1].isdigit() else f" {ending}"))
    assert read_clock(said, 0) == (ClockTime(hour, minute, half), len(said))


@settings(max_examples=100)
@given(st.integers(0, 23), st.integers(0, 59))
def test_every_time_of_a_24_hour_clock_is_read(hour: int, minute: int) -> None:
    said = words(f"{hour:02}:{minute:02}")
    half = "24" if hour == 0 or hour > 12 else ""
    assert read_clock(said, 0) == (ClockTime(hour, minute, half), len(said))


@settings(max_examples=100)
@given(st.integers(1, 12), st.integers(0, 59), st.sampled_from(["am", "pm", "night"]))
def test_a_half_makes_the_hour_certain(hour: int, minute: int, half: str) -> None:
    clock = ClockTime(hour, minute, half)
    assert is_possible(clock)
    certain = certain_hour(clock)
    assert certain is not None
    assert certain % 12 == hour % 12
    assert certain in {"am": range(12), "pm": range(12, 24), "night": range(17, 29)}[half]
