"""The client of one vendor: every attempt has a key, an endpoint and a deadline, and is reported."""

import contextlib
import copy
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from voxd.clock import Clock
from voxd.errors import ConfigError, ProviderError, RateLimited, VoxdError, third_party
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.net import faults
from voxd.net.body import HttpRoute, StreamedResponse
from voxd.net.endpoint import fill_placeholders, host_of, is_local_host, merge_headers
from voxd.net.endpoint_pool import EndpointPool
from voxd.net.http import FIRST_BYTE_S, WHOLE_S, HttpClient, RequestTerms
from voxd.net.keys import ApiKey, KeyPool
from voxd.net.rate_limits import DEFAULT_QUEUE, LONGEST_WAIT_S, RateLimiter, RateLimits
from voxd.net.request_middleware import RequestMiddleware, pass_through
from voxd.net.retry import NotAttempted, retry
from voxd.net.tcp import TcpStream
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse, RefusalReader
from voxd.net.websocket import Deadlines, WebSocketAddress, WebSocketConnection

# The problem of an unencrypted endpoint outside the local network.
_IN_CLEAR: Mapping[str, str] = MappingProxyType(
    {
        "http": "the endpoint is not encrypted: write it as https://",
        "ws": "the endpoint is not encrypted: write it as wss://",
        "tcp": "the endpoint is outside this network, and tcp:// is never encrypted",
    }
)


def add_configured_headers(
    headers: Mapping[str, str], configured: Mapping[str, str], *, wall_s: float
) -> dict[str, str]:
    """Return ``headers`` with the configured ones, which win; {uuid} and {unix_s} of those are filled in."""
    return merge_headers(headers, fill_placeholders(configured, wall_s=wall_s))


def check_url(provider: str, url: str) -> str:
    """Return ``url``. Raises `ProviderError` unless it is a URL, and encrypted outside the local network."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - the property parses, and raises for an invalid port
    except ValueError:
        raise faults.bad_endpoint(provider, "the endpoint is not a URL") from None
    if parts.scheme in _IN_CLEAR and not is_local_host(parts.hostname or ""):
        raise faults.bad_endpoint(provider, _IN_CLEAR[parts.scheme])
    return url


def compute_headers(provider: str, headers: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """Return what ``headers``, a user's function, returns. Raises `ProviderError` when it fails."""

    def failure_of(error: Exception) -> ProviderError:
        msg = f"the function for its headers failed: {type(error).__name__}"
        hint = "report this to the author of the function"
        failure = ProviderError(msg, provider=provider, code="headers_failed", hint=hint)
        failure.retryable = False
        return failure

    with third_party(failure_of, passes=()):
        return {**headers()}


@dataclass(slots=True)
class Attempt:
    """An attempt; ``stack`` releases its place in the rate limits."""

    attempt: int
    kind: str
    key: ApiKey = field(default_factory=lambda: ApiKey(0, ""))
    endpoint: str = ""
    url: str = field(default="", repr=False)
    code: str = "ok"
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _began_s: float = 0.0
    _first_byte_ms: float | None = None
    _links: list[StreamedResponse | WebSocketConnection | TcpStream] = field(default_factory=list)

    @property
    def access(self) -> Access:
        """Its endpoint and key."""
        return Access(self.endpoint, self.key.text)

    def begin(self, key: ApiKey, endpoint: str) -> None:
        """Start the attempt and its clock."""
        # Not when it is created: waiting for the rate limit says nothing about the vendor's latency.
        self.key, self.endpoint, self.url = key, endpoint, endpoint
        self._began_s = time.monotonic()

    def opened(self, link: StreamedResponse | WebSocketConnection | TcpStream) -> None:
        """Note the first byte of ``link``."""
        # A middleware may open several, one after the other: all are closed and counted.
        self._first_byte_ms = self._passed_ms()
        self._links.append(link)

    async def close(self, *, finish: bool) -> None:
        """Close what was opened; with ``finish`` so that the connection can be used again."""
        async with self.stack:
            for link in self._links:
                if finish and isinstance(link, StreamedResponse):
                    await link.finish()
                await link.close()

    def report(self) -> dict[str, Any]:
        """Return the payload of `provider.call`."""
        return {
            "kind": self.kind,
            "endpoint": host_of(self.url),
            "key": self.key.number,
            "attempt": self.attempt,
            "code": self.code,
            "first_byte_ms": self._first_byte_ms,
            "duration_ms": self._passed_ms(),
            "sent_bytes": sum(link.sent_bytes for link in self._links),
            "received_bytes": sum(link.received_bytes for link in self._links),
        }

    def _passed_ms(self) -> float:
        return (time.monotonic() - self._began_s) * 1000


