"""Makes a conversation valid for every vendor: calls with their results and ids, and no empty message.

An interrupted turn leaves calls without results, a trimmed history results without calls. Vendors reject
either with status 400, in this turn and in every later one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from voxd.providers.pipeline.stages.contract import ChatMessage, ToolCall
from voxd.providers.pipeline.stages.tool_calls import normalize_arguments, portable_id


def pair_tool_results(messages: Iterable[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Return ``messages`` without calls that lack a result, results that lack a call, and empty messages.

    A result belongs to a call when only other results are between them.
    """
    found: list[ChatMessage] = []
    caller: ChatMessage | None = None
    for is_tool, group in groupby(messages, lambda message: message.role == "tool"):
        if is_tool:
            found += _with_results(caller, list(group))
            caller = None
            continue
        for message in group:
            found += _with_results(caller, [])
            caller = message
    return (*found, *_with_results(caller, []))


def _with_results(caller: ChatMessage | None, results: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return a message and the results of its calls, without unpaired ones."""
    if caller is None:
        return []
    # Reversed, so that the first of two results for one call counts.
    by_call = {result.call_id: result for result in reversed(results)}
    calls = tuple(call for call in caller.calls if call.id in by_call)
    if calls != caller.calls:
        # The raw data still names the calls that are left out.
        caller = replace(caller, calls=calls, raw=None)
    kept = [caller] if calls or caller.text.strip() else []
    return kept + [by_call[call.id] for call in calls]


def sendable(messages: Iterable[ChatMessage], provider: str) -> tuple[ChatMessage, ...]:
    """Return ``messages`` as every server accepts them; ``provider`` is the name of the one that gets them.

    Calls and results are paired (`pair_tool_results`), and arguments are JSON. Raw data and ids go back
    unchanged to the provider that made them, and to no other: it would refuse the fields of another vendor,
    and each has its own rule for ids.
    """
    found: list[ChatMessage] = []
    ids: dict[str, str] = {}
    for message in pair_tool_results(messages):
        if message.role == "tool":
            found.append(replace(message, call_id=ids.get(message.call_id, message.call_id)))
            continue
        is_own = message.raw_of == provider
        ids = {call.id: call.id if is_own else portable_id(call.id) for call in message.calls}
        calls = tuple(
            ToolCall(ids[call.id], call.name, normalize_arguments(call.arguments)) for call in message.calls
        )
        found.append(replace(message, calls=calls, raw=message.raw if is_own else None))
    return tuple(found)
