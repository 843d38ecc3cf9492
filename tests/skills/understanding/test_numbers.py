"""Words, numbers and ordinals: one way to write what is said."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voxd.skills.understanding.numbers import (
    MAX_NUMBER,
    number_words,
    ordinal_words,
    read_number,
    read_ordinal,
    words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What time is it?", "what time is it"),
        ("Set it for 7:30 a.m.", "set it for seven thirty a m"),
        ("wake me at 7AM", "wake me at seven am"),
        ("at 07:05", "at seven oh five"),
        ("at 19:00", "at nineteen o'clock"),
        ("7:00 p.m.", "seven o'clock p m"),
        ("7:75", "seven seventy five"),
        ("836pm", "eight thirty six pm"),
        ("8.30 pm", "eight point three zero pm"),
        ("nine 05 p.m.", "nine zero five p m"),
        ("0700 hours", "zero seven hundred hours"),
        ("agent 007", "agent zero zero seven"),
        ("Set the volume to 50%", "set the volume to fifty percent"),
        ("a 90-second timer", "a ninety second timer"),
        ("10min", "ten min"),
        ("1.5 hours", "one point five hours"),
        ("2½ minutes", "two and a half minutes"),
        ("2 1/2 minutes", "two and a half minutes"),
        ("1/2 hour", "half hour"),
        ("¾ of an hour", "three quarters of an hour"),
        ("24/7", "twenty four slash seven"),
        ("12/25", "twelve slash twenty five"),
        ("20-25 minutes", "twenty dash twenty five minutes"),
        ("1,000 seconds", "one thousand seconds"),
        ("1, 2, 3", "one two three"),
        ("5 - 3", "five minus three"),
        ("volume -5", "volume minus five"),
        ("5 + 3", "five plus three"),
        ("salt & pepper", "salt and pepper"),
        ("the 1st, the 22nd and the 30th", "the first the twenty second and the thirtieth"),
        ("1st floor", "first floor"),
        ("living-room light", "living room light"),
        ("Dr. Who", "dr who"),
        ("e.g.", "e g"),
        ("scene 7:30", "scene seven thirty"),
        ("7 o'clock", "seven o'clock"),
        ("It\u2019s fine", "it's fine"),
        ("the dogs' bowl 'now'", "the dogs bowl now"),
        ("… ?!", ""),
        ("Jürgen Müller", "jürgen müller"),
        ("Ju\u0308rgen", "jürgen"),
        ("Zoë's Straße", "zoë's straße"),
        ("Привет, Ольга", "привет ольга"),
        ("a_b", "a b"),
        ("2000000", "two million"),
        ("99999999999999 minutes", f"{number_words(MAX_NUMBER)} minutes"),
    ],
)
def test_text_becomes_words(text: str, expected: str) -> None:
    assert words(text) == expected.split()


@settings(max_examples=300)
@given(st.text(max_size=40) | st.text("0123456789:.,/-½% apm'stndrh", max_size=20))
@example("1/2/3")
@example("İstanbul ﬁ ǅ")
def test_words_stay_what_they_are(text: str) -> None:
    once = words(text)
    assert words(" ".join(once)) == once


@settings(max_examples=150)
@given(st.integers(0, MAX_NUMBER) | st.integers(0, 2000))
def test_a_number_survives_being_spoken(value: int) -> None:
    said = number_words(value).split()
    assert read_number(said, 0) == (value, len(said))
    assert words(str(value)) == words(f"{value:,}") == said


@settings(max_examples=150)
@given(st.integers(0, MAX_NUMBER) | st.integers(0, 2000))
def test_an_ordinal_survives_being_spoken(value: int) -> None:
    said = ordinal_words(value).split()
    assert words(f"{value}th") == said
    if value not in (100, 1000) and number_words(value).split()[0] != "zero":
        assert read_ordinal(said, 0) == (value, len(said))


@pytest.mark.parametrize(
    ("text", "value", "length"),
    [
        ("a hundred and five people", 105, 4),
        ("a thousand two hundred", 1200, 4),
        ("one hundred thousand", 100_000, 3),
        ("two million and five", 2_000_005, 4),
        ("twenty five", 25, 2),
        ("seven thirty", 7, 1),
        ("twenty and five", 20, 1),
        ("zero five", 0, 1),
    ],
)
def test_numbers(text: str, value: int, length: int) -> None:
    assert read_number(text.split(), 0) == (value, length)


@pytest.mark.parametrize("text", ["a timer", "hundred", "and five", "first", ""])
def test_other_words_are_not_numbers(text: str) -> None:
    assert read_number(text.split(), 0) is None


@pytest.mark.parametrize(
    ("text", "value", "length"),
    [("first one", 1, 1), ("twenty fifth of", 25, 2), ("one hundred and first", 101, 4), ("second", 2, 1)],
)
def test_ordinals(text: str, value: int, length: int) -> None:
    assert read_ordinal(text.split(), 0) == (value, length)


@pytest.mark.parametrize("text", ["two first", "twenty", "seconds", "five timers first", ""])
def test_other_words_are_not_ordinals(text: str) -> None:
    assert read_ordinal(text.split(), 0) is None
