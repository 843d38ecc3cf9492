"""Language model stage for a custom HTTP endpoint, which responds with JSON or streams plain text."""

import codecs
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from voxd.errors import ProviderError
from voxd.json_text import json_or
from voxd.net.endpoint import require_key, resource_url
from voxd.net.faults import captive_portal
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse
from voxd.providers.json_fields import Json, count, words
from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.contract import (
    ChatMessage,
    Completion,
    ConfiguredStage,
    LanguageModel,
    Prompt,
    TextChunk,
)
from voxd.providers.pipeline.stages.llm_errors import Headers
from voxd.providers.pipeline.stages.messages import pair_tool_results
from voxd.providers.pipeline.stages.tokens import request_tokens
from voxd.providers.usage import Usage
from voxd.providers.vendors.custom.options import CustomLlmOptions

# Internal: the endpoint responded, but not to this method.
_EXISTS = "exists"


class CustomLlm(ConfiguredStage[CustomLlmOptions], LanguageModel):
    """A custom endpoint: it receives the conversation and returns the reply. It cannot call tools."""

    options_type = CustomLlmOptions

    def prepare(self) -> None:
        """Open a connection while the user is still speaking."""
        self.transport.prepare(partial(self._call, Prompt("", (ChatMessage("user", "."),))))

    async def check(self, budget: Budget) -> None:
        """Request ``check_url``; without one, test that the endpoint responds and accepts the key."""
        try:
            async with self.transport.request(
                self._probe, budget, kind="check", read_refusal=self._check_error
            ) as answer:
                await answer.read()
        except ProviderError as error:
            if error.code != _EXISTS:
                raise

    async def reply(self, prompt: Prompt) -> AsyncGenerator[TextChunk | Completion]:
        """Yield the reply of the endpoint. Raises `ProviderError`."""
        request = self.transport.request(
            partial(self._call, prompt),
            prompt.budget,
            kind="chat",
            read_refusal=llm_errors.error_from_response,
            tokens=request_tokens(prompt),
        )
        async with request as answer:
            end = Completion("stop")
            async for text in self._texts(answer):
                # The label does not say what it is: a whole reply, or an error, comes as text too.
                if isinstance(text, str):
                    yield TextChunk(text)
                    continue
                end = completion_of(text, self._options)
                if said := text_of(self.name, text, self._options):
                    yield TextChunk(said)
        yield end

    async def _texts(self, answer: HttpResponse) -> AsyncGenerator[str | Json]:
        """Yield the body as text as it comes, or the one object that it is. Raises `ProviderError`."""
        begun = ""
        # A character of UTF-8 may be split over two chunks.
        decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        is_text = False
        async for piece in answer.chunks():
            begun += decoder.decode(piece)
            is_text = is_text or self._is_text(begun, answer.headers.get("content-type", ""))
            if is_text and begun:
                yield begun
                begun = ""
        begun += decoder.decode(b"", final=True)
        found = None if is_text else json_or(begun, None)
        if isinstance(found, dict):
            yield found
        elif not is_text and not begun.strip():
            raise llm_errors.truncated_reply(self.name)
        elif "json" in answer.headers.get("content-type", ""):
            raise llm_errors.malformed_reply(self.name)
        elif begun:
            yield begun

    def _is_text(self, begun: str, content_type: str) -> bool:
        """Whether a body that begins so is spoken as it comes. Raises `ProviderError` for other forms."""
        head = begun.lstrip()
        # Its events would be read aloud as they are.
        if "event-stream" in content_type or head.startswith(("data:", "event:")):
            error = llm_errors.malformed_reply(self.name)
            error.hint = 'set kind = "openai" if the endpoint has its protocol, or make it send plain text'
            error.retryable = False
            raise error
        if head.lower().startswith(("<!doctype", "<html")):
            raise captive_portal(self.name)
        return bool(head) and not head.startswith("{") and "json" not in content_type

    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        body = custom_body(prompt, self.model, self._options)
        headers = self._headers(access) | dict(prompt.headers)
        return HttpRequest("POST", resource_url(self.name, access.endpoint, ""), headers, json=body)

    def _probe(self, access: Access) -> HttpRequest:
        if self._options.check_url:
            return HttpRequest(
                "GET", resource_url(self.name, self._options.check_url, ""), self._headers(access)
            )
        # OPTIONS has no effect on the server (RFC 9110, section 9.3.7).
        return HttpRequest("OPTIONS", resource_url(self.name, access.endpoint, ""), self._headers(access))

    def _check_error(self, provider: str, status: int, headers: Headers, body: bytes) -> ProviderError:
        """Return the error for a response to `check`; a rejected method or body proves the endpoint
        exists."""
        error = llm_errors.error_from_response(provider, status, headers, body)
        # A rejected method or body proves that the endpoint exists, and accepts the key.
        if not self._options.check_url and status in {400, 405, 415, 422, 501}:
            error.code, error.retryable = _EXISTS, False
        return error

    def _headers(self, access: Access) -> dict[str, str]:
        return {"Authorization": f"Bearer {require_key(self.name, access.key)}"} if access.key else {}


def custom_body(prompt: Prompt, model: str, options: CustomLlmOptions) -> Json:
    """Return the body of a request, without tools."""
    system = [{"role": "system", "content": prompt.instructions}] if prompt.instructions else []
    fields: dict[str, Any] = {
        options.messages_field: system
        + [_message(each) for each in pair_tool_results(prompt.messages) if each.text],
        options.model_field: model or None,
        options.max_tokens_field: prompt.max_output_tokens,
        options.temperature_field: prompt.temperature,
        options.stream_field: options.stream or None,
    }
    return {name: value for name, value in fields.items() if name and value is not None} | options.body


def _message(message: ChatMessage) -> Json:
    if message.role == "tool":
        # After failover: another model called the tool and failed before it could reply.
        return {"role": "user", "content": f"[{message.tool}] {message.text}"}
    return {"role": message.role, "content": message.text}


def text_of(provider: str, content: Any, options: CustomLlmOptions) -> str:
    """Return the text of a JSON response. Raises `ProviderError` for an error or a missing text."""
    found = _at(content, options.content_path)
    if found is not None:
        return words(found)
    detail = llm_errors.find_error(content)
    if detail is None and (said := llm_errors.complaint(content)):
        detail = llm_errors.ErrorDetail("", said)
    raise (llm_errors.error_from_detail(provider, detail) if detail else llm_errors.malformed_reply(provider))


def completion_of(content: Any, options: CustomLlmOptions) -> Completion:
    """Return the end of a JSON response, with the usage if it is reported."""
    used = Usage(
        input_text_tokens=count(_at(content, options.input_tokens_path)),
        output_text_tokens=count(_at(content, options.output_tokens_path)),
    )
    return Completion("stop", usage=used)


def _at(content: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(content, list) and name.isdecimal() and int(name) < len(content):
            content = content[int(name)]
        elif isinstance(content, dict):
            content = content.get(name)
        else:
            return None
    return content
