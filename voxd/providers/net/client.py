"""The HTTP client itself: httpx writes requests, httpcore carries them, our own resolver finds the hosts.

`voxd.providers.net.http` imports this module when the first request is sent, and nobody else does. httpx's
own client is left out: it logs URLs, which may hold a key, and keeps cookies.
"""

import asyncio
import contextlib
import functools
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpcore
import httpx

from voxd.errors import ProviderError, StreamError
from voxd.providers.net import faults
from voxd.providers.net.answer import Head, Route
from voxd.providers.net.reach import SOCKET_OPTIONS, look_up, race
from voxd.providers.net.resolver import AddressInfo, Resolver
from voxd.providers.net.spare import Ready, Spare
from voxd.providers.net.wire import Call

KEEP_S = 45.0
"""A connection nobody used for so long is closed: the next turn of a conversation comes sooner. So is one
that was opened ahead; vendors wait longer for a first request (nginx: 60 s)."""

SWEEPS = 3
"""Connections are looked through so many times in that time, as long as there are any."""

CONNECT_S = 3.0
"""TCP, and TLS after it, may each take so long."""

MOST_CONNECTIONS = 32

_HEADERS = {"User-Agent": "voxd", "Accept": "*/*", "Accept-Encoding": "identity"}
_BROKEN = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.ProxyError,
    OSError,
)


class Client:
    """Connections to all vendors. Redirects are not followed, proxies of the environment are ignored."""

    def __init__(self, resolver: Resolver, *, keep_s: float = KEEP_S) -> None:
        self._resolver = resolver
        self._keep_s = keep_s
        self._trust: dict[Route, ssl.SSLContext] = {}
        self._pools: dict[Route, httpcore.AsyncConnectionPool] = {}
        self._networks: dict[Route, _Network] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.Task[None] | None = None

    def knows(self, route: Route) -> bool:
        """Whether `learn` was called for ``route``."""
        return route in self._pools

    def learn(self, route: Route, trust: ssl.SSLContext) -> None:
        """Connections of ``route`` are to trust ``trust``."""
        self._trust[route] = trust
        self._networks[route] = _Network(self._resolver)
        self._pools[route] = httpcore.AsyncConnectionPool(
            ssl_context=trust,
            proxy=httpcore.Proxy(route.proxy) if route.proxy else None,
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=self._keep_s,
            network_backend=self._networks[route],
        )

    def prepare(self, url: str, route: Route) -> None:
        """Connect to where ``url`` is, in the background, unless a connection waits; nothing is sent."""
        if route.proxy is not None:
            return
        try:
            parts = httpx.URL(url)
        except (httpx.InvalidURL, UnicodeError):
            return
        origin = _url(parts).origin
        free = (each for each in self._pools[route].connections if each.can_handle_request(origin))
        if not parts.host or any(each.is_available() and not each.has_expired() for each in free):
            return
        trust = self._trust[route] if parts.scheme == "https" else None
        self._networks[route].prepare(origin.host.decode("ascii"), origin.port, trust)
        self._watch()

    async def send(self, provider: str, call: Call, route: Route) -> tuple[Head, int]:
        """Send ``call``; return the head of the answer, and how many bytes the body of the call had.

        Raises `ProviderError`, and `TimeoutError` only if the caller's deadline has passed.
        """
        with _as_ours(provider):
            request = _request(provider, call)
            self._watch()
            answer = await self._pools[route].handle_async_request(
                httpcore.Request(
                    request.method,
                    _url(request.url),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions={"timeout": {"connect": CONNECT_S}},
                )
            )
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
        head = Head(answer.status, headers, _pieces(provider, answer), answer.aclose)
        return head, int(request.headers.get("content-length") or 0)

    async def close(self) -> None:
        """Close all connections; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        for network in self._networks.values():
            await network.close()
        for pool in self._pools.values():
            await pool.aclose()

    # --- what nobody used for long ----------------------------------------------------------------

    def _watch(self) -> None:
        """Look through the connections after a while: the pool itself only does so with the next request."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._keep_s / SWEEPS, self._begin_sweep)

    def _begin_sweep(self) -> None:
        self._timer = None
        self._sweeping = asyncio.create_task(self._sweep(), name="close idle connections")

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


