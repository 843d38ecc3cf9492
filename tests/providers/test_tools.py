"""Tools: what a model sees, what it may send, and what it is told when something goes wrong."""

import asyncio
import enum
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, Literal, Optional

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import InvalidRequest, NotFound
from voxd.providers.arguments import check_arguments, from_schema, parse_docstring
from voxd.providers.tools import (
    MAX_OUTPUT_CHARS,
    MAX_SAME_CALLS,
    MAX_THREADS,
    MAX_TOOL_ROUNDS,
    NextRound,
    Tool,
    ToolBox,
    ToolRounds,
    as_text,
    describe_exception,
    tool,
)


class Mode(enum.Enum):
    HEAT = "heat"
    COOL = "cool"


async def thermostat(
    room: str,
    degrees: float,
    mode: Mode = Mode.HEAT,
    *,
    fan: Literal["low", "high"] = "low",
    days: list[int] | None = None,
    note: Optional[str] = None,  # noqa: UP045 the old spelling is still written
    hold: bool = False,
) -> dict[str, Any]:
    """Set a room's temperature.

    It takes effect at once.

    Args:
        room: the room, as the
            owner calls it
        degrees (float): in degrees Celsius

    Returns:
        what was set
    """
    return {"room": room, "degrees": degrees, "mode": mode.value, "fan": fan, "days": days, "hold": hold}


THERMOSTAT = tool(thermostat)


def test_a_signature_and_its_docstring_become_a_json_schema() -> None:
    spec = THERMOSTAT.spec
    assert (spec.name, spec.description) == (
        "thermostat",
        "Set a room's temperature. It takes effect at once.",
    )
    properties = spec.parameters["properties"]
    assert spec.parameters["required"] == ["room", "degrees"]
    assert properties["room"] == {"type": "string", "description": "the room, as the owner calls it"}
    assert properties["degrees"] == {"type": "number", "description": "in degrees Celsius"}
    assert sorted(properties["mode"]["enum"]) == ["cool", "heat"]
    assert properties["mode"]["default"] == "heat"
    assert sorted(properties["fan"]["enum"]) == ["high", "low"]
    assert properties["hold"] == {"type": "boolean", "default": False}
    assert "$ref" not in str(spec.parameters)
    jsonschema.Draft202012Validator.check_schema(spec.parameters)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (
            {"room": "attic", "degrees": 21},
            {"room": "attic", "degrees": 21.0, "mode": "heat", "fan": "low", "days": None, "hold": False},
        ),
        (
            '{"room": "attic", "degrees": "19.5", "mode": "cool", "days": [1, 2], "hold": "true"}',
            {"room": "attic", "degrees": 19.5, "mode": "cool", "fan": "low", "days": [1, 2], "hold": True},
        ),
    ],
)
async def test_arguments_arrive_in_their_types(arguments: Any, output: dict[str, Any]) -> None:
    result = await ToolBox([THERMOSTAT]).run("thermostat", arguments)
    assert result.ok
    assert result.output == as_text(output)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"room": "attic"}, "missing required field `degrees`"),
        ({"room": "attic", "degrees": "warm"}, "Expected `float`"),
        ({"room": "attic", "degrees": 20, "mode": "dry"}, "Invalid enum value 'dry'"),
        ({"room": "attic", "degrees": 20, "fan": "off"}, "Invalid enum value 'off'"),
        ({"room": "attic", "degrees": 20, "colour": 1}, "unknown field `colour`"),
        ({"room": "attic", "degrees": 20, "days": ["x"]}, "$.days[0]"),
        ('{"room": "attic', "Input data was truncated"),
        ("[1]", "Expected `object`"),
    ],
)
async def test_invalid_arguments_are_reported_to_the_model(arguments: Any, told: str) -> None:
    result = await ToolBox([THERMOSTAT]).run("thermostat", arguments)
    assert not result.ok
    assert result.output.startswith("error: invalid arguments of thermostat: ")
    assert told in result.output


def untyped(value):  # type: ignore[no-untyped-def]
    """Has no types."""


def many(*values: int) -> None:
    """Takes positional arguments."""


def strange(value: threading.Lock) -> None:
    """Takes what JSON cannot hold."""


@pytest.mark.parametrize("function", [untyped, many, strange])
def test_a_function_that_cannot_be_a_tool_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(InvalidRequest, match=function.__name__):
        tool(function)


@pytest.mark.parametrize("name", ["", "has space", "ü", "x" * 65])
def test_names_that_vendors_refuse_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        Tool(name, "", {"type": "object", "properties": {}}, print)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="two tools"):
        ToolBox([THERMOSTAT, THERMOSTAT])


