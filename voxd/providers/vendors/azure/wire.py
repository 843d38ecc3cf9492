"""The frames of Azure's speech socket (USP): pure functions, both ways.

A text frame consists of header lines, an empty line and JSON; a binary frame of the length of its headers
(u16, big endian), the headers and audio. Azure's native client accepts the test server for these frames
(`tests/conformance/test_azure_speech.py`).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from voxd import __version__
from voxd.frames import SAMPLE_RATE_HZ

# The header of a WAV file of unknown length, one channel of 16 bit: it describes the audio format.
_WAV = (
    b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0"
    + SAMPLE_RATE_HZ.to_bytes(4, "little")
    + (2 * SAMPLE_RATE_HZ).to_bytes(4, "little")
    + b"\x02\0\x10\0data\0\0\0\0"
)

# One audio stream a turn.
_STREAM = "1"


@dataclass(frozen=True, slots=True)
class UspMessage:
    """A message of the service; ``path`` is its type, ``body`` JSON or ""."""

    path: str
    request_id: str
    body: str


def config(at_s: float) -> str:
    """Return the first frame of a connection: the client. ``at_s`` is seconds since 1970 UTC, as below."""
    source = {
        "type": "Stream",
        "samplerate": str(SAMPLE_RATE_HZ),
        "bitspersample": "16",
        "channelcount": "1",
    }
    system = {"name": "voxd", "version": __version__, "build": sys.platform, "lang": "Python"}
    platform = {"platform": "Linux", "name": "Linux", "version": ""}
    body = {"context": {"system": system, "os": platform, "audio": {"source": source}}}
    # It concerns the connection, so it has no request id.
    return _text({"Path": "speech.config"}, body, at_s)


def context(language: str, hints: Sequence[str], request_id: str, at_s: float) -> str:
    """Return the first frame of a turn: the language, and likely words."""
    body: dict[str, Any] = {"phraseDetection": {"language": language}, "audio": {"streams": {_STREAM: None}}}
    if hints:
        items = [{"Text": hint} for hint in hints]
        body["dgi"] = {"Groups": [{"Type": "Generic", "Items": items}], "bias": 1.0}
    return _text({"Path": "speech.context", "X-RequestId": request_id}, body, at_s)


def beginning(request_id: str, at_s: float) -> bytes:
    """Return the frame before the first audio: the audio format."""
    return _sound(_WAV, {"Content-Type": "audio/x-wav"}, request_id, at_s)


def sound(pcm: bytes, request_id: str, at_s: float) -> bytes:
    """Return the frame of ``pcm``, at most one second of it; an empty one ends the audio."""
    return _sound(pcm, {}, request_id, at_s)


def read(frame: str | bytes) -> UspMessage:
    """Return what is in ``frame``. Raises `ValueError` when it is malformed."""
    if isinstance(frame, bytes):
        # Two bytes of length, big endian, before the headers of a binary frame.
        size = 2 + int.from_bytes(frame[:2])
        if len(frame) < size or size == 2:
            raise ValueError("the frame is shorter than its headers")
        head, body = frame[2:size].decode(), ""
    else:
        head, _, body = frame.partition("\r\n\r\n")
    headers = {}
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if not headers.get("path"):
        raise ValueError("the frame has no path")
    # Names of headers have no case (as in RFC 9110, section 5.1); paths are treated alike.
    return UspMessage(headers["path"].lower(), headers.get("x-requestid", ""), body)


def _sound(body: bytes, headers: Mapping[str, str], request_id: str, at_s: float) -> bytes:
    known = {"Path": "audio", **headers, "X-RequestId": request_id, "X-StreamId": _STREAM}
    head = _headers(known, at_s).encode()
    return b"".join((len(head).to_bytes(2), head, body))


def _text(headers: Mapping[str, str], body: Mapping[str, Any], at_s: float) -> str:
    every = {**headers, "Content-Type": "application/json; charset=utf-8"}
    return f"{_headers(every, at_s)}\r\n{json.dumps(body)}"


def _headers(headers: Mapping[str, str], at_s: float) -> str:
    stamp = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return "".join(f"{name}:{value}\r\n" for name, value in {"X-Timestamp": stamp, **headers}.items())
