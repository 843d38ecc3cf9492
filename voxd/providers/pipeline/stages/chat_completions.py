"""OpenAI-compatible chat: addresses and headers of such servers, and the chat completions protocol.

OpenAI, Azure OpenAI, Hugging Face's router, llama.cpp, vLLM and LiteLLM offer it with small differences that
are listed in `voxd/providers/vendors/openai/README.md`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import msgspec

from voxd.net.endpoint import belongs_to, host_of, require_key, resource_url
from voxd.net.transport import Access, Budget, HttpRequest
from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.contract import (
    ChatMessage,
    Completion,
    ConfiguredStage,
    Prompt,
)
from voxd.providers.pipeline.stages.llm_options import ChatOptions, HostOptions
from voxd.providers.pipeline.stages.llm_stream import StreamingLanguageModel, ThinkTagFilter
from voxd.providers.pipeline.stages.messages import pair_tool_results
from voxd.providers.pipeline.stages.tool_calls import ToolCallAssembler, finish, portable_id
from voxd.providers.settings import ToolSpec
from voxd.providers.usage import Usage

# Azure OpenAI, AI Foundry, and the older host of Cognitive Services: one API behind all three.
_AZURE = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")


class ChatHost(StrEnum):
    """The operator of a server, which decides its paths, its authentication and some field names."""

    OPENAI = "openai"
    AZURE = "azure"
    OTHER = "other"


class ModelRow(msgspec.Struct, frozen=True):
    """A model of the server; ``shutdown_date`` is YYYY-MM-DD, None when none is announced."""

    id: str
    shutdown_date: str | None = None


class _Models(msgspec.Struct):
    data: list[ModelRow]


def host_at(endpoint: str) -> ChatHost:
    """Return the operator of the server at ``endpoint``."""
    # OpenAI has regional hosts too, such as eu.api.openai.com.
    if belongs_to(endpoint, "api.openai.com"):
        return ChatHost.OPENAI
    return ChatHost.AZURE if host_of(endpoint).endswith(_AZURE) else ChatHost.OTHER


HostOptionsT = TypeVar("HostOptionsT", bound=HostOptions)


class OpenAICompatibleLlm(ConfiguredStage[HostOptionsT], StreamingLanguageModel):
    """A model on a server that has OpenAI's paths and headers; compatible servers may need no key."""

    default_endpoint = "https://api.openai.com/v1"
    path: ClassVar[str]
    """Where the API is below the endpoint, such as "/responses"."""

    def endpoint(self, access: Access) -> str:
        """Return the configured endpoint, or the vendor's own."""
        return access.endpoint or self.default_endpoint

    def url(self, access: Access, path: str) -> str:
        """Return the URL of ``path``; an endpoint may be a host, a base URL, or the URL of the API itself."""
        endpoint = self.endpoint(access)
        prefix = "/openai/v1" if host_at(endpoint) is ChatHost.AZURE else "/v1"
        return resource_url(self.name, endpoint, path, prefix=prefix, written=self.path)

    def headers(self, access: Access) -> dict[str, str]:
        """Return the headers of a request. Raises `AuthenticationError` when a required key is missing."""
        host, options = host_at(self.endpoint(access)), self._options
        headers = {}
        if access.key or host is not ChatHost.OTHER:
            key = require_key(self.name, access.key)
            # Azure takes the key of a resource in ``api-key``; its ``Authorization`` is for Entra tokens.
            auth = options.auth or ("api-key" if host is ChatHost.AZURE else "bearer")
            headers = {"api-key": key} if auth == "api-key" else {"Authorization": f"Bearer {key}"}
        if options.organization:
            headers["OpenAI-Organization"] = options.organization
        if options.project:
            headers["OpenAI-Project"] = options.project
        return headers

    def post(self, body: "Json", prompt: Prompt, access: Access) -> HttpRequest:
        """Return the request that sends ``body`` to the API."""
        headers = self.headers(access) | dict(prompt.headers)
        return HttpRequest("POST", self.url(access, self.path), headers, json=body)

    async def models(self, budget: Budget) -> list[ModelRow]:
        """Return the models of the server, with their shutdown dates. Raises `ProviderError`."""
        async with self.transport.request(
            self._probe, budget, kind="models", read_refusal=self._refused
        ) as answer:
            found = await answer.json()
        try:
            return msgspec.convert(found, _Models).data
        except msgspec.ValidationError:
            raise llm_errors.malformed_reply(self.name) from None

    def _probe(self, access: Access) -> HttpRequest:
        return HttpRequest("GET", self.url(access, "/models"), self.headers(access))


_END = "[DONE]"

Json = dict[str, Any]


