"""What a failure says of a provider, and how long he is left alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    ContextTooLong,
    DeadlineExceeded,
    NotConnected,
    NotFound,
    ProviderError,
    RateLimited,
    SpendLimitReached,
    StreamError,
    VoxdError,
)
from voxd.providers.routing.health_rules import Cause, Illness, after, cause_of, may_be_asked, rest_s

MIDNIGHT_S = 5000.0


def hopeless(code: str) -> ProviderError:
    error = ProviderError("no", code=code)
    error.retryable = False
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ConnectionFailed("refused"), Cause.NETWORK),
        (ConnectionFailed("no name", code="dns_failed"), Cause.NETWORK),
        (ConnectionFailed("no answer", code="timeout"), Cause.NETWORK),
        (ConnectionFailed("dead", code="half_open"), Cause.NETWORK),
        (NotConnected("gone"), Cause.NETWORK),
        (ProviderError("nothing", code="timeout"), Cause.SILENCE),
        (DeadlineExceeded("nothing"), Cause.SILENCE),
        (ConnectionFailed("503", code="server_error"), Cause.SERVER),
        (ProviderError("sorry", code="server_error"), Cause.SERVER),
        (StreamError("garbled"), Cause.SERVER),
        (StreamError("the vendor's answer broke off", code="truncated"), Cause.SILENCE),
        (ProviderError("his own words", code="flux_capacitor"), Cause.SERVER),
        (AuthenticationError("wrong"), Cause.KEY),
        (ProviderError("wrong", code="invalid_api_key"), Cause.KEY),
        (RateLimited("slow down"), Cause.LIMIT),
        (hopeless("insufficient_quota"), Cause.MONEY),
        (hopeless("model_not_found"), Cause.SETTINGS),
        (hopeless("refused"), Cause.SETTINGS),
        (hopeless("odd"), Cause.SETTINGS),
        (ConfigError("no endpoint"), Cause.SETTINGS),
        (NotFound("no kind"), Cause.SETTINGS),
        (ProviderError("too short", code="audio_too_short"), None),
        (ContextTooLong("too long"), None),
        (SpendLimitReached("spent"), None),
    ],
)
def test_a_failure_says_where_the_fault_lies(error: VoxdError, cause: Cause | None) -> None:
    assert cause_of(error) is cause


def ill(
    cause: Cause, *, age_s: float = 0.0, relapses: int = 0, retry_after_s: float | None = None
) -> Illness:
    error = RateLimited("busy", retry_after_s=retry_after_s)
    return Illness(error, cause, 1000.0 - age_s, 1000.0, relapses)


@pytest.mark.parametrize(
    ("illness", "least_s", "most_s"),
    [
        (ill(Cause.NETWORK), 3.0, 4.0),
        (ill(Cause.NETWORK, age_s=599.0), 3.0, 4.0),
        (ill(Cause.NETWORK, age_s=661.0), 6.0, 8.0),
        (ill(Cause.NETWORK, age_s=86_400.0), 45.0, 60.0),
        (ill(Cause.SILENCE), 4.0, 4.0),
        (ill(Cause.SILENCE, relapses=2), 16.0, 16.0),
        (ill(Cause.SILENCE, relapses=50), 300.0, 300.0),
        (ill(Cause.SERVER), 30.0, 40.0),
        (ill(Cause.SERVER, relapses=1), 60.0, 75.0),
        (ill(Cause.KEY), 1200.0, 1230.0),
        (ill(Cause.SETTINGS), 1200.0, 1230.0),
        (ill(Cause.LIMIT), 30.0, 32.0),
        (ill(Cause.LIMIT, retry_after_s=7.0), 7.0, 9.0),
        (ill(Cause.LIMIT, retry_after_s=1e9), 3600.0, 3602.0),
        (ill(Cause.MONEY), MIDNIGHT_S, MIDNIGHT_S + 30.0),
    ],
)
@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_who_is_ill_is_left_alone_as_long_as_his_illness_asks_for(
    illness: Illness, least_s: float, most_s: float, jitter: float
) -> None:
    assert least_s <= rest_s(illness, jitter=jitter, to_midnight_s=MIDNIGHT_S) <= most_s


@settings(max_examples=50)
@given(st.sampled_from(Cause), st.floats(0, 1e6), st.integers(0, 1000), st.floats(0, 1))
def test_nobody_is_asked_more_often_than_every_three_seconds_nor_forgotten(
    cause: Cause, age_s: float, relapses: int, jitter: float
) -> None:
    wait_s = rest_s(ill(cause, age_s=age_s, relapses=relapses), jitter=jitter, to_midnight_s=MIDNIGHT_S)
    assert 3.0 <= wait_s <= MIDNIGHT_S + 30.0


def test_an_illness_keeps_its_beginning_and_tells_its_latest_reason() -> None:
    first, second = ConnectionFailed("refused"), AuthenticationError("wrong key")
    begun = after(first, Cause.NETWORK, None, 10.0)
    later = after(second, Cause.KEY, begun, 20.0, 3)
    assert begun == Illness(first, Cause.NETWORK, 10.0, 10.0)
    assert later == Illness(second, Cause.KEY, 10.0, 20.0, 3)


def test_who_asked_to_be_left_alone_is_not_asked_even_when_nobody_else_is_left() -> None:
    assert {cause for cause in Cause if may_be_asked(cause)} == {Cause.NETWORK, Cause.SILENCE, Cause.SERVER}
