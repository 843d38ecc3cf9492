"""What Deepgram's stages share: authentication, a free check, and errors of HTTP responses and sockets."""

from typing import ClassVar

from voxd.errors import ConnectionFailed, ProviderError, StreamError
from voxd.net.endpoint import require_key
from voxd.net.faults import (
    BAD_KEY,
    NO_CREDIT,
    SLOW_DOWN,
    CloseReason,
    ErrorMeaning,
    RefusalReader,
    refusal_reader,
)
from voxd.net.transport import Access, Budget, HttpRequest
from voxd.providers.pipeline.stages.contract import PipelineStage

MOST_TERMS = 100
"""How many likely words a request may contain."""

# With the reason DATA-0000: the audio could not be decoded.
_UNREADABLE = 1008

refused: RefusalReader = refusal_reader(
    {
        "INVALID_AUTH": BAD_KEY,
        "INSUFFICIENT_PERMISSIONS": BAD_KEY,
        "ASR_PAYMENT_REQUIRED": NO_CREDIT,
        "PAYMENT_REQUIRED": NO_CREDIT,
        "TOO_MANY_REQUESTS": SLOW_DOWN,
        "INVALID_MODEL": ErrorMeaning(
            "model_not_found", hint="set the provider's model to one of Deepgram's"
        ),
    }
)
"""Turns an HTTP error response of Deepgram into an error."""


class DeepgramStage(PipelineStage):
    """A stage of Deepgram; the endpoint may be configured as that of its socket ``live_path``."""

    live_path: ClassVar[str] = "/v1/listen"

    @property
    def refusal_reader(self) -> RefusalReader:
        """The function that turns an HTTP error response into an error."""
        return refused

    def auth_headers(self, access: Access) -> dict[str, str]:
        """Return the authentication header. Raises `AuthenticationError` without a key."""
        # The scheme is Token; Bearer is for temporary tokens.
        return {"Authorization": f"Token {require_key(self.name, access.key)}"}

    async def check(self, budget: Budget) -> None:
        """Request the projects of the key, which is free. Raises `ProviderError`."""

        def build(access: Access) -> HttpRequest:
            url = self.url_at(access, "/v1/projects")
            return HttpRequest("GET", url, self.auth_headers(access))

        await self._check_by(build, budget)


def close_error(provider: str, ending: CloseReason) -> ProviderError | None:
    """Return the error for close code 1008, DATA-0000; other codes have their usual meaning."""
    return stream_error(provider, "DATA-0000", ending.reason) if ending.close_code == _UNREADABLE else None


def stream_error(provider: str, code: str, text: str) -> ProviderError:
    """Return the error for Deepgram's ``code`` in a message or a close."""
    text = text or "the vendor gave no reason"
    # NET-0000: the server produced nothing in time; NET-0001: no audio for 10 s.
    if code.startswith("NET-"):
        return ConnectionFailed(text, provider=provider, code="server_error")
    if code.startswith("DATA-"):
        error: ProviderError = StreamError(text, provider=provider, code="bad_audio")
        error.retryable = False
        return error
    return StreamError(text, provider=provider)
