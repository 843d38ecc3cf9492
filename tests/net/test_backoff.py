"""When to try again, and when not to ask at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from voxd.net.backoff import backoff_s, hold_s, wait_s


@pytest.mark.parametrize(
    ("retries", "jitter", "seconds"),
    [
        (0, 0, 0.5),
        (1, 0, 1.0),
        (2, 0, 2.0),
        (4, 0, 8.0),
        (5, 0, 8.0),
        (50, 0, 8.0),
        (0, 1, 0.375),
        (9, 1, 6.0),
    ],
)
def test_waits_double_up_to_a_limit_and_are_shortened_at_random(
    retries: int, jitter: float, seconds: float
) -> None:
    assert backoff_s(retries, jitter) == seconds


@pytest.mark.parametrize(
    ("error", "wait", "hold"),
    [
        (ConnectionFailed("x"), 1.0, 0),
        (ProviderError("x"), 1.0, 0),
        (RateLimited("x"), 1.0, 0),
        (RateLimited("x", retry_after_s=0.0), 1.0, 0),
        (RateLimited("x", retry_after_s=30.0), 30.0, 30),
        (RateLimited("x", retry_after_s=120.0), 120.0, 120),
        (RateLimited("x", retry_after_s=121.0), None, 121),
        (RateLimited("x", retry_after_s=1e9), None, 3600),
        (AuthenticationError("x"), None, 1200),
        (ContextTooLong("x"), None, 0),
        (ConfigError("x"), None, 0),
    ],
)
def test_a_temporary_fault_is_retried_after_the_delay_the_vendor_requests(
    error: VoxdError, wait: float | None, hold: float
) -> None:
    assert wait_s(error, retries=1, jitter=0.0) == wait
    assert hold_s(error) == hold


@examples(50)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_no_wait_is_long_or_none(retries: int, jitter: float) -> None:
    assert 0.3 < backoff_s(retries, jitter) <= 8.0
