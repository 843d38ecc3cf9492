"""The URL, headers and key of a vendor: pure functions of a provider's configuration."""

import inspect
import ipaddress
import re
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

from voxd.config.secrets import Secret
from voxd.errors import AuthenticationError, ConfigError, ProviderError, third_party
from voxd.net import faults

if TYPE_CHECKING:
    # Only for annotations: `address_of` puts off the import.
    from voxd.net.websocket import WebSocketAddress

_SOCKETS = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_PLAIN = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
# "localhost:8000/v1", "[::1]:8000": what people copy from the line in which a server says where it listens.
_BARE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):\d{1,5}(?:[/?].*)?")
_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d*)?")
# Resources that a copied URL may end with, the longer ones first.
_RESOURCES = (
    "/chat/completions",
    "/completions",
    "/audio/transcriptions",
    "/audio/translations",
    "/audio/speech",
    "/realtime/transcription_sessions",
    "/realtime",
    "/live/sessions",
    "/responses",
    "/messages",
    "/embeddings",
    "/models",
    "/api/generate",
    "/api/chat",
    "/api/tags",
    "/cognitiveservices/v1",
    "/cognitiveservices/voices/list",
    "/v1/listen",
    "/v2/listen",
    "/v1/speak",
    "/v1/text:synthesize",
    "/v1/speech:recognize",
    "/v1/speech-to-text/realtime",
    "/v1/speech-to-text",
    "/v3/ws",
)
# ElevenLabs puts the voice into the path.
_VOICE = re.compile(r"/v1/text-to-speech(?:/[^/]+(?:/stream(?:-input)?)?)?$")


def require_key(provider: str, secret: Secret | str | None) -> str:
    """Return the key. Raises `AuthenticationError` when there is none, or one that no header can carry."""
    key = str(secret.reveal() if isinstance(secret, Secret) else secret or "").strip()
    if not key:
        raise AuthenticationError(f"{provider} needs an api_key", provider=provider)
    # A field value is visible ASCII (RFC 9110, section 5.5).
    if not (key.isascii() and key.isprintable()):
        raise AuthenticationError(f"the api_key of {provider} has odd characters", provider=provider)
    return key


def websocket_url(endpoint: str, query: Mapping[str, str], *, path: str = "", prefix: str = "") -> str:
    """Return the URL of the WebSocket at ``path`` of ``endpoint``, with ``query`` added; see `resource_url`.

    Raises `ConfigError` when it is not a URL. The text of the error does not repeat it: it may hold a key.
    """
    try:
        return _join(endpoint, path, prefix, query, _SOCKETS)
    except ValueError:
        hint = "write it as wss://host/path"
        raise ConfigError("the provider's endpoint is not a URL", hint=hint) from None


def realtime_url(
    provider: str, endpoint: str, path: str, query: Mapping[str, Any], *, prefix: str = ""
) -> str:
    """Return the URL of the socket at ``path``; a list in ``query`` is a parameter that is repeated.

    Raises `ProviderError` when ``endpoint`` is not a URL.
    """
    try:
        return _join(endpoint, path, prefix, query, _SOCKETS)
    except ValueError:
        raise faults.bad_endpoint(provider, "the endpoint is not a URL") from None


def resource_url(
    provider: str,
    endpoint: str,
    path: str,
    *,
    prefix: str = "",
    written: str = "",
    query: Mapping[str, Any] | None = None,
) -> str:
    """Return the URL of ``path`` at ``endpoint``, however people write the latter.

    - a host, with or without scheme, port and a slash at the end: ``prefix`` stands before ``path``
    - a base URL, with or without the version that ``path`` begins with
    - the URL of ``path``, of ``written``, or of another resource, copied from a manual: its end is replaced
    - for HTTP or for WebSockets: the scheme is the one that is needed
    - with a query, which is kept; ``query`` is added to it

    Raises `ProviderError` when it is not a URL; its text does not repeat it, for it may hold a key.
    """
    try:
        return _join(endpoint, path, prefix, query or {}, _PLAIN, written)
    except ValueError:
        raise faults.bad_endpoint(provider, "the endpoint is not a URL") from None


def _join(
    endpoint: str,
    path: str,
    prefix: str,
    query: Mapping[str, Any],
    schemes: Mapping[str, str],
    written: str = "",
) -> str:
    """Return the URL of ``path`` at ``endpoint``. Raises `ValueError`."""
    parts = _split(endpoint)
    base = re.sub("/{2,}", "/", parts.path).rstrip("/")
    if path:
        for resource in (path, written, *_RESOURCES):
            if resource and base.endswith(resource):
                base = base[: -len(resource)]
                break
        else:
            base = _VOICE.sub("", base)
    base = base or (prefix if path else "")
    last, first = base.rpartition("/")[2], path.partition("/")[2].partition("/")[0]
    if _VERSION.fullmatch(last) and _VERSION.fullmatch(first):
        base = base[: -len(last) - 1]
    added = urlencode(query, doseq=True)
    # Added to what the endpoint has, unless it says the same: the query of a manual's example is complete.
    kept = "&".join(pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] not in query)
    whole = "&".join(filter(None, (kept, added)))
    return urlunsplit((schemes[parts.scheme], parts.netloc, f"{base}{path}", whole, ""))