# Tools declared by a schema

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "days-ahead": {"type": "integer", "minimum": 0, "maximum": 7},
        "unit": {"enum": ["C", "F"]},
        "hours": {"type": "array", "items": {"type": "integer"}},
        "where": {"type": ["string", "null"]},
        "more": {"type": "object"},
    },
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "arguments",
    [
        {"city": "Rome"},
        {"city": "Rome", "days-ahead": 3, "unit": "C", "hours": [1, 2], "where": None, "more": {"a": 1}},
        {"city": "Rome", "where": "here"},
        {},
        {"city": "R"},
        {"city": 5},
        {"city": "Rome", "days-ahead": 8},
        {"city": "Rome", "days-ahead": 1.5},
        {"city": "Rome", "unit": "K"},
        {"city": "Rome", "hours": ["x"]},
        {"city": "Rome", "where": 5},
        {"city": "Rome", "more": []},
        {"city": "Rome", "other": 1},
    ],
)
async def test_arguments_are_judged_as_the_schema_judges_them(arguments: dict[str, Any]) -> None:
    seen: list[dict[str, Any]] = []

    async def weather(**given: Any) -> str:
        seen.append(given)
        return "sunny"

    result = await ToolBox([Tool("weather", "", SCHEMA, weather)]).run("weather", arguments)
    assert result.ok == jsonschema.Draft202012Validator(SCHEMA).is_valid(arguments), result.output
    assert seen == ([arguments] if result.ok else [])


def test_arguments_that_an_open_schema_does_not_name_are_passed_on() -> None:
    kind = from_schema("x", {"properties": {"a": {"type": "integer"}}})
    assert check_arguments(kind, {"a": "1", "b": "2"}) == {"a": 1, "b": "2"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"properties": {"a": []}},
        {"properties": {"a": {"type": "string", "minLength": "x"}}},
    ],
)
def test_a_schema_that_cannot_be_read_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        Tool("x", "", schema, print)


VALUES = st.none() | st.booleans() | st.integers(-5, 9) | st.floats(allow_nan=False) | st.text(max_size=3)


@examples(50)
@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "other"]), VALUES | st.lists(VALUES)))
def test_whatever_the_schema_accepts_is_accepted(arguments: dict[str, Any]) -> None:
    if jsonschema.Draft202012Validator(SCHEMA).is_valid(arguments):
        assert check_arguments(from_schema("x", SCHEMA), arguments) == arguments


# Running


async def test_a_timeout_of_a_tool_is_reported_to_the_model() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    result = await ToolBox([tool(hang, timeout_s=0.01)]).run("hang", {})
    assert (result.ok, result.output) == (False, "error: hang did not finish within 0.01 s")
    result = await ToolBox([tool(hang)]).run("hang", {}, timeout=0.01)
    assert not result.ok


async def test_an_exception_of_a_tool_is_reported_to_the_model() -> None:
    def broken() -> None:
        raise KeyError("attic")

    def refused() -> None:
        raise NotFound("there is no attic")

    async def timed_out() -> None:
        raise TimeoutError("the heater does not answer")

    box = ToolBox([tool(broken), tool(refused), tool(timed_out)])
    assert (await box.run("broken", {})).output == "error: broken failed: KeyError: 'attic'"
    assert (await box.run("refused", {})).output == "error: there is no attic"
    assert "the heater does not answer" in (await box.run("timed_out", {})).output


async def test_an_unknown_tool_is_reported_to_the_model() -> None:
    result = await ToolBox([THERMOSTAT]).run("oven", {})
    assert (result.ok, result.output) == (False, "error: unknown tool oven; use one of thermostat")


async def test_a_plain_function_runs_in_a_thread_of_its_own() -> None:
    def where() -> str:
        return threading.current_thread().name

    result = await ToolBox([tool(where)]).run("where", "")
    assert result.ok
    assert result.output != threading.current_thread().name


async def test_a_long_result_is_cut() -> None:
    def long() -> str:
        return "x" * (MAX_OUTPUT_CHARS + 7)

    output = (await ToolBox([tool(long)]).run("long", {})).output
    assert output.endswith("(7 more characters were cut)")
    assert len(output) < MAX_OUTPUT_CHARS + 50


async def test_the_time_a_tool_took_is_measured() -> None:
    times = iter([10.0, 10.25])
    box = ToolBox([THERMOSTAT], clock=lambda: next(times))
    assert (await box.run("thermostat", {"room": "attic", "degrees": 1})).duration_ms == 250


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "done"),
        (5, "5"),
        ({"a": [1, True]}, '{"a":[1,true]}'),
        (Mode.HEAT, '"heat"'),
    ],
)
def test_results_become_text(value: object, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("doc", "summary", "meanings"),
    [
        ("", "", {}),
        ("Just this.", "Just this.", {}),
        (
            "Do it.\n\nArgs:\n    a: the first\n    b: the\n        second\n",
            "Do it.",
            {"a": "the first", "b": "the second"},
        ),
        (
            "Do it.\n\n:param a: the first\n:param int b: the second\n:returns: nothing",
            "Do it.",
            {"a": "the first", "b": "the second"},
        ),
        ("Do it.\n\nReturns:\n    a: no parameter\n", "Do it.", {}),
    ],
)
def test_docstrings_are_read(doc: str, summary: str, meanings: dict[str, str]) -> None:
    assert parse_docstring(doc) == (summary, meanings)


