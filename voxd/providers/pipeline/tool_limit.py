"""Ends the tool calls of a turn: calls beyond the limit are not run, and the model is asked to answer."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from voxd.errors import NoAnswer
from voxd.providers.events import OnEvent, ToolCallsStopped
from voxd.providers.pipeline.llm_chain import AnswerEnd, AnswerEvent, Restart
from voxd.providers.pipeline.stages.contract import ChatMessage, TextChunk
from voxd.providers.tools import NOT_RUN, NextRound, ToolRounds

AnswerWithoutTools = Callable[[tuple[ChatMessage, ...]], AsyncGenerator[AnswerEvent]]
"""Returns the answer to the conversation followed by these messages, without tools."""


async def limited(
    answer: AsyncGenerator[AnswerEvent],
    rounds: ToolRounds,
    answer_without_tools: AnswerWithoutTools,
    on_event: OnEvent,
) -> AsyncGenerator[AnswerEvent]:
    """Yield ``answer``, and instead of an end with calls beyond the limit one more answer.

    Raises `NoAnswer` (code ``tool_loop``) when that one only calls tools too.
    """
    text, end = "", None
    async with aclosing(answer) as events:
        async for event in events:
            if isinstance(event, AnswerEnd) and _is_beyond(event, rounds):
                end = event
                break
            if isinstance(event, TextChunk):
                text += event.text
            elif isinstance(event, Restart):
                text = ""
            yield event
    if end is None:
        return
    on_event(ToolCallsStopped(end.provider, rounds.run, NextRound.ANSWER_WITHOUT_TOOLS))
    if text:
        # The words so far are a piece of the answer, not the beginning of its next word.
        yield TextChunk("\n")
    try:
        async with aclosing(answer_without_tools(_not_run(text, end))) as events:
            async for event in events:
                yield event
    except NoAnswer as error:
        if error.code == "tool_loop":
            on_event(ToolCallsStopped(error.provider, rounds.run, NextRound.STOP))
        raise


def _is_beyond(end: AnswerEnd, rounds: ToolRounds) -> bool:
    calls = [(call.name, call.arguments) for call in end.completion.calls]
    return bool(calls) and rounds.next_round(calls) is not NextRound.RUN


def _not_run(text: str, end: AnswerEnd) -> tuple[ChatMessage, ...]:
    """Return the calls of ``end`` and a result for each of them."""
    calls = end.completion.calls
    said = ChatMessage("assistant", text.strip(), calls, raw=end.completion.raw, raw_of=end.provider)
    return said, *(ChatMessage("tool", NOT_RUN, call_id=call.id, tool=call.name, ok=False) for call in calls)
