"""The Messages API of Anthropic: the request body, in both API versions, and the streamed reply."""

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import dropwhile
from typing import Any

from voxd.providers.json_fields import Json, count, label, mapping, number, rows, words
from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt, ToolCall
from voxd.providers.pipeline.stages.messages import sendable
from voxd.providers.pipeline.stages.reply_reader import ReplyReader
from voxd.providers.pipeline.stages.tool_calls import new_id, parse_arguments
from voxd.providers.usage import Usage
from voxd.providers.vendors.anthropic.options import OLD, AnthropicOptions

MAX_OUTPUT_TOKENS = 4096
"""The field is required. A spoken reply is never this long, but reasoning counts too."""

# "claude-opus-4-7", "claude-3-5-haiku-20241022", "claude-sonnet-5-5": a date at the end is not a version.
_VERSION = re.compile(r"claude-(?:(?P<family>[a-z]+)-)?(?P<major>\d)(?:-(?P<minor>\d{1,2}))?(?!\d)")


def messages_body(prompt: Prompt, model: str, provider: str, options: AnthropicOptions) -> Json:
    """Return the body of a streaming request to the provider ``provider``."""
    body: Json = {
        "model": model,
        "max_tokens": prompt.max_output_tokens or MAX_OUTPUT_TOKENS,
        "messages": messages_of(prompt.messages, provider),
        "stream": True,
    }
    if prompt.instructions:
        body["system"] = prompt.instructions
    if prompt.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in prompt.tools
        ]
        # Calls in the conversation need the tools, also where no further call is allowed.
        body |= {} if prompt.may_call else {"tool_choice": {"type": "none"}}
    if prompt.temperature is not None and takes_temperature(model, options.api_version):
        # Anthropic's range ends at 1.0, OpenAI's at 2.0.
        body["temperature"] = min(prompt.temperature, 1.0)
    if options.cache:
        body["cache_control"] = {"type": "ephemeral", "ttl": options.cache}
    return body | options.fields()


def takes_temperature(model: str, api_version: str) -> bool:
    """Whether ``model`` accepts a temperature; otherwise the request would fail with 400."""
    # Removed in version 2026-10-21; rejected on any version by Opus 4.7 and later, and by models 5.x.
    if api_version != OLD:
        return False
    found = _VERSION.search(model)
    if found is None:
        return "claude" not in model
    version = (int(found["major"]), int(found["minor"] or 0))
    return version < ((4, 7) if found["family"] == "opus" else (5, 0))


def messages_of(messages: Sequence[ChatMessage], provider: str) -> list[Json]:
    """Return the conversation in the required form: it starts with the user, and the roles alternate."""
    # The results of all calls of one reply must be in one message, before any text of the user.
    found: list[Json] = []
    # A trimmed history may begin with an answer; the API wants a question first.
    for message in dropwhile(lambda message: message.role != "user", sendable(messages, provider)):
        role = "assistant" if message.role == "assistant" else "user"
        if found and found[-1]["role"] == role:
            found[-1]["content"] += _blocks(message)
        else:
            found.append({"role": role, "content": _blocks(message)})
    return found


def _blocks(message: ChatMessage) -> list[Json]:
    if message.role == "tool":
        failed = {} if message.ok else {"is_error": True}
        return [
            {"type": "tool_result", "tool_use_id": message.call_id, "content": message.text, **failed},
        ]
    written = list(_written(message))
    raw = message.raw
    if not isinstance(raw, list) or _calls(raw) != _calls(written):
        return written
    # Reasoning goes back with its signature, unchanged, or the API refuses the calls after it. The text is
    # what the user has heard of it.
    at = next((at for at, block in enumerate(raw) if block["type"] == "text"), 0)
    texts = [block for block in written if block["type"] == "text"]
    kept = [[block for block in part if block["type"] != "text"] for part in (raw[:at], raw[at:])]
    return kept[0] + texts + kept[1]


def _written(message: ChatMessage) -> Iterator[Json]:
    if message.text.strip():
        yield {"type": "text", "text": message.text}
    for call in message.calls:
        yield {
            "type": "tool_use",
            "id": call.id,
            "name": call.name,
            "input": parse_arguments(call.arguments),
        }


