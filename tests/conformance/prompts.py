"""Conversations that between them use everything a model can be sent."""

from tests.providers.vendors.llm_contract import TIMER
from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt, ToolCall

_CALLS = (
    ToolCall("call_1", "set_timer", '{"seconds": 5}'),
    ToolCall("call_2", "set_timer", '{"seconds": 9}'),
)
_RESULTS = (
    ChatMessage("tool", "done", call_id="call_1", tool="set_timer"),
    ChatMessage("tool", "no", call_id="call_2", tool="set_timer", ok=False),
)

PLAIN = Prompt("", (ChatMessage("user", "Hello."),))
LIMITED = Prompt("Be brief.", (ChatMessage("user", "Hello."),), max_output_tokens=200)
WARM = Prompt("Be brief.", (ChatMessage("user", "Hello."),), temperature=0.5)
TOOLS = Prompt(
    "Be brief.",
    (
        ChatMessage("user", "Set two timers."),
        ChatMessage("assistant", "Right.", _CALLS),
        *_RESULTS,
        ChatMessage("assistant", "One of them runs."),
        ChatMessage("user", "And again."),
        ChatMessage("assistant", "", _CALLS),
        *_RESULTS,
        ChatMessage("user", "Hurry."),
    ),
    (TIMER,),
)

ALL = {"plain": PLAIN, "limited": LIMITED, "tools": TOOLS}
