"""How a reply is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.text import (
    FIRST_PIECE_CHARS,
    MAX_HELD_CHARS,
    MAX_PIECE_CHARS,
    MIN_CLAUSE_CHARS,
    ClauseSplitter,
    sentences,
    strip_markdown,
)


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


@examples(50)
@given(plain)
def test_no_word_is_lost_or_moved(text: str) -> None:
    def letters(given: str) -> str:
        return "".join(letter for letter in given if letter.isalnum())

    assert letters("".join(sentences(text))) == letters(text)


@examples(50)
@given(plain)
def test_no_piece_is_empty_or_too_long(text: str) -> None:
    for piece in sentences(text):
        assert any(letter.isalnum() for letter in piece)
        assert len(piece) <= MAX_PIECE_CHARS


@examples(50)
@given(st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=12), min_size=1, max_size=40))
def test_words_survive_whole(words: list[str]) -> None:
    assert " ".join(sentences(", ".join(words))).replace(",", "").split() == words


def test_the_first_piece_of_a_long_sentence_is_short() -> None:
    first = sentences("Well, I think that, all things considered, we had better wait for the next bus.")[0]
    assert len(first) <= FIRST_PIECE_CHARS


def cut(text: str, size: int | None = None) -> list[str]:
    clauses = ClauseSplitter()
    chunks = [text] if size is None else [text[at : at + size] for at in range(0, len(text), size)]
    pieces = [piece for chunk in chunks for piece in clauses.feed(chunk)]
    return pieces + clauses.finish()


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("... ?!", []),
        ("Yes.", ["Yes."]),
        ("Sure! Here it is.", ["Sure!", "Here it is."]),
        (
            "The timer for the eggs, which you set today, has a minute left. It rings soon, I think.",
            ["The timer for the eggs,", "which you set today, has a minute left.", "It rings soon, I think."],
        ),
        ("Well, yes, it does.", ["Well, yes, it does."]),
        ("It is 3.14, or 1,000. Or 10:30.", ["It is 3.14, or 1,000.", "Or 10:30."]),
        ("Dr. Smith met J. R. Tolkien. He ran.", ["Dr. Smith met J. R. Tolkien.", "He ran."]),
        ("At 9.30 a.m. the U.S. train leaves.", ["At 9.30 a.m. the U.S. train leaves."]),
        ("So do I. You too.", ["So do I.", "You too."]),
        ("Wait... what?", ["Wait...", "what?"]),
        ('He said "no." Then left.', ['He said "no."', "Then left."]),
        (
            "See https://a.example/x.html?y=1, or not. Bye.",
            ["See https://a.example/x.html?y=1,", "or not.", "Bye."],
        ),
        ("See [the docs. All](https://x.y/z.a) now. Bye.", ["See the docs. All now.", "Bye."]),
        ("Use [this](https://x.y/z). Bye.", ["Use this.", "Bye."]),
        (
            "# Title\n\n- **milk**\n- *bread*\n1. eggs\n2. ham",
            ["Title", "milk", "bread", "1. eggs", "2. ham"],
        ),
        ("**Note. This matters.** Then go.", ["Note.", "This matters.", "Then go."]),
        ("Use `ls` in snake_case_dir. 2 * 3 is 6.", ["Use ls in snake_case_dir.", "2 * 3 is 6."]),
        ("Code:\n```python\nx = 1\n```\nDone.", ["Code:", "x = 1", "Done."]),
        ("```ls -l``` lists. Bye.", ["ls -l lists. Bye."]),
        (
            "| Day | High. Low |\n|---|:--:|\n| Mon | 3 |\nEnd.",
            ["Day, High. Low", "Mon, 3", "End."],
        ),
        ("Hi \U0001f600! It is 20 °C. \U0001f44d\U0001f3fd", ["Hi !", "It is 20 °C."]),
        ("你好。再见！好", ["你好。", "再见！", "好"]),  # noqa: RUF001
        ("First line\nSecond line", ["First line", "Second line"]),
        ("We went out - and came back. Yes.", ["We went out -", "and came back.", "Yes."]),
    ],
)
def test_an_answer_is_cut_where_a_speaker_would_pause(text: str, pieces: list[str]) -> None:
    assert cut(text) == pieces


def test_the_first_clause_goes_out_before_the_sentence_is_written() -> None:
    clauses = ClauseSplitter()
    assert clauses.feed("In that case,") == []
    assert clauses.feed(" ") == ["In that case,"]
    assert clauses.feed("I would, if I were you, go") == []
    assert clauses.rest == "I would, if I were you, go"


def test_nothing_is_held_back_for_ever() -> None:
    clauses = ClauseSplitter()
    assert clauses.feed("word " * 60)
    assert ClauseSplitter().feed("[" + "word " * (MAX_HELD_CHARS // 5))
    assert clauses.feed("x" * (MAX_PIECE_CHARS + 1))


ANYTHING = st.text(alphabet="ab 1,.!?;:()[]|`*_#->~\n。é\U0001f600", max_size=500)
PLAIN = st.text(alphabet="ab cdE,.!?;:12|*_\n-'\"", max_size=700)


@examples(50)
@given(ANYTHING, st.integers(1, 40))
def test_the_pieces_do_not_depend_on_how_the_letters_come(text: str, size: int) -> None:
    assert cut(text, size) == cut(text)


@examples(50)
@given(PLAIN)
def test_joined_the_pieces_hold_every_word(text: str) -> None:
    def letters(given: str) -> str:
        return "".join(letter for letter in given if letter.isalnum())

    assert letters("".join(cut(text))) == letters(text)


@examples(50)
@given(
    st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=12), min_size=1, max_size=60),
    st.integers(1, 9),
)
def test_words_survive_the_clause_splitter(words: list[str], size: int) -> None:
    assert " ".join(cut(", ".join(words), size)).replace(",", "").split() == words


@examples(50)
@given(ANYTHING)
def test_no_clause_is_empty_or_too_long(text: str) -> None:
    for piece in cut(text):
        assert any(letter.isalnum() for letter in piece)
        assert len(piece) <= MAX_HELD_CHARS


def test_a_first_clause_is_never_a_stump() -> None:
    assert len(cut("No, I would not do that, if I were you, friend.")[0]) >= MIN_CLAUSE_CHARS
