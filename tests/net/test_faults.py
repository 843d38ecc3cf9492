"""What a vendor's refusals mean, as tables."""

import errno
import json
import socket
import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import (
    AuthenticationError,
    ConnectionFailed,
    ContextTooLong,
    ProviderError,
    RateLimited,
)
from voxd.net import faults
from voxd.net.faults import (
    BAD_KEY,
    BUSY,
    NO_CREDIT,
    SLOW_DOWN,
    ErrorMeaning,
    RefusalText,
    parse_refusal,
    refusal_reader,
)


@pytest.mark.parametrize(
    ("theirs", "kind", "code", "retryable"),
    [
        ("invalid_api_key", AuthenticationError, "invalid_api_key", False),
        ("rate_limit_exceeded", RateLimited, "rate_limited", True),
        ("insufficient_quota", ProviderError, "insufficient_quota", False),
        ("context_length_exceeded", ContextTooLong, "context_too_long", False),
        ("model_not_found", ProviderError, "model_not_found", False),
        ("beta_api_shape_disabled", ProviderError, "beta_api_shape_disabled", False),
        ("something_new", ProviderError, "something_new", True),
        (None, ProviderError, "provider_unavailable", True),
    ],
)
def test_the_vendors_codes(theirs: str | None, kind: type, code: str, retryable: bool) -> None:
    error = faults.error_for_code("openai", theirs, "because")
    assert type(error) is kind
    assert (error.code, error.retryable, error.provider, str(error)) == (code, retryable, "openai", "because")


@pytest.mark.parametrize(
    ("message", "wait_s"),
    [("try again in 1.5s", 1.5), ("Please try again in 250ms.", 0.25), ("later", None)],
)
def test_how_long_to_wait_is_read_from_the_message(message: str, wait_s: float | None) -> None:
    assert faults.error_for_code("openai", "rate_limit_exceeded", message).retry_after_s == wait_s


QUOTA = {"error": {"code": "insufficient_quota", "message": "no money"}}
GOOGLES_BAD_KEY = {
    "error": {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
            }
        ],
    }
}
GOOGLES_NO = {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "code", "retryable"),
    [
        (401, {}, b"", AuthenticationError, "invalid_api_key", False),
        (403, {}, b"<html>", AuthenticationError, "invalid_api_key", False),
        (429, {"retry-after": "7"}, b"", RateLimited, "rate_limited", True),
        (429, {}, json.dumps(QUOTA).encode(), ProviderError, "insufficient_quota", False),
        (404, {}, b"", ProviderError, "model_not_found", False),
        (400, {}, b"", ProviderError, "refused", False),
        (400, {}, json.dumps(GOOGLES_BAD_KEY).encode(), AuthenticationError, "invalid_api_key", False),
        (400, {}, json.dumps(GOOGLES_NO).encode(), ProviderError, "refused", False),
        (200, {}, b"<html>log in</html>", ConnectionFailed, "captive_portal", True),
        (302, {"location": "http://login"}, b"", ConnectionFailed, "captive_portal", True),
        (500, {}, b"\xff\xff", ConnectionFailed, "server_error", True),
        (503, {}, b"", ConnectionFailed, "server_error", True),
        (402, {}, b"", ProviderError, "insufficient_quota", False),
        (408, {}, b"", ConnectionFailed, "timeout", True),
        (409, {}, b"", ProviderError, "conflict", True),
        (413, {}, b"", ProviderError, "too_big", False),
        (511, {}, b"<html>", ConnectionFailed, "captive_portal", True),
        (529, {}, b"", ConnectionFailed, "overloaded", True),
        (400, {}, b"[" * 100_000, ProviderError, "refused", False),
    ],
)
def test_an_http_answer_instead_of_a_websocket(
    status: int, headers: dict[str, str], body: bytes, kind: type, code: str, retryable: bool
) -> None:
    error = faults.error_for_refusal("openai", status, headers, body)
    assert type(error) is kind
    assert (error.code, error.retryable) == (code, retryable)


