"""How long a refusal asks to wait, in every form that vendors use."""

import json
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import ConnectionFailed, ProviderError, RateLimited
from voxd.net import faults
from voxd.net.faults import SLOW_DOWN, refusal_reader
from voxd.net.waits import (
    MAX_RETRY_AFTER_S,
    duration_s,
    requested_wait_s,
    retry_after_s,
    should_retry,
    wait_in_text,
)
from voxd.providers.pipeline.stages.llm_errors import error_from_response

NOON = "Wed, 21 Oct 2026 12:00:00 GMT"
A_MINUTE_PAST = "Wed, 21 Oct 2026 12:01:00 GMT"
NOON_S = 1_792_584_000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1.5s"}, 1.5),
        ({"retry-after": "6m0s"}, 360.0),
        ({"retry-after": "2026-10-21T12:01:00Z", "date": NOON}, 60.0),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"x-ratelimit-retry-after": "9"}, 9.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e400"}, MAX_RETRY_AFTER_S),
        ({"retry-after": "99999999999999999999"}, MAX_RETRY_AFTER_S),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7.0),
        ({"retry-after": A_MINUTE_PAST, "date": NOON}, 60.0),
        ({"retry-after": NOON, "date": A_MINUTE_PAST}, 0.0),
        ({"retry-after": "Wed, 21 Oct 9999 12:00:00 GMT", "date": NOON}, MAX_RETRY_AFTER_S),
        ({"retry-after": "Wed, 21 Oct 99999 12:00:00 GMT", "date": NOON}, None),
    ],
)
def test_a_wait_is_in_seconds_in_milliseconds_or_until_a_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_s(headers) == seconds


def test_a_date_without_the_vendors_own_is_compared_with_our_clock() -> None:
    found = retry_after_s({"retry-after": formatdate(time.time() + 100, usegmt=True)})
    assert found is not None
    assert 90 < found <= 100


@pytest.mark.parametrize(
    ("value", "meaning"), [("true", True), ("False", False), ("", None), ("perhaps", None)]
)
def test_the_vendor_may_say_himself_whether_to_try_again(value: str, meaning: bool | None) -> None:
    assert should_retry({"x-should-retry": value}) is meaning


@examples(50)
@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_header_is_more_than_a_wait(after: str, millis: str, date: str) -> None:
    found = retry_after_s({"retry-after": after, "retry-after-ms": millis, "date": date})
    assert found is None or 0 <= found <= MAX_RETRY_AFTER_S


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("17ms", 0.017),
        ("1h2m3.5s", 3723.5),
        ("2m59.56s", 179.56),
        ("45.837906927s", 45.837906927),
        ("373.801628ms", 0.373801628),
        ("2 minutes", 120.0),
        ("1 hour, 5 minutes and 3 seconds", 3903.0),
        ("1d", 86_400.0),
        ("500µs", 0.0005),
        ("0s", 0.0),
        ("30", None),
        ("", None),
        ("s", None),
        ("6m later", None),
        ("-5s", None),
    ],
)
def test_a_duration(text: str, seconds: float | None) -> None:
    assert duration_s(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Rate limit reached for gpt-6 on requests per min (RPM): Limit 3. Please try again in 20s.", 20.0),
        ("Please try again in 1.2s. Visit https://platform.openai.com to learn more.", 1.2),
        ("Please try again in 250ms.", 0.25),
        ("try again in 6m0s", 360.0),
        ("Please try again in 7m12.5s. Need more tokens? Upgrade today", 432.5),
        ("Please retry after 20 seconds. Please contact Azure support", 20.0),
        ("Please retry in 38.530653413s.", 38.530653413),
        ("Your quota will reset after 2h7m23s.", 7643.0),
        ("Request was throttled. Expected available in 42 seconds.", 42.0),
        ("Too many requests, please wait 10 seconds", 10.0),
        ("Please wait for 1 minute before you retry", 60.0),
        ("retry your request after about 5 s", 5.0),
        ("Limit resets in 90 sec", 90.0),
        ("Please try again later", None),
        ("try again in a few minutes", None),
        ("the request took 5 s", None),
        ("Limit 30000, Used 29000, Requested 5000", None),
    ],
)
def test_a_wait_in_the_words_of_a_message(text: str, seconds: float | None) -> None:
    assert wait_in_text(text) == (None if seconds is None else pytest.approx(seconds))


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "38s"}
GOOGLES = {
    "error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota.", "details": [RETRY_INFO]}
}


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, GOOGLES, 38.0),
        ({}, [GOOGLES], 38.0),
        ({}, {"details": [RETRY_INFO]}, 38.0),
        ({}, {"error": {"details": [{**RETRY_INFO, "retryDelay": "45.837906927s"}]}}, 45.837906927),
        ({}, {"error": {"details": [{"retryDelay": {"seconds": "7", "nanos": 500_000_000}}]}}, 7.5),
        ({}, {"error": {"details": [{"metadata": {"quotaResetDelay": "373.801628ms"}}]}}, 0.373801628),
        ({}, {"retry_after": 12}, 12.0),
        ({}, {"error": {"retryAfter": "1.5"}}, 1.5),
        ({}, {"error": {"retry_after_ms": 1500}}, 1.5),
        ({}, {"error": "loading", "estimated_time": 20.5}, 20.5),
        ({}, {"error": {"metadata": {"headers": {"Retry-After": "9"}}}}, 9.0),
        (
            {},
            {"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1792584060000", "Date": NOON}}}},
            60.0,
        ),
        ({}, {"error": {"message": f"{'x' * 500}. Please retry in 13.5s."}}, 13.5),
        ({"retry-after": "7"}, GOOGLES, 7.0),
        ({"retry-after": "0"}, GOOGLES, 38.0),
        ({"retry-after": "0"}, {}, 0.0),
        ({}, {"retry_after": True}, None),
        ({}, {"retry_after": None}, None),
        ({}, {"retry_after": [5]}, None),
        ({"x-ratelimit-reset-requests": "6m0s"}, {}, 360.0),
        ({"x-ratelimit-reset-requests": "12ms", "x-ratelimit-reset-tokens": "1m2s"}, {}, 62.0),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "8.64s",
                "x-ratelimit-remaining-tokens": "149984",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            {},
            8.64,
        ),
        (
            {
                "x-ratelimit-limit-requests": "14400",
                "x-ratelimit-limit-tokens": "6000",
                "x-ratelimit-remaining-requests": "14370",
                "x-ratelimit-reset-requests": "2m59.56s",
                "x-ratelimit-remaining-tokens": "17",
                "x-ratelimit-reset-tokens": "7.66s",
            },
            {},
            7.66,
        ),
        ({"x-ratelimit-reset": "30"}, {}, 30.0),
        ({"x-ratelimit-reset": str(NOON_S + 30), "date": NOON}, {}, 30.0),
        ({"x-ratelimit-reset": str((NOON_S + 30) * 1000), "date": NOON}, {}, 30.0),
        ({"x-rate-limit-reset": str(NOON_S - 30), "date": NOON}, {}, 0.0),
        ({"anthropic-ratelimit-requests-reset": "2026-10-21T12:00:30Z", "date": NOON}, {}, 30.0),
        ({"x-sib-ratelimit-reset": "5"}, {}, 5.0),
        ({"ratelimit-reset": "50"}, {}, 50.0),
        ({"ratelimit": '"default";r=0;t=50'}, {}, 50.0),
        ({"ratelimit": "limit=100, remaining=0, reset=50"}, {}, 50.0),
        ({"x-ratelimit-reset-requests": "soon"}, {}, None),
        ({"x-ratelimit-limit-requests": "60"}, {}, None),
    ],
)
def test_the_wait_of_a_refusal(headers: dict[str, str], body: Any, seconds: float | None) -> None:
    found = requested_wait_s(headers, json.dumps(body).encode())
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    "read", [faults.error_for_refusal, error_from_response, refusal_reader({"slow": SLOW_DOWN})]
)
@pytest.mark.parametrize("body", [GOOGLES, [GOOGLES], {"error": "slow", "retry_after": 38}])
def test_every_reader_of_refusals_finds_it(read: faults.RefusalReader, body: Any) -> None:
    error = faults.read_refusal(read, "vendor", 429, {}, json.dumps(body).encode())
    assert (type(error), error.retry_after_s) == (RateLimited, 38.0)


