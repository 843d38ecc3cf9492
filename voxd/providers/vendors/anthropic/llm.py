"""Language model stage with Anthropic's Messages API. Protocol facts: `README.md` beside this file."""

from collections.abc import Collection

from voxd.net.endpoint import require_key, resource_url
from voxd.net.transport import Access, HttpRequest
from voxd.providers.pipeline.stages.contract import ConfiguredStage, Prompt
from voxd.providers.pipeline.stages.llm_stream import StreamingLanguageModel
from voxd.providers.vendors.anthropic.options import OLD, AnthropicOptions
from voxd.providers.vendors.anthropic.wire import MessagesReader, messages_body

_MESSAGES = "/messages"


class AnthropicLlm(ConfiguredStage[AnthropicOptions], StreamingLanguageModel):
    """The Messages API of Anthropic, or of a compatible server, which may need no key."""

    default_endpoint = "https://api.anthropic.com"
    context_tokens = 100_000
    """Longer prompts have a higher price per token."""

    options_type = AnthropicOptions

    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        body = messages_body(prompt, self.model, self.name, self._options)
        headers = self._headers(access) | dict(prompt.headers)
        return HttpRequest("POST", self._url(access, _MESSAGES), headers, json=body)

    def _probe(self, access: Access) -> HttpRequest:
        return HttpRequest("GET", self._url(access, "/models"), self._headers(access))

    def _reader(self, known: Collection[str]) -> MessagesReader:
        return MessagesReader(self.name, known)

    def _url(self, access: Access, path: str) -> str:
        endpoint = access.endpoint or self.default_endpoint
        return resource_url(self.name, endpoint, path, prefix="/v1", written=_MESSAGES)

    def _headers(self, access: Access) -> dict[str, str]:
        version = self._options.api_version
        headers: dict[str, str] = {"anthropic-version": version}
        # A compatible server at home may need no key; Anthropic always does.
        if not access.key and access.endpoint not in {"", self.default_endpoint}:
            return headers
        key = require_key(self.name, access.key)
        # It is unknown whether x-api-key is accepted with the new version, so each has its own scheme.
        return headers | ({"x-api-key": key} if version == OLD else {"Authorization": f"Bearer {key}"})