@pytest.mark.parametrize(
    ("status", "headers", "retryable", "wait_s"),
    [
        (429, {"retry-after": "7"}, True, 7.0),
        (429, {"retry-after": "7", "x-should-retry": "false"}, False, 7.0),
        (503, {"retry-after-ms": "1500"}, True, 1.5),
        (503, {"x-should-retry": "false"}, False, None),
        (409, {}, True, None),
        (422, {"x-should-retry": "true"}, True, None),
        (401, {"x-should-retry": "true", "retry-after": "1"}, False, None),
        (402, {"x-should-retry": "true"}, False, None),
    ],
)
def test_what_headers_say_about_trying_again_counts_but_for_keys_and_money(
    status: int, headers: dict[str, str], retryable: bool, wait_s: float | None
) -> None:
    error = faults.error_for_refusal("openai", status, headers, b"")
    assert (error.retryable, error.retry_after_s) == (retryable, wait_s)


def test_a_refusal_may_be_a_sentence_alone() -> None:
    assert str(faults.error_for_refusal("ollama", 404, {}, b'{"error": "pull it first"}')) == "pull it first"


def _certificate(reason: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, reason)
    error.verify_message = reason
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (_certificate("self-signed certificate"), "tls_untrusted"),
        (_certificate("certificate is not yet valid"), "clock_wrong"),
        (ssl.SSLError(1, "wrong version number"), "tls_failed"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "dns_failed"),
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "network_error"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "network_error"),
    ],
)
def test_a_socket_that_could_not_be_opened(error: Exception, code: str) -> None:
    found = faults.connect_error("openai", error)
    assert isinstance(found, ConnectionFailed)
    assert (found.code, found.retryable) == (code, True)
    assert str(found)
    assert found.hint


@pytest.mark.parametrize(
    ("code", "reason", "sent", "expected"),
    [
        (1001, "Your session hit the maximum duration of 60 minutes.", 1001, "session_expired"),
        (1001, "", 1001, "going_away"),
        (1000, "", 1000, "closed_by_vendor"),
        (1011, "internal", 1011, "server_error"),
        (1013, "", 1013, "overloaded"),
        (3000, "invalid_request_error.invalid_api_key", 3000, "invalid_api_key"),
        (4000, "beta", 4000, "beta_api_shape_disabled"),
        (4999, "", 4999, "network_error"),
        (None, "", None, "network_error"),
        (None, "", 1009, "frame_too_big"),
        (1009, "", 1009, "frame_too_big"),
        (1008, "the api_key is not valid", 1008, "invalid_api_key"),
        (1008, "unaccepted terms", 1008, "policy"),
        (1011, "api_key store is down", 1011, "server_error"),
        (None, "", 1002, "network_error"),
    ],
)
def test_why_a_socket_was_closed(code: int | None, reason: str, sent: int | None, expected: str) -> None:
    end = faults.close_reason(code, reason, sent=sent)
    assert end.code == expected
    assert end.reason


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        ("invalid_api_key", AuthenticationError, False),
        ("beta_api_shape_disabled", ProviderError, False),
        ("session_expired", ConnectionFailed, True),
        ("half_open", ConnectionFailed, True),
    ],
)
def test_a_waiting_caller_gets_the_reason_of_the_close(code: str, kind: type, retryable: bool) -> None:
    error = faults.error_for_close("openai", faults.CloseReason(code, "because"))
    assert type(error) is kind
    assert (error.code, error.retryable) == (code, retryable)


def test_a_vendors_endless_message_is_cut() -> None:
    assert len(str(faults.error_for_code("openai", "x", "y" * 10_000))) <= 300


