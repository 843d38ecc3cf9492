"""A conversation holds what was heard, with calls and results in pairs."""

import pytest

from voxd.providers.pipeline.conversation import (
    MAX_MESSAGES,
    ChatHistory,
    SpokenAnswer,
    SpokenPiece,
    add_summary,
    played_text,
)
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, ToolCall

SPOKEN = [SpokenPiece("One two.", 100, whole=True), SpokenPiece(" Three four.", 150, whole=True)]


@pytest.mark.parametrize(
    ("played_ms", "words"),
    [
        (0, ""),
        (50, "One"),
        (100, "One two."),
        (120, "One two."),
        (100 + 90, "One two. Three"),
        (250, "One two. Three four."),
        (9999, "One two. Three four."),
    ],
)
def test_clauses_that_were_played_were_heard(played_ms: float, words: str) -> None:
    assert played_text(SPOKEN, played_ms) == words


def test_a_clause_whose_sound_stopped_is_not_taken_as_whole() -> None:
    cut = [SPOKEN[0], SpokenPiece(" Three four five six.", 120)]
    assert played_text(cut) == "One two. Three"
    assert played_text([SpokenPiece("One two three.", 65 * 4)]) == "One"


def test_words_without_sound_were_read() -> None:
    assert played_text([SpokenPiece("One "), SpokenPiece("two.")], 0.0) == "One two."


def test_what_a_vendor_signed_is_gone_when_the_answer_was_cut() -> None:
    conversation = ChatHistory()
    answer = SpokenAnswer(list(SPOKEN))
    answer.complete(Completion("stop", raw="signed"), "anthropic")
    conversation.add_question("count")
    conversation.add_answer(answer)
    assert conversation.messages[-1].raw == "signed"
    conversation.truncate(100)
    assert conversation.messages[-1] == ChatMessage("assistant", "One two.")
    conversation.truncate(0)
    assert conversation.messages[-1].text == "One two.", "it is cut once"


def test_what_a_vendor_signed_stays_with_the_calls_of_an_answer_that_was_cut() -> None:
    conversation = ChatHistory()
    call = ToolCall("1", "f", "{}")
    answer = SpokenAnswer(list(SPOKEN))
    answer.complete(Completion("tool_calls", (call,), raw="signed"), "mine")
    conversation.add_question("count")
    conversation.add_answer(answer)
    conversation.truncate(100)
    assert conversation.messages[1] == ChatMessage(
        "assistant", "One two.", (call,), raw="signed", raw_of="mine"
    )


def test_an_id_that_comes_again_is_another_one() -> None:
    conversation = ChatHistory()
    calls = (ToolCall("call_0", "f", "{}"), ToolCall("call_1", "f", "{}"))
    conversation.add_question("one")
    conversation.add_answer(SpokenAnswer(calls=calls[:1]))
    again, new = conversation.with_new_ids(calls)
    assert again.id != "call_0"
    assert new == calls[1]


def test_an_answer_of_which_nothing_was_heard_was_not_given() -> None:
    conversation = ChatHistory()
    conversation.add_question("count")
    conversation.add_answer(SpokenAnswer(list(SPOKEN)))
    conversation.truncate(0)
    assert [line.text for line in conversation.messages] == ["count"]


def test_results_follow_their_calls_and_unknown_ones_are_dropped() -> None:
    conversation = ChatHistory()
    answer = SpokenAnswer(calls=(ToolCall("1", "f", "{}"), ToolCall("2", "g", "{}")))
    conversation.add_question("go")
    conversation.add_answer(answer)
    conversation.add_result("2", "two")
    conversation.add_result("9", "unknown call")
    conversation.add_question("go on")
    messages = [(line.role, line.text, line.call_id, line.ok) for line in conversation.messages]
    assert messages[2] == ("tool", "not run: the user went on", "1", False)
    assert messages[3] == ("tool", "two", "2", True)
    assert messages[4] == ("user", "go on", "", True)
    conversation.add_result("1", "one, late")
    assert conversation.messages[2].text == "one, late"


def test_it_is_bounded_and_begins_with_a_question() -> None:
    conversation = ChatHistory()
    for number in range(MAX_MESSAGES):
        conversation.add("user", f"q{number}")
        conversation.add("assistant", f"a{number}")
    assert len(conversation.messages) <= MAX_MESSAGES
    assert conversation.messages[0].role == "user"


def test_summarised_messages_are_replaced_by_the_summary() -> None:
    conversation = ChatHistory()
    conversation.add_question("one")
    conversation.add_answer(SpokenAnswer([SpokenPiece("a")], calls=(ToolCall("1", "f", "{}"),)))
    conversation.add_question("two")
    conversation.replace_oldest(3, "they spoke")
    assert [line.text for line in conversation.messages] == ["two"]
    assert add_summary("be brief", conversation.summary) == (
        "be brief\n\nWhat was said before, in short: they spoke"
    )
    assert add_summary("be brief", "") == "be brief"
