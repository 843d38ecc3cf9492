"""Calls and results go in pairs, whatever a cut turn or a trimmed history left behind."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.providers.pipeline.stages.contract import ChatMessage, ToolCall
from voxd.providers.pipeline.stages.messages import pair_tool_results, sendable

A, B = ToolCall("a", "first", "{}"), ToolCall("b", "second", "{}")
ASK = ChatMessage("user", "Do it.")


def result(call: ToolCall, text: str = "done") -> ChatMessage:
    return ChatMessage("tool", text, call_id=call.id, tool=call.name)


def test_what_belongs_together_stays_as_it_is() -> None:
    whole = (
        ASK,
        ChatMessage("assistant", "Right.", (A, B), raw=["x"]),
        result(A),
        result(B),
        ChatMessage("user", "?"),
    )
    assert pair_tool_results(whole) == whole


def test_results_come_in_the_order_of_their_calls() -> None:
    assert pair_tool_results((ASK, ChatMessage("assistant", "", (A, B)), result(B), result(A)))[2:] == (
        result(A),
        result(B),
    )


def test_a_call_without_a_result_goes_and_takes_the_signed_thoughts_with_it() -> None:
    cut = (ASK, ChatMessage("assistant", "Right.", (A, B), raw=["signed"]), result(B), ASK)
    assert pair_tool_results(cut) == (ASK, ChatMessage("assistant", "Right.", (B,)), result(B), ASK)


def test_a_line_that_only_called_goes_with_its_calls() -> None:
    assert pair_tool_results((ASK, ChatMessage("assistant", " ", (A,)), ASK)) == (ASK, ASK)


def test_a_result_goes_when_its_call_does_not_come_right_before_it() -> None:
    assert pair_tool_results(
        (result(A), ASK, result(A), ChatMessage("assistant", "", (A,)), ASK, result(A))
    ) == (ASK, ASK)


def test_only_the_first_of_two_results_of_one_call_is_kept() -> None:
    said = ChatMessage("assistant", "", (A,))
    assert pair_tool_results((ASK, said, result(A, "one"), result(A, "two"))) == (ASK, said, result(A, "one"))


CALLS = st.lists(st.sampled_from([A, B]), unique=True).map(tuple)
MESSAGES = st.one_of(
    st.builds(ChatMessage, st.just("user"), st.sampled_from(["", " ", "hello"])),
    st.builds(ChatMessage, st.just("assistant"), st.sampled_from(["", "hello"]), CALLS),
    st.builds(result, st.sampled_from([A, B])),
)


@examples(80)
@given(st.lists(MESSAGES, max_size=12))
def test_any_conversation_becomes_one_that_vendors_take(messages: list[ChatMessage]) -> None:
    found = pair_tool_results(messages)
    due: list[str] = []
    for message in found:
        if message.role == "tool":
            assert message.call_id == due.pop(0)
            continue
        assert due == []
        assert message.text.strip() or message.calls
        due = [call.id for call in message.calls]
    assert due == []
    assert pair_tool_results(found) == found


def test_what_a_provider_sent_goes_back_to_it_alone_and_unchanged() -> None:
    odd = ToolCall("toolu_01-odd id", "f", '{ "a":1}')
    said = ChatMessage("assistant", "", (odd,), raw=["x"], raw_of="mine")
    result = ChatMessage("tool", "done", call_id=odd.id, tool="f")
    assert sendable((said, result), "mine") == (said, result)
    foreign, its_result = sendable((said, result), "other")
    assert foreign.raw is None
    assert re.fullmatch("[a-zA-Z0-9]{9}", foreign.calls[0].id)
    assert its_result.call_id == foreign.calls[0].id
    assert foreign.calls[0].arguments == odd.arguments


def test_arguments_that_are_no_object_are_not_sent_again() -> None:
    said = ChatMessage("assistant", "", (ToolCall("1", "f", '{"a": "cut o'),), raw_of="mine")
    sent, _ = sendable((said, ChatMessage("tool", "error", call_id="1", tool="f")), "mine")
    assert sent.calls[0].arguments == "{}"