def _request(provider: str, call: Call) -> httpx.Request:
    """Return ``call`` as HTTP has it. Raises `ProviderError` when it cannot be."""
    try:
        parts = urlsplit(call.url)
    except ValueError:
        raise faults.misled(provider, "it is no URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise faults.misled(provider, "it is no URL")
    try:
        return _encoded(call)
    except UnicodeEncodeError:
        raise faults.unsendable(provider) from None


def _encoded(call: Call) -> httpx.Request:
    form = call.form or {}
    fields = {name: value for name, value in form.items() if not isinstance(value, tuple)}
    files = {name: (value[0], value[2], value[1]) for name, value in form.items() if isinstance(value, tuple)}
    return httpx.Request(
        call.method,
        call.url,
        headers={**_HEADERS, **_lower(call.headers)},
        json=call.json,
        content=call.content,
        data=fields or None,
        files=files or None,
    )


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Return ``headers`` with names that replace ours."""
    ours = {name.lower(): name for name in _HEADERS}
    return {ours.get(name.lower(), name): value for name, value in headers.items()}


class _Network(httpcore.AnyIOBackend):
    """Finds hosts by our own resolver; TLS is checked against the host's name all the same.

    A connection that `prepare` opened is the next one that is asked for.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._spares: dict[tuple[str, int], Spare] = {}

    @property
    def has_spares(self) -> bool:
        """Whether connections wait to be asked for."""
        return bool(self._spares)

    def prepare(self, host: str, port: int, trust: ssl.SSLContext | None) -> None:
        """Connect in the background, unless that is done; ``trust`` is None where TLS is not wanted."""
        spare = self._spares.get((host, port))
        if spare is None or not spare.is_usable:
            self._spares[host, port] = Spare(self._ready(host, port, trust))

    async def sweep(self, keep_s: float) -> None:
        """Close what was opened ``keep_s`` seconds ago, or by the other side."""
        oldest_s = time.monotonic() - keep_s
        for key, spare in tuple(self._spares.items()):
            if spare.since_s < oldest_s or not spare.is_usable:
                del self._spares[key]
                await spare.close()

    async def close(self) -> None:
        """Close what waits; idempotent."""
        spares, self._spares = self._spares, {}
        for spare in spares.values():
            await spare.close()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        spare = self._spares.pop((host, port), None)
        with anyio.fail_after(timeout):
            if spare is not None and (stream := await spare.taken()) is not None:
                return stream
            return await self._found(host, port, local_address)

    async def _ready(self, host: str, port: int, trust: ssl.SSLContext | None) -> httpcore.AsyncNetworkStream:
        stream = await self._found(host, port, None)
        if trust is None:
            return stream
        # As the pool does it for a request.
        trust.set_alpn_protocols(["http/1.1"])
        return Ready(await stream.start_tls(trust, host, CONNECT_S))

    async def _found(self, host: str, port: int, local_address: str | None) -> httpcore.AsyncNetworkStream:
        found = await look_up(host, port, resolver=self._resolver)
        connect = functools.partial(self._connect, port=port, local_address=local_address)
        return await race(found, connect, httpcore.AsyncNetworkStream.aclose)

    async def _connect(
        self, to: AddressInfo, *, port: int, local_address: str | None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return _Stream(await super().connect_tcp(to[4][0], port, None, local_address, SOCKET_OPTIONS))
        except httpcore.ConnectError as error:
            raise OSError(*_cause(error).args) from None


class _Stream(httpcore.AsyncNetworkStream):
    """The library's stream, closed also when somebody gives up in the middle of a TLS handshake."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self.aclose()
            raise


async def _pieces(provider: str, answer: httpcore.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_stream():
            yield piece
    except _BROKEN:
        msg = "the vendor's answer broke off"
        raise StreamError(msg, provider=provider, code="truncated") from None


@contextlib.contextmanager
def _as_ours(provider: str) -> Iterator[None]:
    """Turn what goes wrong before there is an answer into our errors; their texts may hold the key."""
    try:
        yield
    except ProviderError as error:
        error.provider = error.provider or provider
        raise
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpcore.UnsupportedProtocol, UnicodeError):
        raise faults.misled(provider, "it is no URL") from None
    except httpcore.LocalProtocolError:
        raise faults.unsendable(provider) from None
    except httpcore.RemoteProtocolError as error:
        raise faults.no_http(provider, is_silent="without sending" in str(error)) from None
    except _BROKEN as error:
        raise faults.unreachable(provider, _cause(error)) from None


def _cause(error: Exception) -> Exception:
    """Return the error of the network at the bottom of the library's."""
    if isinstance(error, httpcore.TimeoutException):
        return TimeoutError()
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError):
            return inner
        inner = inner.__cause__ or inner.__context__
    return error
