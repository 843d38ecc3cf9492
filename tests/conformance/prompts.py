"""Conversations that between them use everything a model can be told."""

from tests.providers.vendors.llm_contract import TIMER
from voxd.providers.pipeline.stages.contract import Message, Prompt, ToolCall

_CALLS = (
    ToolCall("call_1", "set_timer", '{"seconds": 5}'),
    ToolCall("call_2", "set_timer", '{"seconds": 9}'),
)
_RESULTS = (
    Message("tool", "done", call_id="call_1", tool="set_timer"),
    Message("tool", "no", call_id="call_2", tool="set_timer", ok=False),
)

PLAIN = Prompt("", (Message("user", "Hello."),))
LIMITED = Prompt("Be brief.", (Message("user", "Hello."),), max_output_tokens=200)
WARM = Prompt("Be brief.", (Message("user", "Hello."),), temperature=0.5)
TOOLS = Prompt(
    "Be brief.",
    (
        Message("user", "Set two timers."),
        Message("assistant", "Right.", _CALLS),
        *_RESULTS,
        Message("assistant", "One of them runs."),
        Message("user", "And again."),
        Message("assistant", "", _CALLS),
        *_RESULTS,
        Message("user", "Hurry."),
    ),
    (TIMER,),
)

ALL = {"plain": PLAIN, "limited": LIMITED, "tools": TOOLS}
