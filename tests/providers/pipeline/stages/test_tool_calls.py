"""Calls of tools are put together from pieces, whatever shape a server gives them."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.providers.pipeline.stages.contract import ToolCall
from voxd.providers.pipeline.stages.tool_calls import (
    ToolCallAssembler,
    end_reason,
    finish,
    normalize_arguments,
    parse_arguments,
    portable_id,
)

CALL = ToolCall("c1", "f", "{}")
KNOWN = ("get_time", "get_weather", "set_timer", "stop")


def assembled(*fragments: tuple[Any, str, str, Any], known: tuple[str, ...] = KNOWN) -> list[tuple[str, str]]:
    """Return names and arguments of the calls in ``fragments``: place, id, name, arguments."""
    drafts = ToolCallAssembler(known)
    for place, id, name, arguments in fragments:
        drafts.take(place, id=id, name=name, arguments=arguments)
    calls = drafts.calls()
    ids = [call.id for call in calls]
    assert len(set(ids)) == len(ids)
    assert all(ids)
    return [(call.name, call.arguments) for call in calls]


TIME, WEATHER = ("get_time", "{}"), ("get_weather", '{"city": "Rome"}')
ROME, OSLO = '{"city": "Rome"}', '{"city": "Oslo"}'


@pytest.mark.parametrize(
    ("fragments", "calls"),
    [
        pytest.param(
            [
                (0, "a", "get_weather", ""),
                (1, "b", "get_time", ""),
                (0, "", "", '{"city": '),
                (1, "", "", "{"),
                (0, "", "", '"Rome"}'),
                (1, "", "", "}"),
            ],
            [WEATHER, TIME],
            id="pieces of two calls mix",
        ),
        pytest.param(
            [(0, "a", "get_weather", {"city": "Rome"})], [("get_weather", '{"city":"Rome"}')], id="object"
        ),
        pytest.param([(0, "a", "get_time", None)], [TIME], id="null"),
        pytest.param([(0, "a", "get_time", [])], [TIME], id="empty list"),
        pytest.param([(0, "a", "get_time", "null")], [TIME], id="null as text"),
        pytest.param(
            [(0, "a", "get_weather", json.dumps(ROME))], [("get_weather", '{"city":"Rome"}')], id="twice"
        ),
        pytest.param(
            [(0, "a", "get_weather", ROME + "<|call|>")], [("get_weather", '{"city":"Rome"}')], id="token"
        ),
        pytest.param(
            [(0, "", "get_time", "{}"), (0, "", "get_weather", ROME)],
            [TIME, WEATHER],
            id="all number 0, no id",
        ),
        pytest.param(
            [(0, "", "get_weather", ROME), (0, "", "get_weather", OSLO)],
            [WEATHER, ("get_weather", OSLO)],
            id="all number 0, no id, one tool",
        ),
        pytest.param(
            [(0, "a", "get_weather", ROME), (0, "b", "get_weather", ROME)],
            [WEATHER, WEATHER],
            id="all number 0, other ids",
        ),
        pytest.param(
            [(0, "", "stop", ""), (0, "", "get_time", "")],
            [("stop", "{}"), TIME],
            id="number 0, no arguments",
        ),
        pytest.param(
            [
                (0, "", "get_weather", ""),
                (0, "", "", '{"city": '),
                (0, "", "", '"Rome"}'),
                (0, "", "get_time", ""),
                (0, "", "", "{}"),
            ],
            [WEATHER, TIME],
            id="number 0, in pieces",
        ),
        pytest.param(
            [(None, "", "get_time", "{}"), (None, "", "get_weather", ROME)], [TIME, WEATHER], id="no number"
        ),
        pytest.param(
            [
                (None, "a", "get_weather", ""),
                (None, "", "", '{"city": '),
                (None, "", "", '"Rome"}'),
                (None, "b", "get_time", "{}"),
            ],
            [WEATHER, TIME],
            id="no number, in pieces",
        ),
        pytest.param(
            [(0, "a", "get_weather", '{"city": '), (None, "", "", '"Rome"}')], [WEATHER], id="number lost"
        ),
        pytest.param(
            [(0, "a", "get_weather", '{"city"'), (0, "z", "", ": "), (0, "y", "", '"Rome"}')],
            [WEATHER],
            id="another id every time",
        ),
        pytest.param(
            [(0, "a", "get_weather", '{"city"'), (0, "z", "get_weather", ': "Rome"}')],
            [WEATHER],
            id="another id and the name every time",
        ),
        pytest.param(
            [
                (0, "", "get_weather", '{"city"'),
                (0, "", "get_weather", ': "Rome"}'),
                (0, "", "get_weather", ""),
            ],
            [WEATHER],
            id="name repeated",
        ),
        pytest.param(
            [(0, "a", "get_", ""), (0, "", "weather", ""), (0, "", "", ROME)], [WEATHER], id="name in pieces"
        ),
        pytest.param(
            [(0, "a", "get", ""), (0, "a", "get_weather", ""), (0, "a", "", ROME)], [WEATHER], id="name grows"
        ),
        pytest.param(
            [(0, "a", "", ROME), (0, "a", "get_weather", "")], [WEATHER], id="name behind the arguments"
        ),
        pytest.param(
            [(0, "a", "get_weather", '{"city"'), (0, "a", "get_weather", '{"city": "Rome"}')],
            [WEATHER],
            id="arguments grow",
        ),
        pytest.param(
            [(0, "a", "get_weather", '{"city": '), (0, "", "", '"Rome"}'), (0, "a", "get_weather", ROME)],
            [WEATHER],
            id="whole call again",
        ),
        pytest.param(
            [
                (0, "a", "get_weather", ROME),
                (1, "b", "get_time", "{}"),
                (None, "a", "get_weather", ROME),
                (None, "b", "get_time", "{}"),
            ],
            [WEATHER, TIME],
            id="all again without numbers",
        ),
        pytest.param(
            [(0, "", "get_weather", ROME), (0, "", "get_time", "{}")] * 2,
            [WEATHER, TIME],
            id="all again, no ids",
        ),
        pytest.param(
            [(0, "a", "get_weather", ROME + OSLO)], [WEATHER, ("get_weather", OSLO)], id="two objects in one"
        ),
        pytest.param([(0, "a", "get_weather", ROME + ROME)], [WEATHER], id="one object twice"),
        pytest.param(
            [(0, "same", "get_time", "{}"), (1, "same", "get_weather", ROME)],
            [TIME, WEATHER],
            id="one id for all",
        ),
        pytest.param(
            [(0, "a", "get_weather<|channel|>commentary", ROME)], [WEATHER], id="control token in the name"
        ),
        pytest.param([(0, "a", "functions.get_weather", ROME)], [WEATHER], id="name space"),
        pytest.param([(0, "a", "", "{}")], [], id="no name"),
        pytest.param(
            [(0, "a", "get_weather", '{"city": "Ro')], [("get_weather", '{"city": "Ro')], id="cut off"
        ),
        pytest.param(
            [(0, "a", "get_weather", '{"a": '), (0, "", "", "{}")],
            [("get_weather", '{"a": {}')],
            id="cut off behind an object",
        ),
    ],
)
def test_fragments_become_calls(fragments: list[Any], calls: list[tuple[str, str]]) -> None:
    assert assembled(*fragments) == calls


@examples(80)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, 0, 1]),
            st.sampled_from(["", "a", "b"]),
            st.sampled_from(["", "get_time", "get_", "stop", "<|x|>"]),
            st.sampled_from([None, "", "{", "}", "{}", '{"a":1}', {}, [], 5]),
        ),
        max_size=8,
    )
)
def test_whatever_comes_every_call_has_a_name_and_an_id_of_its_own(fragments: list[Any]) -> None:
    assert all(name for name, _ in assembled(*fragments))


@examples(80)
@given(
    st.lists(
        st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4)), min_size=1, max_size=3
    ),
    st.data(),
)
def test_it_does_not_matter_where_arguments_are_cut(sent: list[dict[str, Any]], data: st.DataObject) -> None:
    fragments: list[tuple[Any, str, str, Any]] = []
    for place, arguments in enumerate(sent):
        text = json.dumps(arguments)
        at = data.draw(st.integers(0, len(text)))
        fragments += [(place, f"c{place}", "get_time", text[:at]), (place, "", "", text[at:])]
    found = [json.loads(arguments) for _, arguments in assembled(*fragments)]
    assert found == sent


@pytest.mark.parametrize(
    ("text", "found"),
    [("", {}), ("  ", {}), ("null", {}), ('{"a": 1}', {"a": 1}), ('{"a"', {}), ("[1]", {}), ("5", {})],
)
def test_arguments_that_are_sent_are_always_an_object(text: str, found: dict[str, object]) -> None:
    assert parse_arguments(text) == found
    assert json.loads(normalize_arguments(text)) == found


@examples(50)
@given(st.text())
def test_arguments_are_an_object_whatever_was_said(text: str) -> None:
    assert isinstance(parse_arguments(text), dict)


@examples(50)
@given(st.text(), st.text())
def test_ids_of_one_vendor_fit_every_other_and_stay_apart(one: str, other: str) -> None:
    # Mistral's rule is the narrowest.
    assert re.fullmatch("[a-zA-Z0-9]{9}", portable_id(one))
    assert (portable_id(one) == portable_id(other)) is (one == other)
    assert portable_id("D681PevKs") == "D681PevKs"


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("end_turn", "stop"),
        ("eos", "stop"),
        ("tool_use", "stop"),
        ("tool_calls", "stop"),
        ("function_call", "stop"),
        ("something_new", "stop"),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "stop"),
        ("UNEXPECTED_TOOL_CALL", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("content_filter", "refusal"),
        ("content-filter", "refusal"),
        ("refusal", "refusal"),
        ("SAFETY", "refusal"),
        ("RECITATION", "refusal"),
        ("PROHIBITED_CONTENT", "refusal"),
        ("guardrail_intervened", "refusal"),
        ("sensitive", "refusal"),
        ("error", "error"),
        ("abort", "error"),
        ("insufficient_system_resource", "error"),
        ("", ""),
        (None, ""),
        ("null", ""),
        ({"type": "stop"}, ""),
        (5, ""),
    ],
)
def test_every_vendors_reason_is_one_of_ours(reason: Any, ours: str) -> None:
    assert end_reason(reason) == ours


@pytest.mark.parametrize(
    ("reason", "calls", "found"),
    [
        ("stop", (), ("stop", ())),
        ("stop", (CALL,), ("tool_calls", (CALL,))),
        ("length", (CALL,), ("length", ())),
        ("refusal", (CALL,), ("refusal", ())),
    ],
)
def test_no_truncated_call_is_run(
    reason: str, calls: tuple[ToolCall, ...], found: tuple[str, tuple[ToolCall, ...]]
) -> None:
    assert finish(reason, calls) == found
