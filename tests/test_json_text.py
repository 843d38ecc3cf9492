"""JSON as servers in Python and proxies write it."""

from typing import Any

import msgspec
import pytest

from voxd.json_text import decode_json, json_or


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('{"a": NaN, "b": [Infinity, -Infinity], "c": "NaN"}', {"a": None, "b": [None, None], "c": "NaN"}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ("7", 7),
    ],
)
def test_a_value_is_read_from_text_and_bytes(text: str, value: Any) -> None:
    assert decode_json(text) == value
    assert decode_json(text.encode()) == value


@pytest.mark.parametrize("text", ["", "{", '{"a": nan}', "{'a': 1}", b"\xff\xfe", '{"a": 1} {"a": 2}'])
def test_what_is_no_json_is_an_error(text: str | bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_json(text)
    assert json_or(text, 5) == 5


def test_null_is_json_and_nesting_without_end_is_not() -> None:
    assert json_or("null", 5) is None
    assert json_or("[" * 100_000, 5) == 5
