"""Where OpenAI, Azure and custom servers are reached, and how the key gets there."""

import itertools
import uuid
from typing import Any

import pytest

from voxd.config.secrets import Secret
from voxd.errors import AuthenticationError, ConfigError, ConnectionFailed, ProviderError
from voxd.net.endpoint import address_of, belongs_to, host_of, http_url, realtime_url
from voxd.providers.vendors.azure.realtime import AzureProvider
from voxd.providers.vendors.custom.realtime import CustomProvider
from voxd.providers.vendors.openai.realtime import OpenAIProvider

KEY = "sk-1"
BEARER = {"Authorization": "Bearer sk-1"}


@pytest.mark.parametrize(
    ("kind", "config", "url", "headers"),
    [
        (OpenAIProvider, {}, "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1-mini", BEARER),
        (
            OpenAIProvider,
            {"endpoint": "https://eu.api.openai.com/v1/", "model": "gpt-realtime-2.1"},
            "wss://eu.api.openai.com/v1/realtime?model=gpt-realtime-2.1",
            BEARER,
        ),
        (
            OpenAIProvider,
            {"metadata": {"organization": "org", "project": "proj", "model": "m"}},
            "wss://api.openai.com/v1/realtime?model=m",
            {**BEARER, "OpenAI-Organization": "org", "OpenAI-Project": "proj"},
        ),
        (
            OpenAIProvider,
            {"metadata": {"headers": {"authorization": "Basic x", "X-Trace": "7"}, "model": "m"}},
            "wss://api.openai.com/v1/realtime?model=m",
            {"authorization": "Basic x", "X-Trace": "7"},
        ),
        (
            AzureProvider,
            {"endpoint": "https://res.openai.azure.com", "model": "mine"},
            "wss://res.openai.azure.com/openai/v1/realtime?model=mine",
            {"api-key": KEY},
        ),
        (
            AzureProvider,
            {
                "endpoint": "https://res.openai.azure.com/openai/v1/",
                "model": "a b",
                "metadata": {"auth_type": "bearer"},
            },
            "wss://res.openai.azure.com/openai/v1/realtime?model=a+b",
            BEARER,
        ),
        (
            AzureProvider,
            {"model": "m", "metadata": {"region": "eastus"}},
            "wss://eastus.api.cognitive.microsoft.com/openai/v1/realtime?model=m",
            {"api-key": KEY},
        ),
        (
            CustomProvider,
            {"metadata": {"endpoint": "wss://your-api.com/realtime", "auth_type": "bearer", "model": "v1"}},
            "wss://your-api.com/realtime?model=v1",
            BEARER,
        ),
        (
            CustomProvider,
            {"endpoint": "wss://x.org/talk?lang=de", "metadata": {"auth_type": "header"}},
            "wss://x.org/talk?lang=de",
            {"api-key": KEY},
        ),
        (
            CustomProvider,
            {"endpoint": "wss://x.org/talk", "metadata": {"auth_type": "header", "auth_name": "X-Key"}},
            "wss://x.org/talk",
            {"X-Key": KEY},
        ),
        (
            CustomProvider,
            {"endpoint": "wss://x.org/talk", "model": "m", "metadata": {"auth_type": "query"}},
            "wss://x.org/talk?model=m&api_key=sk-1",
            {},
        ),
        (
            CustomProvider,
            {"endpoint": "ws://box.local:8080/rt", "metadata": {"auth_type": "none"}},
            "ws://box.local:8080/rt",
            {},
        ),
    ],
)
def test_the_address(kind: type[OpenAIProvider], config: Any, url: str, headers: dict[str, str]) -> None:
    address = kind({"api_key": KEY, **config}).address()
    assert (address.url, dict(address.headers)) == (url, headers)


@pytest.mark.parametrize("key", ["", None, "  ", "sk\n1", "schlüssel"])
def test_a_key_that_cannot_be_one_is_refused_before_anything_is_sent(key: str | None) -> None:
    with pytest.raises(AuthenticationError):
        OpenAIProvider({"api_key": key}).address()


