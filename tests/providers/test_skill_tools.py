"""What the device can do by itself, in the hands of a model."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest

from tests.fakes import FakeClock, RecordingEmit
from tests.skills.talk import AFTERNOON, BERLIN, Device
from voxd.config import schema
from voxd.config.commands import Command, ReplyAction
from voxd.providers.skill_tools import skill_tools
from voxd.providers.tools import ToolBox
from voxd.reports import Repeat
from voxd.skills.engine import SkillEngine
from voxd.skills.timing.timers import Timers
from voxd.store.db import Database
from voxd.store.timers import TimerStore

LIGHT = Command(
    name="light",
    sentences=("(turn|switch) on [the] {room} light",),
    slots={"room": ("kitchen", "attic")},
    action=ReplyAction(text="The {room} light is on."),
)


class Model:
    """What a model can reach: the tools, over a real device's skills."""

    def __init__(self, db: Database, config: schema.Skills) -> None:
        clock = FakeClock(wall=AFTERNOON)
        self.device = Device()
        self.timers = Timers(TimerStore(db), clock, RecordingEmit(), lambda entry: None, tz=BERLIN, boot="1")
        skills = SkillEngine(config, timers=self.timers, device=self.device, clock=clock, tz=BERLIN)
        self.box = ToolBox(skill_tools(skills))

    async def calls(self, name: str, /, **arguments: object) -> str:
        return (await self.box.run(name, arguments)).output


@pytest.fixture
async def model(tmp_path: Path) -> AsyncIterator[Model]:
    db = Database(tmp_path / "voxd.db")
    await db.open()
    model = Model(db, schema.Skills(commands=(LIGHT,)))
    await model.timers.start()
    yield model
    await model.timers.close()
    await db.close()


async def test_the_time_is_returned_in_a_form_a_model_can_calculate_with(model: Model) -> None:
    told = json.loads(await model.calls("get_time"))
    assert told == {"local_time": "2026-11-20T15:05:00+01:00", "weekday": "Friday"}


async def test_timers_are_set_listed_and_cancelled(model: Model) -> None:
    assert await model.calls("set_timer", seconds=300, name="Pasta") == "Pasta timer set for five minutes."
    assert await model.calls("set_timer", seconds=60) == "Timer set for one minute."
    assert [(entry.name, entry.due_in_s) for entry in model.timers.list()] == [("", 60), ("pasta", 300)]
    listed = await model.calls("list_timers")
    assert "two timers" in listed
    assert "pasta, five minutes left" in listed
    assert await model.calls("cancel_timers", name="pasta") == "Pasta timer cancelled."
    await model.calls("cancel_timers", all=True)
    assert model.timers.list() == []


@pytest.mark.parametrize(
    ("time", "day", "due"),
    [
        ("07:30", "", datetime(2026, 11, 21, 7, 30, tzinfo=BERLIN)),
        ("19:30", "", datetime(2026, 11, 20, 19, 30, tzinfo=BERLIN)),
        ("7:30", "monday", datetime(2026, 11, 23, 7, 30, tzinfo=BERLIN)),
        ("12:00", "tomorrow", datetime(2026, 11, 21, 12, 0, tzinfo=BERLIN)),
        ("00:15", "", datetime(2026, 11, 21, 0, 15, tzinfo=BERLIN)),
    ],
)
async def test_an_alarm_is_set_for_a_time_of_24_hours(
    model: Model, time: str, day: str, due: datetime
) -> None:
    assert (await model.calls("set_alarm", time=time, day=day)).startswith("Alarm set ")
    (entry,) = model.timers.list()
    assert (entry.kind, entry.due_at) == ("alarm", due.timestamp())


