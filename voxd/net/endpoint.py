"""The URL, headers and key of a vendor: pure functions of a provider's configuration."""

import inspect
import ipaddress
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from voxd.config.secrets import Secret
from voxd.errors import AuthenticationError, ConfigError, ProviderError, third_party
from voxd.net import faults
from voxd.net.websocket import WebSocketAddress

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_PLAIN = {"ws": "http", "wss": "https"}


def require_key(provider: str, secret: Secret | str | None) -> str:
    """Return the key. Raises `AuthenticationError` when there is none, or one that no header can carry."""
    key = str(secret.reveal() if isinstance(secret, Secret) else secret or "").strip()
    if not key:
        raise AuthenticationError(f"{provider} needs an api_key", provider=provider)
    # A field value is visible ASCII (RFC 9110, section 5.5).
    if not (key.isascii() and key.isprintable()):
        raise AuthenticationError(f"the api_key of {provider} has odd characters", provider=provider)
    return key


def websocket_url(endpoint: str, query: Mapping[str, str], *, path: str = "") -> str:
    """Return ``endpoint`` as the URL of a WebSocket, with ``path`` at its end and ``query`` added.

    Raises `ConfigError` when it is not a URL. The text of the error does not repeat it: it may hold a key.
    """
    try:
        parts = urlsplit(endpoint)
        # `urlsplit` accepts port 0, which no socket can connect to; reading `port` raises for one that is too
        # large.
        scheme = _SCHEMES.get(parts.scheme) if parts.port != 0 else None
    except ValueError:
        scheme = None
    if scheme is None or not parts.hostname:
        raise ConfigError("the provider's endpoint is not a URL", hint="write it as wss://host/path")
    base = parts.path.rstrip("/")
    # An endpoint may already be the whole URL of the socket, as manuals print it.
    if path and not base.endswith(path):
        base = f"{base}{path}"
    parameters = {**dict(parse_qsl(parts.query)), **query}
    return urlunsplit((scheme, parts.netloc, base, urlencode(parameters), ""))


def realtime_url(provider: str, endpoint: str, path: str, query: Mapping[str, Any]) -> str:
    """Return the URL of the socket at ``path``; a list in ``query`` is a parameter that is repeated.

    Raises `ProviderError` when ``endpoint`` is not a URL.
    """
    try:
        url = websocket_url(endpoint, {}, path=path)
    except ConfigError as error:
        raise faults.bad_endpoint(provider, str(error)) from None
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query, doseq=True)}"


def http_url(endpoint: str, live_path: str, path: str) -> str:
    """Return the HTTP URL of ``path`` at the host of a WebSocket at ``live_path``."""
    parts = urlsplit(endpoint)
    base = parts.path.rstrip("/").removesuffix(live_path)
    return urlunsplit((_PLAIN.get(parts.scheme, parts.scheme), parts.netloc, f"{base}{path}", "", ""))


def address_of(
    url: str, headers: Mapping[str, str], metadata: Mapping[str, Any], *, key: str = ""
) -> WebSocketAddress:
    """Return the address of ``url``, with ``ca_file``, ``proxy`` and ``headers`` of ``metadata``.

    Call it for every connection: placeholders and functions in ``headers`` give new values each time. ``key``
    is the one it sends. Raises `ConfigError` for a plain ``ws://`` to a host outside this network: a
    key must not cross the internet in clear.
    """
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
        return urlsplit(url).hostname or ""
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


def resource_url(provider: str, endpoint: str, path: str, *, prefix: str = "", written: str = "") -> str:
    """Return the URL of ``path`` at ``endpoint``.

    ``prefix`` stands between an endpoint that names a host only and ``path``; an endpoint that already ends
    with ``written``, the resource people copy from a manual, loses it first. A query is kept. Raises
    `ProviderError` when the endpoint is not a URL; its text does not repeat it, for it may hold a key.
    """
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise faults.bad_endpoint(provider, "the endpoint is not a URL")
    base = parts.path.rstrip("/")
    if written:
        base = base.removesuffix(written)
    return urlunsplit((parts.scheme, parts.netloc, f"{base or prefix}{path}", parts.query, ""))


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
