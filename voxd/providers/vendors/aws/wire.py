"""What Amazon's services share: event-stream frames, regions and error names.

A frame (``application/vnd.amazon.eventstream``) is ``length u32 | length of headers u32 | CRC-32 of both |
headers | payload | CRC-32 of everything before``, big endian. botocore and amazon-transcribe check it
(`tests/conformance/test_eventstream.py`).
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

from voxd.errors import ConfigError, ConnectionFailed, ProviderError
from voxd.net.faults import (
    BAD_KEY,
    BUSY,
    SLOW_DOWN,
    ErrorMeaning,
    error_meaning,
    parse_refusal,
    refusal_reader,
)

# Total length, length of the headers, CRC-32 of these two.
_PRELUDE = struct.Struct("!III")
_U32 = struct.Struct("!I")
_U16 = struct.Struct("!H")
# Header types with a length in front: 6 is bytes, 7 is text.
_TEXT = 7
_WITH_LENGTH = frozenset({6, _TEXT})
# Sizes of header types that are skipped: true, false, integers of 1 to 8 bytes, time, UUID.
_VALUE_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


@dataclass(frozen=True, slots=True)
class EventFrame:
    """One frame; ``headers`` are those that hold text."""

    headers: Mapping[str, str]
    payload: bytes


def encode(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return the frame of ``headers`` (names up to 255 bytes, values up to 32 767) and ``payload``."""
    packed = b"".join(_packed(name.encode(), value.encode()) for name, value in headers.items())
    lengths = struct.pack("!II", _PRELUDE.size + len(packed) + len(payload) + _U32.size, len(packed))
    frame = b"".join((lengths, _U32.pack(crc32(lengths)), packed, payload))
    return frame + _U32.pack(crc32(frame))


def decode(frame: bytes) -> EventFrame:
    """Return what is in ``frame``, which holds exactly one. Raises `ValueError` when it is malformed."""
    if len(frame) < _PRELUDE.size + _U32.size:
        raise ValueError("the frame is too short")
    length, headers_bytes, prelude_sum = _PRELUDE.unpack_from(frame)
    if prelude_sum != crc32(frame[: _PRELUDE.size - _U32.size]):
        raise ValueError("the lengths in the frame do not match their checksum")
    end = len(frame) - _U32.size
    headers_end = _PRELUDE.size + headers_bytes
    # Both checked before use: a wrong length would read beyond the frame.
    if length != len(frame) or headers_end > end:
        raise ValueError("the length of the frame is wrong")
    if _U32.unpack_from(frame, end)[0] != crc32(frame[:end]):
        raise ValueError("the frame does not match its checksum")
    try:
        headers = dict(_headers(frame[_PRELUDE.size : headers_end]))
    except (struct.error, IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError("the headers of the frame cannot be read") from error
    return EventFrame(headers, frame[headers_end:end])


def _packed(name: bytes, value: bytes) -> bytes:
    return b"".join((bytes((len(name),)), name, bytes((_TEXT,)), _U16.pack(len(value)), value))


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(data):
        name, at = _take(data, at + 1, data[at])
        kind, at = data[at], at + 1
        if kind in _WITH_LENGTH:
            value, at = _take(data, at + _U16.size, _U16.unpack_from(data, at)[0])
        else:
            value, at = _take(data, at, _VALUE_BYTES[kind])
        if kind == _TEXT:
            yield name.decode(), value.decode()


def _take(data: bytes, start: int, size: int) -> tuple[bytes, int]:
    end = start + size
    if end > len(data):
        raise IndexError(end)
    return data[start:end], end


_TIMED_OUT = ErrorMeaning("closed_by_vendor", ConnectionFailed, retryable=True)
_REFUSED = ErrorMeaning("refused", hint="check the provider's settings in the configuration")
_NAMES: Mapping[str, ErrorMeaning] = {
    **dict.fromkeys(("LimitExceeded", "Throttling", "ThrottledClient", "TooManyRequests"), SLOW_DOWN),
    **dict.fromkeys(("InternalFailure", "InternalServer", "ServiceFailure"), BUSY),
    **dict.fromkeys(("ServiceUnavailable", "Conflict"), BUSY),
    **dict.fromkeys(("AccessDenied", "UnrecognizedClient", "InvalidSignature", "ExpiredToken"), BAD_KEY),
    **dict.fromkeys(("SignatureDoesNotMatch", "InvalidClientTokenId", "IncompleteSignature"), BAD_KEY),
    "MissingAuthenticationToken": BAD_KEY,
}
# HTTP errors have the name with or without "Exception", frames always with it.
_TABLE = {f"{name}{end}": means for name, means in _NAMES.items() for end in ("", "Exception")}
# How the message begins when the time in the signature is off.
_CLOCK = ("Signature expired", "Signature not yet current")

_by_name = refusal_reader(_TABLE)


def find_region(name: str, configured: str, endpoint: str, service: str) -> str:
    """Return the region of provider ``name``: the configured one, or that in the host name of ``service``.

    Raises `ConfigError` when there is neither.
    """
    found = re.search(rf"{service}\.([a-z0-9-]+)\.amazonaws\.com", endpoint)
    region = configured or (found[1] if found else "")
    if not region:
        hint = f'set options.region in [providers.{name}], such as "eu-central-1"'
        raise ConfigError(f"provider {name} needs `region`", hint=hint)
    return region


def read_error(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error for an HTTP response, named by its header ``x-amzn-errortype``."""
    message = parse_refusal(headers, body).message
    return _clock(provider, message) or _by_name(provider, status, headers, body)


def stream_error(provider: str, name: str, message: str) -> ProviderError:
    """Return the error for an exception frame, such as ``name`` "BadRequestException"."""
    text = message or name or "AWS gave no reason"
    # 15 s without audio end a session with BadRequestException: the text tells it from a bad request.
    known = _TABLE.get(name, _TIMED_OUT if "timed out" in text else _REFUSED)
    return _clock(provider, text) or error_meaning(provider, known, text)


def _clock(provider: str, message: str) -> ProviderError | None:
    """Return the error for a signature with a wrong time, None for any other message."""
    if not message.startswith(_CLOCK):
        return None
    hint = "set the clock: `timedatectl status`"
    return ConnectionFailed("the device's clock is wrong", provider=provider, code="clock_wrong", hint=hint)