TABLE = {"quota_exceeded": NO_CREDIT, "system_busy": BUSY, "slow": SLOW_DOWN, "nobody": BAD_KEY}
read = refusal_reader(TABLE)


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"detail": {"status": "quota_exceeded", "message": "m"}}, RefusalText("quota_exceeded", "m")),
        ({"detail": {"code": "quota_exceeded", "message": "m"}}, RefusalText("quota_exceeded", "m")),
        ({"detail": [{"loc": ["body"], "msg": "m", "type": "missing"}]}, RefusalText("", "m")),
        ({"detail": "no such voice here"}, RefusalText("", "no such voice here")),
        ({"message": "m", "error": "quota_exceeded", "code": 1008}, RefusalText("quota_exceeded", "m")),
        ({"err_code": "INVALID_AUTH", "err_msg": "m"}, RefusalText("INVALID_AUTH", "m")),
        ({"category": "NOPE", "message": "m", "details": "d"}, RefusalText("NOPE", "m")),
        (
            {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m"}},
            RefusalText("RESOURCE_EXHAUSTED", "m"),
        ),
        ({"error": {"code": "invalid_api_key", "message": "m"}}, RefusalText("invalid_api_key", "m")),
        ({"Message": "m"}, RefusalText("", "m")),
        ([], RefusalText()),
        ({"detail": []}, RefusalText()),
    ],
    ids=str,
)
def test_a_refusal_is_understood_in_every_shape(body: Any, expected: RefusalText) -> None:
    assert parse_refusal({}, encoded(body)) == expected


NGINX = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1>"
PYDANTIC = [
    {"type": "missing", "loc": ["body", "voice"], "msg": "Field required", "input": None},
    {"type": "missing", "loc": ["body", "model"], "msg": "Field required", "input": None},
]
FIELDS = "voice: Field required; model: Field required"


@pytest.mark.parametrize(
    ("body", "name", "message"),
    [
        # OpenAI, with its fields as proxies retype them.
        ({"error": {"message": "m", "type": "invalid_request_error", "code": None}}, "", "m"),
        ({"error": {"message": "m", "code": 400.0}}, "", "m"),
        ({"error": {"message": ["a", "b"], "code": "x_y"}}, "x_y", "a; b"),
        ({"error": {"message": {"content": 1, "message": "m"}, "code": ["x"]}}, "", "m"),
        ({"error": {"message": 7, "code": "x_y"}}, "x_y", ""),
        ({"error": ["a is wrong", "b is wrong"]}, "", "a is wrong; b is wrong"),
        ({"error": {"error": {"code": "x_y", "message": "m"}}}, "x_y", "m"),
        # Azure: its gateway, a filter, a deployment.
        ({"statusCode": 401, "message": "Access denied due to a key"}, "", "Access denied due to a key"),
        (
            {"error": {"message": "m", "code": "content_filter", "status": 400, "innererror": {"code": "R"}}},
            "content_filter",
            "m",
        ),
        ({"error": {"code": "DeploymentNotFound", "message": "m"}}, "DeploymentNotFound", "m"),
        # Google puts the error of a stream into a list.
        ([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}], "INVALID_ARGUMENT", "m"),
        # AWS
        ({"__type": "com.amazon.coral#ThrottlingException", "message": "m"}, "ThrottlingException", "m"),
        (b"<ErrorResponse><Error><Code>Throttling</Code><Message>m &amp; n</Message>", "Throttling", "m & n"),
        # Deepgram, ElevenLabs, AssemblyAI, and any other server of FastAPI.
        ({"err_code": "Bad Request", "err_msg": "m", "request_id": 7}, "", "m"),
        ({"category": None, "message": "m", "details": {"x": 1}}, "", "m"),
        ({"detail": PYDANTIC}, "", FIELDS),
        ({"detail": {"status": 7, "message": "m"}}, "", "m"),
        ({"detail": {"error": {"message": "m"}}}, "", "m"),
        ({"error": "the audio_url is wrong", "status": "error"}, "", "the audio_url is wrong"),
        # vLLM before and after 0.10, llama.cpp, LiteLLM, Mistral, Cloudflare, Ollama.
        ({"object": "error", "message": "m", "type": "BadRequestError", "param": None, "code": 400}, "", "m"),
        ({"error": {"message": "m", "type": "NotFoundError", "param": None, "code": 404}}, "", "m"),
        (
            {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
            "",
            "Loading model",
        ),
        ({"error": {"message": "m", "type": "None", "param": "None", "code": "429"}}, "", "m"),
        ({"object": "error", "message": {"detail": PYDANTIC}, "type": "invalid", "code": None}, "", FIELDS),
        ({"success": False, "errors": [{"code": 10000, "message": "m"}], "result": None}, "", "m"),
        ({"error": "model 'x' not found"}, "", "model 'x' not found"),
        # The vendor's own body inside that of a gateway.
        ({"error": {"message": '{"error": {"message": "m", "code": 400}}', "code": 400}}, "", "m"),
        # RFC 9457, OAuth, Spring, Apigee.
        ({"type": "about:blank", "title": "t t", "detail": "m m", "status": 404}, "", "m m"),
        ({"error": "invalid_client", "error_description": "m m"}, "", "m m"),
        ({"timestamp": 1, "status": 404, "error": "Not Found", "path": "/"}, "", "Not Found"),
        ({"fault": {"faultstring": "m", "detail": {"errorcode": "x"}}}, "", "m"),
        # What is no JSON.
        (NGINX, "", "502 Bad Gateway"),
        (b"404 page not found\n", "", "404 page not found"),
        (b'"Unauthorized access"', "", "Unauthorized access"),
        (b'event: error\ndata: {"error": {"message": "m", "code": 500}}\n\n', "", "m"),
        (b'\xef\xbb\xbf{"error": {"message": "m"}}', "", "m"),
        (b'{"error": {"message": "cut o', "", ""),
        (b"\x00\x01", "", ""),
        (b"", "", ""),
        (b"null", "", ""),
    ],
    ids=str,
)
def test_a_field_of_another_type_only_loses_itself(body: Any, name: str, message: str) -> None:
    raw = body if isinstance(body, bytes) else encoded(body)
    found = parse_refusal({}, raw)
    assert found.message == message
    assert not name or found.name == name
    # The message reaches the user by every reader.
    for reader in (faults.error_for_refusal, read):
        assert str(reader("vendor", 422, {}, raw)).startswith(message)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "detail", "code", "type", "loc"]), inner)
    ),
    max_leaves=12,
)


