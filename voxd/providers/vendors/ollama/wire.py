"""Ollama's native chat API: the request, and the reply line by line."""

from collections.abc import Collection

from voxd.providers.json_fields import Json, count, label, mapping, rows, words
from voxd.providers.pipeline.stages.chat_completions import chat_tools
from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt, ToolCall
from voxd.providers.pipeline.stages.llm_stream import ThinkTagFilter
from voxd.providers.pipeline.stages.messages import sendable
from voxd.providers.pipeline.stages.reply_reader import ReplyReader
from voxd.providers.pipeline.stages.tool_calls import parse_arguments
from voxd.providers.usage import Usage
from voxd.providers.vendors.ollama.options import OllamaOptions


def chat_body(prompt: Prompt, model: str, provider: str, options: OllamaOptions) -> Json:
    """Return the body of a streaming request to the provider ``provider``."""
    system = [{"role": "system", "content": prompt.instructions}] if prompt.instructions else []
    messages = system + [_message(message) for message in sendable(prompt.messages, provider)]
    body = loading_body(model, options) | {"messages": messages, "stream": True}
    settings = {"num_predict": prompt.max_output_tokens, "temperature": prompt.temperature}
    limits = {name: value for name, value in settings.items() if value is not None}
    if limits or "options" in body:
        body["options"] = limits | body.get("options", {})
    if prompt.tools and prompt.may_call:
        body["tools"] = chat_tools(prompt.tools)
    if options.think is not None:
        body["think"] = options.think
    return body


def loading_body(model: str, options: OllamaOptions) -> Json:
    """Return the body of a request that only loads the model."""
    # A request without messages only loads it. The settings are those of later requests, because another
    # ``num_ctx`` would load the model again.
    body: Json = {"model": model, "messages": [], "stream": False}
    settings = dict(options.options)
    if options.context_tokens is not None:
        # The native API only: over ``/v1`` the size of the context cannot be set.
        settings.setdefault("num_ctx", options.context_tokens)
    if settings:
        body["options"] = settings
    if options.keep_alive is not None:
        body["keep_alive"] = options.keep_alive
    return body


def _message(message: ChatMessage) -> Json:
    if message.role == "tool":
        answer = {"role": "tool", "tool_name": message.tool, "content": message.text}
        return answer | ({"tool_call_id": message.call_id} if message.call_id else {})
    found: Json = {"role": message.role} | ({"content": message.text} if message.text else {})
    if message.calls:
        found["tool_calls"] = [
            {"id": call.id, "function": {"name": call.name, "arguments": parse_arguments(call.arguments)}}
            for call in message.calls
        ]
    return found | ({"thinking": message.raw} if isinstance(message.raw, str) else {})


class OllamaReader(ReplyReader):
    """Reads the lines of one reply, or the whole of it."""

    def __init__(self, provider: str, known: Collection[str] = ()) -> None:
        super().__init__(provider, known)
        self._filter = ThinkTagFilter()
        self._reasoning = ""
        self._last: Json = {}

    def _take(self, event: Json, type: str) -> str:
        message = mapping(event.get("message"))
        for call in rows(message.get("tool_calls")):
            function = mapping(call.get("function")) or call
            # Calls arrive whole; some versions number every one 0, and proxies send text for the object.
            self._drafts.take(
                None,
                id=label(call.get("id")),
                name=label(function.get("name")),
                arguments=function.get("arguments") or {},
            )
        self._reasoning += words(message.get("thinking"))
        # ``response`` is the field of the older API for text.
        text = self._filter.feed(words(message.get("content")) or words(event.get("response")))
        if event.get("done") in (True, "true", 1):
            self.over, self._last = True, event
            self._end(event.get("done_reason"), "stop")
            text += self._filter.end()
        return text

    def _done(self) -> str:
        return super()._done() + self._filter.end()

    def _used(self) -> Usage:
        return Usage(
            input_text_tokens=count(self._last.get("prompt_eval_count")),
            output_text_tokens=count(self._last.get("eval_count")),
        )

    def _raw(self, extras: list[Json], calls: Collection[ToolCall]) -> str | None:
        # Reasoning before a call goes back with it; any other is of no use later.
        return (self._reasoning or None) if calls else None
