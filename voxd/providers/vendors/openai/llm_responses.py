"""Asks OpenAI by its Responses API, which thinks across calls of tools; nothing is stored there."""

from dataclasses import replace

from voxd.net.transport import Access, HttpRequest, Transport
from voxd.providers.pipeline.stages.chat_hosts import headers_of, url_of, whose
from voxd.providers.pipeline.stages.contract import Prompt, StageConfig
from voxd.providers.pipeline.stages.llm_stream import StreamingModel
from voxd.providers.pipeline.stages.options import options_of
from voxd.providers.vendors.openai.responses_wire import Options, ResponsesReader, responses_body

_RESPONSES = "/responses"


class OpenAIResponses(StreamingModel):
    """The Responses API of OpenAI, of Azure OpenAI, or of a server that copies it."""

    default_model = "gpt-6-luna"
    default_endpoint = "https://api.openai.com/v1"

    def __init__(self, config: StageConfig, wire: Transport) -> None:
        super().__init__(config, wire)
        self._options = options_of(config, Options)

    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        access = self._at(access)
        host = whose(access.endpoint)
        body = responses_body(prompt, self.model, self.config.kind, self._options, host)
        headers = headers_of(self.name, access, self._options) | dict(prompt.headers)
        return HttpRequest(
            "POST", url_of(self.name, access.endpoint, _RESPONSES, _RESPONSES), headers, json=body
        )

    def _probe(self, access: Access) -> HttpRequest:
        access = self._at(access)
        headers = headers_of(self.name, access, self._options)
        return HttpRequest("GET", url_of(self.name, access.endpoint, "/models", _RESPONSES), headers)

    def _reader(self) -> ResponsesReader:
        return ResponsesReader(self.name)

    def _at(self, access: Access) -> Access:
        return access if access.endpoint else replace(access, endpoint=self.default_endpoint)
