"""Calls of tools are put together from pieces, whatever shape a server gives them."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.providers.pipeline.stages.contract import ToolCall
from voxd.providers.pipeline.stages.tool_calls import (
    ToolCallAssembler,
    finish,
    normalize_arguments,
    parse_arguments,
    portable_id,
)

CALL = ToolCall("c1", "f", "{}")


def test_pieces_of_one_place_are_one_call() -> None:
    drafts = ToolCallAssembler()
    drafts.at(0, id="c1", name="f").add("")
    drafts.at(1, id="c2", name="g").add('{"b"')
    drafts.at(0).add('{"a": ')
    drafts.at(1).add(": 2}")
    drafts.at(0).add("1}")
    assert drafts.calls() == (ToolCall("c1", "f", '{"a": 1}'), ToolCall("c2", "g", '{"b": 2}'))


def test_another_id_and_name_at_the_same_place_is_another_call() -> None:
    drafts = ToolCallAssembler()
    drafts.at(0, id="c1", name="f").add("{}")
    drafts.at(0, id="c2", name="f").add("{}")
    assert [call.id for call in drafts.calls()] == ["c1", "c2"]


def test_another_id_without_a_name_is_the_same_call() -> None:
    drafts = ToolCallAssembler()
    drafts.at(0, id="c1", name="f").add('{"a"')
    drafts.at(0, id="c9").add(": 1}")
    assert drafts.calls() == (ToolCall("c1", "f", '{"a": 1}'),)


def test_a_call_without_an_id_gets_one_of_its_own() -> None:
    drafts = ToolCallAssembler()
    drafts.at(0, name="f").add(None)
    drafts.at(1, name="f").add({"a": 1})
    first, second = drafts.calls()
    assert first.id != second.id
    assert (first.arguments, second.arguments) == ("{}", '{"a":1}')


def test_a_call_without_a_name_is_nobodys() -> None:
    drafts = ToolCallAssembler()
    drafts.at(0, id="c1").add("{}")
    assert drafts.calls() == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("  ", {}),
        ("null", {}),
        ('{"a": 1}', {"a": 1}),
        ('{"a"', {"malformed_json": '{"a"'}),
        ("[1]", {"malformed_json": "[1]"}),
        ("5", {"malformed_json": "5"}),
    ],
)
def test_arguments_are_always_an_object(text: str, found: dict[str, object]) -> None:
    assert parse_arguments(text) == found
    assert json.loads(normalize_arguments(text)) == found


@examples(50)
@given(st.text())
def test_arguments_are_an_object_whatever_was_said(text: str) -> None:
    assert isinstance(parse_arguments(text), dict)


@examples(50)
@given(st.text(), st.text())
def test_ids_of_one_vendor_fit_another_and_stay_apart(one: str, other: str) -> None:
    assert re.fullmatch("[a-zA-Z0-9_-]{1,40}", portable_id(one))
    assert (portable_id(one) == portable_id(other)) is (one == other)
    assert portable_id("toolu_01A-b") == "toolu_01A-b"


@pytest.mark.parametrize(
    ("reason", "calls", "found"),
    [
        ("stop", (), ("stop", ())),
        ("stop", (CALL,), ("tool_calls", (CALL,))),
        ("tool_use", (CALL,), ("tool_calls", (CALL,))),
        ("tool_calls", (), ("stop", ())),
        ("max_tokens", (CALL,), ("length", ())),
        ("content_filter", (CALL,), ("refusal", ())),
        ("something_new", (), ("stop", ())),
    ],
)
def test_stop_reasons_are_mapped_and_no_truncated_call_is_run(
    reason: str, calls: tuple[ToolCall, ...], found: tuple[str, tuple[ToolCall, ...]]
) -> None:
    assert finish(reason, calls) == found