def _calls(blocks: Sequence[Json]) -> list[str]:
    """Return the ids of the calls in ``blocks``; a call without a result must not be sent again."""
    return [block["id"] for block in blocks if block["type"] == "tool_use"]


# The supported blocks; others belong to tools that the vendor executes itself, and are ignored.
_KINDS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})

# For a delta: the field with its text, and the field of the block to append it to.
_PARTS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}


_COUNTED = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


class MessagesReader(ReplyReader):
    """Reads the events of one reply, or the whole of it."""

    def __init__(self, provider: str, known: Collection[str] = ()) -> None:
        super().__init__(provider, known)
        self._blocks: list[Json] = []
        # By index: the newest block, for some servers number every one 0.
        self._open: dict[int | None, Json] = {}
        self._numbers: dict[str, int] = {}

    def _take(self, event: Json, type: str) -> str:
        kind, index = label(event.get("type")) or type, number(event.get("index"))
        match kind:
            case "message_start":
                self._count(mapping(event.get("message")).get("usage"))
            case "content_block_start":
                return self._start(index, mapping(event.get("content_block")))
            case "content_block_delta":
                return self._add(index, mapping(event.get("delta")))
            case "message_delta":
                self._count(event.get("usage"))
                # The stop reason comes here, before `message_stop`.
                self._end(mapping(event.get("delta")).get("stop_reason"))
            case "message_stop":
                self.over = True
                self._end("", "stop")
            case "message":
                return self._whole(event)
        return ""

    def _whole(self, message: Json) -> str:
        self._count(message.get("usage"))
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else rows(content)
        text = "".join(self._start(index, block) for index, block in enumerate(blocks))
        self.over = True
        self._end(message.get("stop_reason"), "stop")
        return text

    def _start(self, index: int | None, block: Json) -> str:
        self._open[index] = block = dict(block)
        if block.get("type") not in _KINDS:
            return ""
        self._blocks.append(block)
        if block["type"] == "tool_use":
            # The place is the block itself. An empty object here: the arguments follow as deltas.
            block["id"] = label(block.get("id")) or new_id()
            self._drafts.take(
                id(block), id=block["id"], name=label(block.get("name")), arguments=block.get("input") or None
            )
        return words(block.get("text"))

    def _add(self, index: int | None, delta: Json) -> str:
        kind = label(delta.get("type"))
        block = self._open.get(index)
        if block is None:
            # Some servers leave out the start of a block of text.
            block = self._open[index] = {"type": "text", "text": ""}
            self._blocks.append(block)
        if kind == "input_json_delta" and block.get("type") == "tool_use":
            self._drafts.take(id(block), arguments=delta.get("partial_json"))
        if kind not in _PARTS or block.get("type") not in _KINDS:
            return ""
        source, target = _PARTS[kind]
        piece = words(delta.get(source))
        block[target] = words(block.get(target)) + piece
        return piece if kind == "text_delta" else ""

    def _count(self, usage: Any) -> None:
        # They are running sums: a later one replaces an earlier one.
        reported = mapping(usage)
        self._numbers |= {name: count(reported[name]) for name in _COUNTED if reported.get(name) is not None}

    def _used(self) -> Usage:
        cached = self._numbers.get("cache_read_input_tokens", 0)
        written = self._numbers.get("cache_creation_input_tokens", 0)
        return Usage(
            # Tokens read from the cache or written to it are not included in ``input_tokens``.
            input_text_tokens=self._numbers.get("input_tokens", 0) + cached + written,
            cached_text_tokens=cached,
            output_text_tokens=self._numbers.get("output_tokens", 0),
        )

    def _raw(self, extras: list[Json], calls: Collection[ToolCall]) -> list[Json] | None:
        """Return the blocks to send back, None when none of them is reasoning."""
        if not any(block["type"].endswith("thinking") for block in self._blocks):
            return None
        by_id = {call.id: call for call in calls}
        found = []
        for block in self._blocks:
            if block["type"] == "tool_use":
                if block["id"] not in by_id:
                    # A call without a name was dropped: the block must go with it.
                    continue
                call = by_id[block["id"]]
                block = block | {"name": call.name, "input": parse_arguments(call.arguments)}
            if block["type"] != "text" or block.get("text"):
                found.append(block)
        return found
