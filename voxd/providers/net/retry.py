"""When to try again, for sessions and for single requests: one rule, that of the vendors' own clients."""

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import tenacity

from voxd.clock import Clock
from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, VoxdError
from voxd.providers.net.wire import Budget

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0
JITTER = 0.25
"""Waits double from the first to the longest, and are up to a quarter shorter: the rule of the vendor's own
client (reference/providers.md, sections 1 and 2)."""

LONGEST_RETRY_AFTER_S = 120.0
"""A vendor who asks for a longer wait gets no further attempt; from the same rule."""

LONGEST_HOLD_S = 3600.0
"""However long a vendor asks us to stay away, after this we ask again."""

WRONG_KEY_HOLD_S = 1200.0
"""A key that was refused is not tried again for this long: three calls an hour (reliability.md, N9)."""

MOST_ATTEMPTS = 3

T = TypeVar("T")


def backoff_s(retries: int, jitter: float) -> float:
    """Return the wait before retry number ``retries`` (from 0); ``jitter`` is a random number in 0..1."""
    return min(FIRST_WAIT_S * 2.0 ** min(retries, 16), LONGEST_WAIT_S) * (1.0 - JITTER * jitter)


def hold_s(error: VoxdError) -> float:
    """Return how long nobody may be asked at all after ``error``."""
    if isinstance(error, AuthenticationError):
        return WRONG_KEY_HOLD_S
    asked = error.retry_after_s if isinstance(error, ProviderError) else None
    return min(asked or 0.0, LONGEST_HOLD_S)


def wait_s(error: VoxdError, retries: int, jitter: float) -> float | None:
    """Return how long to wait before trying again after ``error``, None when that cannot help."""
    if not error.retryable or not isinstance(error, ProviderError):
        return None
    if error.retry_after_s is None:
        return backoff_s(retries, jitter)
    return error.retry_after_s if error.retry_after_s <= LONGEST_RETRY_AFTER_S else None


async def persevere(
    work: Callable[[int], Awaitable[T]],
    budget: Budget,
    clock: Clock,
    *,
    jitter: Callable[[], float] = random.random,
    another_way: Callable[[], bool] = lambda: False,
) -> T:
    """Return what ``work`` returns for the number of the attempt, from 1; its `ProviderError` may pass.

    ``another_way`` says, after an error, whether the next attempt will not meet it, because it has another
    key or goes elsewhere: then it is made at once. Retries are taken off ``budget``, and none begins
    later than it allows. Raises the error of the last attempt.
    """
    if _left_s(budget, clock) <= 0:
        raise ConnectionFailed("there is no time left in this turn", code="timeout")

    def pause_s(state: tenacity.RetryCallState) -> float | None:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, ProviderError):
            return None
        return 0.0 if another_way() else wait_s(error, state.attempt_number - 1, jitter())

    def count(state: tenacity.RetryCallState) -> None:
        budget.retries -= 1

    attempts = tenacity.AsyncRetrying(
        retry=lambda state: pause_s(state) is not None,
        wait=lambda state: pause_s(state) or 0.0,
        stop=lambda state: (
            state.attempt_number >= MOST_ATTEMPTS
            or budget.retries <= 0
            or state.upcoming_sleep >= _left_s(budget, clock)
        ),
        before_sleep=count,
        sleep=clock.sleep,
        reraise=True,
    )
    async for attempt in attempts:
        with attempt:
            return await work(attempt.retry_state.attempt_number)
    raise AssertionError("unreachable: tenacity raises what the last attempt raised")


def _left_s(budget: Budget, clock: Clock) -> float:
    return float("inf") if budget.until_s is None else budget.until_s - clock.monotonic()
