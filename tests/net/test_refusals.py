import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, RateLimited
from voxd.net.refusals import (
    BAD_KEY,
    BUSY,
    NO_CREDIT,
    SLOW_DOWN,
    ErrorMeaning,
    Refusal,
    parse_refusal,
    refusal_reader,
)

TABLE = {"quota_exceeded": NO_CREDIT, "system_busy": BUSY, "slow": SLOW_DOWN, "nobody": BAD_KEY}
read = refusal_reader(TABLE)


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"detail": {"status": "quota_exceeded", "message": "m"}}, Refusal("quota_exceeded", "m")),
        ({"detail": {"code": "quota_exceeded", "message": "m"}}, Refusal("quota_exceeded", "m")),
        ({"detail": [{"loc": ["body"], "msg": "m", "type": "missing"}]}, Refusal("", "m")),
        ({"detail": "no such voice here"}, Refusal("", "no such voice here")),
        ({"message": "m", "error": "quota_exceeded", "code": 1008}, Refusal("quota_exceeded", "m")),
        ({"err_code": "INVALID_AUTH", "err_msg": "m"}, Refusal("INVALID_AUTH", "m")),
        ({"category": "NOPE", "message": "m", "details": "d"}, Refusal("NOPE", "m")),
        (
            {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m"}},
            Refusal("RESOURCE_EXHAUSTED", "m"),
        ),
        ({"error": {"code": "invalid_api_key", "message": "m"}}, Refusal("invalid_api_key", "m")),
        ({"Message": "m"}, Refusal("", "m")),
        ([], Refusal()),
        ({"detail": []}, Refusal()),
    ],
    ids=str,
)
def test_a_refusal_is_understood_in_every_shape(body: Any, expected: Refusal) -> None:
    assert parse_refusal({}, encoded(body)) == expected


def test_amazon_names_it_in_a_header() -> None:
    headers = {"x-amzn-errortype": "ThrottlingException:http://internal/"}
    assert parse_refusal(headers, b'{"message":"m"}') == Refusal("ThrottlingException", "m")


@pytest.mark.parametrize("body", [b"", b"\xff", b"<html>", b"[" * 5000, b'{"detail":7}'], ids=str)
def test_one_that_says_nothing_means_what_its_status_means(body: bytes) -> None:
    assert parse_refusal({}, body) == Refusal()
    assert isinstance(read("vendor", 401, {}, body), AuthenticationError)
    assert isinstance(read("vendor", 429, {"retry-after": "3"}, body), RateLimited)
    assert isinstance(read("vendor", 503, {}, body), ConnectionFailed)


@pytest.mark.parametrize(
    ("status", "name", "kind", "code", "retryable"),
    [
        (401, "quota_exceeded", ProviderError, "insufficient_quota", False),
        (429, "system_busy", ConnectionFailed, "overloaded", True),
        (429, "slow", RateLimited, "rate_limited", True),
        (400, "nobody", AuthenticationError, "invalid_api_key", False),
        (401, "other", AuthenticationError, "invalid_api_key", False),
        (400, "other", ProviderError, "other", False),
    ],
)
def test_the_name_counts_where_it_is_known_and_else_the_status(
    status: int, name: str, kind: type[ProviderError], code: str, retryable: bool
) -> None:
    body = encoded({"detail": {"status": name, "message": "because"}})
    error = read("vendor", status, {}, body)
    assert type(error) is kind
    assert (str(error), error.code, error.retryable, error.provider) == ("because", code, retryable, "vendor")


def test_the_wait_the_vendor_asks_for_is_kept() -> None:
    body = encoded({"detail": {"status": "slow", "message": "m"}})
    assert read("vendor", 429, {"retry-after": "7"}, body).retry_after_s == 7


def test_a_meaning_without_a_message_still_says_something() -> None:
    assert str(refusal_reader({"x": ErrorMeaning("y")})("vendor", 400, {}, encoded({"detail": "x"})))


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["detail", "error", "code", "status", "message", "msg", "err_msg", "Message"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=10,
    ),
    st.integers(400, 599),
)
def test_no_body_is_beyond_it(body: Any, status: int) -> None:
    assert str(read("vendor", status, {}, encoded(body)))
