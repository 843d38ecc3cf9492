"""The chat completions of OpenAI and of everybody who copies them: the request, and its streamed answer.

Shapes and the quirks of the copies: reference/providers.md, section 2.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from voxd.providers.pipeline.stages import llm_errors as complaints
from voxd.providers.pipeline.stages.chat_hosts import ChatHost, HostOptions
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, Prompt
from voxd.providers.pipeline.stages.messages import pair_tool_results
from voxd.providers.pipeline.stages.thoughts import ThinkTagFilter
from voxd.providers.pipeline.stages.tool_calls import ToolCallAssembler, finish, portable_id
from voxd.providers.settings import ToolSpec
from voxd.providers.usage import Usage

_END = "[DONE]"

Json = dict[str, Any]


class ChatOptions(HostOptions, frozen=True, kw_only=True):
    """The settings of this kind.

    ``max_tokens_field``: how the server calls the limit of the answer. ``stream_usage``: whether it may be
    asked what it used. ``body``: more fields of the request.
    """

    max_tokens_field: str = ""
    stream_usage: bool = True
    body: Json = msgspec.field(default_factory=dict)


def chat_body(prompt: Prompt, model: str, options: ChatOptions, host: ChatHost) -> Json:
    """Return the body of a request that ``host`` is to read."""
    body: Json = {"model": model, "messages": chat_messages(prompt), "stream": True}
    if options.stream_usage:
        # Only OpenAI pads its chunks, and only there may it be asked not to.
        plain = {"include_obfuscation": False} if host is ChatHost.OPENAI else {}
        body["stream_options"] = {"include_usage": True, **plain}
    if prompt.tools:
        body["tools"] = chat_tools(prompt.tools)
    if prompt.max_output_tokens is not None:
        field = options.max_tokens_field or (
            "max_tokens" if host is ChatHost.OTHER else "max_completion_tokens"
        )
        body[field] = prompt.max_output_tokens
    if prompt.temperature is not None:
        body["temperature"] = prompt.temperature
    return body | options.body


def chat_messages(prompt: Prompt) -> list[Json]:
    """Return the conversation, with the instructions before it."""
    system = [{"role": "system", "content": prompt.instructions}] if prompt.instructions else []
    return system + [_message(message) for message in pair_tool_results(prompt.messages)]


def chat_tools(tools: Sequence[ToolSpec]) -> list[Json]:
    """Return the tools as the vendor, and those who copy him, want them."""
    return [
        {
            "type": "function",
            "function": {"name": each.name, "description": each.description, "parameters": each.parameters},
        }
        for each in tools
    ]


def _message(message: ChatMessage) -> Json:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": portable_id(message.call_id), "content": message.text}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    calls = [
        {
            "id": portable_id(call.id),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in message.calls
    ]
    return {"role": "assistant", "content": message.text or None, "tool_calls": calls}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | Json | None = None


class _Fragment(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Fragment] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    object: str | None = None


class ChatReader:
    """Reads the chunks of one answer."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._drafts = ToolCallAssembler()
        self._aloud = ThinkTagFilter()
        self._reason = ""
        self._refused = False
        self.over = False
        self._usage = Usage()

    @property
    def complete(self) -> bool:
        """Whether it was said why the answer ended; some leave ``[DONE]`` out, others the reason."""
        return bool(self._reason)

    def feed(self, data: str) -> str:
        """Take the data of one event and return the text in it."""
        if data.strip() == _END:
            self._reason = self._reason or "stop"
            self.over = True
            return self._aloud.end()
        chunk = self._decode(data)
        if chunk.usage is not None:
            # Any chunk may hold it, of some servers every one: the last counts.
            self._usage = _usage(chunk.usage)
        return "".join(self._choice(choice) for choice in (chunk.choices or ())[:1])

    def answered(self) -> Completion:
        """Return how the answer ended."""
        if not self._reason:
            raise complaints.truncated_reply(self._provider)
        reason, calls = finish("refusal" if self._refused else self._reason, self._drafts.calls())
        return Completion(reason, calls, self._usage)

    def _decode(self, data: str) -> _Chunk:
        try:
            chunk = msgspec.json.decode(data, type=_Chunk)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise complaints.malformed_reply(self._provider) from None
        if chunk.error or chunk.object == "error":
            raise complaints.error_from_event(self._provider, data)
        return chunk

    def _choice(self, choice: _Choice) -> str:
        self._reason = choice.finish_reason or self._reason
        delta = choice.delta or _Delta()
        for position, fragment in enumerate(delta.tool_calls or ()):
            function = fragment.function or _Function()
            place = position if fragment.index is None else fragment.index
            draft = self._drafts.at(place, id=fragment.id or "", name=function.name or "")
            draft.add(function.arguments)
        self._refused = self._refused or bool(delta.refusal)
        text = self._aloud.feed(delta.content or "") + (delta.refusal or "")
        return text + (self._aloud.end() if self._reason else "")


def _usage(told: _Usage) -> Usage:
    cached = told.prompt_tokens_details.cached_tokens if told.prompt_tokens_details else 0
    return Usage(
        input_text_tokens=told.prompt_tokens or 0,
        cached_text_tokens=cached or 0,
        output_text_tokens=told.completion_tokens or 0,
    )