@pytest.mark.parametrize(
    ("day", "repeat", "weekdays", "due"),
    [
        ("", "daily", (0, 1, 2, 3, 4, 5, 6), datetime(2026, 11, 21, 7, 0, tzinfo=BERLIN)),
        ("", "weekdays", (0, 1, 2, 3, 4), datetime(2026, 11, 23, 7, 0, tzinfo=BERLIN)),
        ("tuesday", "weekly", (1,), datetime(2026, 11, 24, 7, 0, tzinfo=BERLIN)),
    ],
)
async def test_an_alarm_repeats(
    model: Model, day: str, repeat: str, weekdays: tuple[int, ...], due: datetime
) -> None:
    await model.calls("set_alarm", time="07:00", day=day, repeat=repeat)
    (entry,) = model.timers.list()
    assert (entry.repeat, entry.due_at) == (Repeat(weekdays), due.timestamp())


async def test_what_repeats_weekly_needs_its_weekday(model: Model) -> None:
    assert "weekday" in await model.calls("set_alarm", time="07:00", day="tomorrow", repeat="weekly")
    assert model.timers.list() == []


async def test_time_is_added_and_taken_and_the_last_change_undone(model: Model) -> None:
    await model.calls("set_timer", seconds=300)
    assert await model.calls("add_time", seconds=120) == "Timer: seven minutes left."
    assert await model.calls("add_time", seconds=-60) == "Timer: six minutes left."
    await model.calls("undo")
    assert [entry.due_in_s for entry in model.timers.list()] == [420]


async def test_a_reminder_is_set_after_a_while_or_at_a_time(model: Model) -> None:
    assert (
        await model.calls("set_reminder", text="call my mum", seconds=600)
        == "I will remind you to call your mum in ten minutes."
    )
    await model.calls("set_reminder", text="feed the cat", time="18:00")
    assert [entry.name for entry in model.timers.list()] == ["call my mum", "feed the cat"]
    for wrong in ({}, {"seconds": 5, "time": "18:00"}):
        assert await model.calls("set_reminder", text="x", **wrong) == "error: give either seconds or time"


@pytest.mark.parametrize(
    ("arguments", "level", "said"),
    [
        ({"percent": 30}, 30, "Volume thirty percent."),
        ({"change": 20}, 90, "Volume ninety percent."),
        ({"change": -20}, 50, "Volume fifty percent."),
        ({}, 70, "Volume seventy percent."),
        ({"percent": 101}, 70, "error: invalid arguments of set_volume"),
    ],
)
async def test_the_volume_is_set_changed_and_returned(
    model: Model, arguments: dict[str, int], level: int, said: str
) -> None:
    assert (await model.calls("set_volume", **arguments)).startswith(said)
    assert model.device.level == level


async def test_the_device_is_stopped_and_muted_and_returns_its_state(model: Model) -> None:
    assert await model.calls("stop") == "done"
    assert await model.calls("mute_microphone") == "done"
    assert model.device.done == ["stop", "mute"]
    assert await model.calls("device_status") == "I am well."


async def test_the_owners_commands_are_offered_by_their_sentences(model: Model) -> None:
    spec = next(each for each in model.box.specs() if each.name == "device_command")
    assert "(turn|switch) on [the] {room} light" in spec.description
    said = await model.calls("device_command", sentence="Turn on the attic light")
    assert said == "The attic light is on."


async def test_without_commands_of_the_owner_none_are_offered(tmp_path: Path) -> None:
    db = Database(tmp_path / "voxd.db")
    await db.open()
    assert "device_command" not in Model(db, schema.Skills()).box
    await db.close()


@pytest.mark.parametrize(
    "arguments", [{"time": "25:00"}, {"time": "half past seven"}, {"time": "07:30", "day": "noday"}]
)
async def test_an_invalid_time_is_an_error_for_the_model(model: Model, arguments: dict[str, str]) -> None:
    assert (await model.calls("set_alarm", **arguments)).startswith("error: invalid arguments of set_alarm")
    assert model.timers.list() == []


async def test_every_tool_has_a_description_and_a_valid_schema(model: Model) -> None:
    for spec in model.box.specs():
        assert spec.description.endswith((".", "light"))
        jsonschema.Draft202012Validator.check_schema(spec.parameters)
