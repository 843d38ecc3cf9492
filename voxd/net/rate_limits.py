"""Rate limits of one provider: requests and tokens a minute, and concurrent requests, in order of arrival."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

from voxd.errors import RateLimited
from voxd.events import Emit
from voxd.events import EventType as E

# How many minutes' worth may be used at once: a conversation comes in bursts.
BURST = 2

# A request that has waited this long is refused: its user has left.
LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The configured limits; None for no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrent: int | None = None


class RateLimiter:
    """Lets requests pass in the order in which they came."""

    def __init__(self, provider: str, allowed: RateLimits, *, emit: Emit) -> None:
        self._provider = provider
        self._emit = emit
        self._requests = _bucket(allowed.requests_per_minute)
        self._tokens = _bucket(allowed.tokens_per_minute)
        self._slots = asyncio.Semaphore(allowed.max_concurrent) if allowed.max_concurrent else None
        self._first = asyncio.Lock()

    @asynccontextmanager
    async def acquire(self, tokens: int, within_s: float = LONGEST_WAIT_S) -> AsyncIterator[None]:
        """Wait until a request of about ``tokens`` may be made, and count it as under way until the end.

        Raises `RateLimited` when that takes longer than ``within_s`` or `LONGEST_WAIT_S`.
        """
        full = self._full_limit(tokens)
        if full:
            self._emit(E.RATE_LIMITED, provider=self._provider, limit=full, wait_s=None)
        # Refused at once where the wait is certain to be too long, so that another provider can use the time.
        if within_s < LONGEST_WAIT_S and not self._has_time(tokens, within_s):
            raise self._limit_error(full)
        try:
            # The lock keeps the order: `AsyncLimiter` lets a small request overtake a large one that waits.
            async with asyncio.timeout(min(within_s, LONGEST_WAIT_S)), self._first:
                await self._admit(tokens)
        except TimeoutError:
            raise self._limit_error(full) from None
        try:
            yield
        finally:
            if self._slots is not None:
                self._slots.release()

    async def _admit(self, tokens: int) -> None:
        with ExitStack() as stack:
            if self._slots is not None:
                await self._slots.acquire()
                # Given back when one of the other limits takes too long.
                stack.callback(self._slots.release)
            if self._requests is not None:
                await self._requests.acquire()
            if self._tokens is not None:
                # A request larger than the whole bucket takes all of it; `AsyncLimiter` would raise.
                await self._tokens.acquire(min(tokens, self._tokens.max_rate))
            stack.pop_all()

    def _has_time(self, tokens: int, within_s: float) -> bool:
        """Whether enough capacity is freed within ``within_s``, if no other request waits."""
        for bucket, amount in ((self._requests, 1), (self._tokens, tokens)):
            if bucket is not None:
                freed = bucket.max_rate / bucket.time_period * within_s
                if not bucket.has_capacity(min(amount, bucket.max_rate) - freed):
                    return False
        return True

    def _limit_error(self, full: str) -> RateLimited:
        hint = "wait, or raise the provider's limits in the configuration"
        msg = f"the limit of {full or 'requests'} that is set for {self._provider} is reached"
        return RateLimited(msg, provider=self._provider, hint=hint)

    def _full_limit(self, tokens: int) -> str:
        """Return which limit makes the next request wait, "" if it can go at once."""
        if self._slots is not None and self._slots.locked():
            return "concurrent"
        if self._tokens is not None and not self._tokens.has_capacity(min(tokens, self._tokens.max_rate)):
            return "tokens"
        if self._first.locked() or (self._requests is not None and not self._requests.has_capacity()):
            return "requests"
        return ""


def _bucket(per_minute: int | None) -> AsyncLimiter | None:
    return AsyncLimiter(BURST * per_minute, BURST * 60) if per_minute else None
