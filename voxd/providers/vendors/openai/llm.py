"""OpenAI's two chat APIs, which Azure OpenAI and compatible servers (llama.cpp, vLLM, LiteLLM) offer too."""

from voxd.net.transport import Access, HttpRequest, Transport
from voxd.providers.pipeline.stages.chat_completions import ChatCompletionsLlm, OpenAICompatibleLlm, host_at
from voxd.providers.pipeline.stages.contract import Prompt, StageConfig, parse_options
from voxd.providers.vendors.openai.responses_wire import (
    OpenAIResponsesOptions,
    ResponsesReader,
    responses_body,
)


class OpenAIChatLlm(ChatCompletionsLlm):
    """Chat completions. A server that is not OpenAI's own needs no key."""


class OpenAIResponsesLlm(OpenAICompatibleLlm):
    """The Responses API: it keeps a model's reasoning across tool calls. Nothing is stored at the vendor."""

    path = "/responses"

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        super().__init__(config, transport)
        self._options = parse_options(config, OpenAIResponsesOptions)

    @property
    def host_options(self) -> OpenAIResponsesOptions:
        """The settings that name the account."""
        return self._options

    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        host = host_at(self.endpoint(access))
        body = responses_body(prompt, self.model, self.config.kind, self._options, host)
        return self.post(body, prompt, access)

    def _reader(self) -> ResponsesReader:
        return ResponsesReader(self.name)
