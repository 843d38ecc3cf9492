"""Ollama's native API, which can keep a model loaded and set its context size. Facts: `README.md`."""

import logging
from collections.abc import Collection
from typing import ClassVar

from voxd.errors import ProviderError
from voxd.net.endpoint import require_key, resource_url
from voxd.net.transport import Access, Budget, HttpRequest, Transport
from voxd.providers.json_fields import label, mapping, rows
from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.contract import ConfiguredStage, Prompt, StageConfig
from voxd.providers.pipeline.stages.llm_errors import Headers
from voxd.providers.pipeline.stages.llm_stream import StreamingLanguageModel
from voxd.providers.vendors.ollama.options import OllamaOptions
from voxd.providers.vendors.ollama.wire import OllamaReader, chat_body, loading_body
from voxd.tasks import TaskScope

LOADING_S = 120.0
"""The first byte arrives only when the model is loaded, which may take minutes."""

WRITING_S = 60.0
"""How long the reply itself may take."""

_CHAT = "/api/chat"
_log = logging.getLogger(__name__)


class OllamaLlm(ConfiguredStage[OllamaOptions], StreamingLanguageModel):
    """Ollama on this device, on the local network, or at ollama.com."""

    default_endpoint = "http://127.0.0.1:11434"
    context_tokens = 4096
    """The server's default; the option ``context_tokens`` sets another."""

    first_byte_s: ClassVar[float | None] = LOADING_S
    whole_s: ClassVar[float | None] = LOADING_S + WRITING_S

    options_type = OllamaOptions

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        super().__init__(config, transport)
        self._tasks = TaskScope(f"load {config.name}")

    def prepare(self) -> None:
        """Make the server load the model while the user is still speaking."""
        if not len(self._tasks):
            self._tasks.start(self._load())

    async def check(self, budget: Budget) -> None:
        """Check that the model is installed. Raises `ProviderError`."""
        async with self.transport.request(
            self._probe, budget, kind="check", read_refusal=self._refused
        ) as answer:
            listed = await answer.json()
        models = mapping(listed).get("models")
        if not isinstance(models, list):
            raise llm_errors.malformed_reply(self.name)
        names = {label(row.get("name")) for row in rows(models)}
        # A name without a tag means ":latest".
        if not names & {self.model, f"{self.model}:latest"}:
            raise self._missing(f"the server does not have the model {self.model}")

    async def close(self) -> None:
        """Stop waiting for the model to load; idempotent."""
        await self._tasks.close()

    async def _load(self) -> None:
        # Not retried: the first question loads the model anyway.
        budget = Budget(retries=0)
        body = loading_body(self.model, self._options)
        try:
            async with self.transport.request(
                lambda access: HttpRequest(
                    "POST", self._url(access, _CHAT), self._headers(access), json=body
                ),
                budget,
                kind="load",
                read_refusal=self._refused,
                first_byte_s=self.first_byte_s,
                whole_s=self.whole_s,
            ) as answer:
                await answer.read()
        except ProviderError as error:
            _log.debug("%s: the model was not loaded: %s", self.name, error)

    def _call(self, prompt: Prompt, access: Access) -> HttpRequest:
        body = chat_body(prompt, self.model, self.name, self._options)
        headers = self._headers(access) | dict(prompt.headers)
        return HttpRequest("POST", self._url(access, _CHAT), headers, json=body)

    def _probe(self, access: Access) -> HttpRequest:
        return HttpRequest("GET", self._url(access, "/api/tags"), self._headers(access))

    def _reader(self, known: Collection[str]) -> OllamaReader:
        return OllamaReader(self.name, known)

    def _refused(self, provider: str, status: int, headers: Headers, body: bytes) -> ProviderError:
        error = llm_errors.error_from_response(provider, status, headers, body)
        if status == 404:
            return self._missing(str(error))
        # Reported in words only, with status 400.
        if "does not support tools" in str(error):
            error.hint = "choose a model that can use tools, or set tools = [] for the agent"
        return error

    def _missing(self, message: str) -> ProviderError:
        hint = f"run `ollama pull {self.model}` on the server"
        error = ProviderError(message, provider=self.name, code="model_not_found", hint=hint)
        error.retryable = False
        return error

    def _url(self, access: Access, path: str) -> str:
        return resource_url(self.name, access.endpoint or self.default_endpoint, path, written=_CHAT)

    def _headers(self, access: Access) -> dict[str, str]:
        return {"Authorization": f"Bearer {require_key(self.name, access.key)}"} if access.key else {}