def test_only_a_rate_limit_waits_for_the_counters() -> None:
    # They count on in every response; a server that failed must not be left alone for six minutes.
    headers = {"x-ratelimit-reset-requests": "6m0s"}
    error = faults.read_refusal(faults.error_for_refusal, "vendor", 500, headers, b"")
    assert (type(error), error.retry_after_s) == (ConnectionFailed, None)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "rate_limit_exceeded"),
        (413, "rate_limit_exceeded"),
        (400, "ThrottlingException"),
        (403, "slow_down"),
        (429, "RESOURCE_EXHAUSTED"),
    ],
)
def test_a_rate_limit_by_name(status: int, name: str) -> None:
    body = json.dumps({"error": {"code": name, "message": "Please try again in 2s."}}).encode()
    error: ProviderError = faults.read_refusal(faults.error_for_refusal, "vendor", status, {}, body)
    if status == 403:
        # A key without the right to a model: the status counts.
        assert error.code == "invalid_api_key"
    else:
        assert (type(error), error.retryable, error.retry_after_s) == (RateLimited, True, 2.0)


HEADER_NAMES = ["retry-after", "ratelimit", "x-ratelimit-reset", "x-ratelimit-remaining", "date"]
ENTRY_NAMES = ["retryDelay", "retry_after", "headers", "x"]
BODIES = st.recursive(
    st.text(max_size=9) | st.floats() | st.none(),
    lambda inner: st.dictionaries(st.sampled_from(ENTRY_NAMES), inner) | st.lists(inner, max_size=2),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())


@examples(100)
@given(st.dictionaries(st.sampled_from(HEADER_NAMES), st.text(max_size=30)), BODIES | st.binary(max_size=80))
def test_no_refusal_is_more_than_a_wait(headers: dict[str, str], body: bytes) -> None:
    found = requested_wait_s(headers, body)
    assert found is None or 0 <= found <= MAX_RETRY_AFTER_S


@pytest.mark.parametrize("body", [b"[" * 60_000, b"again in 5s" + b" " * 60_000, b"again in 1s," * 5000])
def test_a_hostile_body_takes_no_time(body: bytes) -> None:
    began_s = time.monotonic()
    requested_wait_s({}, body)
    assert time.monotonic() - began_s < 1.0
