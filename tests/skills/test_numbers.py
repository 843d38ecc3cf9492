"""Numbers, durations and times as people say them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.skills.numbers import ClockTime, number_words, read_clock, read_duration, read_number, words
from voxd.skills.replies import duration_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What time is it?", "what time is it"),
        ("Set it for 7:30 a.m.", "set it for seven thirty a m"),
        ("wake me at 7AM", "wake me at seven am"),
        ("at 07:05", "at seven oh five"),
        ("at 19:00", "at nineteen o'clock"),
        ("Set the volume to 50%", "set the volume to fifty percent"),
        ("a 90-second timer", "a ninety second timer"),
        ("1.5 hours", "one point five hours"),
        ("It\u2019s fine", "it's fine"),
        ("… ?!", ""),
        ("99999999999 minutes", "nine hundred ninety nine thousand nine hundred ninety nine minutes"),
        ("Grüße", "gr e"),
    ],
)
def test_text_becomes_words(text: str, expected: str) -> None:
    assert words(text) == expected.split()


@settings(max_examples=100)
@given(st.integers(0, 999_999))
def test_a_number_survives_being_spoken(value: int) -> None:
    said = number_words(value).split()
    assert read_number(said, 0) == (value, len(said))


@settings(max_examples=60)
@given(st.integers(0, 999_999))
def test_digits_and_words_are_read_alike(value: int) -> None:
    assert words(str(value)) == number_words(value).split()


@settings(max_examples=60)
@given(st.integers(1, 59), st.sampled_from([("second", 1), ("minute", 60), ("hour", 3600)]))
def test_a_duration_survives_being_spoken(count: int, unit: tuple[str, int]) -> None:
    seconds = count * unit[1]
    said = words(duration_words(seconds))
    assert read_duration(said, 0) == (seconds, len(said))


@settings(max_examples=60)
@given(st.text(max_size=40))
def test_no_text_breaks_the_readers(text: str) -> None:
    said = words(text)
    for start in range(len(said) + 1):
        read_number(said, start)
        read_duration(said, start)
        read_clock(said, start)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("five minutes", 300),
        ("ten minute", 600),
        ("90 seconds", 90),
        ("twenty five seconds", 25),
        ("an hour", 3600),
        ("an hour and a half", 5400),
        ("one and a half hours", 5400),
        ("two and a half minutes", 150),
        ("a minute and a half", 90),
        ("half an hour", 1800),
        ("a quarter of an hour", 900),
        ("three quarters of an hour", 2700),
        ("1 hour and 20 minutes", 4800),
        ("one hour twenty minutes and five seconds", 4805),
        ("a couple of minutes", 120),
        ("one hundred and five seconds", 105),
        ("1.5 hours", 5400),
        ("two days", 172_800),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    said = words(text)
    assert read_duration(said, 0) == (seconds, len(said))


@pytest.mark.parametrize("text", ["five", "minutes", "half past seven", "a pizza", "an", "", "five o'clock"])
def test_other_text_is_not_a_duration(text: str) -> None:
    assert read_duration(words(text), 0) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7:30", ClockTime(7, 30)),
        ("6 30 a.m.", ClockTime(6, 30, "am")),
        ("half past seven", ClockTime(7, 30)),
        ("quarter past six p m", ClockTime(6, 15, "pm")),
        ("quarter to nine", ClockTime(8, 45)),
        ("a quarter to nine", ClockTime(8, 45)),
        ("ten to one", ClockTime(12, 50)),
        ("twenty five minutes past three", ClockTime(3, 25)),
        ("nine p m", ClockTime(9, 0, "pm")),
        ("9 PM", ClockTime(9, 0, "pm")),
        ("seven o'clock", ClockTime(7)),
        ("seven in the evening", ClockTime(7, 0, "pm")),
        ("six oh five", ClockTime(6, 5)),
        ("twenty fifteen", ClockTime(20, 15)),
        ("noon", ClockTime(12, 0, "24")),
        ("midnight", ClockTime(0, 0, "24")),
    ],
)
def test_times_of_day(text: str, expected: ClockTime) -> None:
    said = words(text)
    assert read_clock(said, 0) == (expected, len(said))


@pytest.mark.parametrize(
    "text", ["seven", "twenty five", "25:10", "five to call", "ten past", "oh five", "half"]
)
def test_other_text_is_not_a_time_of_day(text: str) -> None:
    assert read_clock(words(text), 0) is None
