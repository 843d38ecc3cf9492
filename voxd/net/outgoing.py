"""What becomes of every request before it is sent: the configured headers, and where a key may go at all."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from voxd.errors import ProviderError
from voxd.net import faults
from voxd.net.endpoint import is_local_host
from voxd.net.headers import fill_placeholders, merge_headers

_IN_CLEAR: Mapping[str, str] = MappingProxyType(
    {
        "http": "the endpoint is not encrypted: write it as https://",
        "ws": "the endpoint is not encrypted: write it as wss://",
        "tcp": "the endpoint is outside this network, and tcp:// is never encrypted",
    }
)
"""What is said of somebody far who is spoken to in clear."""


def add_configured_headers(
    headers: Mapping[str, str], configured: Mapping[str, str], *, wall_s: float
) -> dict[str, str]:
    """Return ``headers`` with the configured ones, which win; {uuid} and {unix_s} of those are filled in."""
    return merge_headers(headers, fill_placeholders(configured, wall_s=wall_s))


def check_url(provider: str, url: str) -> str:
    """Return ``url``. Raises `ProviderError` for none, or one that would send a key far away in clear."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - it is read when it is asked for
    except ValueError:
        raise faults.bad_endpoint(provider, "it is no URL") from None
    if parts.scheme in _IN_CLEAR and not is_local_host(parts.hostname or ""):
        raise faults.bad_endpoint(provider, _IN_CLEAR[parts.scheme])
    return url


def compute_headers(provider: str, headers: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """Return what ``headers``, a function of the user's, returns. Raises `ProviderError` when it fails."""
    try:
        return {**headers()}
    except Exception as error:
        # A stranger's code: its mistakes must look like any other fault of a provider.
        msg = f"the function for its headers failed: {type(error).__name__}"
        hint = "report this to the author of the function"
        failure = ProviderError(msg, provider=provider, code="headers_failed", hint=hint)
        failure.retryable = False
        raise failure from error
