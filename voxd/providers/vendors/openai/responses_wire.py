"""OpenAI's Responses API: the request, and the streamed reply. Protocol facts: `README.md`."""

from collections.abc import Iterable
from typing import Any

import msgspec

from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.chat_completions import ChatHost
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, Prompt
from voxd.providers.pipeline.stages.messages import pair_tool_results, vendor_data
from voxd.providers.pipeline.stages.tool_calls import ToolCallAssembler, ToolCallDraft, finish, portable_id
from voxd.providers.usage import Usage
from voxd.providers.vendors.openai.options import OpenAIResponsesOptions

Json = dict[str, Any]


def responses_body(
    prompt: Prompt, model: str, vendor: str, options: OpenAIResponsesOptions, host: ChatHost
) -> Json:
    """Return the body of a streaming request to ``host``, which must not store it."""
    items = [item for message in pair_tool_results(prompt.messages) for item in _items(message, vendor)]
    # ``store`` is true by default: the vendor would keep the conversation for 30 days.
    body: Json = {"model": model, "input": items, "stream": True, "store": False}
    if prompt.instructions:
        body["instructions"] = prompt.instructions
    if host is ChatHost.OPENAI:
        body["stream_options"] = {"include_obfuscation": False}
    if prompt.tools:
        # ``strict`` is true by default, and rejects a schema with optional properties.
        form = {"type": "function", "strict": False}
        body["tools"] = [form | msgspec.structs.asdict(tool) for tool in prompt.tools]
    if prompt.max_output_tokens is not None:
        body["max_output_tokens"] = prompt.max_output_tokens
    if prompt.temperature is not None:
        body["temperature"] = prompt.temperature
    return body | options.fields()


def _items(message: ChatMessage, vendor: str) -> Iterable[Json]:
    if message.role == "tool":
        yield {
            "type": "function_call_output",
            "call_id": portable_id(message.call_id),
            "output": message.text,
        }
        return
    # The encrypted reasoning before the calls: without it the model has to repeat it.
    reasoning = vendor_data(message, vendor)
    if message.calls and isinstance(reasoning, list):
        yield from reasoning
    if message.text:
        yield {"type": "message", "role": message.role, "content": message.text}
    for call in message.calls:
        yield {
            "type": "function_call",
            "call_id": portable_id(call.id),
            "name": call.name,
            "arguments": call.arguments,
        }


class _Item(msgspec.Struct):
    type: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | Json | None = None
    encrypted_content: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None


class _Why(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    error: Any = None
    incomplete_details: _Why | None = None
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    type: str | None = None
    output_index: int | None = None
    delta: Any = None
    arguments: str | Json | None = None
    # Kept as it came: encrypted reasoning goes back byte for byte.
    item: msgspec.Raw = msgspec.Raw()
    response: _Response | None = None


class ResponsesReader:
    """Parses the events of one reply."""

    def __init__(self, provider: str) -> None:
        self.over = False
        self._provider = provider
        self._drafts = ToolCallAssembler()
        self._reasoning: list[Json] = []
        self._reason = "stop"
        self._usage = Usage()

    @property
    def complete(self) -> bool:
        """Whether the last event has arrived."""
        return self.over

    def feed(self, data: str) -> str:
        """Process the data of one server-sent event and return the text in it."""
        # Not part of this API, but some compatible servers send it.
        if data.strip() == "[DONE]":
            return ""
        event = llm_errors.decode_event(self._provider, data, _Event)
        match event.type:
            case "response.output_text.delta" if isinstance(event.delta, str):
                return event.delta
            case "response.refusal.delta" if isinstance(event.delta, str):
                self._reason = "refusal"
                return event.delta
            case "response.function_call_arguments.delta" if isinstance(event.delta, str):
                self._draft(event).add(event.delta)
            case "response.function_call_arguments.done":
                self._whole(self._draft(event), event.arguments)
            case "response.output_item.added" | "response.output_item.done":
                self._item(event)
            case "response.completed" | "response.incomplete":
                self._end(event.response or _Response())
            case "response.failed" | "error" | None:
                raise self._failure(event, data)
        return ""

    def completion(self) -> Completion:
        """Return the end of the reply. Raises `StreamError` when it was truncated."""
        if not self.over:
            raise llm_errors.truncated_reply(self._provider)
        reason, calls = finish(self._reason, self._drafts.calls())
        return Completion(reason, calls, self._usage, self._reasoning or None)

    def _draft(self, event: _Event, item: _Item | None = None) -> ToolCallDraft:
        known = item or _Item()
        return self._drafts.at(event.output_index or 0, id=known.call_id or "", name=known.name or "")

    def _whole(self, draft: ToolCallDraft, arguments: str | Json | None) -> None:
        if arguments:
            # The whole text repeats the pieces, and counts.
            draft.arguments.clear()
            draft.add(arguments)

    def _item(self, event: _Event) -> None:
        raw = bytes(event.item) or b"{}"
        item = llm_errors.decode_event(self._provider, raw, _Item | None) or _Item()
        if item.type == "function_call":
            self._whole(self._draft(event, item), item.arguments)
        elif item.encrypted_content and event.type == "response.output_item.done":
            self._reasoning.append(llm_errors.decode_event(self._provider, raw, Json))

    def _end(self, response: _Response) -> None:
        self.over = True
        if response.incomplete_details and response.incomplete_details.reason:
            self._reason = response.incomplete_details.reason
        if response.usage:
            details = response.usage.input_tokens_details
            self._usage = Usage(
                input_text_tokens=response.usage.input_tokens or 0,
                cached_text_tokens=(details.cached_tokens if details else 0) or 0,
                output_text_tokens=response.usage.output_tokens or 0,
            )

    def _failure(self, event: _Event, data: str) -> Exception:
        if event.response is not None and isinstance(event.response.error, dict):
            found = llm_errors.find_error({"error": event.response.error})
            return llm_errors.error_from_detail(self._provider, found or llm_errors.ErrorDetail())
        if event.type is None and llm_errors.find_error(msgspec.json.decode(data)) is None:
            return llm_errors.malformed_reply(self._provider)
        return llm_errors.error_from_event(self._provider, data)
