"""The vendor's own libraries write the same frames as voxd, read voxd's, and are read by voxd."""

import json

import pytest

from voxd.providers.vendors.aws.wire import decode, encode

pytest.importorskip("botocore", reason="the extra `conformance` is not installed")
pytest.importorskip("amazon_transcribe", reason="the extra `conformance` is not installed")

from amazon_transcribe.eventstream import EventStreamMessageSerializer
from botocore.eventstream import EventStreamBuffer

AUDIO = {
    ":message-type": "event",
    ":event-type": "AudioEvent",
    ":content-type": "application/octet-stream",
}
FRAMES = [
    (AUDIO, b"\x01\x02" * 1600),
    (AUDIO, b""),
    ({}, b"x"),
    ({":message-type": "exception", ":exception-type": "BadRequestException"}, json.dumps({"Message": "é"})),
]


@pytest.mark.parametrize(("headers", "payload"), FRAMES)
def test_frames_are_the_same_to_the_byte(headers: dict[str, str], payload: bytes | str) -> None:
    payload = payload.encode() if isinstance(payload, str) else payload
    ours = encode(headers, payload)
    assert ours == EventStreamMessageSerializer().serialize(headers, payload)
    buffer = EventStreamBuffer()
    buffer.add_data(ours)
    [message] = list(buffer)
    assert (message.headers, message.payload) == (headers, payload)


def test_headers_that_are_not_text_are_skipped() -> None:
    headers = {"number": 5, "yes": True, "bytes": b"ab", ":event-type": "TranscriptEvent"}
    message = decode(EventStreamMessageSerializer().serialize(headers, b"{}"))
    assert (message.headers, message.payload) == ({":event-type": "TranscriptEvent"}, b"{}")
