"""What the services of AWS share."""

import pytest

from voxd.errors import AuthenticationError, ConfigError, ConnectionFailed, ProviderError, RateLimited
from voxd.providers.vendors.aws.errors import find_region, read_error, stream_error


@pytest.mark.parametrize(
    ("told", "endpoint", "region"),
    [
        ("eu-west-1", "", "eu-west-1"),
        ("", "https://polly.sa-east-1.amazonaws.com", "sa-east-1"),
        ("eu-west-1", "https://polly.sa-east-1.amazonaws.com", "eu-west-1"),
    ],
)
def test_the_region_is_told_or_stands_in_the_endpoint(told: str, endpoint: str, region: str) -> None:
    assert find_region("den", told, endpoint, "polly") == region


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:1", "https://transcribe.us-east-1.amazonaws.com"])
def test_without_a_region_the_configuration_is_wrong(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="den") as raised:
        find_region("den", "", endpoint, "polly")
    assert "options.region" in raised.value.hint


@pytest.mark.parametrize(
    ("name", "message", "kind", "code", "retryable"),
    [
        ("BadRequestException", "the sample rate is wrong", ProviderError, "refused", False),
        (
            "BadRequestException",
            "Your request timed out because no new audio was received for 15 seconds.",
            ConnectionFailed,
            "closed_by_vendor",
            True,
        ),
        ("LimitExceededException", "too many streams", RateLimited, "rate_limited", True),
        ("InternalFailureException", "", ConnectionFailed, "overloaded", True),
        ("ConflictException", "", ConnectionFailed, "overloaded", True),
        ("ServiceUnavailableException", "", ConnectionFailed, "overloaded", True),
        ("UnrecognizedClientException", "", AuthenticationError, "invalid_api_key", False),
        ("SomethingNew", "", ProviderError, "refused", False),
    ],
)
def test_what_a_stream_breaks_off_with(
    name: str, message: str, kind: type[ProviderError], code: str, retryable: bool
) -> None:
    error = stream_error("den", name, message)
    assert (type(error), error.code, error.retryable) == (kind, code, retryable)


@pytest.mark.parametrize(
    ("status", "name", "code", "retryable"),
    [
        (400, "ThrottlingException", "rate_limited", True),
        (429, "ThrottlingException:http://internal.amazon.com/", "rate_limited", True),
        (403, "InvalidSignatureException", "invalid_api_key", False),
        (500, "ServiceFailureException", "overloaded", True),
        (400, "TextLengthExceededException", "TextLengthExceededException", False),
    ],
)
def test_what_an_answer_is_refused_with(status: int, name: str, code: str, retryable: bool) -> None:
    error = read_error("den", status, {"x-amzn-errortype": name}, b'{"message": "no"}')
    assert (error.code, error.retryable, str(error)) == (code, retryable, "no")


def test_a_clock_that_is_wrong_is_told_as_such() -> None:
    body = b'{"message": "Signature expired: 20260101T000000Z is now earlier than 20261120T000000Z"}'
    error = read_error("den", 403, {"x-amzn-errortype": "InvalidSignatureException"}, body)
    assert error.code == "clock_wrong"
    assert "timedatectl" in error.hint
