"""OpenAI's Responses API: the request, and the streamed reply. Protocol facts: `README.md`."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from voxd.providers.json_fields import Json, count, label, mapping, number, rows, words
from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.chat_completions import ChatHost
from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt, ToolCall
from voxd.providers.pipeline.stages.messages import sendable
from voxd.providers.pipeline.stages.reply_reader import ReplyReader
from voxd.providers.usage import Usage
from voxd.providers.vendors.openai.options import OpenAIResponsesOptions


def responses_body(
    prompt: Prompt, model: str, provider: str, options: OpenAIResponsesOptions, host: ChatHost
) -> Json:
    """Return the body of a streaming request to ``host``, named ``provider``, which must not store it."""
    items = [item for message in sendable(prompt.messages, provider) for item in _items(message)]
    # ``store`` is true by default: the vendor would keep the conversation for 30 days.
    body: Json = {"model": model, "input": items, "stream": True, "store": False}
    if prompt.instructions:
        body["instructions"] = prompt.instructions
    if host is ChatHost.OPENAI:
        body["stream_options"] = {"include_obfuscation": False}
    if prompt.tools and prompt.may_call:
        # ``strict`` is true by default, and rejects a schema with optional properties.
        form = {"type": "function", "strict": False}
        body["tools"] = [form | msgspec.structs.asdict(tool) for tool in prompt.tools]
    if prompt.max_output_tokens is not None:
        body["max_output_tokens"] = prompt.max_output_tokens
    if prompt.temperature is not None:
        body["temperature"] = prompt.temperature
    return body | options.fields()


def _items(message: ChatMessage) -> Iterable[Json]:
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.call_id, "output": message.text}
        return
    # The encrypted reasoning before the calls: without it the model has to repeat it.
    if message.calls and isinstance(message.raw, list):
        yield from message.raw
    if message.text:
        yield {"type": "message", "role": message.role, "content": message.text}
    for call in message.calls:
        yield {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }


class ResponsesReader(ReplyReader):
    """Reads the events of one reply, or the whole of it."""

    def __init__(self, provider: str, known: Collection[str] = ()) -> None:
        super().__init__(provider, known)
        self._reasoning: list[Json] = []
        self._usage: Json = {}
        # The items, and the parts of items, whose text or refusal has come.
        self._written: set[Any] = set()
        self._is_refused = False

    def _take(self, event: Json, type: str) -> str:
        kind = label(event.get("type")) or type
        response = mapping(event.get("response"))
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                return self._text(event, words(event.get("delta")))
            # A server that sends no pieces sends the whole.
            case "response.output_text.done" | "response.refusal.done" if _place(event) not in self._written:
                return self._text(event, words(event.get("text")) or words(event.get("refusal")))
            case "response.function_call_arguments.delta":
                self._drafts.take(_place(event), arguments=event.get("delta"))
            case "response.function_call_arguments.done":
                self._drafts.take(_place(event), arguments=event.get("arguments"), whole=True)
            case "response.output_item.done":
                return self._item(mapping(event.get("item")), _place(event), is_done=True)
            case "response.output_item.added":
                return self._item(mapping(event.get("item")), _place(event), is_done=False)
            case "response.completed" | "response.incomplete" | "response.done":
                return self._whole(response)
            case "response.failed" | "response.cancelled" | "response.error":
                found = llm_errors.find_error(response) or llm_errors.ErrorDetail("", self._complaint)
                raise llm_errors.error_from_detail(self._provider, found)
            case "" if event.get("object") == "response":
                return self._whole(event)
        return ""

    def _done(self) -> str:
        # Not part of this API, but some compatible servers send it.
        return ""

    def _text(self, event: Json, text: str) -> str:
        self._is_refused = self._is_refused or "refusal" in label(event.get("type"))
        if text:
            # Text without a place is that of any message.
            self._written |= {_place(event), label(event.get("item_id")) or _place(event)}
        return text

    def _item(self, item: Json, place: Any, *, is_done: bool) -> str:
        kind = label(item.get("type"))
        if kind == "function_call":
            arguments = item.get("arguments") or None
            call_id = label(item.get("call_id")) or label(item.get("id"))
            name = label(item.get("name"))
            self._drafts.take(place, id=call_id, name=name, arguments=arguments, whole=True)
        elif is_done and kind == "reasoning" and item.get("encrypted_content"):
            # Kept as it came: encrypted reasoning goes back unchanged.
            self._reasoning.append(item)
        elif is_done and kind == "message" and not {None, place, label(item.get("id"))} & self._written:
            self._written.add(place)
            self._is_refused = self._is_refused or "refusal" in str(item.get("content"))
            return words(item.get("content"))
        return ""

    def _whole(self, response: Json) -> str:
        if found := llm_errors.find_error(response):
            raise llm_errors.error_from_detail(self._provider, found)
        self.over = True
        self._usage = mapping(response.get("usage"))
        # All items again, or for the first time.
        text = "".join(
            self._item(item, place, is_done=not self._reasoning or label(item.get("type")) != "reasoning")
            for place, item in enumerate(rows(response.get("output")))
        )
        reason = mapping(response.get("incomplete_details")).get("reason")
        self._end(reason or ("refusal" if self._is_refused else ""), "stop")
        return text

    def _used(self) -> Usage:
        details = mapping(self._usage.get("input_tokens_details"))
        return Usage(
            input_text_tokens=count(self._usage.get("input_tokens"), self._usage.get("prompt_tokens")),
            cached_text_tokens=count(details.get("cached_tokens")),
            output_text_tokens=count(self._usage.get("output_tokens"), self._usage.get("completion_tokens")),
        )

    def _raw(self, extras: list[Json], calls: Collection[ToolCall]) -> list[Json] | None:
        return self._reasoning or None


def _place(event: Json) -> Any:
    """Return what the events of one item have in common."""
    index = number(event.get("output_index"))
    return index if index is not None else label(event.get("item_id")) or None
