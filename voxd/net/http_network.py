"""The network backend of httpcore: our own resolver, and connections opened ahead of a request."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import anyio.abc
import httpcore
from httpcore._backends.anyio import AnyIOStream

from voxd.errors import ProviderError
from voxd.net.dns import Resolver
from voxd.net.sockets import open_socket

_log = logging.getLogger(__name__)

# The time for name, TCP and TLS together, the same as for a request.
OPEN_S = 6.0

# The time for an unneeded connection to open before it is cancelled.
GRACE_S = 0.25

# A TCP connection that neither side has closed (linux/tcp_states.h).
_ESTABLISHED = 1


class SpareConnection:
    """A connection opened ahead, for the next request. It never raises: that request reports the error."""

    def __init__(self, opening: Coroutine[None, None, httpcore.AsyncNetworkStream]) -> None:
        self.since_s = time.monotonic()
        self._task = asyncio.create_task(_open(opening), name="connect ahead")

    @property
    def is_usable(self) -> bool:
        """Whether it is being opened, or is open and not closed by the other side."""
        if not self._task.done():
            return True
        stream = None if self._task.cancelled() else self._task.result()
        return stream is not None and _is_established(stream)

    async def take(self) -> httpcore.AsyncNetworkStream | None:
        """Return the connection, None when there is none. The caller owns it."""
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            await self.close()
            raise
        if self.is_usable:
            return self._task.result()
        await self.close()
        return None

    async def close(self) -> None:
        """Close it unless it was taken; idempotent."""
        # anyio leaks a connection that completes in the moment it is cancelled, so it gets time to open.
        await asyncio.wait([self._task], timeout=GRACE_S)
        self._task.cancel()
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, httpcore.AsyncNetworkStream):
            await outcome.aclose()


_OPENING_ERRORS = (
    OSError,
    ProviderError,
    UnicodeError,
    httpcore.NetworkError,
    httpcore.TimeoutException,
)


async def _open(
    opening: Coroutine[None, None, httpcore.AsyncNetworkStream],
) -> httpcore.AsyncNetworkStream | None:
    try:
        async with asyncio.timeout(OPEN_S):
            return await opening
    except _OPENING_ERRORS as error:
        _log.debug("no connection was opened ahead: %s", type(error).__name__)
        return None


def _is_established(stream: httpcore.AsyncNetworkStream) -> bool:
    """Return whether both sides are open."""
    raw = stream.get_extra_info("socket")
    try:
        # The state is the first byte of tcp_info. Readable data, the usual test, proves nothing: a TLS 1.3
        # server sends session tickets after the handshake (RFC 8446, section 4.6.1).
        return bool(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED)
    except OSError:
        return False


# The time for TCP, and again for TLS after it.
CONNECT_S = 3.0


class NetworkBackend(httpcore.AnyIOBackend):
    """Finds hosts by our own resolver; TLS is checked against the host's name all the same.

    A connection that `prepare` opened is used for the next request.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._spares: list[tuple[tuple[str, int], SpareConnection]] = []
        self._wanted: dict[tuple[str, int], set[str]] = {}

    @property
    def has_spares(self) -> bool:
        """Whether connections wait to be used."""
        return bool(self._spares)

    def prepare(self, host: str, port: int, trust: ssl.SSLContext | None, whose: str, free: int) -> None:
        """Connect in the background, unless there are enough, with the ``free`` ones of the pool.

        ``trust`` is None where TLS is not wanted.
        """
        wanted = self._wanted.setdefault((host, port), set())
        wanted.add(whose)
        waiting = sum(spare.is_usable for key, spare in self._spares if key == (host, port))
        # One for each stage that uses this host; the free ones of the pool count, or every turn would open
        # more.
        if waiting + free < len(wanted):
            self._spares.append(((host, port), SpareConnection(self._open_ahead(host, port, trust))))

    async def sweep(self, keep_s: float) -> None:
        """Close what was opened ``keep_s`` seconds ago, or by the other side."""
        oldest_s = time.monotonic() - keep_s
        stale = [each for each in self._spares if each[1].since_s < oldest_s or not each[1].is_usable]
        self._spares = [each for each in self._spares if each not in stale]
        for _, spare in stale:
            await spare.close()

    async def close(self) -> None:
        """Close what waits; idempotent."""
        spares, self._spares = self._spares, []
        for _, spare in spares:
            await spare.close()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection: one that was opened ahead, if there is one."""
        with anyio.fail_after(timeout):
            # A spare may have been closed by the vendor since; the request must not fail for that, so the
            # next is tried.
            while (spare := self._take_spare(host, port)) is not None:
                if (stream := await spare.take()) is not None:
                    return stream
            return await self._connect(host, port)

    def _take_spare(self, host: str, port: int) -> SpareConnection | None:
        for each in self._spares:
            if each[0] == (host, port):
                self._spares.remove(each)
                return each[1]
        return None

    async def _open_ahead(
        self, host: str, port: int, trust: ssl.SSLContext | None
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._connect(host, port)
        if trust is None:
            return stream
        # As the pool does it for a request: HTTP/1.1 only (ALPN, RFC 7301).
        trust.set_alpn_protocols(["http/1.1"])
        return _TlsStream(await stream.start_tls(trust, host, CONNECT_S))

    async def _connect(self, host: str, port: int) -> httpcore.AsyncNetworkStream:
        sock = await open_socket(host, port, resolver=self._resolver)
        return _SafeStream(AnyIOStream(await anyio.abc.SocketStream.from_socket(sock)))


class _WrappedStream(httpcore.AsyncNetworkStream):
    """The library's stream; subclasses differ in `start_tls`."""

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


class _SafeStream(_WrappedStream):
    """A stream that is also closed when the TLS handshake is cancelled."""

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        async with AsyncExitStack() as stack:
            # httpcore closes the stream when the handshake fails, but not when it is cancelled.
            stack.push_async_callback(self.aclose)
            encrypted = await self._stream.start_tls(ssl_context, server_hostname, timeout)
            stack.pop_all()
        return encrypted


class _TlsStream(_WrappedStream):
    """A stream that is already encrypted, for the same host with the same trust."""

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return self._stream


def network_cause(error: Exception) -> Exception:
    """Return the `OSError` that caused ``error``, or a `TimeoutError`; ``error`` itself without either."""
    if isinstance(error, httpcore.TimeoutException):
        return TimeoutError()
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError):
            return inner
        # httpcore maps anyio's errors, which wrap those of the socket: only the innermost has the errno or
        # the reason of the certificate.
        inner = inner.__cause__ or inner.__context__
    return error