def test_a_tool_that_hangs_delays_neither_other_calls_nor_the_end_of_the_program() -> None:
    program = """
import asyncio, threading
from voxd.providers.tools import ToolBox, tool

def hang() -> None:
    threading.Event().wait()

def look() -> str:
    return "seen"

async def main() -> None:
    box = ToolBox([tool(hang), tool(look)])
    hung = await asyncio.gather(*(box.run("hang", {}, 0.05) for _ in range(MANY)))
    assert not any(result.ok for result in hung)
    print((await box.run("hang", {}, 0.05)).output, (await box.run("look", {})).output, sep="; ")

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program.replace("MANY", str(MAX_THREADS - 2))],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "error: hang did not finish within 0.05 s; seen"


async def test_calls_that_never_end_are_bounded() -> None:
    done = threading.Event()

    def hang() -> None:
        done.wait()

    box = ToolBox([tool(hang)])
    for _ in range(MAX_THREADS):
        await box.run("hang", {}, 0)
    refused = await box.run("hang", {}, 1)
    assert refused.output == "error: too many tool calls are still running"
    done.set()
    async with asyncio.timeout(5):
        while not (await box.run("hang", {}, 1)).ok:
            await asyncio.sleep(0)


async def test_what_a_synchronous_tool_raises_reaches_the_model() -> None:
    def stop() -> None:
        raise StopIteration

    assert (await ToolBox([tool(stop)]).run("stop", {}, 5)).output.startswith("error: stop failed: ")


def test_an_exception_is_described_by_its_type_and_place_without_its_message() -> None:
    words: dict[str, int] = {}
    try:
        words["my secret"]
    except KeyError as error:
        description = describe_exception(error)
    assert description.startswith("KeyError in test_tools.py, line ")
    assert "secret" not in description


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert describe_exception(ValueError("my secret")) == "ValueError"


# --- how many rounds one turn may have ------------------------------------------------------------

RUN, ANSWER, STOP = NextRound.RUN, NextRound.ANSWER_WITHOUT_TOOLS, NextRound.STOP
DAYS = [[("weather", {"day": day})] for day in range(30)]


def test_a_model_that_calls_on_and_on_has_to_answer_and_then_to_stop() -> None:
    rounds = ToolRounds()
    assert [rounds.next_round(calls) for calls in DAYS] == [*[RUN] * MAX_TOOL_ROUNDS, ANSWER, *[STOP] * 21]
    assert rounds.run == MAX_TOOL_ROUNDS


@pytest.mark.parametrize(
    "calls",
    [
        [("time", "{}")],
        [("time", "")],
        [("time", {})],
        [("broken", '{"city": "Ro')],
        [("deep", "[" * 100_000)],
        [("lights", {"on": True}), ("lights", {"on": False})],
    ],
    ids=str,
)
def test_the_same_calls_again_and_again_are_stopped_sooner(calls: list[tuple[str, Any]]) -> None:
    rounds = ToolRounds()
    assert [rounds.next_round(calls) for _ in range(5)] == [*[RUN] * MAX_SAME_CALLS, ANSWER, STOP]


def test_neither_order_nor_spaces_make_another_call() -> None:
    rounds = ToolRounds()
    same: list[Any] = ['{"a":1,"b":2}', '{ "b": 2, "a": 1 }', {"b": 2, "a": 1}]
    assert [rounds.next_round([("sum", each)]) for each in same] == [RUN] * 3
    assert rounds.next_round([("sum", {"a": 1, "b": 2})]) == ANSWER


def test_a_known_call_beside_a_new_one_is_no_repetition() -> None:
    rounds = ToolRounds()
    found = [rounds.next_round([("time", {}), ("weather", {"day": day})]) for day in range(MAX_TOOL_ROUNDS)]
    assert found == [RUN] * MAX_TOOL_ROUNDS


@pytest.mark.parametrize("most", [0, 1, 2])
def test_another_number_of_rounds_can_be_set(most: int) -> None:
    rounds = ToolRounds(most)
    assert [rounds.next_round(calls) for calls in DAYS[: most + 2]] == [*[RUN] * most, ANSWER, STOP]
