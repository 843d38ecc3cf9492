"""The HTTP client itself: httpx writes requests, httpcore carries them, our own resolver finds the hosts.

`voxd.providers.net.http` imports this module when the first request is sent, and nobody else does. httpx's
own client is left out: it logs URLs, which may hold a key, and keeps cookies.
"""

import contextlib
import functools
import ssl
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
from voxd.providers.net.wire import Call

KEEP_S = 45.0
"""A connection nobody used for so long is closed: the next turn of a conversation comes sooner."""

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

    def __init__(self, resolver: Resolver) -> None:
        self._network = _Network(resolver)
        self._pools: dict[Route, httpcore.AsyncConnectionPool] = {}

    def knows(self, route: Route) -> bool:
        """Whether `learn` was called for ``route``."""
        return route in self._pools

    def learn(self, route: Route, trust: ssl.SSLContext) -> None:
        """Connections of ``route`` are to trust ``trust``."""
        self._pools[route] = httpcore.AsyncConnectionPool(
            ssl_context=trust,
            proxy=httpcore.Proxy(route.proxy) if route.proxy else None,
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=KEEP_S,
            network_backend=self._network,
        )

    async def send(self, provider: str, call: Call, route: Route) -> tuple[Head, int]:
        """Send ``call``; return the head of the answer, and how many bytes the body of the call had.

        Raises `ProviderError`, and `TimeoutError` only if the caller's deadline has passed.
        """
        with _as_ours(provider):
            request = _request(provider, call)
            answer = await self._pools[route].handle_async_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
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
        for pool in self._pools.values():
            await pool.aclose()


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
    """Finds hosts by our own resolver; TLS is checked against the host's name all the same."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        with anyio.fail_after(timeout):
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
