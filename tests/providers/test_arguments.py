"""Calls as models and servers write them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.providers.arguments import read_arguments, resolve_name

KNOWN = ("get_time", "lamp-on", "Weather", "other")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        (' {"a": 1}\n', {"a": 1}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"a": 1}<|call|>', {"a": 1}),
        ('{"a": "x <| y"}', {"a": "x <| y"}),
        ("", {}),
        ("   ", {}),
        (None, {}),
        ("null", {}),
        ("[]", {}),
        ([], {}),
        ("{}", {}),
        ('{"a": ', '{"a":'),
        ('{"a": "b', '{"a": "b'),
        ("a=1", "a=1"),
        ("[1]", "[1]"),
        ("3", "3"),
        ("false", "false"),
        ('"plain"', '"plain"'),
        (7, "7"),
        ('{"a": 1}{"a": 2}', '{"a": 1}{"a": 2}'),
    ],
)
def test_arguments_are_an_object_or_text_that_is_none(value: object, expected: Any) -> None:
    assert read_arguments(value) == expected


@examples(100)
@given(st.one_of(st.text(), st.binary(), st.integers(), st.lists(st.none()), st.none()))
def test_whatever_is_sent_is_an_object_or_text(value: object) -> None:
    assert isinstance(read_arguments(value), dict | str)


@examples(100)
@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(-9, 9))), st.data())
def test_a_cut_off_object_never_becomes_one(value: dict[str, Any], data: st.DataObject) -> None:
    text = msgspec.json.encode(value).decode()
    assert read_arguments(text) == value
    end = data.draw(st.integers(1, len(text) - 1))
    assert not isinstance(read_arguments(text[:end]), dict)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("get_time", "get_time"),
        ("get_time<|channel|>commentary", "get_time"),
        ("get_time<|constrain|>json", "get_time"),
        ("functions.get_time", "get_time"),
        ("functions.get_time<|channel|>json", "get_time"),
        ("default_api:get_time", "get_time"),
        ("default_api.lamp-on", "lamp-on"),
        (" get_time() ", "get_time"),
        ('"get_time"', "get_time"),
        ("GET_TIME", "get_time"),
        ("weather", "Weather"),
        ("unknown<|channel|>json", "unknown"),
        ("<|channel|>commentary to=functions.get_time <|constrain|>json", "get_time"),
        ("assistant<|channel|>analysis to=functions.get_time", "get_time"),
        ("<|start|>get_time", "get_time"),
        ("tools/get_time\n", "get_time"),
        ("get_time</tool_call>", "get_time"),
        ("get_time<\uff5ctool\u2581sep\uff5c>", "get_time"),
        ("getTime", "get_time"),
        ("Get-Time", "get_time"),
        ("<|channel|>unknown", "unknown"),
        ("home.unknown", "home_unknown"),
        ("<|x|>", ""),
        ("x" * 100, "x" * 64),
        ("", ""),
    ],
)
def test_the_name_of_a_call_is_the_tool_that_it_stands_for(name: str, expected: str) -> None:
    assert resolve_name(name, KNOWN) == expected


def test_an_ambiguous_name_is_no_tool() -> None:
    assert resolve_name("A", ("aa", "Aa")) == "A"
    assert resolve_name("AA", ("aa", "Aa")) == "AA"
