"""Retries a request, with the pauses of `voxd.net.backoff`, within the budget of the turn."""

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import tenacity

from voxd.clock import Clock
from voxd.errors import ConnectionFailed, ProviderError
from voxd.net.backoff import wait_s
from voxd.net.transport import Budget

# As in the Python clients of OpenAI and Anthropic: one attempt and two retries.
MAX_ATTEMPTS = 3

# The least time that must be left after a pause. A request that cannot finish in it only delays the error.
LEAST_S = 0.2

# Faults that need an action of the user: none passes within a turn.
NOT_SO_SOON = frozenset({"captive_portal", "tls_untrusted", "clock_wrong"})

T = TypeVar("T")


class NotAttempted(Exception):
    """Raised by work that our own limits refused: it has waited as long as it may, so it is not retried."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__()
        self.error = error


async def retry(
    work: Callable[[int], Awaitable[T]],
    budget: Budget,
    clock: Clock,
    *,
    jitter: Callable[[], float] = random.random,
    has_alternative: Callable[[], bool] = lambda: False,
) -> T:
    """Return what ``work(attempt)`` returns, from 1 on; retry a `ProviderError` within ``budget``.

    ``has_alternative`` says whether the next attempt uses another key or endpoint: then it is made at once.
    Raises the error of the last attempt, or the one inside `NotAttempted` at once.
    """
    if _left_s(budget.until_s, clock) <= 0:
        raise ConnectionFailed("no time is left in this turn", code="timeout")

    def pause_s(state: tenacity.RetryCallState) -> float | None:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, ProviderError) or error.code in NOT_SO_SOON:
            return None
        if has_alternative():
            return 0.0
        # While another provider can answer, a pause is wasted: failover is faster.
        return wait_s(error, state.attempt_number - 1, jitter()) if budget.is_last else None

    async def pause(seconds: float) -> None:
        # Before the sleep, so that a turn that is cancelled in it has not gained a retry.
        budget.retries -= 1
        if seconds > 0:
            await clock.sleep(seconds)

    attempts = tenacity.AsyncRetrying(
        retry=lambda state: pause_s(state) is not None,
        wait=lambda state: pause_s(state) or 0.0,
        stop=lambda state: (
            state.attempt_number >= MAX_ATTEMPTS
            or budget.retries <= 0
            or state.upcoming_sleep + LEAST_S >= _left_s(budget.retry_until_s, clock)
        ),
        sleep=pause,
        reraise=True,
    )
    try:
        async for attempt in attempts:
            with attempt:
                return await work(attempt.retry_state.attempt_number)
    except NotAttempted as refusal:
        raise refusal.error from None
    raise AssertionError("unreachable: tenacity raises what the last attempt raised")


def _left_s(until_s: float | None, clock: Clock) -> float:
    return float("inf") if until_s is None else until_s - clock.monotonic()
