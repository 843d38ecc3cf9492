"""Several endpoints of one kind: in turn while they are healthy."""

import pytest

from tests.fakes import FakeClock
from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, StreamError
from voxd.net.endpoint_pool import LONGEST_REST_S, REST_S, EndpointPool

DOWN = ConnectionFailed("down")


def endpoints_of(*names: str) -> tuple[EndpointPool, FakeClock]:
    clock = FakeClock()
    return EndpointPool(names, clock=clock), clock


def test_they_take_turns() -> None:
    endpoints, _ = endpoints_of("a", "b", "c")
    assert [endpoints.take() for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_without_configured_endpoints_the_adapter_uses_its_default() -> None:
    endpoints, _ = endpoints_of()
    assert endpoints.take() == ""
    assert not endpoints.failed("", DOWN)
    assert endpoints.take() == "", "there is nobody else to ask"


async def test_one_that_failed_rests_and_is_tried_by_one_request_first() -> None:
    endpoints, clock = endpoints_of("a", "b")
    assert endpoints.failed(endpoints.take(), DOWN), "b is well"
    assert [endpoints.take() for _ in range(3)] == ["b", "b", "b"]
    await clock.advance(REST_S)
    assert sorted(endpoints.take() for _ in range(4)) == ["a", "b", "b", "b"]
    endpoints.worked("a")
    assert sorted(endpoints.take() for _ in range(4)) == ["a", "a", "b", "b"]


async def test_one_that_goes_on_failing_rests_longer_each_time() -> None:
    endpoints, clock = endpoints_of("a", "b")
    for rest_s in (REST_S, 2 * REST_S, 4 * REST_S, 8 * REST_S, LONGEST_REST_S, LONGEST_REST_S):
        endpoints.failed("a", DOWN)
        await clock.advance(min(rest_s, LONGEST_REST_S) - 1)
        assert {endpoints.take() for _ in range(3)} == {"b"}
        await clock.advance(1)
        assert "a" in {endpoints.take() for _ in range(3)}


def test_when_all_rest_the_one_that_is_ready_first_is_used() -> None:
    endpoints, _ = endpoints_of("a", "b")
    endpoints.failed("a", DOWN)
    endpoints.failed("a", DOWN)
    assert not endpoints.failed("b", DOWN)
    assert endpoints.take() == "b"


@pytest.mark.parametrize(
    ("error", "is_its_fault"),
    [
        (DOWN, True),
        (StreamError("broke off"), True),
        (AuthenticationError("key"), False),
        (ProviderError("no such model"), False),
    ],
)
def test_only_what_is_its_own_fault_makes_it_rest(error: ProviderError, is_its_fault: bool) -> None:
    endpoints, _ = endpoints_of("a", "b")
    assert endpoints.failed("a", error) == is_its_fault
    assert ({endpoints.take() for _ in range(4)} == {"b"}) == is_its_fault
