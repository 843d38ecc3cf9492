import msgspec
import pytest

from voxd.errors import ConnectionFailed
from voxd.providers.stt.settings import chosen, live_url, site_url, terms


class Options(msgspec.Struct):
    fast: bool | None = None
    words: list[str] | None = None
    limit: float | None = None


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("wss://api.example.com", "wss://api.example.com/v1/listen?a=1"),
        ("https://api.example.com/", "wss://api.example.com/v1/listen?a=1"),
        ("wss://api.example.com/v1/listen", "wss://api.example.com/v1/listen?a=1"),
        ("http://127.0.0.1:8080/proxy", "ws://127.0.0.1:8080/proxy/v1/listen?a=1"),
        ("wss://api.example.com/v1/listen?tenant=7", "wss://api.example.com/v1/listen?tenant=7&a=1"),
    ],
)
def test_a_socket_is_found_whichever_way_its_endpoint_is_written(endpoint: str, url: str) -> None:
    assert live_url("x", endpoint, "/v1/listen", {"a": 1}) == url


def test_a_list_is_a_parameter_that_is_repeated() -> None:
    query = {"term": ["Ada Lovelace", "voxd & co"], "none": []}
    assert live_url("x", "wss://a.example", "/p", query).endswith("?term=Ada+Lovelace&term=voxd+%26+co")


@pytest.mark.parametrize("endpoint", ["", "api.example.com", "ftp://api.example.com", "wss://"])
def test_an_endpoint_that_is_no_url_is_told_and_not_repeated(endpoint: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        live_url("acme", endpoint, "/v1/listen", {})
    assert (raised.value.provider, raised.value.code, raised.value.retryable) == (
        "acme",
        "bad_endpoint",
        False,
    )
    assert "example" not in str(raised.value)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("wss://api.example.com", "https://api.example.com/v1/projects"),
        ("wss://api.example.com/v1/listen", "https://api.example.com/v1/projects"),
        ("https://api.example.com/", "https://api.example.com/v1/projects"),
        ("ws://127.0.0.1:8080/proxy/v1/listen", "http://127.0.0.1:8080/proxy/v1/projects"),
    ],
)
def test_a_question_by_http_goes_to_the_same_place(endpoint: str, url: str) -> None:
    assert site_url(endpoint, "/v1/listen", "/v1/projects") == url


def test_only_what_is_set_is_chosen_and_truth_is_written_small() -> None:
    assert chosen(Options()) == {}
    assert chosen(Options(fast=False, words=["a"], limit=0.5)) == {
        "fast": "false",
        "words": ["a"],
        "limit": 0.5,
    }


def test_likely_words_are_told_once_and_no_more_than_are_taken() -> None:
    assert terms(["b", " a ", ""], ("a", "c" * 9), most=5, longest=8) == ["b", "a"]
    assert terms([str(n) for n in range(9)], most=3) == ["0", "1", "2"]
