"""What the services of AWS say when they refuse: in a header of an answer, or in a frame of a stream."""

from collections.abc import Mapping

from voxd.errors import ConnectionFailed, ProviderError
from voxd.providers.net.refusals import BAD_KEY, BUSY, SLOW_DOWN, Means, meant, refusal, said

_TIMED_OUT = Means("closed_by_vendor", ConnectionFailed, retryable=True)
_REFUSED = Means("refused", hint="check the provider's settings in the configuration")
_NAMES: Mapping[str, Means] = {
    **dict.fromkeys(("LimitExceeded", "Throttling", "ThrottledClient", "TooManyRequests"), SLOW_DOWN),
    **dict.fromkeys(("InternalFailure", "InternalServer", "ServiceFailure"), BUSY),
    **dict.fromkeys(("ServiceUnavailable", "Conflict"), BUSY),
    **dict.fromkeys(("AccessDenied", "UnrecognizedClient", "InvalidSignature", "ExpiredToken"), BAD_KEY),
    **dict.fromkeys(("SignatureDoesNotMatch", "InvalidClientTokenId", "IncompleteSignature"), BAD_KEY),
    "MissingAuthenticationToken": BAD_KEY,
}
_TABLE = {f"{name}{end}": means for name, means in _NAMES.items() for end in ("", "Exception")}
_CLOCK = ("Signature expired", "Signature not yet current")

_by_name = refusal(_TABLE)


def refused(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error for a refusal, as its header ``x-amzn-errortype`` names it."""
    message = said(headers, body).message
    return _clock(provider, message) or _by_name(provider, status, headers, body)


def complaint(provider: str, name: str, message: str) -> ProviderError:
    """Return the error for what a stream breaks off with, such as ``name`` "BadRequestException"."""
    text = message or name or "AWS gave no reason"
    known = _TABLE.get(name, _TIMED_OUT if "timed out" in text else _REFUSED)
    return _clock(provider, text) or meant(provider, known, text)


def _clock(provider: str, message: str) -> ProviderError | None:
    """Return the error for a signature made at a wrong time, None when it was not."""
    if not message.startswith(_CLOCK):
        return None
    hint = "set the clock: `timedatectl status`"
    return ConnectionFailed("the device's clock is wrong", provider=provider, code="clock_wrong", hint=hint)
