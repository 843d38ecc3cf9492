"""Makes a conversation one that every vendor takes: calls and results in pairs, no empty lines.

A turn that was cut short leaves calls without results behind, a trimmed history results without calls; sent
like that, either is refused with status 400, now and in every later turn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import msgspec

from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt

_BYTES_PER_TOKEN = 4
"""English takes about four bytes a token; other writing, longer in UTF-8, seldom more tokens than that."""

_TOKENS_PER_MESSAGE = 4
_USUAL_ANSWER_TOKENS = 256


def pair_tool_results(messages: Iterable[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Return ``messages`` without calls that have no result, results that have no call, and empty lines.

    A result counts when it comes right behind the call, with nothing but other results between them.
    """
    found: list[ChatMessage] = []
    asking: ChatMessage | None = None
    for is_tool, group in groupby(messages, lambda message: message.role == "tool"):
        if is_tool:
            found += _answered(asking, list(group))
            asking = None
            continue
        for message in group:
            found += _answered(asking, [])
            asking = message
    return (*found, *_answered(asking, []))


def _answered(asking: ChatMessage | None, results: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return a line and the results of its calls, as far as they belong together."""
    if asking is None:
        return []
    given = {result.call_id: result for result in reversed(results)}
    calls = tuple(call for call in asking.calls if call.id in given)
    if calls != asking.calls:
        asking = replace(asking, calls=calls, raw=None)
    kept = [asking] if calls or asking.text.strip() else []
    return kept + [given[call.id] for call in calls]


def vendor_data(message: ChatMessage, vendor: str) -> Any:
    """Return what ``vendor`` wants back word for word of an assistant's line, None when there is nothing."""
    return message.raw if message.raw_of == vendor else None


def estimate_tokens(prompt: Prompt) -> int:
    """Return about how many tokens ``prompt`` and its answer take: for limits, where a guess is enough."""
    texts = [prompt.instructions, *(message.text for message in prompt.messages)]
    texts += [call.arguments for message in prompt.messages for call in message.calls]
    size_bytes = sum(len(text.encode(errors="replace")) for text in texts)
    size_bytes += len(msgspec.json.encode(prompt.tools)) if prompt.tools else 0
    asked = prompt.max_output_tokens or _USUAL_ANSWER_TOKENS
    return size_bytes // _BYTES_PER_TOKEN + _TOKENS_PER_MESSAGE * len(prompt.messages) + asked