def outcome_code(error: BaseException | None) -> str:
    """Return the code of ``error`` for the log."""
    if error is None:
        return "ok"
    if isinstance(error, VoxdError):
        return error.code
    # CancelledError and GeneratorExit: the caller left the block early, as at a barge-in.
    return "internal" if isinstance(error, Exception) else "cancelled"


T = TypeVar("T")
B = TypeVar("B", HttpRequest, WebSocketAddress, str)


@dataclass(frozen=True, slots=True)
class VendorClientSettings:
    """The configuration of a vendor client. Without ``endpoints`` the stage uses the vendor's own.

    ``headers`` are sent with every request: {uuid} is a new one each time, {unix_s} the time;
    ``more_headers`` is called for further ones before every request. ``middleware``: the first is outermost.
    """

    kind: str
    keys: tuple[str, ...] = field(default=(), repr=False)
    endpoints: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    more_headers: Callable[[], Mapping[str, str]] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrent: int | None = None
    queue_excess: bool = True
    max_queue_size: int = DEFAULT_QUEUE
    ca_file: str = ""
    proxy: str | None = field(default=None, repr=False)
    middleware: tuple[RequestMiddleware, ...] = ()


class VendorClient:
    """A `Transport`. ``name`` is the provider's in the configuration, ``stage`` "stt", "llm" or "tts"."""

    def __init__(
        self,
        name: str,
        stage: str,
        settings: VendorClientSettings,
        *,
        http: HttpClient,
        emit: Emit,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.stage = stage
        self._settings = settings
        self._http = http
        self._emit = emit
        self._clock = clock
        self._jitter = jitter
        self._keys = KeyPool(name, settings.keys, emit=emit, clock=clock)
        self._endpoints = EndpointPool(settings.endpoints, clock=clock)
        limits = RateLimits(
            settings.requests_per_minute,
            settings.tokens_per_minute,
            settings.max_concurrent,
            settings.queue_excess,
            settings.max_queue_size,
        )
        self._limits = RateLimiter(name, limits, emit=emit)

    def for_stage(self, stage: str) -> "VendorClient":
        """Return the client of another stage of the same provider: keys, endpoints and limits are shared."""
        # A shallow copy: the pools and limits are the same objects.
        other = copy.copy(self)
        other.stage = stage
        return other

    @property
    def key(self) -> int:
        """The number of the key in use, as `Transport.key` says."""
        return self._keys.current.number

    @asynccontextmanager
    async def request(
        self,
        build: Callable[[Access], HttpRequest],
        budget: Budget,
        *,
        kind: str,
        read_refusal: RefusalReader | None = None,
        tokens: int = 0,
        first_byte_s: float | None = None,
        whole_s: float | None = None,
    ) -> AsyncIterator[HttpResponse]:
        """Send what ``build`` returns, as `Transport.request` says."""

        async def connect(attempt: Attempt) -> HttpResponse:
            terms = RequestTerms(
                self.name,
                attempt.key.text,
                read_refusal or faults.error_for_refusal,
                first_byte_s=self.remaining_s(budget, first_byte_s or FIRST_BYTE_S),
                whole_s=whole_s or WHOLE_S,
                ca_file=self._settings.ca_file,
                proxy=self._settings.proxy,
            )

            async def send(request: HttpRequest) -> HttpResponse:
                attempt.url = check_url(self.name, request.url)
                response = await self._http.send(request, terms)
                attempt.opened(response)
                return response

            request = self._build(build, attempt)
            # Before the middleware, which thus sees, and may change, everything that is sent.
            request = replace(request, headers=self._headers(request.headers))
            return await pass_through(self._settings.middleware, request, send, provider=self.name)

        async with self._open(connect, budget, kind, tokens) as response:
            yield response

    @asynccontextmanager
    async def socket(
        self,
        build: Callable[[Access], WebSocketAddress],
        budget: Budget,
        *,
        kind: str,
        read_refusal: RefusalReader | None = None,
        subprotocols: tuple[str, ...] = (),
        deadlines: Deadlines | None = None,
    ) -> AsyncIterator[WebSocketConnection]:
        """Open a WebSocket to what ``build`` returns, as `Transport.socket` says."""
        waits = deadlines or Deadlines()

        async def connect(attempt: Attempt) -> WebSocketConnection:
            address = self._build(build, attempt)
            attempt.url = check_url(self.name, address.url)
            ca_file = address.ca_file or self._settings.ca_file
            connection = await WebSocketConnection.open(
                self.name,
                replace(
                    address,
                    headers=self._headers(address.headers),
                    ca_file=ca_file,
                    proxy=address.proxy or self._settings.proxy,
                    key=address.key or attempt.key.text,
                ),
                replace(waits, open_s=self.remaining_s(budget, waits.open_s)),
                resolver=self._http.resolver,
                trust=await self._trust(address.url, ca_file),
                subprotocols=subprotocols,
                read_refusal=read_refusal or faults.error_for_refusal,
            )
            attempt.opened(connection)
            return connection

        async with self._open(connect, budget, kind, 0) as connection:
            yield connection

    @asynccontextmanager
    async def stream(
        self, build: Callable[[Access], str], budget: Budget, *, kind: str
    ) -> AsyncIterator[TcpStream]:
        """Open a TCP connection to what ``build`` returns, as `Transport.stream` says."""

        async def connect(attempt: Attempt) -> TcpStream:
            attempt.url = check_url(self.name, self._build(build, attempt))
            within_s = self.remaining_s(budget, Deadlines().open_s)
            stream = await TcpStream.open(
                self.name, attempt.url, resolver=self._http.resolver, within_s=within_s
            )
            attempt.opened(stream)
            return stream

        async with self._open(connect, budget, kind, 0) as stream:
            yield stream

    def prepare(self, build: Callable[[Access], HttpRequest]) -> None:
        """Connect to the host of the request that ``build`` returns, as `Transport.prepare` says."""
        # The next request fails with the same error and reports it.
        with contextlib.suppress(VoxdError, ValueError):
            url = check_url(self.name, build(Access(self._endpoints.next, self._keys.next.text)).url)
            route = HttpRoute(self._settings.ca_file, self._settings.proxy)
            self._http.connect_ahead(self.name, self.stage, url, route)

    def note(self, kind: str, **details: Any) -> None:
        """Log an event of the connection, as `Transport.note` says."""
        self._emit(E.PROVIDER_NOTE, provider=self.name, stage=self.stage, kind=kind, details=details)

    @asynccontextmanager
    async def _open(
        self, connect: Callable[[Attempt], Awaitable[T]], budget: Budget, kind: str, tokens: int
    ) -> AsyncIterator[T]:
        """Yield what ``connect`` opened; close it, and report every attempt. Raises `ProviderError`."""
        has_alternative = False

        async def once(number: int) -> tuple[T, Attempt]:
            nonlocal has_alternative
            try:
                attempt = await self._begin(number, budget, kind, tokens)
            except ProviderError as error:
                raise NotAttempted(error) from None
            try:
                opened = await connect(attempt)
            except BaseException as error:
                # A cancelled attempt is closed and reported too.
                has_alternative = await self._end(attempt, error)
                raise
            self._endpoints.worked(attempt.endpoint)
            return opened, attempt

        try:
            opened, attempt = await retry(
                once, budget, self._clock, jitter=self._jitter, has_alternative=lambda: has_alternative
            )
        except ProviderError as error:
            error.provider = self.name
            raise
        try:
            yield opened
        except BaseException as error:
            # A cancelled call is closed and reported too.
            await self._end(attempt, error)
            raise
        await self._end(attempt, None)

    async def _begin(self, number: int, budget: Budget, kind: str, tokens: int) -> Attempt:
        """Return an attempt with a key, an endpoint and a place in the limits. Raises `ProviderError`."""
        await self._wait_for_key(budget)
        attempt = Attempt(number, kind)
        async with AsyncExitStack() as stack:
            # Queueing beats a 429 of the vendor; another candidate beats queueing.
            place = self._limits.acquire(
                tokens, can_wait=budget.is_last, while_queued=lambda: budget.queued(self._clock)
            )
            await stack.enter_async_context(place)
            # Again: keys may have reached their limits while this request waited for its place.
            await self._wait_for_key(budget)
            attempt.begin(self._keys.take(), self._endpoints.take())
            attempt.stack = stack.pop_all()
        return attempt

    async def _wait_for_key(self, budget: Budget) -> None:
        """Wait while every key is on hold. Raises `ProviderError` when that takes too long."""
        while (wait_s := self._keys.wait_s()) > 0:
            error = self._keys.problem()
            if isinstance(error, RateLimited):
                self._emit(E.RATE_LIMITED, provider=self.name, limit="vendor", wait_s=wait_s)
            too_long = not budget.is_last or wait_s >= self.remaining_s(budget, LONGEST_WAIT_S)
            if too_long or not error.retryable:
                raise error
            await self._clock.sleep(wait_s)

    async def _end(self, attempt: Attempt, error: BaseException | None) -> bool:
        """End and report ``attempt``; return whether the next one would use another key or endpoint."""
        attempt.code = outcome_code(error)
        has_alternative = False
        if isinstance(error, ProviderError):
            error.provider = self.name  # the stage may not know its configured name
            if isinstance(error, RateLimited):
                # Here, where every attempt of every stage ends: also one refused within a stream.
                wait_s = error.retry_after_s
                self._emit(E.RATE_LIMITED, provider=self.name, limit="vendor", wait_s=wait_s)
            # Both are called, whatever the first returns: each notes the failure.
            by_key = self._keys.failed(attempt.key, error)
            has_alternative = self._endpoints.failed(attempt.endpoint, error) or by_key
        try:
            await attempt.close(finish=error is None)
        finally:
            # Even when closing is cancelled: every attempt is reported exactly once.
            self._emit(E.PROVIDER_CALL, provider=self.name, stage=self.stage, **attempt.report())
        return has_alternative

    def _build(self, build: Callable[[Access], B], attempt: Attempt) -> B:
        try:
            return build(attempt.access)
        except ConfigError as error:
            raise faults.bad_endpoint(self.name, str(error)) from None
        except ValueError:
            # From an endpoint that cannot be parsed. Its text holds the endpoint, and so perhaps a key.
            raise faults.bad_endpoint(self.name, "the endpoint is not a URL") from None

    async def _trust(self, url: str, ca_file: str) -> ssl.SSLContext | None:
        if not url.startswith("wss:"):
            return None
        try:
            return await self._http.trust(ca_file)
        except OSError as error:
            raise faults.connect_error(self.name, error) from None

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        settings = self._settings
        more = compute_headers(self.name, settings.more_headers) if settings.more_headers else {}
        return add_configured_headers(headers, {**settings.headers, **more}, wall_s=self._clock.wall())

    def remaining_s(self, budget: Budget, limit_s: float) -> float:
        """Return ``limit_s``, or the time left in the budget when that is less."""
        if budget.until_s is None:
            return limit_s
        return max(min(limit_s, budget.until_s - self._clock.monotonic()), 0.0)