class ChatCompletionsLlm(OpenAICompatibleLlm[ChatOptions]):
    """A model with the chat completions API."""

    path = "/chat/completions"
    options_type = ChatOptions

    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        body = chat_body(prompt, self.model, self._options, host_at(self.endpoint(access)))
        return self.post(body, prompt, access)

    def _reader(self) -> "ChatReader":
        return ChatReader(self.name)


def chat_body(prompt: Prompt, model: str, options: ChatOptions, host: ChatHost) -> Json:
    """Return the body of a streaming request to ``host``."""
    body: Json = {"model": model, "messages": chat_messages(prompt), "stream": True}
    if options.stream_usage:
        # Only OpenAI pads its chunks (field ``obfuscation``), and only OpenAI accepts the request not to.
        plain = {"include_obfuscation": False} if host is ChatHost.OPENAI else {}
        body["stream_options"] = {"include_usage": True, **plain}
    if prompt.tools:
        body["tools"] = chat_tools(prompt.tools)
    if prompt.max_output_tokens is not None:
        # OpenAI documents both names, compatible servers only ``max_tokens``.
        usual = "max_tokens" if host is ChatHost.OTHER else "max_completion_tokens"
        body[options.max_tokens_field or usual] = prompt.max_output_tokens
    if prompt.temperature is not None:
        body["temperature"] = prompt.temperature
    return body | options.fields()


def chat_messages(prompt: Prompt) -> list[Json]:
    """Return the conversation, with the instructions as its first message."""
    system = [{"role": "system", "content": prompt.instructions}] if prompt.instructions else []
    return system + [_message(message) for message in pair_tool_results(prompt.messages)]


def chat_tools(tools: Sequence[ToolSpec]) -> list[Json]:
    """Return the tools in OpenAI's nested form, which Ollama uses too."""
    return [{"type": "function", "function": msgspec.structs.asdict(each)} for each in tools]


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
    # Null, not "", is what OpenAI documents for a message that only calls tools.
    return {"role": "assistant", "content": message.text or None, "tool_calls": calls}


class _Function(msgspec.Struct):
    name: str | None = None
    # JSON text by the specification; some compatible servers send the object itself.
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
    """Reads the chunks of one reply, as lenient as the servers differ.

    Missing roles, indexes, usage and ``[DONE]`` are accepted, and so are arguments sent as an object.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._drafts = ToolCallAssembler()
        self._filter = ThinkTagFilter()
        self._reason = ""
        self._refused = False
        self.over = False
        self._usage = Usage()

    @property
    def complete(self) -> bool:
        """Whether the reply has ended: some servers omit ``[DONE]``, others the finish reason."""
        return bool(self._reason)

    def feed(self, data: str) -> str:
        """Process the data of one server-sent event and return the text in it."""
        if data.strip() == _END:
            self._reason = self._reason or "stop"
            self.over = True
            return self._filter.end()
        chunk: _Chunk = llm_errors.decode_event(self._provider, data, _Chunk)
        # An error after the first chunk arrives with HTTP status 200, as an event of its own.
        if chunk.error or chunk.object == "error":
            raise llm_errors.error_from_event(self._provider, data)
        if chunk.usage is not None:
            # OpenAI sends it in a last chunk without choices, LiteLLM in one with an empty choice, and vLLM
            # can send running sums in every chunk: the last one counts.
            self._usage = _usage(chunk.usage)
        # One answer was requested: ``n`` is 1 by default.
        return "".join(self._choice(choice) for choice in (chunk.choices or ())[:1])

    def completion(self) -> Completion:
        """Return the end of the reply. Raises `StreamError` when it was truncated."""
        if not self._reason:
            raise llm_errors.truncated_reply(self._provider)
        reason, calls = finish("refusal" if self._refused else self._reason, self._drafts.calls())
        return Completion(reason, calls, self._usage)

    def _choice(self, choice: _Choice) -> str:
        self._reason = choice.finish_reason or self._reason
        delta = choice.delta or _Delta()
        for position, fragment in enumerate(delta.tool_calls or ()):
            function = fragment.function or _Function()
            # Fragments belong together by index; servers that send a call whole may omit it.
            place = position if fragment.index is None else fragment.index
            draft = self._drafts.at(place, id=fragment.id or "", name=function.name or "")
            draft.add(function.arguments)
        self._refused = self._refused or bool(delta.refusal)
        text = self._filter.feed(delta.content or "") + (delta.refusal or "")
        return text + (self._filter.end() if self._reason else "")


def _usage(reported: _Usage) -> Usage:
    cached = reported.prompt_tokens_details.cached_tokens if reported.prompt_tokens_details else 0
    return Usage(
        input_text_tokens=reported.prompt_tokens or 0,
        cached_text_tokens=cached or 0,
        output_text_tokens=reported.completion_tokens or 0,
    )