def _split(endpoint: str) -> SplitResult:
    """Return the parts of ``endpoint``, which may be without a scheme. Raises `ValueError`."""
    text = endpoint.strip()
    if bare := _BARE.fullmatch(text):
        # TLS for anything that is not in this network: a key must not cross the internet in clear.
        scheme = "http" if is_local_host(bare[1].strip("[]")) else "https"
        text = f"{scheme}://{text}"
    parts = urlsplit(text)
    # `urlsplit` accepts port 0, which no socket can connect to; `port` raises for one that is too large.
    if parts.scheme not in _SOCKETS or not parts.hostname or parts.port == 0:
        raise ValueError("not a URL")
    return parts


def address_of(
    url: str, headers: Mapping[str, str], metadata: Mapping[str, Any], *, key: str = ""
) -> "WebSocketAddress":
    """Return the address of ``url``, with ``ca_file``, ``proxy`` and ``headers`` of ``metadata``.

    Call it for every connection: placeholders and functions in ``headers`` give new values each time. ``key``
    is the one it sends. Raises `ConfigError` for a plain ``ws://`` to a host outside this network: a
    key must not cross the internet in clear.
    """
    # Loads websockets (see tests/test_idle_imports.py), which a device without a cloud does not need.
    from voxd.net.websocket import WebSocketAddress

    parts = urlsplit(url)
    if parts.scheme == "ws" and not is_local_host(parts.hostname or ""):
        raise ConfigError("the provider's endpoint is not encrypted", hint="write it as wss://")
    proxy = metadata.get("proxy")
    ca_file = str(metadata.get("ca_file") or "")
    more = own_headers(metadata.get("headers") or {})
    return WebSocketAddress(url, merge_headers(headers, more), ca_file, str(proxy) if proxy else None, key)


def own_headers(configured: object) -> dict[str, str]:
    """Return the headers a user configured, as they are sent now.

    ``configured`` is a mapping or a function that returns one; a value may be a function, too. Raises
    `ConfigError` when it is neither, or a value cannot be sent, and `ProviderError` when a function fails.
    """
    headers = _called(configured)
    if not isinstance(headers, Mapping):
        raise ConfigError(
            "the headers of the provider are not a table", hint='write headers = { NAME = "VALUE" }'
        )
    found = {}
    for name, value in headers.items():
        given = _called(value)
        text = str(given.reveal() if isinstance(given, Secret) else given)
        # A line break would end the header (RFC 9110, section 5.5).
        if inspect.isawaitable(given) or not text.isprintable():
            raise ConfigError(f"the header {name} of the provider cannot be sent", hint="give it a text")
        found[str(name)] = text
    return fill_placeholders(found, wall_s=time.time())


def _called(value: object) -> Any:
    def failure_of(error: Exception) -> ProviderError:
        msg = f"the function for the provider's headers failed: {type(error).__name__}"
        failure = ProviderError(msg, code="headers_failed", hint="correct the function")
        failure.retryable = False
        return failure

    if not callable(value):
        return value
    with third_party(failure_of, passes=()):
        return value()


def host_of(url: str) -> str:
    """Return the name of the host in ``url``, "" when there is none."""
    try:
        # Of any scheme: a server on this network may be reached by tcp://.
        return (urlsplit(url) if "://" in url else _split(url)).hostname or ""
    except ValueError:
        return ""


def belongs_to(url: str, domain: str) -> bool:
    """Whether the host in ``url`` is ``domain``, or one of its own."""
    host = host_of(url)
    return host == domain or host.endswith(f".{domain}")


def is_local_host(host: str) -> bool:
    """Whether ``host`` is in this network, judged by its name or address."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        # Names of the local network: .local is mDNS (RFC 6762), .home.arpa is RFC 8375; a name without a dot
        # has no place in the public DNS.
        return host == "localhost" or host.endswith((".local", ".lan", ".home.arpa")) or "." not in host
    return found.is_private or found.is_loopback or found.is_link_local


def merge_headers(headers: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return ``headers`` with ``more``, which win, however their names are written."""
    # Field names are case-insensitive (RFC 9110, section 5.1); sent twice, most servers join the values.
    names = {name.lower() for name in more}
    return {**{name: value for name, value in headers.items() if name.lower() not in names}, **more}


def fill_placeholders(headers: Mapping[str, str], *, wall_s: float) -> dict[str, str]:
    """Return ``headers`` with a new {uuid}, and {unix_s} as whole seconds, in place of these words."""
    # `replace`, not `format`: a header may hold other braces, and a format string can reach into objects.
    return {
        name: value.replace("{uuid}", str(uuid.uuid4())).replace("{unix_s}", str(int(wall_s)))
        for name, value in headers.items()
    }