@pytest.mark.parametrize("key", [Secret("sk-1"), " sk-1\n"])
def test_a_key_may_be_a_secret_or_end_as_files_do(key: Any) -> None:
    assert OpenAIProvider({"api_key": key}).address().headers == BEARER


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (AzureProvider, {}),
        (CustomProvider, {}),
        (CustomProvider, {"endpoint": "ftp://x"}),
        (CustomProvider, {"endpoint": "wss://x.org", "metadata": {"auth_type": "kerberos"}}),
        (OpenAIProvider, {"endpoint": "ws://api.example.org/v1"}),
        (OpenAIProvider, {"endpoint": "ws://93.184.216.34/v1"}),
        (OpenAIProvider, {"endpoint": "nonsense"}),
        (OpenAIProvider, {"endpoint": "wss://[sk-1"}),
        (OpenAIProvider, {"endpoint": "wss://x.org:sk-1/v1"}),
        (OpenAIProvider, {"endpoint": "wss://x.org:99999/v1"}),
    ],
)
def test_a_wrong_endpoint_is_a_mistake_of_the_configuration(kind: type[OpenAIProvider], config: Any) -> None:
    with pytest.raises(ConfigError) as raised:
        kind({"api_key": KEY, **config}).address()
    assert raised.value.hint
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.openai.com/v1", "api.openai.com"),
        ("wss://EU.api.openai.com:443", "eu.api.openai.com"),
        ("nonsense", ""),
        ("http://[bad", ""),
        ("", ""),
    ],
)
def test_the_host_of_an_invalid_url_is_empty(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("url", "theirs"),
    [
        ("https://openai.com", True),
        ("https://api.openai.com/v1", True),
        ("https://notopenai.com", False),
        ("https://openai.com.example", False),
        ("http://[bad", False),
    ],
)
def test_a_host_belongs_to_the_domain_it_ends_with(url: str, theirs: bool) -> None:
    assert belongs_to(url, "openai.com") is theirs


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "192.168.1.20", "box.local", "nas"])
def test_a_server_of_this_network_may_be_spoken_to_in_clear(host: str) -> None:
    assert OpenAIProvider({"api_key": KEY, "endpoint": f"ws://{host}:80/v1"}).address().url.startswith("ws:")


def test_an_address_shows_neither_key_nor_url() -> None:
    metadata = {"endpoint": "wss://x.org/talk", "auth_type": "query", "proxy": "http://me:secret@proxy"}
    shown = repr(CustomProvider({"api_key": KEY, "metadata": metadata}).address())
    assert KEY not in shown
    assert "secret" not in shown


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
    assert realtime_url("x", endpoint, "/v1/listen", {"a": 1}) == url


def test_a_list_is_a_parameter_that_is_repeated() -> None:
    query = {"term": ["Ada Lovelace", "voxd & co"], "none": []}
    assert realtime_url("x", "wss://a.example", "/p", query).endswith("?term=Ada+Lovelace&term=voxd+%26+co")


@pytest.mark.parametrize("endpoint", ["", "api.example.com", "ftp://api.example.com", "wss://"])
def test_an_endpoint_that_is_not_a_url_is_reported_and_not_retried(endpoint: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        realtime_url("acme", endpoint, "/v1/listen", {})
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
    assert http_url(endpoint, "/v1/listen", "/v1/projects") == url


COUNT = itertools.count()


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        ({}, {}),
        ({"X-A": "text"}, {"X-A": "text"}),
        ({"X-A": 7}, {"X-A": "7"}),
        ({"X-A": Secret("hidden")}, {"X-A": "hidden"}),
        ({"X-A": lambda: "made"}, {"X-A": "made"}),
        (lambda: {"X-A": "made", "X-B": lambda: "too"}, {"X-A": "made", "X-B": "too"}),
    ],
)
def test_headers_may_be_functions(configured: Any, expected: dict[str, str]) -> None:
    address = address_of("wss://example.org/v1", {"x-a": "ours"}, {"headers": configured})
    assert {name: value for name, value in address.headers.items() if name != "x-a"} == expected


def test_headers_are_made_anew_for_every_connection() -> None:
    metadata = {"headers": {"X-Id": "{uuid}", "X-At": "{unix_s}", "X-N": lambda: str(next(COUNT))}}
    first, second = (address_of("wss://example.org", {}, metadata).headers for _ in range(2))
    assert uuid.UUID(first["X-Id"]) != uuid.UUID(second["X-Id"])
    assert first["X-At"].isdigit()
    assert [first["X-N"], second["X-N"]] == ["0", "1"]


@pytest.mark.parametrize("configured", ["text", 7, {"X-A": "a\r\nX-B: b"}, lambda: "text"])
def test_headers_that_cannot_be_sent_are_refused(configured: Any) -> None:
    with pytest.raises(ConfigError):
        address_of("wss://example.org", {}, {"headers": configured})


def test_a_function_for_headers_that_fails_is_an_error_of_its_own() -> None:
    with pytest.raises(ProviderError) as raised:
        address_of("wss://example.org", {}, {"headers": {"X-A": lambda: 1 / 0}})
    assert raised.value.code == "headers_failed"
    assert not raised.value.retryable
