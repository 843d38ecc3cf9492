"""Frames of AWS's event streams: what goes in comes out, and nothing garbled gets through."""

import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import AuthenticationError, ConfigError, ConnectionFailed, ProviderError, RateLimited
from voxd.providers.vendors.aws.wire import decode, encode, find_region, read_error, stream_error

TEXT = {":message-type": "event", ":event-type": "AudioEvent"}


def frame_of(headers: bytes, payload: bytes = b"") -> bytes:
    """A frame with correct checksums around ``headers`` as they are."""
    lengths = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    body = lengths + struct.pack("!I", crc32(lengths)) + headers + payload
    return body + struct.pack("!I", crc32(body))


NAMES = st.text(min_size=1, max_size=20)


@given(st.dictionaries(NAMES, st.text(max_size=40), max_size=4), st.binary(max_size=200))
@examples(50)
def test_what_goes_in_comes_out(headers: dict[str, str], payload: bytes) -> None:
    message = decode(encode(headers, payload))
    assert (message.headers, message.payload) == (headers, payload)


@given(st.binary(max_size=60), st.integers(0, 10_000), st.integers(1, 255))
@examples(50)
def test_one_changed_byte_is_noticed(payload: bytes, at: int, change: int) -> None:
    frame = bytearray(encode(TEXT, payload))
    frame[at % len(frame)] ^= change
    with pytest.raises(ValueError, match="the frame"):
        decode(bytes(frame))


@given(st.binary(max_size=80))
@examples(50)
def test_headers_of_any_bytes_are_read_or_refused(headers: bytes) -> None:
    try:
        decode(frame_of(headers))
    except ValueError as error:
        assert str(error) == "the headers of the frame cannot be read"  # noqa: PT017


def test_headers_of_every_other_type_are_passed_over() -> None:
    sizes = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
    packed = b"".join(b"\x01x" + bytes([kind]) + bytes(size) for kind, size in sizes.items())
    packed += b"\x01y\x06\x00\x02ab" + b"\x01t\x07\x00\x02ok"
    assert decode(frame_of(packed, b"p")).headers == {"t": "ok"}


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0" * 15,
        encode(TEXT, b"abc")[:-1],
        encode(TEXT, b"abc") + b"\0",
        frame_of(b"\x05ab"),
        frame_of(b"\x01a\x63"),
        frame_of(b"\x01a"),
        frame_of(b"\x01a\x07\x00\x09ab"),
        frame_of(b"\x01\xff\x07\x00\x00"),
    ],
)
def test_a_garbled_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match="frame"):
        decode(frame)


def test_headers_longer_than_the_frame_are_refused() -> None:
    lengths = struct.pack("!II", 16, 1000)
    body = lengths + struct.pack("!I", crc32(lengths))
    with pytest.raises(ValueError, match="length of the frame"):
        decode(body + struct.pack("!I", crc32(body)))


@pytest.mark.parametrize(
    ("told", "endpoint", "region"),
    [
        ("eu-west-1", "", "eu-west-1"),
        ("", "https://polly.sa-east-1.amazonaws.com", "sa-east-1"),
        ("eu-west-1", "https://polly.sa-east-1.amazonaws.com", "eu-west-1"),
    ],
)
def test_the_region_is_configured_or_taken_from_the_endpoint(told: str, endpoint: str, region: str) -> None:
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


def test_a_wrong_clock_is_reported_as_the_cause() -> None:
    body = b'{"message": "Signature expired: 20260101T000000Z is now earlier than 20261120T000000Z"}'
    error = read_error("den", 403, {"x-amzn-errortype": "InvalidSignatureException"}, body)
    assert error.code == "clock_wrong"
    assert "timedatectl" in error.hint
