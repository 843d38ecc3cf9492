"""The frames of AWS's event streams (``application/vnd.amazon.eventstream``): pure functions, both ways.

A frame is ``length u32 | length of headers u32 | CRC-32 of both | headers | payload | CRC-32 of it all``,
big endian (reference/providers.md, section 9). botocore and the vendor's own client judge it
(`tests/conformance/test_eventstream.py`).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

_PRELUDE = struct.Struct("!III")
_U32 = struct.Struct("!I")
_U16 = struct.Struct("!H")
_TEXT = 7
_WITH_LENGTH = frozenset({6, _TEXT})
_VALUE_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""True, false, integers of 1 to 8 bytes, a time and a UUID: types of header that voxd has no use for."""


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
    """Return what is in ``frame``, which holds exactly one. Raises `ValueError` when it is garbled."""
    if len(frame) < _PRELUDE.size + _U32.size:
        raise ValueError("the frame is too short")
    length, headers_bytes, prelude_sum = _PRELUDE.unpack_from(frame)
    if prelude_sum != crc32(frame[: _PRELUDE.size - _U32.size]):
        raise ValueError("the lengths in the frame do not match their checksum")
    end = len(frame) - _U32.size
    headers_end = _PRELUDE.size + headers_bytes
    if length != len(frame) or headers_end > end:
        raise ValueError("the frame is not as long as it says")
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
        name, at = _taken(data, at + 1, data[at])
        kind, at = data[at], at + 1
        if kind in _WITH_LENGTH:
            value, at = _taken(data, at + _U16.size, _U16.unpack_from(data, at)[0])
        else:
            value, at = _taken(data, at, _VALUE_BYTES[kind])
        if kind == _TEXT:
            yield name.decode(), value.decode()


def _taken(data: bytes, start: int, size: int) -> tuple[bytes, int]:
    end = start + size
    if end > len(data):
        raise IndexError(end)
    return data[start:end], end
