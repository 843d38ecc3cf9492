"""Where OpenAI, Azure and custom servers are reached, and how the key gets there."""

import itertools
import uuid
from typing import Any

import pytest

from voxd.config.secrets import Secret
from voxd.errors import AuthenticationError, ConfigError, ConnectionFailed, ProviderError
from voxd.net.endpoint import address_of, belongs_to, host_of, realtime_url, resource_url, websocket_url
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


BASES = [
    ("https://api.example.com", "https://api.example.com"),
    ("https://api.example.com/", "https://api.example.com"),
    (" https://api.example.com/v1 ", "https://api.example.com"),
    ("https://api.example.com/v1/", "https://api.example.com"),
    ("HTTPS://api.example.com//v1//", "https://api.example.com"),
    ("wss://api.example.com/v1", "https://api.example.com"),
    ("http://192.168.1.5:8000", "http://192.168.1.5:8000"),
    ("ws://nas.local:8000/v1", "http://nas.local:8000"),
    ("localhost:8000", "http://localhost:8000"),
    ("127.0.0.1:8000/v1/", "http://127.0.0.1:8000"),
    ("[::1]:8000", "http://[::1]:8000"),
    ("http://[fd00::7]:8000/v1", "http://[fd00::7]:8000"),
    ("api.example.com:8443/v1", "https://api.example.com:8443"),
]
ENDS = [
    "/v1/chat/completions",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/realtime",
    "/v1/models",
    "/v1/responses/",
    "/v1/completions",
]


@pytest.mark.parametrize(("endpoint", "root"), BASES)
@pytest.mark.parametrize("path", ["/chat/completions", "/audio/speech", "/audio/transcriptions", "/models"])
def test_every_stage_understands_every_form_of_an_endpoint(endpoint: str, root: str, path: str) -> None:
    assert resource_url("x", endpoint, path, prefix="/v1") == f"{root}/v1{path}"
    # A resource that names its version itself.
    assert resource_url("x", endpoint, f"/v1{path}") == f"{root}/v1{path}"
    socket = f"ws{root.removeprefix('http')}/v1{path}?model=m"
    assert realtime_url("x", endpoint, path, {"model": "m"}, prefix="/v1") == socket
    assert websocket_url(endpoint, {"model": "m"}, path=path, prefix="/v1") == socket


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("path", ["/chat/completions", "/audio/speech", "/realtime"])
def test_the_url_of_another_resource_is_understood(end: str, path: str) -> None:
    for root in ("https://api.example.com", "http://box.local:8080/proxy"):
        assert resource_url("x", f"{root}{end}", path, prefix="/v1") == f"{root}/v1{path}"


@pytest.mark.parametrize(
    ("endpoint", "path", "url"),
    [
        ("wss://api.example.com/v1/listen", "/v1/projects", "https://api.example.com/v1/projects"),
        ("wss://api.example.com/v1/listen", "/v2/listen", "https://api.example.com/v2/listen"),
        ("https://api.example.com/v1", "/v1/speak", "https://api.example.com/v1/speak"),
        ("https://api.example.com/v1/speak?x=1", "/v1/speak", "https://api.example.com/v1/speak?x=1"),
        ("ws://127.0.0.1:8080/proxy/v1/listen", "/v1/speak", "http://127.0.0.1:8080/proxy/v1/speak"),
        ("https://a.example/v1/text-to-speech/Ann/stream", "/v1/user", "https://a.example/v1/user"),
        ("https://a.example/openai/v1", "/audio/speech", "https://a.example/openai/v1/audio/speech"),
        ("https://a.example/api/v1?key=7", "/models", "https://a.example/api/v1/models?key=7"),
        ("https://a.example/v1beta", "/models", "https://a.example/v1beta/models"),
    ],
)
def test_a_path_is_joined_once(endpoint: str, path: str, url: str) -> None:
    assert resource_url("x", endpoint, path) == url


def test_queries_are_joined_and_ours_wins() -> None:
    url = resource_url("x", "https://a.example/v1?a=1&b=%20", "/v1/speak", query={"a": 2, "c": ["x", "y"]})
    assert url == "https://a.example/v1/speak?b=%20&a=2&c=x&c=y"


@pytest.mark.parametrize(
    "endpoint",
    ["", "nonsense", "ftp://x", "https://", "https://x:99999", "https://x:0", "http://[b", "a b:80"],
)
def test_what_is_no_endpoint_is_refused_without_repeating_it(endpoint: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        resource_url("x", endpoint, "/models")
    assert raised.value.code == "bad_endpoint"


def test_a_host_without_a_scheme_has_a_name() -> None:
    assert host_of("localhost:8000/v1") == "localhost"
    assert belongs_to("api.openai.com:443", "openai.com")


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
