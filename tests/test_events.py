import re
from pathlib import Path

import msgspec
import pytest

from tests.fakes import FakeClock
from tests.payloads import Emission, emissions, problem
from tests.shared import SHARED
from voxd.bus.aliases import EVENT_ALIASES
from voxd.bus.bus import Bus
from voxd.events import EVENT_TYPES, Event, EventType
from voxd.providers.events import publish_to
from voxd.providers.realtime.session import Session
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox, tool
from voxd.providers.vendors.mock.realtime import MockProvider

SOURCE = Path(__file__).parent.parent / "voxd"
SEEDS = SHARED / "seeds"
SCRIPT = {
    "replies": {
        "weather": {"text": "{results}", "calls": [{"name": "weather", "arguments": {"city": "Rome"}}]}
    }
}


def every_emission() -> list[Emission]:
    return [emission for path in sorted(SOURCE.rglob("*.py")) for emission in emissions(path)]


def test_every_type_says_what_it_means_and_what_it_holds() -> None:
    assert set(EVENT_TYPES) == set(EventType)
    assert all(payload.meaning.endswith(".") for payload in EVENT_TYPES.values())


def test_the_house_emits_what_the_table_says() -> None:
    found = every_emission()
    assert len({emission.type for emission in found}) > 40, "the search has gone blind"
    assert [emission.problem() for emission in found if emission.problem()] == []


def test_the_judge_of_source_text_sees_a_wrong_emission(tmp_path: Path) -> None:
    path = tmp_path / "room.py"
    path.write_text(
        'self._emit("volume.changed", percentage=3)\nbus.emit(EventType.MUTE_CHANGED, muted=True)\n'
    )
    wrong = [emission.problem() for emission in emissions(path)]
    assert "unknown ['percentage'], missing ['percent']" in wrong[0]
    assert "missing ['source']" in wrong[1]


def test_the_judge_of_source_text_sees_a_type_that_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "room.py"
    path.write_text('self._emit("volume.chnaged", percent=3)')
    with pytest.raises(ValueError, match="chnaged"):
        list(emissions(path))


async def test_a_conversation_tells_what_the_table_says() -> None:
    heard: list[Event] = []
    clock = FakeClock()
    bus = Bus(clock)
    bus.on("*", heard.append)

    def weather(city: str) -> str:
        """Tell the weather."""
        return f"rain in {city}"

    session = Session(
        lambda: MockProvider({"metadata": SCRIPT, "clock": clock}),
        name="mock",
        config=SessionConfig(),
        tools=ToolBox([tool(weather)]),
        on_event=publish_to(bus.emit),
        clock=clock,
    )
    await session.connect()
    for text in ("weather", "hello"):
        await session.send_text(text)
        await clock.advance(30)
    await session.send_text("hello")
    await session.interrupt(10.0)
    await session.close()
    assert [problem(event.type, event.data) for event in heard if problem(event.type, event.data)] == []
    assert {
        "connection.established", "text.input", "text.output", "audio.output_chunk", "function.completed",
        "response.completed", "conversation.interrupted", "connection.closed",
    } <= {event.type for event in heard}  # fmt: skip


@pytest.mark.parametrize(
    ("type", "data", "expected"),
    [
        ("volume.changed", {"percent": 3}, ""),
        ("volume.changed", {"percent": "3"}, "Expected `int`"),
        ("volume.changed", {}, "missing required"),
        ("volume.changed", {"percent": 3, "by": "x"}, "unknown field"),
        ("state.changed", {"from": "idle", "to": "listening"}, ""),
        ("error", {"code": "x", "message": "y", "hint": ""}, ""),
        ("error", {"code": "x", "message": "y", "hint": "", "error": ValueError()}, ""),
        ("error", {"code": "x", "message": "y", "hint": "", "error": "y"}, "Exception"),
        ("audio.input_chunk", {"audio_data": b"\0\0", "duration_ms": 20}, ""),
        ("custom:event", {"anything": object()}, ""),
    ],
)
def test_the_judge_of_events_compares_names_and_types(type: str, data: dict, expected: str) -> None:
    assert expected in problem(type, data)
    assert bool(problem(type, data)) == bool(expected)


def test_the_entries_of_an_event_are_its_attributes() -> None:
    event = Event(1, EventType.TEXT_OUTPUT, 12.5, None, {"text": "hi", "is_partial": False})
    assert event.type == EventType.TEXT_OUTPUT == "text.output"
    assert (event.text, event.is_partial, event.timestamp) == ("hi", False, 12.5)
    with pytest.raises(AttributeError, match=r"text\.output has no score"):
        _ = event.score


def test_an_event_goes_over_a_wire_and_comes_back() -> None:
    bus = Bus(FakeClock())
    bus.emit("volume.changed", turn="t1", percent=40)
    sent = msgspec.json.encode(bus.history[0])
    assert msgspec.json.decode(sent, type=Event) == bus.history[0]


def test_seed_names_are_not_also_ours() -> None:
    assert set(EVENT_ALIASES).isdisjoint(set(EventType))


@pytest.mark.parametrize("name", sorted(EVENT_ALIASES))
def test_what_a_seed_name_asks_for_is_in_the_payload(name: str) -> None:
    seed = EVENT_ALIASES[name]
    fields = EVENT_TYPES[seed.type].fields
    assert all(isinstance(value, fields[key]) for key, value in seed.where.items())


@pytest.mark.skipif(not SEEDS.is_dir(), reason="../shared/seeds is absent: no documents to compare with")
def test_every_event_of_the_seeds_has_a_name_here() -> None:
    voxengine = (SEEDS / "003_7055409821bc54b8.txt").read_text()
    voide = (SEEDS / "000_f6a74f7ce62de473.txt").read_text()
    union = voide[voide.index("type VoideEvent") : voide.index("### Event Handlers")]
    names = set(re.findall(r"EventType\.([A-Z_]+)", voxengine))
    names |= set(re.findall(r"- \*\*([A-Z]+_[A-Z_]+)\*\*:", voxengine))
    names |= set(re.findall(r"\| '([a-z:]+)'", union))
    for listed in re.findall(r"events: \[(.+)\]", voide):
        names |= set(re.findall(r"'([a-z:]+)'", listed))
    assert len(names) > 35, "the seeds were not understood"
    assert names - set(EVENT_ALIASES) - set(EventType) == set()


@pytest.mark.parametrize("name", [name for name in EVENT_ALIASES if name.isupper()])
def test_names_of_the_python_seed_are_members_too(name: str) -> None:
    assert EventType[name] == EVENT_ALIASES[name].type
