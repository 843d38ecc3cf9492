"""What vendors complain of becomes our errors, whatever shape and name it has."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import AuthenticationError, ContextTooLong, ProviderError, RateLimited
from voxd.providers.pipeline.stages import llm_errors
from voxd.providers.pipeline.stages.llm_errors import ErrorDetail, find_error

TOO_LONG: list[Any] = [
    {"error": {"message": "no", "code": "context_length_exceeded"}},
    {"error": {"message": "This model's maximum context length is 8192 tokens.", "code": None}},
    {"error": {"code": 400, "message": "the request exceeds it", "type": "exceed_context_size_error"}},
    {"object": "error", "message": "is longer than the maximum model length of 4096", "code": 400},
    {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 5"}},
    {"error": "the input length exceeds the context length"},
    {"error": {"message": "litellm.ContextWindowExceededError: context window", "type": None, "code": "400"}},
    {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096."},
    {"error": {"message": "The input token count exceeds the maximum number of tokens allowed", "code": 400}},
    {"detail": "Please reduce the length of the messages or completion."},
]


@pytest.mark.parametrize("body", TOO_LONG)
def test_a_conversation_that_does_not_fit_is_recognised_under_every_error_name(body: Any) -> None:
    error = llm_errors.error_from_response("p", 400, {}, json.dumps(body).encode())
    assert isinstance(error, ContextTooLong)
    assert not error.retryable


@pytest.mark.parametrize("body", [each for each in TOO_LONG if "detail" not in each])
def test_it_is_also_recognised_in_the_middle_of_an_answer(body: Any) -> None:
    assert isinstance(llm_errors.error_from_event("p", json.dumps(body)), ContextTooLong)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"error": {"message": "m", "type": "server_error", "code": None}}, ErrorDetail("server_error", "m")),
        ({"error": {"message": "m", "type": "requests", "code": "rate_limit_exceeded"}}, ...),
        ({"error": {"message": "m", "code": 429}}, ErrorDetail("rate_limit_exceeded", "m")),
        ({"error": {"message": "m", "code": "500", "type": "x"}}, ErrorDetail("x", "m")),
        ({"error": {"message": 5, "code": []}}, ErrorDetail()),
        ({"error": "m"}, ErrorDetail("", "m")),
        ({"error": {"type": "overloaded_error", "message": "m"}}, ErrorDetail("overloaded", "m")),
        (
            {
                "error": {
                    "type": "rate_limit_error",
                    "details": {"error_code": "contract_spend_limit_reached"},
                }
            },
            ErrorDetail("insufficient_quota"),
        ),
        ({"error": {"type": "rate_limit_error", "details": {"error_code": "new"}}}, ...),
        (
            {"type": "error", "code": "server_error", "message": "m", "param": None},
            ErrorDetail("server_error", "m"),
        ),
        ({"error": None}, None),
        ({"error": ""}, None),
        ({"choices": []}, None),
        (["error"], None),
        (None, None),
    ],
)
def test_a_complaint_is_found_in_any_shape(said: Any, found: Any) -> None:
    message = said["error"].get("message", "") if found is ... else ""
    assert find_error(said) == (ErrorDetail("rate_limit_exceeded", message) if found is ... else found)


@pytest.mark.parametrize(
    ("complaint", "kind", "code", "retryable"),
    [
        (ErrorDetail("authentication_error"), ProviderError, "authentication_error", True),
        (ErrorDetail("invalid_api_key"), AuthenticationError, "invalid_api_key", False),
        (ErrorDetail("rate_limit_exceeded"), RateLimited, "rate_limited", True),
        (ErrorDetail("overloaded"), ProviderError, "overloaded", True),
        (ErrorDetail("insufficient_quota"), ProviderError, "insufficient_quota", False),
        (ErrorDetail("invalid_request_error"), ProviderError, "invalid_request_error", False),
        (ErrorDetail(), ProviderError, "stream_failed", True),
    ],
)
def test_an_error_in_the_middle_states_whether_a_retry_helps(
    complaint: ErrorDetail, kind: type[ProviderError], code: str, retryable: bool
) -> None:
    error = llm_errors.error_from_detail("p", complaint)
    assert (type(error), error.code, error.retryable) == (kind, code, retryable)


def test_a_wait_given_only_in_the_message_is_kept() -> None:
    body = {
        "error": {"message": "Rate limit reached. Please try again in 1.5s.", "code": "rate_limit_exceeded"}
    }
    assert llm_errors.error_from_response("p", 429, {}, json.dumps(body).encode()).retry_after_s == 1.5


def test_money_that_is_spent_does_not_come_back_by_asking() -> None:
    spent = {"error": {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}}}
    for status, body in ((402, {}), (429, spent), (429, {"error": {"code": "insufficient_quota"}})):
        error = llm_errors.error_from_response("p", status, {}, json.dumps(body).encode())
        assert (error.code, error.retryable) == ("insufficient_quota", False)
        assert error.hint
    ramp = {"error": {"type": "rate_limit_error", "details": {"error_code": "ramp_limit_exceeded"}}}
    assert llm_errors.error_from_response("p", 429, {"retry-after": "5"}, json.dumps(ramp).encode()).retryable


@examples(50)
@given(st.integers(300, 599), st.binary(max_size=60))
def test_any_refusal_becomes_an_error_of_ours(status: int, body: bytes) -> None:
    error = llm_errors.error_from_response("p", status, {}, body)
    assert isinstance(error, ProviderError)
    assert error.provider == "p"
    assert str(error)