@examples(100)
@given(JSON_VALUES)
def test_no_shape_of_an_error_loses_a_message_beside_it(value: Any) -> None:
    assert parse_refusal({}, encoded({"status": value, "code": value, "message": "because of it"})).message
    error = faults.error_for_refusal("vendor", 400, {}, encoded({"error": value}))
    assert str(error)


def test_the_name_of_a_permanent_error_may_be_its_type() -> None:
    body = encoded({"error": {"message": "m", "type": "insufficient_quota", "code": 429}})
    assert faults.error_for_refusal("openai", 429, {}, body).code == "insufficient_quota"


def test_amazon_names_it_in_a_header() -> None:
    headers = {"x-amzn-errortype": "ThrottlingException:http://internal/"}
    assert parse_refusal(headers, b'{"message":"m"}') == RefusalText("ThrottlingException", "m")


@pytest.mark.parametrize("body", [b"", b"\xff", b"<html>", b"[" * 5000, b'{"detail":7}'], ids=str)
def test_an_error_without_a_message_means_what_its_status_means(body: bytes) -> None:
    assert parse_refusal({}, body) == RefusalText()
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


def test_the_wait_the_vendor_requests_is_kept() -> None:
    body = encoded({"detail": {"status": "slow", "message": "m"}})
    assert read("vendor", 429, {"retry-after": "7"}, body).retry_after_s == 7


def test_a_meaning_without_a_message_still_says_something() -> None:
    assert str(refusal_reader({"x": ErrorMeaning("y")})("vendor", 400, {}, encoded({"detail": "x"})))


@examples(50)
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
