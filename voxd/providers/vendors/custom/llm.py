"""Asks a user's own HTTP endpoint, which answers in JSON or in text as it is written."""

import codecs
from collections.abc import AsyncGenerator
from functools import partial

from voxd.errors import ProviderError
from voxd.net.endpoint import require_key
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse, Transport
from voxd.providers.pipeline.stages import llm_errors as complaints
from voxd.providers.pipeline.stages.base_url import resource_url
from voxd.providers.pipeline.stages.contract import (
    ChatMessage,
    Completion,
    LanguageModel,
    Prompt,
    StageConfig,
    TextChunk,
)
from voxd.providers.pipeline.stages.llm_errors import Headers
from voxd.providers.pipeline.stages.messages import estimate_tokens
from voxd.providers.pipeline.stages.options import parse_options
from voxd.providers.vendors.custom.wire import CustomLlmOptions, answered, custom_body, text_of

_ALIVE = "answered"


class CustomLlm(LanguageModel):
    """An endpoint of one's own: it is posted a conversation, and answers it. It cannot call tools."""

    def __init__(self, config: StageConfig, wire: Transport) -> None:
        super().__init__(config, wire)
        self._options = parse_options(config, CustomLlmOptions)

    def prepare(self) -> None:
        """Connect while the user still speaks."""
        self.wire.prepare(partial(self._call, Prompt("", (ChatMessage("user", "."),))))

    async def check(self, budget: Budget) -> None:
        """Ask ``check_url``; without one, see whether anybody is there whom our key does not offend."""
        try:
            async with self.wire.request(self._probe, budget, kind="check", refused=self._unwell) as answer:
                await answer.read()
        except ProviderError as error:
            if error.code != _ALIVE:
                raise

    async def reply(self, prompt: Prompt) -> AsyncGenerator[TextChunk | Completion]:
        """Yield the answer of the endpoint."""
        request = self.wire.request(
            partial(self._call, prompt),
            prompt.budget,
            kind="chat",
            refused=complaints.error_from_response,
            tokens=estimate_tokens(prompt),
        )
        async with request as answer:
            kind = answer.headers.get("content-type", "")
            if "event-stream" in kind:
                raise self._of_another_kind()
            if "json" in kind:
                said = await answer.json()
                end = answered(said, self._options)
                yield TextChunk(text_of(self.name, said, self._options))
            else:
                end = Completion("stop")
                async for text in self._texts(answer):
                    yield TextChunk(text)
        yield end

    async def _texts(self, answer: HttpResponse) -> AsyncGenerator[str]:
        """Yield the body as text; a character may come in two pieces. Raises when nothing is said."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        is_empty = True
        async for piece in answer.chunks():
            if text := decoder.decode(piece):
                is_empty = False
                yield text
        if text := decoder.decode(b"", final=True):
            is_empty = False
            yield text
        if is_empty:
            raise complaints.truncated_reply(self.name)

    def _of_another_kind(self) -> ProviderError:
        hint = 'set kind = "openai" if the endpoint speaks as OpenAI does, else have it send plain text'
        error = complaints.malformed_reply(self.name)
        error.hint, error.retryable = hint, False
        return error

    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        body = custom_body(prompt, self.model, self._options)
        headers = self._headers(access) | dict(prompt.headers)
        return HttpRequest("POST", resource_url(self.name, access.endpoint, ""), headers, json=body)

    def _probe(self, access: Access) -> HttpRequest:
        if self._options.check_url:
            return HttpRequest(
                "GET", resource_url(self.name, self._options.check_url, ""), self._headers(access)
            )
        return HttpRequest("OPTIONS", resource_url(self.name, access.endpoint, ""), self._headers(access))

    def _unwell(self, provider: str, status: int, headers: Headers, body: bytes) -> ProviderError:
        """Read a refusal of `check`: an endpoint that will not be asked like this is there all the same."""
        error = complaints.error_from_response(provider, status, headers, body)
        if not self._options.check_url and status in {400, 405, 415, 422, 501}:
            error.code, error.retryable = _ALIVE, False
        return error

    def _headers(self, access: Access) -> dict[str, str]:
        return {"Authorization": f"Bearer {require_key(self.name, access.key)}"} if access.key else {}
