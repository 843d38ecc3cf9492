"""Text-to-speech with OpenAI's ``/audio/speech``, which many servers offer: one request for each clause.

OpenAI shuts down its own models of this endpoint on 2027-01-06; `tts_realtime` replaces them.
"""

from typing import Any, ClassVar

from voxd.net.faults import RefusalReader, refusal_reader
from voxd.net.transport import Access, Budget, HttpRequest
from voxd.providers.pipeline.stages.tts_options import HttpTextToSpeech
from voxd.providers.vendors.openai.options import OpenAITtsOptions, account_headers

_refused = refusal_reader({})


class OpenAITts(HttpTextToSpeech[OpenAITtsOptions]):
    """OpenAI's speech endpoint, or a compatible server.

    Most compatible servers know the default model; OpenAI serves it until 2027-01-06.
    """

    options_type = OpenAITtsOptions
    default_endpoint: ClassVar[str] = "https://api.openai.com/v1"

    async def check(self, budget: Budget) -> None:
        """Request the list of models. Raises `ProviderError`."""

        def build(access: Access) -> HttpRequest:
            url = self.url_at(access, "/models", prefix="/v1")
            return HttpRequest("GET", url, _headers(access, self._options))

        # Some servers have no such list; that they respond is enough.
        await self._check_by(build, budget, accepts={"model_not_found"})

    @property
    def refusal_reader(self) -> RefusalReader:
        """The function that turns an HTTP error response into an error."""
        return _refused

    def _call(self, text: str, access: Access) -> HttpRequest:
        body: dict[str, Any] = {
            "model": self.model,
            "input": text,
            "voice": self.voice,
            "response_format": "pcm",
        }
        if self._options.speed is not None:
            body["speed"] = self._options.speed
        if self._options.instructions:
            body["instructions"] = self._options.instructions
        url = self.url_at(access, "/audio/speech", prefix="/v1")
        return HttpRequest("POST", url, _headers(access, self._options), json=body)


def _headers(access: Access, options: OpenAITtsOptions) -> dict[str, str]:
    # Local servers often need no key.
    headers = {"Authorization": f"Bearer {access.key}"} if access.key else {}
    return headers | account_headers(options)
