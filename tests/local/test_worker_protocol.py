"""The framing between daemon and engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import LocalEngineError
from voxd.local.worker_protocol import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES, decode_header, encode

JSON = st.dictionaries(st.text(max_size=8), st.integers(-(2**53), 2**53) | st.text(max_size=20), max_size=5)


@examples(50)
@given(st.text(max_size=20), st.integers(0, 2**31), st.binary(max_size=200), JSON)
def test_what_is_sent_is_what_arrives(op: str, id: int, payload: bytes, data: dict[str, object]) -> None:
    header, newline, body = encode(op, id, payload, data).partition(b"\n")
    message = decode_header(header + newline)
    assert (message.op, message.id, message.data, message.payload_bytes) == (op, id, data, len(payload))
    assert body == payload


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}\n",
        b'{"op":"x"}',
        b'{"op":1}\n',
        b'{"op":"x","payload_bytes":-1}\n',
        b'{"op":"x","payload_bytes":%d}\n' % (MAX_PAYLOAD_BYTES + 1),
        b'{"op":"' + b"x" * MAX_HEADER_BYTES + b'"}\n',
        b"\xff\xfe\n",
    ],
)
def test_garbage_is_an_engine_error(line: bytes) -> None:
    with pytest.raises(LocalEngineError):
        decode_header(line)


@examples(50)
@given(st.binary(max_size=100))
def test_any_line_is_a_message_or_an_engine_error(line: bytes) -> None:
    try:
        message = decode_header(line + b"\n")
    except LocalEngineError:
        return
    assert 0 <= message.payload_bytes <= MAX_PAYLOAD_BYTES


@pytest.mark.parametrize(
    ("payload", "data"), [(bytes(MAX_PAYLOAD_BYTES + 1), {}), (b"", {"text": "x" * MAX_HEADER_BYTES})]
)
def test_nothing_over_the_caps_is_sent(payload: bytes, data: dict[str, object]) -> None:
    with pytest.raises(LocalEngineError, match="too large"):
        encode("x", 1, payload, data)
