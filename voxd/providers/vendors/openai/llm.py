"""Asks OpenAI, Azure OpenAI, or any server that copies their chat completions, such as llama.cpp or vLLM."""

from dataclasses import replace

from voxd.net.transport import Access, Budget, HttpRequest, Transport
from voxd.providers.pipeline.stages import llm_errors as complaints
from voxd.providers.pipeline.stages.chat_completions import ChatOptions, ChatReader, chat_body
from voxd.providers.pipeline.stages.chat_hosts import ModelRow, chat_headers, chat_url, host_at, parse_models
from voxd.providers.pipeline.stages.contract import Prompt, StageConfig
from voxd.providers.pipeline.stages.llm_stream import StreamingLanguageModel
from voxd.providers.pipeline.stages.options import parse_options

_CHAT = "/chat/completions"


class OpenAIChatLlm(StreamingLanguageModel):
    """Chat completions. A server that is not OpenAI's own needs no key."""

    default_model = "gpt-6-luna"
    default_endpoint = "https://api.openai.com/v1"

    def __init__(self, config: StageConfig, wire: Transport) -> None:
        super().__init__(config, wire)
        self._options = parse_options(config, ChatOptions)

    async def models(self, budget: Budget) -> list[ModelRow]:
        """Return the models that are there, with the date each will be shut down. Raises `ProviderError`."""
        async with self.wire.request(self._probe, budget, kind="models", refused=self._refused) as answer:
            rows = await parse_models(answer)
        if rows is None:
            raise complaints.malformed_reply(self.name)
        return rows

    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        access = self._at(access)
        body = chat_body(prompt, self.model, self._options, host_at(access.endpoint))
        headers = chat_headers(self.name, access, self._options) | dict(prompt.headers)
        return HttpRequest("POST", chat_url(self.name, access.endpoint, _CHAT, _CHAT), headers, json=body)

    def _probe(self, access: Access) -> HttpRequest:
        access = self._at(access)
        headers = chat_headers(self.name, access, self._options)
        return HttpRequest("GET", chat_url(self.name, access.endpoint, "/models", _CHAT), headers)

    def _reader(self) -> ChatReader:
        return ChatReader(self.name)

    def _at(self, access: Access) -> Access:
        return access if access.endpoint else replace(access, endpoint=self.default_endpoint)
