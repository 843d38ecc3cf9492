"""A prompt fits the context of its model, and calls stay with their results."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock, settle
from tests.properties import examples
from tests.providers.pipeline.rig import Rig
from tests.providers.pipeline.stage_fakes import Brain
from voxd.errors import ConnectionFailed
from voxd.providers.pipeline.prompt import (
    count_to_summarise,
    group_exchanges,
    history_tokens,
    trim,
)
from voxd.providers.pipeline.stages.contract import ChatMessage, StageConfig, ToolCall
from voxd.providers.pipeline.stages.tokens import message_tokens
from voxd.providers.settings import ToolSpec


def test_instructions_tools_and_the_answer_need_room_too() -> None:
    empty = history_tokens(8000, "")
    assert empty == 7200 - 1024
    assert history_tokens(8000, "x" * 400) == empty - 100
    assert history_tokens(8000, "", [ToolSpec("f", "does", {})]) < empty
    assert history_tokens(8000, "", (), 100) == 7100
    assert history_tokens(100, "x" * 1000) == 0


LINES = st.lists(
    st.sampled_from(["u", "a", "c"]).map(
        lambda kind: {
            "u": [ChatMessage("user", "question " * 4)],
            "a": [ChatMessage("assistant", "answer " * 6)],
            "c": [
                ChatMessage("assistant", "", calls=(ToolCall("1", "f", "{}"),)),
                ChatMessage("tool", "result", call_id="1", tool="f"),
            ],
        }[kind]
    ),
    max_size=20,
).map(lambda groups: [message for group in groups for message in group])


@examples(50)
@given(LINES, st.integers(0, 300))
def test_the_newest_stay_in_order_and_no_result_without_its_call(
    messages: list[ChatMessage], tokens: int
) -> None:
    kept = trim(messages, tokens)
    assert list(kept) == messages[len(messages) - len(kept) :]
    if kept:
        assert kept[0].role != "tool"
    last = sum(map(message_tokens, group_exchanges(messages)[-1])) if messages else 0
    assert sum(map(message_tokens, kept)) <= max(tokens, last)
    if messages:
        assert kept, "the question itself is always asked"


def test_half_of_a_full_conversation_is_summarised() -> None:
    lines = [
        message
        for n in range(6)
        for message in (ChatMessage("user", "x" * 36), ChatMessage("assistant", "y" * 36))
    ]
    assert count_to_summarise(lines, 1000) == 0
    assert count_to_summarise(lines, 200) == 6
    assert count_to_summarise(lines[:2], 10) == 0


async def test_a_long_conversation_is_summarised_after_a_turn_for_the_next_prompt() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, "Well.", "Her name is Ada.", "Ada.")
    brain.config = StageConfig("brain", "scripted", options={"context_tokens": 800})
    async with Rig(clock=clock, llm=[brain], history="summarise", max_output_tokens=100) as rig:
        for number in range(8):
            await rig.provider.add_history("user", f"question {number} " + "x" * 120)
            await rig.provider.add_history("assistant", f"answer {number} " + "y" * 120)
        await rig.type("well")
        await settle()
        assert "question 0" in brain.prompts[1].messages[0].text
        await rig.type("who am I")
        last = brain.prompts[2]
        assert last.instructions.endswith("in short: Her name is Ada.")
        assert not any("question 0" in line.text for line in last.messages)
        assert last.messages[-1].text == "who am I"


async def test_a_summary_that_fails_changes_nothing() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, "Well.", (ConnectionFailed("gone"),), "Fine.")
    brain.config = StageConfig("brain", "scripted", options={"context_tokens": 800})
    async with Rig(clock=clock, llm=[brain], history="summarise", max_output_tokens=100) as rig:
        for number in range(14):
            await rig.provider.add_history("user", f"question {number} " + "x" * 120)
        await rig.type("well")
        await rig.type("and")
        assert rig.said == ["Well.", "Fine."]
        assert rig.errors == []
        assert len(brain.prompts) >= 3
        assert brain.prompts[2].instructions == "be brief"
