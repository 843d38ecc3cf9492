"""What is remembered of a conversation, and of a reply that was cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.providers.history import MAX_ENTRIES, ConversationHistory, text_played

TEXT = "one two three four"


@pytest.mark.parametrize(
    ("played_ms", "heard"),
    [
        (0, ""),
        (100, ""),
        (299, "one"),
        (400, "one two"),
        (450, "one two"),
        (700, "one two"),
        (800, "one two three"),
        (999, "one two three"),
        (1000, TEXT),
        (5000, TEXT),
        (-5, ""),
    ],
)
def test_a_reply_is_cut_where_its_audio_was(played_ms: float, heard: str) -> None:
    assert text_played(TEXT, played_ms, 1000) == heard


def test_a_reply_without_sound_was_read() -> None:
    assert text_played(TEXT, 0, 0) == TEXT


@examples(50)
@given(st.text(alphabet="ab ", max_size=40), st.floats(-10, 2000), st.floats(0, 1000))
def test_the_played_text_is_a_beginning_in_whole_words(text: str, played_ms: float, sound_ms: float) -> None:
    heard = text_played(text, played_ms, sound_ms)
    assert text.startswith(heard)
    assert text.split()[: len(heard.split())] == heard.split()
    assert len(text_played(text, played_ms + 100, sound_ms)) >= len(heard)


def said(history: ConversationHistory) -> list[tuple[str, str]]:
    return [(line.role, line.text) for line in history.messages]


def test_a_question_with_a_late_transcript_precedes_its_answer() -> None:
    history = ConversationHistory()
    history.expect_user()
    history.reply_begins()
    history.reply_text("It is ", whole=False)
    history.add_transcript("what time is it")
    history.reply_text("noon.", whole=False)
    assert said(history) == [("user", "what time is it"), ("assistant", "It is noon.")]


def test_an_unexpected_transcript_precedes_the_reply_in_progress() -> None:
    history = ConversationHistory()
    history.reply_begins()
    history.reply_text("It is noon.", whole=True)
    history.add_transcript("what time is it")
    history.reply_ends()
    history.add_transcript("thanks")
    assert said(history) == [("user", "what time is it"), ("assistant", "It is noon."), ("user", "thanks")]


def test_a_question_without_a_transcript_leaves_no_gap() -> None:
    history = ConversationHistory()
    history.expect_user()
    history.expect_user()
    history.add_transcript("hello")
    assert said(history) == [("user", "hello")]


def test_the_whole_text_replaces_its_pieces() -> None:
    history = ConversationHistory()
    history.reply_begins()
    for piece in ("Hel", "lo ", "there"):
        history.reply_text(piece, whole=False)
    history.reply_text("Hello there.", whole=True)
    history.reply_text("And more.", whole=True)
    assert said(history) == [("assistant", "Hello there. And more.")]


def test_the_reply_before_a_tool_call_is_the_one_that_is_cut() -> None:
    history = ConversationHistory()
    history.reply_begins()
    history.reply_text("one two three four", whole=True)
    history.reply_sound(1000)
    history.reply_begins()
    assert history.truncate(450)
    assert said(history) == [("assistant", "one two")]


def test_a_cut_reply_can_be_cut_shorter_but_not_longer() -> None:
    history = ConversationHistory()
    history.reply_begins()
    history.reply_text(TEXT, whole=True)
    history.reply_sound(1000)
    assert history.truncate(800)
    assert not history.truncate(900)
    assert history.truncate(400)
    assert said(history) == [("assistant", "one two")]
    assert not history.truncate(None)


def test_only_the_last_reply_is_cut_and_only_until_the_next_question() -> None:
    history = ConversationHistory()
    for text in ("one", "two"):
        history.add("user", text)
        history.reply_begins()
        history.reply_text("well", whole=True)
        history.reply_sound(1000)
    assert history.truncate(0)
    assert not history.truncate(0)
    assert said(history) == [("user", "one"), ("assistant", "well"), ("user", "two")]
    history.add("user", "three")
    assert not history.truncate(0)
    history.reply_begins()
    assert not history.truncate(0)
    assert said(history)[1] == ("assistant", "well")


def test_pieces_of_the_next_reply_do_not_join_a_cut_one() -> None:
    history = ConversationHistory()
    history.reply_text("one two", whole=False)
    history.reply_sound(1000)
    history.truncate(500)
    history.reply_begins()
    history.reply_text("three", whole=False)
    assert said(history) == [("assistant", "one"), ("assistant", "three")]


def test_it_is_bounded() -> None:
    history = ConversationHistory()
    for number in range(MAX_ENTRIES + 5):
        history.add("user", str(number))
    history.reply_begins()
    history.add_transcript("late")
    assert len(history.messages) <= MAX_ENTRIES
    assert history.messages[0].text == "7"
    history.clear()
    assert history.messages == ()
