"""Amazon Polly text-to-speech over HTTP: one signed request for each clause, with streamed audio."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from voxd.net.endpoint import require_key, resource_url
from voxd.net.faults import RefusalReader
from voxd.net.transport import Access, Budget, HttpRequest, Transport
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.pipeline.stages.tts_options import HttpTextToSpeech
from voxd.providers.vendors.aws.options import AwsTtsOptions
from voxd.providers.vendors.aws.sigv4 import Signer, parse_credentials
from voxd.providers.vendors.aws.wire import find_region, read_error


class AwsTts(HttpTextToSpeech[AwsTtsOptions]):
    """Amazon Polly. Its engine is reported as the model, because prices depend on it."""

    options_type = AwsTtsOptions
    bill_header: ClassVar[str] = "x-amzn-requestcharacters"

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        """Raises `ConfigError` when the region is unknown."""
        super().__init__(config, transport)
        self._region = find_region(config.name, self._options.region, config.endpoint, "polly")

    @property
    def refusal_reader(self) -> RefusalReader:
        """The function that turns an HTTP error response into an error."""
        return read_error

    @property
    def model(self) -> str:
        """The engine."""
        return self._options.engine

    async def check(self, budget: Budget) -> None:
        """Request the voices of the engine. Raises `ProviderError`."""

        def build(access: Access) -> HttpRequest:
            url = self._url(access, "/v1/voices", {"Engine": self._options.engine})
            return self._signed("GET", url, b"", access)

        await self._check_by(build, budget)

    def _call(self, text: str, access: Access) -> HttpRequest:
        body: dict[str, Any] = {
            "Text": text,
            "TextType": "text",
            "OutputFormat": "pcm",
            "SampleRate": str(self._options.sample_rate_hz),
            "VoiceId": self.voice,
            "Engine": self._options.engine,
        }
        if self._options.lexicon_names:
            body["LexiconNames"] = list(self._options.lexicon_names)
        # Bilingual voices need the language; other voices have one language.
        if "-" in self.config.language:
            body["LanguageCode"] = self.config.language
        content = msgspec.json.encode(body)
        return self._signed("POST", self._url(access, "/v1/speech"), content, access)

    def _url(self, access: Access, path: str, query: Mapping[str, str] | None = None) -> str:
        endpoint = access.endpoint or f"https://polly.{self._region}.amazonaws.com"
        return resource_url(self.name, endpoint, path, query=query)

    def _signed(self, method: str, url: str, content: bytes, access: Access) -> HttpRequest:
        credentials = parse_credentials(self.name, require_key(self.name, access.key))
        headers = {"Content-Type": "application/json"} if content else {}
        signer = Signer(credentials, self._region, "polly")
        signed = signer.headers(method, url, headers, content, time.time())
        return HttpRequest(method, url, signed, content=content or None)
