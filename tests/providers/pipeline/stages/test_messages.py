"""Calls and results go in pairs, whatever a cut turn or a trimmed history left behind."""

from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.providers.pipeline.stages.contract import Message, Prompt, ToolCall
from voxd.providers.pipeline.stages.messages import estimated_tokens, paired, raw_of
from voxd.providers.settings import ToolSpec

A, B = ToolCall("a", "first", "{}"), ToolCall("b", "second", "{}")
ASK = Message("user", "Do it.")


def result(call: ToolCall, text: str = "done") -> Message:
    return Message("tool", text, call_id=call.id, tool=call.name)


def test_what_belongs_together_stays_as_it_is() -> None:
    whole = (
        ASK,
        Message("assistant", "Right.", (A, B), raw=["x"]),
        result(A),
        result(B),
        Message("user", "?"),
    )
    assert paired(whole) == whole


def test_results_come_in_the_order_of_their_calls() -> None:
    assert paired((ASK, Message("assistant", "", (A, B)), result(B), result(A)))[2:] == (result(A), result(B))


def test_a_call_without_a_result_goes_and_takes_the_signed_thoughts_with_it() -> None:
    cut = (ASK, Message("assistant", "Right.", (A, B), raw=["signed"]), result(B), ASK)
    assert paired(cut) == (ASK, Message("assistant", "Right.", (B,)), result(B), ASK)


def test_a_line_that_only_called_goes_with_its_calls() -> None:
    assert paired((ASK, Message("assistant", " ", (A,)), ASK)) == (ASK, ASK)


def test_a_result_goes_when_its_call_does_not_come_right_before_it() -> None:
    assert paired((result(A), ASK, result(A), Message("assistant", "", (A,)), ASK, result(A))) == (ASK, ASK)


def test_only_the_first_of_two_results_of_one_call_is_kept() -> None:
    said = Message("assistant", "", (A,))
    assert paired((ASK, said, result(A, "one"), result(A, "two"))) == (ASK, said, result(A, "one"))


CALLS = st.lists(st.sampled_from([A, B]), unique=True).map(tuple)
MESSAGES = st.one_of(
    st.builds(Message, st.just("user"), st.sampled_from(["", " ", "hello"])),
    st.builds(Message, st.just("assistant"), st.sampled_from(["", "hello"]), CALLS),
    st.builds(result, st.sampled_from([A, B])),
)


@settings(max_examples=80)
@given(st.lists(MESSAGES, max_size=12))
def test_any_conversation_becomes_one_that_vendors_take(messages: list[Message]) -> None:
    found = paired(messages)
    due: list[str] = []
    for message in found:
        if message.role == "tool":
            assert message.call_id == due.pop(0)
            continue
        assert due == []
        assert message.text.strip() or message.calls
        due = [call.id for call in message.calls]
    assert due == []
    assert paired(found) == found


def test_what_is_raw_is_for_the_vendor_who_said_it() -> None:
    said = Message("assistant", "", raw=["x"], raw_of="anthropic")
    assert raw_of(said, "anthropic") == ["x"]
    assert raw_of(said, "openai") is None


def test_the_estimate_grows_with_all_that_is_sent() -> None:
    def size(**more: object) -> int:
        return estimated_tokens(Prompt("Be brief.", (ASK,), **more))  # type: ignore[arg-type]

    tool = ToolSpec("set_timer", "Set a timer. " * 10, {"type": "object"})
    assert size() == estimated_tokens(Prompt("Be brief.", (ASK,), max_output_tokens=256))
    assert size(tools=(tool,)) > size() + 30
    assert size(max_output_tokens=2000) == size() - 256 + 2000
    assert estimated_tokens(Prompt("", (Message("user", "漢字" * 100),))) >= 150 + 256
    assert estimated_tokens(Prompt("\ud800", ())) == 256
