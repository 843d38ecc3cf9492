"""Asks OpenAI by its Responses API, which thinks across calls of tools; nothing is stored there."""

from dataclasses import replace

from voxd.net.transport import Access, HttpRequest, Transport
from voxd.providers.pipeline.stages.chat_hosts import chat_headers, chat_url, host_at
from voxd.providers.pipeline.stages.contract import Prompt, StageConfig
from voxd.providers.pipeline.stages.llm_stream import StreamingLanguageModel
from voxd.providers.pipeline.stages.options import parse_options
from voxd.providers.vendors.openai.responses_wire import (
    OpenAIResponsesOptions,
    ResponsesReader,
    responses_body,
)

_RESPONSES = "/responses"


class OpenAIResponsesLlm(StreamingLanguageModel):
    """The Responses API of OpenAI, of Azure OpenAI, or of a server that copies it."""

    default_model = "gpt-6-luna"
    default_endpoint = "https://api.openai.com/v1"

    def __init__(self, config: StageConfig, wire: Transport) -> None:
        super().__init__(config, wire)
        self._options = parse_options(config, OpenAIResponsesOptions)

    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        access = self._at(access)
        host = host_at(access.endpoint)
        body = responses_body(prompt, self.model, self.config.kind, self._options, host)
        headers = chat_headers(self.name, access, self._options) | dict(prompt.headers)
        return HttpRequest(
            "POST", chat_url(self.name, access.endpoint, _RESPONSES, _RESPONSES), headers, json=body
        )

    def _probe(self, access: Access) -> HttpRequest:
        access = self._at(access)
        headers = chat_headers(self.name, access, self._options)
        return HttpRequest("GET", chat_url(self.name, access.endpoint, "/models", _RESPONSES), headers)

    def _reader(self) -> ResponsesReader:
        return ResponsesReader(self.name)

    def _at(self, access: Access) -> Access:
        return access if access.endpoint else replace(access, endpoint=self.default_endpoint)
