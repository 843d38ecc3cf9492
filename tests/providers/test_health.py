import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, RateLimited, VoxdError
from voxd.providers.health import FIRST_REST_S, LONGEST_REST_S, Outage, after


@pytest.mark.parametrize(
    ("error", "rest_s"),
    [
        (ConnectionFailed("refused"), 5.0),
        (ProviderError("silent", code="timeout"), 5.0),
        (RateLimited("busy", retry_after_s=60.0), 60.0),
        (RateLimited("busy", retry_after_s=1.0), 5.0),
        (AuthenticationError("wrong key"), 300.0),
        (ProviderError("no such kind", code="not_found"), 300.0),
        (ProviderError("no money", code="insufficient_quota"), 300.0),
    ],
)
def test_the_first_failure_gives_a_rest_that_fits_its_cause(error: VoxdError, rest_s: float) -> None:
    assert after(error, None, 1000.0) == Outage(error, 1, 1000.0 + rest_s)


@given(st.integers(1, 200))
def test_each_further_failure_gives_a_longer_rest_up_to_a_limit(failures: int) -> None:
    outage: Outage | None = None
    rests = []
    for _ in range(failures):
        outage = after(ConnectionFailed("refused"), outage, 0.0)
        rests.append(outage.until_s)
    assert rests == sorted(rests)
    assert FIRST_REST_S == rests[0] <= rests[-1] <= LONGEST_REST_S
    assert outage is not None
    assert outage.failures == failures
