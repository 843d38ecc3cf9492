"""The contract between a stage and its vendor client: requests, responses, budgets."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from voxd.clock import Clock
from voxd.net import faults

if TYPE_CHECKING:
    # Stages import this module; the contract alone must load no network library (3 MB, a second on a Pi).
    from voxd.net.tcp import TcpStream
    from voxd.net.websocket import Deadlines, WebSocketAddress, WebSocketConnection


class Budget:
    """What a turn may still spend on one provider: time, and attempts after the first.

    ``until_s`` is CLOCK_MONOTONIC, None for no end: no attempt begins later, and no first byte is awaited
    longer; a response that has begun has deadlines of its own. ``retries`` counts down, over all stages of
    the turn. While a request waits in a queue of ours the time of the turn stands still: ``until_s`` moves on
    by as much (see `queued`).
    """

    __slots__ = ("_queue", "_until_s", "retries")

    def __init__(self, until_s: float | None = None, retries: int = 2) -> None:
        self._queue = _QueueTime()
        self._until_s = until_s
        self.retries = retries

    @property
    def until_s(self) -> float | None:
        """The end of the turn."""
        return None if self._until_s is None else self._until_s + self.queued_s

    @until_s.setter
    def until_s(self, until_s: float | None) -> None:
        self._until_s = None if until_s is None else until_s - self.queued_s

    @property
    def queued_s(self) -> float:
        """For how long requests of the turn have waited in queues of ours, also while one still does."""
        return self._queue.seconds

    def queued(self, clock: Clock) -> AbstractContextManager[None]:
        """Count the time of the block as spent in a queue."""
        return self._queue.measure(clock)

    @property
    def is_last(self) -> bool:
        """Whether no other candidate is left: only then the same one is retried after a pause."""
        return True

    @property
    def retry_until_s(self) -> float | None:
        """When it is too late to try again (CLOCK_MONOTONIC), None for never."""
        return self.until_s


class _QueueTime:
    """A stopwatch; blocks that overlap count once."""

    __slots__ = ("_began_s", "_clock", "_depth", "_past_s")

    def __init__(self) -> None:
        self._past_s = 0.0
        self._depth = 0
        self._began_s = 0.0
        self._clock: Clock | None = None

    @property
    def seconds(self) -> float:
        running_s = self._clock.monotonic() - self._began_s if self._clock and self._depth else 0.0
        return self._past_s + running_s

    @contextmanager
    def measure(self, clock: Clock) -> Iterator[None]:
        if not self._depth:
            self._clock, self._began_s = clock, clock.monotonic()
        self._depth += 1
        try:
            yield
        finally:
            past_s = self.seconds
            self._depth -= 1
            if not self._depth:
                self._past_s = past_s


@dataclass(frozen=True, slots=True)
class Access:
    """The endpoint and key of an attempt; ``key`` is "" where the vendor needs none."""

    endpoint: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An HTTP request with ``json``, ``content`` or ``form``.

    The fields of a form are texts, several under one name as a list, and files as (name, type, bytes).
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = None
    content: bytes | None = None
    form: Mapping[str, str | list[str] | tuple[str, str, bytes]] | None = None


class HttpResponse(Protocol):
    """An HTTP response with status 2xx, inside ``async with``. Its methods raise `ProviderError`.

    All of them keep to the deadline of the whole response, and to `voxd.net.body.MAX_BODY_BYTES`.
    """

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""

    async def json(self) -> Any:
        """Return the body as JSON; anything else, such as a log-in page, raises."""

    async def read(self) -> bytes:
        """Return the body."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""

    def lines(self) -> AsyncIterator[str]:
        """Yield the lines of the body, UTF-8, without their ends."""

    def events(self) -> AsyncIterator[tuple[str, str]]:
        """Yield server-sent events: type ("" where none is named) and data; comments are skipped.

        A body of JSON, in lines or whole, gives its texts as events without a type.
        """


RefusalReader = faults.RefusalReader
"""Reads a refusal (provider, status, lower-case headers, body); `faults.error_for_refusal` is one."""


class Transport(Protocol):
    """The way to one vendor, implemented by `voxd.net.vendor_client.VendorClient`.

    Every attempt calls the builder again, so that a failed key or endpoint is not used twice. Only a
    retryable error is retried, only before any of the response was used, at most three attempts in all, and
    within the budget. Configured headers are added last.
    """

    @property
    def key(self) -> int:
        """The number of the key in use, from 1; 0 where the vendor needs none."""

    def remaining_s(self, budget: Budget, limit_s: float) -> float:
        """Return ``limit_s``, or the time left in the budget (by the turn's clock) when that is less."""

    def request(
        self,
        build: Callable[[Access], HttpRequest],
        budget: Budget,
        *,
        kind: str,
        read_refusal: RefusalReader | None = None,
        tokens: int = 0,
        first_byte_s: float | None = None,
        whole_s: float | None = None,
    ) -> AbstractAsyncContextManager[HttpResponse]:
        """Send what ``build`` returns. ``kind`` names the request in the log ("chat", "transcribe").

        ``tokens`` is an estimate, for the limit of tokens a minute. Raises `ProviderError`.
        """

    def socket(
        self,
        build: "Callable[[Access], WebSocketAddress]",
        budget: Budget,
        *,
        kind: str,
        read_refusal: RefusalReader | None = None,
        subprotocols: tuple[str, ...] = (),
        deadlines: "Deadlines | None" = None,
    ) -> "AbstractAsyncContextManager[WebSocketConnection]":
        """Open a WebSocket to what ``build`` returns; it is closed at the end of the block."""

    def stream(
        self, build: Callable[[Access], str], budget: Budget, *, kind: str
    ) -> "AbstractAsyncContextManager[TcpStream]":
        """Open a TCP connection to what ``build`` returns, ``tcp://host:port`` in this network.

        It is closed at the end of the block.
        """

    def prepare(self, build: Callable[[Access], HttpRequest]) -> None:
        """Connect in the background to the host of the request that ``build`` returns; never raises.

        Nothing is sent. An unused connection is closed after a while.
        """

    def note(self, kind: str, **details: Any) -> None:
        """Log an event of the connection, such as a reconnect; no transcripts, no keys."""
