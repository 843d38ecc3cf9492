"""Hugging Face speech-to-text by upload: through its router, or at a dedicated endpoint.

Protocol facts: `README.md` beside this file.
"""

from collections.abc import AsyncGenerator, Mapping

import msgspec

from voxd.errors import ConnectionFailed, ProviderError
from voxd.frames import Clip
from voxd.net import faults
from voxd.net.endpoint import belongs_to, require_key
from voxd.net.faults import RefusalReader, parse_refusal
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse
from voxd.net.waits import requested_wait_s
from voxd.providers.pipeline.stages.contract import Transcription, TranscriptionRequest
from voxd.providers.pipeline.stages.stt_upload import FLAC_TYPE, UploadSpeechToText, parse_answer
from voxd.providers.usage import Usage
from voxd.providers.vendors.huggingface.options import HuggingFaceSttOptions

_OWN_HOST = "huggingface.co"
_ROUTER = "/hf-inference"
_WHO_AM_I = "https://huggingface.co/api/whoami-v2"
# How a dedicated endpoint refuses a GET: that it responds is all that can be checked for free.
_REJECTS_GET = frozenset({"model_not_found", "refused"})


class _Answer(msgspec.Struct):
    text: str


class HuggingFaceStt(UploadSpeechToText):
    """Transcribes an upload. The API accepts neither a language nor likely words."""

    options_type = HuggingFaceSttOptions
    default_endpoint = f"https://router.huggingface.co{_ROUTER}"

    @property
    def refusal_reader(self) -> RefusalReader:
        """The function that turns an HTTP error response into an error."""
        return refused

    def _call(self, request: TranscriptionRequest, sound: bytes, access: Access) -> HttpRequest:
        headers = {**self._headers(access), "Content-Type": FLAC_TYPE}
        return HttpRequest("POST", self._url(access), headers, content=sound)

    async def _read(self, answer: HttpResponse, clip: Clip) -> AsyncGenerator[Transcription]:
        found = parse_answer(self.name, await answer.json(), _Answer)
        yield Transcription(found.text.strip(), final=True, usage=Usage(transcribed_seconds=clip.duration_s))

    async def check(self, budget: Budget) -> None:
        """Request the owner of the key; a dedicated endpoint only has to respond."""

        own = True

        def build(access: Access) -> HttpRequest:
            nonlocal own
            own = belongs_to(access.endpoint or self.default_endpoint, _OWN_HOST)
            return HttpRequest("GET", _WHO_AM_I if own else self._url(access), self._headers(access))

        try:
            async with self.transport.request(build, budget, kind="check", read_refusal=refused) as answer:
                await answer.read()
        except ProviderError as error:
            if own or error.code not in _REJECTS_GET:
                raise

    def _url(self, access: Access) -> str:
        base = (access.endpoint or self.default_endpoint).rstrip("/")
        return f"{base}/models/{self.model}" if base.endswith(_ROUTER) else base

    def _headers(self, access: Access) -> dict[str, str]:
        if not access.key and not belongs_to(access.endpoint or self.default_endpoint, _OWN_HOST):
            return {}
        return {"Authorization": f"Bearer {require_key(self.name, access.key)}"}


def refused(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error for an HTTP error response of Hugging Face, whose ``error`` is a text or a list."""
    message = parse_refusal(headers, body).message
    # Not a payment of this request: the credits of the account are used up.
    if status == 402:
        return faults.error_for_code(provider, "insufficient_quota", message)
    # The model is being loaded; ``estimated_time`` is in seconds.
    if status == 503:
        wait_s = requested_wait_s(headers, body)
        msg = message or "the model is not loaded yet"
        return ConnectionFailed(msg, provider=provider, code="overloaded", retry_after_s=wait_s)
    return faults.error_for_refusal(provider, status, headers, body)
