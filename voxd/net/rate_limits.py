"""Rate limits of one provider: requests and tokens a minute, and concurrent requests, in order of arrival."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from voxd.errors import RateLimited
from voxd.events import Emit
from voxd.events import EventType as E

# How many minutes' worth may be used at once: a conversation comes in bursts.
BURST = 2

# A request that has waited this long is refused: its user has left.
LONGEST_WAIT_S = 30.0

# Timers are not exact: a place that is free after exactly that time is not lost.
_GRACE_S = 0.2

DEFAULT_QUEUE = 10

QUEUE_FULL = "queue_full"
QUEUE_TOO_LONG = "queue_too_long"


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The configured limits, None for no limit; what exceeds them queues, or is refused at once."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrent: int | None = None
    queue_excess: bool = True
    max_queue_size: int = DEFAULT_QUEUE


@dataclass(eq=False, slots=True)
class _Place:
    """A request in the queue."""

    tokens: int
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class RateLimiter:
    """Lets requests pass in the order in which they came."""

    def __init__(self, provider: str, allowed: RateLimits, *, emit: Emit) -> None:
        self._provider = provider
        self._allowed = allowed
        self._emit = emit
        self._requests = _Bucket(allowed.requests_per_minute)
        self._tokens = _Bucket(allowed.tokens_per_minute)
        self._under_way = 0
        self._queue: deque[_Place] = deque()

    @asynccontextmanager
    async def acquire(
        self,
        tokens: int,
        *,
        can_wait: bool = True,
        while_queued: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> AsyncIterator[None]:
        """Wait until a request of about ``tokens`` may be made, and count it as under way until the end.

        ``while_queued`` is entered for the time in the queue. Raises `RateLimited`: at once where
        ``can_wait`` is False or excess does not queue, where the queue is full (code ``queue_full``) or the
        wait is certain to be too long (``queue_too_long``), else after `LONGEST_WAIT_S`.
        """
        if full := self._full_limit(tokens):
            wait_s = self._wait_s(tokens)
            # Unknown where only requests under way are in the way.
            self._emit(E.RATE_LIMITED, provider=self._provider, limit=full, wait_s=wait_s or None)
            self._require_queue(full, wait_s, can_wait=can_wait)
            with while_queued():
                await self._wait_in_queue(tokens, full)
        self._requests.take(1)
        self._tokens.take(tokens)
        self._under_way += 1
        self._wake_first()
        try:
            yield
        finally:
            self._under_way -= 1
            self._wake_first()

    async def _wait_in_queue(self, tokens: int, full: str) -> None:
        place = _Place(tokens)
        self._queue.append(place)
        try:
            async with asyncio.timeout(LONGEST_WAIT_S + _GRACE_S):
                await self._wait_at(place)
        except TimeoutError:
            raise self._error(full, self._wait_s(0), QUEUE_TOO_LONG) from None
        finally:
            # A cancelled request gives its place to the next. On success no other task runs until the caller
            # has taken what it waited for.
            self._queue.remove(place)
            self._wake_first()

    async def _wait_at(self, place: _Place) -> None:
        """Return when ``place`` is the first and everything it needs is free."""
        while True:
            if self._queue[0] is not place or self._is_occupied:
                place.woken.clear()
                await place.woken.wait()
            elif (wait_s := self._wait_s(place.tokens, ahead=())) > 0:
                await asyncio.sleep(wait_s)
            else:
                return

    def _wake_first(self) -> None:
        if self._queue:
            self._queue[0].woken.set()

    @property
    def _is_occupied(self) -> bool:
        return self._allowed.max_concurrent is not None and self._under_way >= self._allowed.max_concurrent

    def _wait_s(self, tokens: int, ahead: "tuple[_Place, ...] | None" = None) -> float:
        """Return how long a request of ``tokens`` has to wait behind those ``ahead``, by default all.

        Not counted is how long requests stay under way: that is not known.
        """
        before = tuple(self._queue) if ahead is None else ahead
        return max(
            self._requests.wait_s([1.0] * (len(before) + 1)),
            self._tokens.wait_s([*(float(each.tokens) for each in before), float(tokens)]),
        )

    def _require_queue(self, full: str, wait_s: float, *, can_wait: bool) -> None:
        if not can_wait or not self._allowed.queue_excess:
            raise self._error(full, wait_s, RateLimited.code)
        if len(self._queue) >= self._allowed.max_queue_size:
            raise self._error(full, wait_s, QUEUE_FULL)
        if wait_s > LONGEST_WAIT_S:
            raise self._error(full, wait_s, QUEUE_TOO_LONG)

    def _error(self, full: str, wait_s: float, code: str) -> RateLimited:
        why = {
            QUEUE_FULL: f", and {len(self._queue)} requests wait already",
            QUEUE_TOO_LONG: f", and it would take longer than {LONGEST_WAIT_S:g} s",
        }
        msg = f"the limit of {full} that is set for {self._provider} is reached{why.get(code, '')}"
        hint = f"wait, or raise the limits of [providers.{self._provider}]"
        return RateLimited(msg, provider=self._provider, code=code, hint=hint, retry_after_s=wait_s or None)

    def _full_limit(self, tokens: int) -> str:
        """Return which limit makes the next request wait, "" if it can go at once."""
        if self._is_occupied:
            return "concurrent"
        if self._tokens.wait_s([float(tokens)]) > 0:
            return "tokens"
        if self._requests.wait_s([1.0]) > 0:
            return "requests"
        # Those that wait before it, although requests are left, wait for tokens.
        return ("tokens" if self._allowed.tokens_per_minute else "requests") if self._queue else ""


class _Bucket:
    """A token bucket that holds `BURST` minutes' worth; None for no limit.

    Own code, since no library tells how long a wait will be, which the user is promised.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._rate = (per_minute or 0) / 60
        self._size = float(BURST * (per_minute or 0))
        self._free = self._size
        self._at_s = 0.0

    def wait_s(self, amounts: list[float]) -> float:
        """Return how long it takes until all ``amounts``, one after the other, may have been taken."""
        if not self._rate:
            return 0.0
        self._refill()
        # A request larger than the whole bucket takes all of it.
        missing = sum(min(each, self._size) for each in amounts) - self._free
        # Rounding must not leave a wait of nanoseconds at the end of a wait.
        return missing / self._rate if missing > 1e-9 else 0.0

    def take(self, amount: float) -> None:
        """Take ``amount``, which is there."""
        if self._rate:
            self._refill()
            self._free = max(self._free - min(amount, self._size), 0.0)

    def _refill(self) -> None:
        now_s = asyncio.get_running_loop().time()
        # Only what was taken is filled up, so the first call need not know when the bucket was made.
        self._free = min(self._size, self._free + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
