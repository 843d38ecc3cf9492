"""The HTTP client itself: httpx encodes requests, httpcore sends them, our own resolver finds the hosts.

`voxd.net.http` imports this module when the first request is sent, and no other module does.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpcore
import httpx

from voxd.errors import ProviderError, StreamError
from voxd.net import faults
from voxd.net.body import HttpRoute, ResponseHead
from voxd.net.dns import Resolver
from voxd.net.http_network import CONNECT_S, NetworkBackend, network_cause
from voxd.net.transport import HttpRequest
from voxd.tasks import TaskScope

# A connection that was idle for this long is closed: the next turn of a conversation comes sooner. So is one
# that was opened ahead; servers wait longer for a first request (nginx: client_header_timeout, 60 s).
KEEP_S = 45.0

# How often in that time idle connections are looked for, as long as there are any.
SWEEPS = 3

MOST_CONNECTIONS = 32

# "identity": the bodies are short or already compressed sound, and a compressed stream would delay the first
# token until its block is full.
_HEADERS = {"User-Agent": "voxd", "Accept": "*/*", "Accept-Encoding": "identity"}
_BROKEN = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.ProxyError,
    OSError,
)


# httpx's own client is not used: it logs URLs, which may hold a key, keeps cookies, and obeys proxy variables
# of the environment.
class HttpPools:
    """Connections to all vendors. Redirects are not followed, proxies of the environment are ignored."""

    def __init__(self, resolver: Resolver, *, keep_s: float = KEEP_S) -> None:
        self._resolver = resolver
        self._keep_s = keep_s
        self._trust: dict[HttpRoute, ssl.SSLContext] = {}
        self._pools: dict[HttpRoute, httpcore.AsyncConnectionPool] = {}
        self._networks: dict[HttpRoute, NetworkBackend] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = TaskScope("close idle connections")

    def has_route(self, route: HttpRoute) -> bool:
        """Whether `add_route` was called for ``route``."""
        return route in self._pools

    def add_route(self, route: HttpRoute, trust: ssl.SSLContext) -> None:
        """Create the connection pool of ``route``, whose TLS uses ``trust``."""
        self._trust[route] = trust
        self._networks[route] = NetworkBackend(self._resolver)
        proxy = None
        if route.proxy:
            # Left alone, the library would check an https proxy against a list of authorities of its own.
            proxy = httpcore.Proxy(
                route.proxy, ssl_context=trust if route.proxy.startswith("https:") else None
            )
        self._pools[route] = httpcore.AsyncConnectionPool(
            ssl_context=trust,
            proxy=proxy,
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=self._keep_s,
            network_backend=self._networks[route],
        )

    def prepare(self, url: str, route: HttpRoute, whose: str = "") -> None:
        """Connect to the host of ``url`` in the background, unless a connection waits; nothing is sent.

        Each ``whose`` has one of its own: a model and a voice of one vendor are used at the same time.
        """
        # Through a proxy the connection cannot be handed to the pool: it needs a CONNECT first.
        if route.proxy is not None:
            return
        try:
            parts = httpx.URL(url)
        except (httpx.InvalidURL, UnicodeError):
            return
        origin = _url(parts).origin
        if not parts.host:
            return
        there = (each for each in self._pools[route].connections if each.can_handle_request(origin))
        free = sum(each.is_available() and not each.has_expired() for each in there)
        trust = self._trust[route] if parts.scheme == "https" else None
        self._networks[route].prepare(origin.host.decode("ascii"), origin.port, trust, whose, free)
        self._watch()

    async def send(self, provider: str, request: HttpRequest, route: HttpRoute) -> tuple[ResponseHead, int]:
        """Send ``request``; return the head of the response, and the size of the request's body in bytes.

        Raises `ProviderError`, and `TimeoutError` only if the caller's deadline has passed.
        """
        with _as_ours(provider):
            encoded = _encode(provider, request)
            self._watch()
            response = await self._pools[route].handle_async_request(
                httpcore.Request(
                    encoded.method,
                    _url(encoded.url),
                    headers=encoded.headers.raw,
                    content=encoded.stream,
                    # Connecting only: reading has the deadlines of the response.
                    extensions={"timeout": {"connect": CONNECT_S}},
                )
            )
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
        head = ResponseHead(response.status, headers, _pieces(provider, response), response.aclose)
        return head, int(encoded.headers.get("content-length") or 0)

    async def close(self) -> None:
        """Close all connections; idempotent."""
        # Joined, not cancelled: a sweep has taken connections out of the pool, so only it can close them.
        await self._tasks.join()
        if self._timer is not None:
            self._timer.cancel()
        for network in self._networks.values():
            await network.close()
        for pool in self._pools.values():
            await pool.aclose()

    # --- idle connections --------------------------------------------------------------------------

    def _watch(self) -> None:
        """Start the timer that looks for idle connections."""
        # The pool itself only looks with its next request, which may be hours away.
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._keep_s / SWEEPS, self._begin_sweep)

    def _begin_sweep(self) -> None:
        self._timer = None
        self._tasks.start(self._sweep())

    async def _sweep(self) -> None:
        for network in self._networks.values():
            await network.sweep(self._keep_s)
        connections = [each for pool in self._pools.values() for each in pool.connections]
        for each in connections:
            if each.is_idle() and each.has_expired():
                await each.aclose()
        spares = any(network.has_spares for network in self._networks.values())
        if spares or not all(each.is_closed() for each in connections):
            self._watch()


def _url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _encode(provider: str, request: HttpRequest) -> httpx.Request:
    """Return ``request`` encoded for HTTP. Raises `ProviderError` when that is impossible."""
    try:
        parts = urlsplit(request.url)
    except ValueError:
        raise faults.bad_endpoint(provider, "the endpoint is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise faults.bad_endpoint(provider, "the endpoint is not a URL")
    # A configured "user-agent" replaces ours, however it is written.
    ours = {name.lower(): name for name in _HEADERS}
    headers = _HEADERS | {ours.get(name.lower(), name): value for name, value in request.headers.items()}
    form = request.form or {}
    fields = {name: value for name, value in form.items() if not isinstance(value, tuple)}
    files = {name: (value[0], value[2], value[1]) for name, value in form.items() if isinstance(value, tuple)}
    try:
        return httpx.Request(
            request.method,
            request.url,
            headers=headers,
            json=request.json,
            content=request.content,
            data=fields or None,
            files=files or None,
        )
    except UnicodeEncodeError:
        raise faults.unsendable_request(provider) from None


async def _pieces(provider: str, response: httpcore.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in response.aiter_stream():
            yield piece
    except _BROKEN:
        msg = "the vendor's response broke off"
        raise StreamError(msg, provider=provider, code="truncated") from None


@contextlib.contextmanager
def _as_ours(provider: str) -> Iterator[None]:
    """Map errors before the response to `ProviderError`."""
    # Always "from None": the texts of the libraries' errors may hold the URL, and so the key.
    try:
        yield
    except ProviderError as error:
        error.provider = error.provider or provider
        raise
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpcore.UnsupportedProtocol, UnicodeError):
        raise faults.bad_endpoint(provider, "the endpoint is not a URL") from None
    except httpcore.LocalProtocolError:
        raise faults.unsendable_request(provider) from None
    except httpcore.RemoteProtocolError as error:
        # h11 has no class of its own for a server that closed before the first byte, only this text.
        raise faults.not_http(provider, is_silent="without sending" in str(error)) from None
    except _BROKEN as error:
        raise faults.connect_error(provider, network_cause(error)) from None
