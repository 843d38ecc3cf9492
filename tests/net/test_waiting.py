"""What a refusal says about trying again."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.net.waiting import LONGEST_S, retry_after_s, should_retry

NOON = "Wed, 21 Oct 2026 12:00:00 GMT"
A_MINUTE_PAST = "Wed, 21 Oct 2026 12:01:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e400"}, LONGEST_S),
        ({"retry-after": "99999999999999999999"}, LONGEST_S),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7.0),
        ({"retry-after": A_MINUTE_PAST, "date": NOON}, 60.0),
        ({"retry-after": NOON, "date": A_MINUTE_PAST}, 0.0),
        ({"retry-after": "Wed, 21 Oct 9999 12:00:00 GMT", "date": NOON}, LONGEST_S),
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


@settings(max_examples=50)
@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_header_is_more_than_a_wait(after: str, millis: str, date: str) -> None:
    found = retry_after_s({"retry-after": after, "retry-after-ms": millis, "date": date})
    assert found is None or 0 <= found <= LONGEST_S
