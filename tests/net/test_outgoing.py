"""What becomes of a request before it is sent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.errors import ConnectionFailed, ProviderError
from voxd.net.outgoing import add_configured_headers, check_url, compute_headers


@pytest.mark.parametrize(
    ("headers", "configured", "expected"),
    [
        ({"A": "1"}, {}, {"A": "1"}),
        ({"A": "1"}, {"B": "2"}, {"A": "1", "B": "2"}),
        (
            {"Authorization": "theirs", "A": "1"},
            {"authorization": "ours"},
            {"A": "1", "authorization": "ours"},
        ),
        ({}, {"T": "{unix_s}!"}, {"T": "1800000000!"}),
        ({"T": "{unix_s}"}, {}, {"T": "{unix_s}"}),
        ({}, {"T": "{other}"}, {"T": "{other}"}),
    ],
)
def test_configured_headers_win(
    headers: dict[str, str], configured: dict[str, str], expected: dict[str, str]
) -> None:
    assert add_configured_headers(headers, configured, wall_s=1_800_000_000.9) == expected


def test_every_request_has_an_id_of_its_own() -> None:
    first, second = (
        add_configured_headers({}, {"X-Request-ID": "{uuid}"}, wall_s=0)["X-Request-ID"] for _ in range(2)
    )
    assert len(first) == len(second) == 36
    assert first != second


NAMES = st.sampled_from(["a", "A", "b", "B", "c"])


@settings(max_examples=50)
@given(st.dictionaries(NAMES, st.just("theirs")), st.dictionaries(NAMES, st.just("ours")))
def test_no_header_is_sent_in_two_spellings_of_which_one_is_configured(
    headers: dict[str, str], configured: dict[str, str]
) -> None:
    found = add_configured_headers(headers, configured, wall_s=0)
    for name in configured:
        assert {value for key, value in found.items() if key.lower() == name.lower()} == {"ours"}


@pytest.mark.parametrize(
    "url",
    [
        "https://api.vendor.example/v1",
        "wss://api.vendor.example/v1",
        "http://127.0.0.1:8080/v1",
        "http://[::1]:8080/",
        "http://localhost/",
        "ws://homeassistant.local:8123/",
        "tcp://192.168.1.7:10300",
        "http://nas/",
    ],
)
def test_what_is_encrypted_or_near_is_allowed(url: str) -> None:
    assert check_url("parrot", url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.vendor.example/v1?key=secret-key",
        "ws://api.vendor.example/",
        "tcp://8.8.8.8:10300",
        "http://[2001:4860:4860::8888]/",
        "http://[secret-key",
        "https://api.vendor.example:secret-key/",
        "https://api.vendor.example:99999/secret-key",
    ],
)
def test_a_key_in_clear_to_somewhere_far_is_a_mistake_and_is_not_repeated(url: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        check_url("parrot", url)
    assert (raised.value.code, raised.value.retryable) == ("bad_endpoint", False)
    assert "secret-key" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://api.vendor.example/", "https://"),
        ("ws://api.vendor.example/", "wss://"),
        ("tcp://8.8.8.8:10300", "outside this network"),
    ],
)
def test_what_is_to_be_written_instead_is_said(url: str, said: str) -> None:
    with pytest.raises(ConnectionFailed, match=said):
        check_url("parrot", url)


def test_headers_that_are_computed_are_those_that_are_sent() -> None:
    assert compute_headers("parrot", lambda: {"X-Trace": "1"}) == {"X-Trace": "1"}


def test_a_function_for_headers_that_fails_is_a_fault_of_the_provider() -> None:
    def broken() -> dict[str, str]:
        raise KeyError("secret-key")

    with pytest.raises(ProviderError) as raised:
        compute_headers("parrot", broken)
    assert (raised.value.code, raised.value.retryable) == ("headers_failed", False)
    assert "secret-key" not in str(raised.value)
