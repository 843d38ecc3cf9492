"""What Anthropic's Messages API is asked, in both of its versions (reference/providers.md, section 3)."""

import re
from collections.abc import Iterator, Sequence
from itertools import dropwhile
from typing import Any, Literal

import msgspec

from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt
from voxd.providers.pipeline.stages.messages import pair_tool_results, vendor_data
from voxd.providers.pipeline.stages.tool_calls import parse_arguments, portable_id

Json = dict[str, Any]

Version = Literal["2026-10-21", "2023-06-01"]
NEW: Version = "2026-10-21"
OLD: Version = "2023-06-01"

MAX_OUTPUT_TOKENS = 4096
"""The vendor wants a limit. Nobody listens to an answer longer than this; thoughts count as well."""

_VERSION = re.compile(r"claude-(?:(?P<family>[a-z]+)-)?(?P<major>\d)(?:-(?P<minor>\d{1,2}))?(?!\d)")


class AnthropicOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of this kind.

    ``api_version`` also decides how the key is told. ``cache``: "5m" or "1h" to have the vendor remember
    what is the same in every request, which he bills less. ``body``: more fields of the request, such as
    ``thinking``.
    """

    api_version: Version = NEW
    cache: Literal["", "5m", "1h"] = ""
    body: Json = msgspec.field(default_factory=dict)


def messages_body(prompt: Prompt, model: str, vendor: str, options: AnthropicOptions) -> Json:
    """Return the body of a request."""
    body: Json = {
        "model": model,
        "max_tokens": prompt.max_output_tokens or MAX_OUTPUT_TOKENS,
        "messages": messages_of(prompt.messages, vendor),
        "stream": True,
    }
    if prompt.instructions:
        body["system"] = prompt.instructions
    if prompt.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in prompt.tools
        ]
    if prompt.temperature is not None and takes_temperature(model, options.api_version):
        body["temperature"] = min(prompt.temperature, 1.0)
    if options.cache:
        body["cache_control"] = {"type": "ephemeral", "ttl": options.cache}
    return body | options.body


def takes_temperature(model: str, api_version: str) -> bool:
    """Return whether a temperature is not refused: reference/providers.md, section 0, row 7."""
    if api_version != OLD:
        return False
    found = _VERSION.search(model)
    if found is None:
        return "claude" not in model
    version = (int(found["major"]), int(found["minor"] or 0))
    return version < ((4, 7) if found["family"] == "opus" else (5, 0))


def messages_of(messages: Sequence[ChatMessage], vendor: str) -> list[Json]:
    """Return the conversation: it begins with the user, and the roles take turns.

    All results of one answer's calls have to be in one message, before anything else the user says.
    """
    found: list[Json] = []
    for message in dropwhile(lambda message: message.role != "user", pair_tool_results(messages)):
        role = "assistant" if message.role == "assistant" else "user"
        if found and found[-1]["role"] == role:
            found[-1]["content"] += _blocks(message, vendor)
        else:
            found.append({"role": role, "content": list(_blocks(message, vendor))})
    return found


def _blocks(message: ChatMessage, vendor: str) -> list[Json]:
    if message.role == "tool":
        failed = {} if message.ok else {"is_error": True}
        result = {"type": "tool_result", "tool_use_id": portable_id(message.call_id), "content": message.text}
        return [result | failed]
    written = list(_written(message))
    raw = vendor_data(message, vendor)
    return list(raw) if isinstance(raw, list) and _calls(raw) == _calls(written) else written


def _written(message: ChatMessage) -> Iterator[Json]:
    if message.text.strip():
        yield {"type": "text", "text": message.text}
    for call in message.calls:
        yield {
            "type": "tool_use",
            "id": portable_id(call.id),
            "name": call.name,
            "input": parse_arguments(call.arguments),
        }


def _calls(blocks: Sequence[Json]) -> list[str]:
    """Return the calls in ``blocks``: one that got no result, and so is left out, may not come back."""
    return [block["id"] for block in blocks if block["type"] == "tool_use"]
