"""The Messages API of Anthropic: the request body, in both API versions, and the streamed reply."""

import re
from collections.abc import Iterator, Sequence
from itertools import dropwhile
from typing import Any

import msgspec

from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, Prompt
from voxd.providers.pipeline.stages.messages import pair_tool_results, vendor_data
from voxd.providers.pipeline.stages.tool_calls import ToolCallAssembler, finish, parse_arguments, portable_id
from voxd.providers.usage import Usage
from voxd.providers.vendors.anthropic.options import OLD, AnthropicOptions

Json = dict[str, Any]

MAX_OUTPUT_TOKENS = 4096
"""The field is required. A spoken reply is never this long, but reasoning counts too."""

# "claude-opus-4-7", "claude-3-5-haiku-20241022", "claude-sonnet-5-5": a date at the end is not a version.
_VERSION = re.compile(r"claude-(?:(?P<family>[a-z]+)-)?(?P<major>\d)(?:-(?P<minor>\d{1,2}))?(?!\d)")


def messages_body(prompt: Prompt, model: str, vendor: str, options: AnthropicOptions) -> Json:
    """Return the body of a streaming request."""
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


def messages_of(messages: Sequence[ChatMessage], vendor: str) -> list[Json]:
    """Return the conversation in the required form: it starts with the user, and the roles alternate."""
    # The results of all calls of one reply must be in one message, before any text of the user.
    found: list[Json] = []
    # A trimmed history may begin with an answer; the API wants a question first.
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
    # Reasoning goes back with its signature, unchanged, or the API refuses the calls after it.
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


class _Numbers(msgspec.Struct):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None


class _Message(msgspec.Struct):
    usage: _Numbers | None = None


class _Event(msgspec.Struct):
    type: str | None = None
    index: int = 0
    message: _Message | None = None
    content_block: Json | None = None
    delta: Json | None = None
    usage: _Numbers | None = None
    error: Any = None


class MessagesReader:
    """Parses the events of one reply."""

    def __init__(self, provider: str) -> None:
        self.over = False
        self._provider = provider
        self._blocks: dict[int, Json] = {}
        self._drafts = ToolCallAssembler()
        self._reason = ""
        self._numbers: dict[str, int] = {}

    @property
    def complete(self) -> bool:
        """Whether the stop reason has arrived."""
        return bool(self._reason)

    def feed(self, data: str) -> str:
        """Process the data of one server-sent event and return the text in it."""
        event: _Event = llm_errors.decode_event(self._provider, data, _Event)
        # An error after the first event arrives under HTTP status 200.
        if event.type == "error" or event.error:
            raise llm_errors.error_from_event(self._provider, data)
        match event.type:
            case None:
                raise llm_errors.malformed_reply(self._provider)
            case "message_start":
                self._count(event.message.usage if event.message else None)
            case "content_block_start":
                return self._start(event.index, event.content_block or {})
            case "content_block_delta":
                return self._add(event.index, event.delta or {})
            case "message_delta":
                self._count(event.usage)
                # The stop reason comes here, before `message_stop`.
                self._reason = _text(event.delta or {}, "stop_reason") or self._reason
            case "message_stop":
                self.over = True
                self._reason = self._reason or "end_turn"
        return ""

    def completion(self) -> Completion:
        """Return the end of the reply; ``raw`` holds all blocks when there is reasoning to send back."""
        if not self.complete:
            raise llm_errors.truncated_reply(self._provider)
        reason, calls = finish(self._reason, self._drafts.calls())
        return Completion(reason, calls, self._used(), self._raw())

    def _start(self, index: int, block: Json) -> str:
        if block.get("type") not in _KINDS:
            return ""
        self._blocks[index] = dict(block)
        if block["type"] == "tool_use":
            draft = self._drafts.at(index, id=_text(block, "id"), name=_text(block, "name"))
            # An empty object here: the arguments follow as deltas.
            draft.add(block.get("input") or None)
        return _text(block, "text")

    def _add(self, index: int, delta: Json) -> str:
        block = self._blocks.get(index)
        kind = delta.get("type")
        if block is None or not isinstance(kind, str):
            return ""
        if kind == "input_json_delta" and block["type"] == "tool_use":
            self._drafts.at(index).add(_text(delta, "partial_json"))
        if kind not in _PARTS:
            return ""
        source, target = _PARTS[kind]
        piece = _text(delta, source)
        block[target] = _text(block, target) + piece
        return piece if kind == "text_delta" else ""

    def _count(self, numbers: _Numbers | None) -> None:
        """Store usage numbers."""
        # They are running sums: a later one replaces an earlier one.
        for name in _Numbers.__struct_fields__:
            number = getattr(numbers, name, None)
            if number is not None:
                self._numbers[name] = number

    def _used(self) -> Usage:
        cached = self._numbers.get("cache_read_input_tokens", 0)
        written = self._numbers.get("cache_creation_input_tokens", 0)
        return Usage(
            # Tokens read from the cache or written to it are not included in ``input_tokens``.
            input_text_tokens=self._numbers.get("input_tokens", 0) + cached + written,
            cached_text_tokens=cached,
            output_text_tokens=self._numbers.get("output_tokens", 0),
        )

    def _raw(self) -> list[Json] | None:
        """Return the blocks to send back, None when none of them is reasoning."""
        if not any(block["type"].endswith("thinking") for block in self._blocks.values()):
            return None
        calls = {call.id: call for call in self._drafts.calls()}
        found = []
        for block in self._blocks.values():
            if block["type"] == "tool_use":
                if block.get("id") not in calls:
                    # A call without a name was dropped: the block must go with it.
                    continue
                block = block | {"input": parse_arguments(calls[block["id"]].arguments)}
            if block["type"] != "text" or block.get("text"):
                found.append(block)
        return found


def _text(fields: Json, name: str) -> str:
    found = fields.get(name)
    return found if isinstance(found, str) else ""
