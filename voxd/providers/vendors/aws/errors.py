"""What the services of AWS share: regions, and how they refuse, in a header or in a frame of a stream."""

import re
from collections.abc import Mapping

from voxd.errors import ConfigError, ConnectionFailed, ProviderError
from voxd.net.refusals import (
    BAD_KEY,
    BUSY,
    SLOW_DOWN,
    ErrorMeaning,
    error_meaning,
    parse_refusal,
    refusal_reader,
)

_TIMED_OUT = ErrorMeaning("closed_by_vendor", ConnectionFailed, retryable=True)
_REFUSED = ErrorMeaning("refused", hint="check the provider's settings in the configuration")
_NAMES: Mapping[str, ErrorMeaning] = {
    **dict.fromkeys(("LimitExceeded", "Throttling", "ThrottledClient", "TooManyRequests"), SLOW_DOWN),
    **dict.fromkeys(("InternalFailure", "InternalServer", "ServiceFailure"), BUSY),
    **dict.fromkeys(("ServiceUnavailable", "Conflict"), BUSY),
    **dict.fromkeys(("AccessDenied", "UnrecognizedClient", "InvalidSignature", "ExpiredToken"), BAD_KEY),
    **dict.fromkeys(("SignatureDoesNotMatch", "InvalidClientTokenId", "IncompleteSignature"), BAD_KEY),
    "MissingAuthenticationToken": BAD_KEY,
}
_TABLE = {f"{name}{end}": means for name, means in _NAMES.items() for end in ("", "Exception")}
_CLOCK = ("Signature expired", "Signature not yet current")

_by_name = refusal_reader(_TABLE)


def find_region(name: str, told: str, endpoint: str, service: str) -> str:
    """Return the region of provider ``name``: as it was told, or as the host of ``service`` has it.

    Raises `ConfigError` when neither says.
    """
    found = re.search(rf"{service}\.([a-z0-9-]+)\.amazonaws\.com", endpoint)
    region = told or (found[1] if found else "")
    if not region:
        hint = f'set options.region in [providers.{name}], such as "eu-central-1"'
        raise ConfigError(f"in which region is {name}?", hint=hint)
    return region


def read_error(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error for a refusal, as its header ``x-amzn-errortype`` names it."""
    message = parse_refusal(headers, body).message
    return _clock(provider, message) or _by_name(provider, status, headers, body)


def stream_error(provider: str, name: str, message: str) -> ProviderError:
    """Return the error for what a stream breaks off with, such as ``name`` "BadRequestException"."""
    text = message or name or "AWS gave no reason"
    known = _TABLE.get(name, _TIMED_OUT if "timed out" in text else _REFUSED)
    return _clock(provider, text) or error_meaning(provider, known, text)


def _clock(provider: str, message: str) -> ProviderError | None:
    """Return the error for a signature made at a wrong time, None when it was not."""
    if not message.startswith(_CLOCK):
        return None
    hint = "set the clock: `timedatectl status`"
    return ConnectionFailed("the device's clock is wrong", provider=provider, code="clock_wrong", hint=hint)
