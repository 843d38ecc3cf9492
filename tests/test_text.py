"""How a reply is cut into pieces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.text import FIRST_PIECE_CHARS, MAX_PIECE_CHARS, sentences, strip_markdown


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("... ?!", []),
        ("Hello.", ["Hello."]),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It is 3.5 degrees. Bring a coat.", ["It is 3.5 degrees.", "Bring a coat."]),
        ("At 9.30 a.m. the train leaves.", ["At 9.30 a.m. the train leaves."]),
        ("Dr. Smith met Mr. T. He ran.", ["Dr. Smith met Mr. T. He ran."]),
        ("So do I. You too.", ["So do I.", "You too."]),
        ("See e.g. the U.S. report.", ["See e.g. the U.S. report."]),
        ('She said "no." Then left.', ['She said "no."', "Then left."]),
        ("Wait... what?", ["Wait...", "what?"]),
        ("First line\nSecond line", ["First line", "Second line"]),
        ("A\nlist:\n1. milk\n2. bread", ["A", "list:", "1. milk", "2. bread"]),
        ("# Title\n\n- **milk**\n- *bread*", ["Title", "milk", "bread"]),
        ("Use `ls` or [the docs](https://x.y/z).", ["Use ls or the docs."]),
        ("你好。再见。", ["你好。", "再见。"]),
        (
            "The timer for the eggs, which you set this morning, has three minutes left.",
            ["The timer for the eggs,", "which you set this morning, has three minutes left."],
        ),
    ],
)
def test_a_reply_is_cut_where_a_speaker_would_pause(text: str, pieces: list[str]) -> None:
    assert sentences(text) == pieces


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("two * three * four", "two * three * four"),
        ("snake_case_name", "snake_case_name"),
        ("```python\nx = 1\n```", "\nx = 1\n"),
        ("***bold***", "bold"),
        ("---", ""),
    ],
)
def test_markdown_is_not_read_aloud(text: str, read: str) -> None:
    assert strip_markdown(text) == read


plain = st.text(alphabet="ab c,.!?;:12\n'", max_size=600)


@settings(max_examples=50)
@given(plain)
def test_no_word_is_lost_or_moved(text: str) -> None:
    def letters(given: str) -> str:
        return "".join(letter for letter in given if letter.isalnum())

    assert letters("".join(sentences(text))) == letters(text)


@settings(max_examples=50)
@given(plain)
def test_no_piece_is_empty_or_too_long(text: str) -> None:
    for piece in sentences(text):
        assert any(letter.isalnum() for letter in piece)
        assert len(piece) <= MAX_PIECE_CHARS


@settings(max_examples=50)
@given(st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=12), min_size=1, max_size=40))
def test_words_survive_whole(words: list[str]) -> None:
    assert " ".join(sentences(", ".join(words))).replace(",", "").split() == words


def test_the_first_piece_of_a_long_sentence_is_short() -> None:
    first = sentences("Well, I think that, all things considered, we had better wait for the next bus.")[0]
    assert len(first) <= FIRST_PIECE_CHARS
