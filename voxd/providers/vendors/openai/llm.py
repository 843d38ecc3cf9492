"""OpenAI's two chat APIs, which Azure OpenAI and compatible servers (llama.cpp, vLLM, LiteLLM) offer too."""

from collections.abc import Collection

from voxd.net.transport import Access, HttpRequest
from voxd.providers.pipeline.stages.chat_completions import ChatCompletionsLlm, OpenAICompatibleLlm, host_at
from voxd.providers.pipeline.stages.contract import Prompt
from voxd.providers.vendors.openai.options import OpenAIResponsesOptions
from voxd.providers.vendors.openai.responses_wire import ResponsesReader, responses_body


class OpenAIChatLlm(ChatCompletionsLlm):
    """Chat completions. A server that is not OpenAI's own needs no key."""


class OpenAIResponsesLlm(OpenAICompatibleLlm[OpenAIResponsesOptions]):
    """The Responses API: it keeps a model's reasoning across tool calls. Nothing is stored at the vendor."""

    path = "/responses"
    options_type = OpenAIResponsesOptions

    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        host = host_at(self.endpoint(access))
        body = responses_body(prompt, self.model, self.name, self._options, host)
        return self.post(body, prompt, access)

    def _reader(self, known: Collection[str]) -> ResponsesReader:
        return ResponsesReader(self.name, known)
