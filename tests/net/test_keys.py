"""Several keys of one provider: which is used, which rests, and what is reported."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock, RecordingEmit
from tests.payloads import problem
from tests.properties import examples
from voxd.errors import AuthenticationError, ConnectionFailed, ContextTooLong, ProviderError, RateLimited
from voxd.net.keys import KeyPool, rest_s

NO_CREDIT = ProviderError("no credit", code="insufficient_quota")


def keys_of(*texts: str) -> tuple[KeyPool, FakeClock, RecordingEmit]:
    clock, emit = FakeClock(), RecordingEmit()
    return KeyPool("vendor", texts, emit=emit, clock=clock), clock, emit


def test_one_key_is_used_until_it_is_refused() -> None:
    keys, _, emit = keys_of("a", "b")
    assert [keys.take().text for _ in range(3)] == ["a", "a", "a"]
    assert keys.failed(keys.take(), AuthenticationError("no"))
    assert keys.take().text == "b"
    ((type, told),) = emit.events
    assert (type, told) == (
        "provider.key_changed",
        {"provider": "vendor", "from": 1, "to": 2, "reason": "invalid_api_key"},
    )
    assert problem(type, told) == ""


@pytest.mark.parametrize(
    ("error", "is_only", "seconds"),
    [
        (AuthenticationError("x"), True, 1200),
        (AuthenticationError("x"), False, 1200),
        (NO_CREDIT, True, 1200),
        (RateLimited("x"), True, 0),
        (RateLimited("x"), False, 10),
        (RateLimited("x", retry_after_s=7.0), True, 7),
        (RateLimited("x", retry_after_s=7.0), False, 7),
        (RateLimited("x", retry_after_s=1e9), True, 3600),
    ],
)
def test_a_key_rests_as_long_as_its_fault_requires(
    error: ProviderError, is_only: bool, seconds: float
) -> None:
    assert rest_s(error, is_only=is_only) == seconds


async def test_no_request_is_sent_while_all_keys_rest_and_the_reason_is_reported() -> None:
    keys, clock, _ = keys_of("a", "b")
    keys.failed(keys.take(), RateLimited("slow down", retry_after_s=60.0))
    assert not keys.failed(keys.take(), AuthenticationError("revoked"))
    with pytest.raises(RateLimited, match="slow down") as raised:
        keys.take()
    assert raised.value.retry_after_s == keys.wait_s() == 60.0
    await clock.advance(59.9)
    assert keys.wait_s() == pytest.approx(0.1)
    await clock.advance(0.1)
    assert keys.take().text == "a"
    keys.failed(keys.current, RateLimited("slow down", retry_after_s=3600.0))
    with pytest.raises(AuthenticationError, match="revoked"):
        keys.take()


def test_what_is_not_the_fault_of_the_key_lets_it_go_on() -> None:
    keys, _, emit = keys_of("a", "b")
    for error in (ConnectionFailed("x"), ContextTooLong("x"), ProviderError("x")):
        assert not keys.failed(keys.take(), error)
    assert keys.take().text == "a"
    assert emit.events == []


def test_a_vendor_that_is_unavailable_is_unavailable_for_every_key() -> None:
    keys, _, _ = keys_of("a", "b")
    assert not keys.failed(keys.take(), ConnectionFailed("down", code="server_error", retry_after_s=20.0))
    with pytest.raises(ConnectionFailed) as raised:
        keys.take()
    assert (raised.value.code, raised.value.retry_after_s) == ("server_error", 20.0)


def test_a_vendor_without_keys_has_one_that_is_empty() -> None:
    keys, _, _ = keys_of()
    assert (keys.take().number, keys.take().text) == (0, "")


def test_the_key_in_use_is_known_by_its_number_and_is_not_shown() -> None:
    keys, _, _ = keys_of("sk-secret-1", "sk-secret-2")
    assert keys.current.number == 1
    keys.failed(keys.take(), AuthenticationError("no"))
    assert keys.current.number == 1
    keys.take()
    assert keys.current.number == 2
    assert "secret" not in repr(keys.current)


@examples(50)
@given(st.lists(st.tuples(st.sampled_from("wfal"), st.floats(0, 5000)), max_size=30))
async def test_a_key_that_rests_is_never_given_out(steps: list[tuple[str, float]]) -> None:
    keys, clock, _ = keys_of("a", "b", "c")
    resting: dict[int, float] = {}
    for step, seconds in steps:
        if step == "w":
            await clock.advance(seconds)
            continue
        try:
            key = keys.take()
        except ProviderError:
            assert all(resting.get(number, 0) > clock.now for number in (1, 2, 3))
            continue
        assert resting.get(key.number, 0) <= clock.now
        error: ProviderError = ConnectionFailed("x")
        if step == "a":
            error = AuthenticationError("x")
        elif step == "l":
            error = RateLimited("x", retry_after_s=seconds + 1)
        keys.failed(key, error)
        if step in "al":
            resting[key.number] = clock.now + rest_s(error, is_only=False)
