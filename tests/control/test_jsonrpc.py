"""JSON-RPC 2.0 as values."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd import errors
from voxd.control import jsonrpc
from voxd.control.codes import NUMBERS, ProtocolError, error_from_wire, number_of
from voxd.control.jsonrpc import MAX_BATCH, MAX_DEPTH, Batch, InvalidMessage, RpcRequest, parse
from voxd.errors import VoxdError


def line(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (line(id=1, method="a"), RpcRequest("a", {}, 1)),
        (line(id="x", method="a", params={"b": 1}), RpcRequest("a", {"b": 1}, "x")),
        (line(id=1.5, method="a"), RpcRequest("a", {}, 1.5)),
        (line(id=None, method="a"), RpcRequest("a", {}, None)),
        (line(id=0, method="a", params=[1]), RpcRequest("a", [1], 0)),
        (line(method="a"), RpcRequest("a", {}, None, notification=True)),
        (line(id=1, method="a", later="ignored"), RpcRequest("a", {}, 1)),
    ],
)
def test_valid_requests_are_parsed(sent: bytes, expected: RpcRequest) -> None:
    assert parse(sent) == expected


@pytest.mark.parametrize(
    ("sent", "number", "id"),
    [
        (b"", -32700, None),
        (b"{", -32700, None),
        (b"\xff\xfe", -32700, None),
        (b'"\xed\xa0\x80"', -32700, None),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"a"}', -32700, None),
        (b'{"jsonrpc":"2.0","id":1e999,"method":"a"}', -32700, None),
        (b"[" * 100_000, -32700, None),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), -32600, None),
        (b"[]", -32600, None),
        (b"3", -32600, None),
        (b"{}", -32600, None),
        (line(id=True, method="a"), -32600, None),
        (line(id=[], method="a"), -32600, None),
        (line(id={}, method="a"), -32600, None),
        (line(id="x" * 129, method="a"), -32600, None),
        (line(id=10**30, method="a"), -32600, None),
        (line(id=7), -32600, 7),
        (line(id=7, method=8), -32600, 7),
        (b'{"id":7,"method":"a"}', -32600, 7),
        (b'{"jsonrpc":"1.0","id":7,"method":"a"}', -32600, 7),
        (json.dumps([{}] * (MAX_BATCH + 1)).encode(), -32600, None),
    ],
)
def test_an_invalid_message_gives_an_error_response(sent: bytes, number: int, id: object) -> None:
    refused = parse(sent)
    assert isinstance(refused, InvalidMessage)
    assert (refused.number, refused.id) == (number, id)
    answer = json.loads(jsonrpc.encode_invalid_message(refused))
    assert (answer["jsonrpc"], answer["id"], answer["error"]["code"]) == ("2.0", id, number)


def test_a_batch_keeps_its_order_and_its_broken_members() -> None:
    batch = parse(b"[" + line(id=1, method="a") + b",1," + line(method="b") + b"]")
    assert isinstance(batch, Batch)
    first, broken, last = batch.items
    assert first == RpcRequest("a", {}, 1)
    assert isinstance(broken, InvalidMessage)
    assert last == RpcRequest("b", {}, None, notification=True)


@examples(200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_raise(sent: bytes) -> None:
    assert isinstance(parse(sent), RpcRequest | Batch | InvalidMessage)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.fixed_dictionaries(
    {}, optional={"jsonrpc": st.just("2.0") | JSON, "id": JSON, "method": JSON, "params": JSON}
)


@examples(100, deadline=None)
@given(MESSAGES | st.lists(MESSAGES | JSON, max_size=4))
def test_any_json_is_a_request_or_gets_an_answer_that_is_json(message: Any) -> None:
    parsed = parse(json.dumps(message).encode())
    for item in parsed.items if isinstance(parsed, Batch) else (parsed,):
        if isinstance(item, InvalidMessage):
            assert json.loads(jsonrpc.encode_invalid_message(item))["id"] == item.id
        else:
            assert isinstance(item, RpcRequest)
            assert json.loads(jsonrpc.encode_result(item.id, item.params))["id"] == item.id


@pytest.mark.parametrize("kind", NUMBERS, ids=lambda kind: kind.__name__)
def test_an_error_is_the_same_after_encoding_and_decoding(kind: type[VoxdError]) -> None:
    sent = kind("it broke", hint="mend it", code="special")
    body = json.loads(jsonrpc.encode_error(3, sent))["error"]
    assert body["data"] == {"code": "special", "hint": "mend it", "retryable": kind.retryable}
    back = error_from_wire(body)
    assert type(back) is kind
    assert (str(back), back.hint, back.code) == ("it broke", "mend it", "special")


def test_every_error_class_has_a_number_of_its_own_except_those_of_the_client() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VoxdError)}
    assert kinds - set(NUMBERS) == {VoxdError, errors.DaemonUnreachable}
    assert len(set(NUMBERS.values())) == len(NUMBERS)


def test_a_subclass_is_sent_as_its_base_class() -> None:
    class Special(errors.Busy):
        code = "special"

    assert number_of(Special("x")) == -32000
    assert number_of(VoxdError("x")) == -32603


@pytest.mark.parametrize("body", [None, [], "x", {}, {"code": "x"}, {"code": -32601, "message": "no method"}])
def test_a_malformed_error_becomes_a_protocol_error(body: object) -> None:
    assert isinstance(error_from_wire(body), ProtocolError)


def test_an_internal_error_has_no_details() -> None:
    answer = json.loads(jsonrpc.encode_internal_error(1))
    assert answer["error"]["code"] == -32603
    assert "Traceback" not in json.dumps(answer)
