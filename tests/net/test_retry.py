"""Trying a request again, within what a turn may still spend."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock
from tests.properties import examples
from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    ContextTooLong,
    ProviderError,
    RateLimited,
    VoxdError,
)
from voxd.net.retry import MAX_ATTEMPTS, NotAttempted, retry
from voxd.net.transport import Budget


class Vendor:
    """Fails as scripted, then works; records the time of each call."""

    def __init__(self, clock: FakeClock, *errors: VoxdError) -> None:
        self._clock = clock
        self._errors = list(errors)
        self.asked_s: list[float] = []

    async def work(self, attempt: int) -> str:
        self.asked_s.append(self._clock.now - 1000.0)
        assert attempt == len(self.asked_s)
        if self._errors:
            raise self._errors.pop(0)
        return "done"


async def outcome(vendor: Vendor, clock: FakeClock, budget: Budget, *, jitter: float = 0.0) -> object:
    """Return what comes of it, an answer or an error, however long it takes."""
    working = asyncio.create_task(retry(vendor.work, budget, clock, jitter=lambda: jitter))
    while not working.done():
        await clock.advance(0.25)
    return working.exception() or working.result()


DOWN = ConnectionFailed("down", code="server_error")


@pytest.mark.parametrize(
    ("errors", "asked_s"),
    [
        ([], [0]),
        ([DOWN], [0, 0.5]),
        ([DOWN, DOWN], [0, 0.5, 1.5]),
        ([RateLimited("x", retry_after_s=7.0)], [0, 7]),
        ([RateLimited("x", retry_after_s=120.0)], [0, 120]),
        ([DOWN, RateLimited("x", retry_after_s=0.0)], [0, 0.5, 1.5]),
    ],
)
async def test_a_temporary_fault_is_retried_by_the_rule(
    errors: list[VoxdError], asked_s: list[float]
) -> None:
    clock = FakeClock()
    vendor = Vendor(clock, *errors)
    assert await outcome(vendor, clock, Budget()) == "done"
    assert vendor.asked_s == asked_s


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("x"),
        ContextTooLong("x"),
        ConfigError("x"),
        RateLimited("x", retry_after_s=121.0),
        ConnectionFailed("x", code="captive_portal"),
        ConnectionFailed("x", code="tls_untrusted"),
        ConnectionFailed("x", code="clock_wrong"),
    ],
)
async def test_a_permanent_fault_is_reported_at_once(error: VoxdError) -> None:
    clock = FakeClock()
    vendor = Vendor(clock, error)
    assert await outcome(vendor, clock, Budget()) is error
    assert vendor.asked_s == [0]


async def test_another_way_is_tried_at_once_also_after_what_cannot_pass() -> None:
    clock = FakeClock()
    vendor = Vendor(clock, AuthenticationError("x"), DOWN)
    assert await retry(vendor.work, Budget(), clock, has_alternative=lambda: True) == "done"
    assert vendor.asked_s == [0, 0, 0]


async def test_what_a_limit_of_ours_kept_from_asking_is_not_tried_again() -> None:
    attempts: list[int] = []

    async def work(attempt: int) -> str:
        attempts.append(attempt)
        raise NotAttempted(RateLimited("full"))

    with pytest.raises(RateLimited, match="full"):
        await retry(work, Budget(), FakeClock())
    assert attempts == [1]


@examples(50, deadline=None)
@given(
    st.lists(st.none() | st.floats(0, 200), max_size=6),
    st.integers(-1, 6),
    st.none() | st.floats(-1, 300),
    st.floats(0, 1),
)
async def test_no_turn_spends_more_than_it_has(
    waits_s: list[float | None], retries: int, left_s: float | None, jitter: float
) -> None:
    clock = FakeClock()
    errors = [ConnectionFailed("x", retry_after_s=wait_s) for wait_s in waits_s]
    vendor, budget = Vendor(clock, *errors), Budget(left_s and clock.now + left_s, retries)
    result = await outcome(vendor, clock, budget, jitter=jitter)
    assert result == "done" or isinstance(result, ProviderError)
    assert len(vendor.asked_s) <= min(MAX_ATTEMPTS, 1 + max(retries, 0))
    assert budget.retries == retries - max(len(vendor.asked_s) - 1, 0)
    if left_s:
        assert all(asked_s <= left_s + 1e-6 for asked_s in vendor.asked_s)
