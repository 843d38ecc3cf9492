"""Reads the streamed answer of Anthropic's Messages API (reference/providers.md, section 3)."""

from typing import Any

import msgspec

from voxd.providers.pipeline.stages import llm_errors as complaints
from voxd.providers.pipeline.stages.contract import Completion
from voxd.providers.pipeline.stages.tool_calls import ToolCallAssembler, finish, parse_arguments
from voxd.providers.usage import Usage

Json = dict[str, Any]

_KINDS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
"""The blocks we understand; others belong to tools that the vendor runs himself, and are passed over."""

_PARTS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}
"""Where a delta has its words, and the field of the block they belong to."""


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
    """Reads the events of one answer."""

    def __init__(self, provider: str) -> None:
        self.over = False
        self._provider = provider
        self._blocks: dict[int, Json] = {}
        self._drafts = ToolCallAssembler()
        self._reason = ""
        self._numbers: dict[str, int] = {}

    @property
    def complete(self) -> bool:
        """Whether it was said why the answer ended."""
        return bool(self._reason)

    def feed(self, data: str) -> str:
        """Take the data of one event and return the text in it."""
        event = self._decode(data)
        match event.type:
            case "message_start":
                self._count(event.message.usage if event.message else None)
            case "content_block_start":
                return self._start(event.index, event.content_block or {})
            case "content_block_delta":
                return self._add(event.index, event.delta or {})
            case "message_delta":
                self._count(event.usage)
                self._reason = _text(event.delta or {}, "stop_reason") or self._reason
            case "message_stop":
                self.over = True
                self._reason = self._reason or "end_turn"
        return ""

    def answered(self) -> Completion:
        """Return how the answer ended; ``raw`` is all of it when the vendor wants his thoughts back."""
        if not self.complete:
            raise complaints.truncated_reply(self._provider)
        reason, calls = finish(self._reason, self._drafts.calls())
        return Completion(reason, calls, self._used(), self._raw())

    def _decode(self, data: str) -> _Event:
        try:
            event = msgspec.json.decode(data, type=_Event)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise complaints.malformed_reply(self._provider) from None
        if event.type == "error" or event.error:
            raise complaints.error_from_event(self._provider, data)
        if event.type is None:
            raise complaints.malformed_reply(self._provider)
        return event

    def _start(self, index: int, block: Json) -> str:
        if block.get("type") not in _KINDS:
            return ""
        self._blocks[index] = dict(block)
        if block["type"] == "tool_use":
            draft = self._drafts.at(index, id=_text(block, "id"), name=_text(block, "name"))
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
        """Take numbers, all of them sums so far: a later one replaces the earlier, if it is there."""
        for name in _Numbers.__struct_fields__:
            number = getattr(numbers, name, None)
            if number is not None:
                self._numbers[name] = number

    def _used(self) -> Usage:
        cached = self._numbers.get("cache_read_input_tokens", 0)
        written = self._numbers.get("cache_creation_input_tokens", 0)
        return Usage(
            # The vendor counts what he reads from his cache, or writes into it, apart.
            input_text_tokens=self._numbers.get("input_tokens", 0) + cached + written,
            cached_text_tokens=cached,
            output_text_tokens=self._numbers.get("output_tokens", 0),
        )

    def _raw(self) -> list[Json] | None:
        """Return the blocks as the vendor wants them back, None when there is no thought among them."""
        if not any(block["type"].endswith("thinking") for block in self._blocks.values()):
            return None
        calls = {call.id: call for call in self._drafts.calls()}
        found = []
        for block in self._blocks.values():
            if block["type"] == "tool_use":
                if block.get("id") not in calls:
                    continue
                block = block | {"input": parse_arguments(calls[block["id"]].arguments)}
            if block["type"] != "text" or block.get("text"):
                found.append(block)
        return found


def _text(said: Json, name: str) -> str:
    found = said.get(name)
    return found if isinstance(found, str) else ""
