"""OpenAI-compatible chat: addresses and headers of such servers, and the chat completions protocol.

OpenAI, Azure OpenAI, Hugging Face's router, llama.cpp, vLLM and LiteLLM offer it with small differences that
are listed in `voxd/providers/vendors/openai/README.md`.
"""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import msgspec

from voxd.errors import ProviderError
from voxd.net.endpoint import belongs_to, host_of, require_key, resource_url
from voxd.net.transport import Access, Budget, HttpRequest, Transport
from voxd.providers.json_fields import label, mapping, rows
from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.chat_reader import ChatReader, KeptFields
from voxd.providers.pipeline.stages.contract import (
    ChatMessage,
    Completion,
    ConfiguredStage,
    Prompt,
    StageConfig,
    TextChunk,
)
from voxd.providers.pipeline.stages.llm_options import ChatOptions, HostOptions
from voxd.providers.pipeline.stages.llm_stream import StreamingLanguageModel
from voxd.providers.pipeline.stages.messages import sendable
from voxd.providers.settings import ToolSpec

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
        # Hugging Face's and Together's servers list them without ``data``.
        listed = found if isinstance(found, list) else mapping(found).get("data")
        if not isinstance(listed, list):
            raise llm_errors.malformed_reply(self.name)
        return [
            ModelRow(label(row.get("id")), label(row.get("shutdown_date")) or None)
            for row in rows(listed)
            if label(row.get("id"))
        ]

    def _probe(self, access: Access) -> HttpRequest:
        return HttpRequest("GET", self.url(access, "/models"), self.headers(access))


Json = dict[str, Any]


class ChatCompletionsLlm(OpenAICompatibleLlm[ChatOptions]):
    """A model with the chat completions API."""

    path = "/chat/completions"
    options_type = ChatOptions

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        super().__init__(config, transport)
        # Fields of its own messages that the server does not take back.
        self._refused_fields: set[str] = set()

    async def reply(self, prompt: Prompt) -> AsyncGenerator[TextChunk | Completion]:
        """Yield the reply. Raises `ProviderError`."""
        has_begun = False
        try:
            async with aclosing(super().reply(prompt)) as items:
                async for item in items:
                    has_begun = True
                    yield item
                return
        except ProviderError as error:
            # Some servers require the reasoning they sent (DeepSeek), others refuse it by name (Groq).
            names = {each for each in kept_names(prompt, self.name) if each in str(error)}
            if has_begun or not names - self._refused_fields:
                raise
            self._refused_fields |= names
        async with aclosing(super().reply(prompt)) as items:
            async for item in items:
                yield item

    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        body = chat_body(prompt, self.model, self.name, self._options, host_at(self.endpoint(access)))
        for message in body["messages"] if self._refused_fields else ():
            for fields in (message, *message.get("tool_calls", ())):
                for name in self._refused_fields:
                    fields.pop(name, None)
        return self.post(body, prompt, access)

    def _reader(self, known: Collection[str]) -> ChatReader:
        return ChatReader(self.name, known)


def chat_body(prompt: Prompt, model: str, provider: str, options: ChatOptions, host: ChatHost) -> Json:
    """Return the body of a streaming request to ``host``, which the configuration names ``provider``."""
    body: Json = {"model": model, "messages": chat_messages(prompt, provider), "stream": True}
    if options.stream_usage:
        # Only OpenAI pads its chunks (field ``obfuscation``), and only OpenAI accepts the request not to.
        plain = {"include_obfuscation": False} if host is ChatHost.OPENAI else {}
        body["stream_options"] = {"include_usage": True, **plain}
    if prompt.tools and prompt.may_call:
        body["tools"] = chat_tools(prompt.tools)
    if prompt.max_output_tokens is not None:
        # OpenAI documents both names, compatible servers only ``max_tokens``.
        usual = "max_tokens" if host is ChatHost.OTHER else "max_completion_tokens"
        body[options.max_tokens_field or usual] = prompt.max_output_tokens
    if prompt.temperature is not None:
        body["temperature"] = prompt.temperature
    return body | options.fields()


def kept_names(prompt: Prompt, provider: str) -> set[str]:
    """Return the names of the fields that go back to ``provider`` with its own messages."""
    kept = [each.raw for each in sendable(prompt.messages, provider) if isinstance(each.raw, KeptFields)]
    return {name for each in kept for fields in (each.message, *each.calls) for name in fields}


def chat_messages(prompt: Prompt, provider: str) -> list[Json]:
    """Return the conversation, with the instructions as its first message, for the provider ``provider``."""
    system = [{"role": "system", "content": prompt.instructions}] if prompt.instructions else []
    return system + [_message(message) for message in sendable(prompt.messages, provider)]


def chat_tools(tools: Sequence[ToolSpec]) -> list[Json]:
    """Return the tools in OpenAI's nested form, which Ollama uses too."""
    return [{"type": "function", "function": msgspec.structs.asdict(each)} for each in tools]


def _message(message: ChatMessage) -> Json:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    kept = message.raw if isinstance(message.raw, KeptFields) else KeptFields()
    extras = kept.calls if len(kept.calls) == len(message.calls) else ({},) * len(message.calls)
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
            **extra,
        }
        for call, extra in zip(message.calls, extras, strict=True)
    ]
    # Null, not "", is what OpenAI documents for a message that only calls tools.
    return {"role": "assistant", "content": message.text or None, "tool_calls": calls, **kept.message}
