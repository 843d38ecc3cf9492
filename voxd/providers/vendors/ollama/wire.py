"""Ollama's native chat API: the request, and the reply line by line."""

from typing import Any

import msgspec

from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.chat_completions import chat_tools
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, Prompt
from voxd.providers.pipeline.stages.llm_stream import ThinkTagFilter
from voxd.providers.pipeline.stages.messages import pair_tool_results, vendor_data
from voxd.providers.pipeline.stages.tool_calls import ToolCallAssembler, finish, parse_arguments
from voxd.providers.usage import Usage
from voxd.providers.vendors.ollama.options import OllamaOptions

Json = dict[str, Any]


def chat_body(prompt: Prompt, model: str, vendor: str, options: OllamaOptions) -> Json:
    """Return the body of a streaming request."""
    system = [{"role": "system", "content": prompt.instructions}] if prompt.instructions else []
    messages = system + [_message(message, vendor) for message in pair_tool_results(prompt.messages)]
    body = loading_body(model, options) | {"messages": messages, "stream": True}
    settings = {"num_predict": prompt.max_output_tokens, "temperature": prompt.temperature}
    limits = {name: value for name, value in settings.items() if value is not None}
    if limits or "options" in body:
        body["options"] = limits | body.get("options", {})
    if prompt.tools:
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


def _message(message: ChatMessage, vendor: str) -> Json:
    if message.role == "tool":
        answer = {"role": "tool", "tool_name": message.tool, "content": message.text}
        return answer | ({"tool_call_id": message.call_id} if message.call_id else {})
    found: Json = {"role": message.role} | ({"content": message.text} if message.text else {})
    if message.calls:
        found["tool_calls"] = [
            {"id": call.id, "function": {"name": call.name, "arguments": parse_arguments(call.arguments)}}
            for call in message.calls
        ]
    reasoning = vendor_data(message, vendor)
    return found | ({"thinking": reasoning} if isinstance(reasoning, str) else {})


class _Function(msgspec.Struct):
    name: str | None = None
    # An object here, text at OpenAI; some proxies send text here too.
    arguments: str | Json | None = None


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Any = None


class OllamaReader:
    """Parses the lines of one reply."""

    def __init__(self, provider: str) -> None:
        self.over = False
        self._provider = provider
        self._drafts = ToolCallAssembler()
        self._filter = ThinkTagFilter()
        self._calls = 0
        self._reasoning = ""
        self._last = _Line()

    @property
    def complete(self) -> bool:
        """Whether the last line has arrived."""
        return self.over

    def feed(self, data: str) -> str:
        """Process one line and return the text in it."""
        if not data.strip():
            return ""
        line: _Line = llm_errors.decode_event(self._provider, data, _Line)
        # An error in the middle of a reply is a line under HTTP status 200.
        if line.error:
            raise llm_errors.error_from_event(self._provider, data)
        message = line.message or _Message()
        for call in message.tool_calls or ():
            # Calls arrive whole; some versions number every one 0, so they are counted here.
            self._calls += 1
            draft = self._drafts.at(self._calls, id=call.id or "", name=call.function.name or "")
            draft.add(call.function.arguments)
        self._reasoning += message.thinking or ""
        text = self._filter.feed(message.content or "")
        if line.done:
            self.over, self._last = True, line
            text += self._filter.end()
        return text

    def completion(self) -> Completion:
        """Return the end of the reply; ``raw`` is the reasoning before a call."""
        if not self.over:
            raise llm_errors.truncated_reply(self._provider)
        reason, calls = finish(self._last.done_reason or "stop", self._drafts.calls())
        usage = Usage(
            input_text_tokens=self._last.prompt_eval_count or 0,
            output_text_tokens=self._last.eval_count or 0,
        )
        # Reasoning before a call goes back with it; any other is of no use later.
        return Completion(reason, calls, usage, (self._reasoning or None) if calls else None)
