"""A device in memory, in a given state."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from voxd.config import schema
from voxd.config.commands import Command, ShellAction
from voxd.skills.evaluation.effects import Effect, Item, find_changes
from voxd.skills.evaluation.phrase_file import Given, GivenItem
from voxd.skills.evaluation.simulation import ManualClock, Simulator
from voxd.store.db import MEMORY, Database

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
NOW_S = round(NOW.timestamp())


@pytest.fixture
async def db() -> AsyncIterator[Database]:
    db = Database(Path(MEMORY))
    await db.open()
    yield db
    await db.close()


async def test_a_sleeper_wakes_when_the_clock_was_moved_far_enough() -> None:
    clock = ManualClock(100.0)
    sleeper = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0)
    clock.move_to(105)
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.move_to(110)
    await sleeper
    clock.move_to(50)
    assert (clock.wall(), clock.monotonic()) == (110, 110)


async def test_the_state_is_what_was_given(db: Database) -> None:
    given = Given(
        NOW,
        UTC,
        (
            GivenItem("p", "timer", "pizza", length_s=600, left_s=240),
            GivenItem("a", "alarm", "gym", NOW + timedelta(hours=21)),
            GivenItem("r", "reminder", "call mom", NOW, ringing=True),
            GivenItem("q", "timer", length_s=300, ringing=True),
        ),
        volume=30,
        said="It is ten.",
    )
    async with Simulator(schema.Skills(), db).simulate(given) as simulation:
        items = {simulation.labels[id]: item for id, item in simulation.state().items.items()}
        assert items == {
            "p": Item("timer", "pizza", NOW_S + 240),
            "a": Item("alarm", "gym", NOW_S + 21 * 3600),
            "r": Item("reminder", "call mom", NOW_S, ringing=True),
            "q": Item("timer", "", NOW_S, ringing=True),
        }
        lengths_s = {simulation.labels[entry.id]: entry.duration_s for entry in simulation.timers.list()}
        assert lengths_s["p"] == 600
        state = simulation.state()
        assert (state.volume, state.mic_open, state.stops, state.volume_sets) == (30, True, 0, 0)
        assert (await simulation.engine.answer("repeat that")).text == "It is ten."


async def test_nothing_remains_for_the_next(db: Database) -> None:
    simulator = Simulator(schema.Skills(), db)
    given = Given(NOW, UTC, (GivenItem("p", "timer", length_s=600, left_s=600),))
    async with simulator.simulate(given) as simulation:
        await simulation.engine.answer("set a timer")
        await simulation.engine.answer("set the volume to ten")
    async with simulator.simulate(Given(NOW, UTC)) as simulation:
        assert simulation.state().items == {}
        assert simulation.state().volume == 50
        assert (await simulation.engine.answer("five minutes")).intent == "timer_confirm"


async def test_the_device_remembers_what_was_done_to_it(db: Database) -> None:
    given = Given(NOW, UTC, (GivenItem("q", "timer", length_s=300, ringing=True),))
    async with Simulator(schema.Skills(), db).simulate(given) as simulation:
        device = simulation.device
        device.stop()
        await device.mute()
        assert await device.set_volume(130) == device.volume() == 100
        assert device.summary()
        state = simulation.state()
        assert (state.items, state.stops, state.mic_open, state.volume_sets) == ({}, 1, False, 1)


async def test_a_command_of_the_owner_is_not_run(db: Database, tmp_path: Path) -> None:
    file = tmp_path / "made"
    command = Command(
        name="make",
        sentences=("make a file",),
        action=ShellAction(command=("touch", str(file))),
        reply="Made.",
    )
    async with Simulator(schema.Skills(commands=(command,)), db).simulate(Given(NOW, UTC)) as simulation:
        reply = await simulation.engine.answer("make a file")
    assert (reply.intent, reply.text, file.exists()) == ("command.make", "Made.", False)


async def test_what_repeats_or_is_paused_is_given_so(db: Database) -> None:
    given = Given(
        NOW,
        UTC,
        (
            GivenItem("p", "timer", length_s=600, left_s=240, paused=True),
            GivenItem("a", "alarm", due=NOW + timedelta(hours=21), repeat="mon,tue"),
            GivenItem("b", "alarm", due=NOW, repeat="daily", ringing=True),
        ),
    )
    async with Simulator(schema.Skills(), db).simulate(given) as simulation:
        items = {simulation.labels[id]: item for id, item in simulation.state().items.items()}
        assert items == {
            "p": Item("timer", "", NOW_S + 240, paused=True),
            "a": Item("alarm", "", NOW_S + 21 * 3600, "mon,tue"),
            "b": Item("alarm", "", NOW_S, "daily", ringing=True),
        }
        simulation.device.stop()
        (b,) = [item for item in simulation.state().items.values() if item.repeat == "daily"]
        assert b == Item("alarm", "", NOW_S + 86_400, "daily")


@pytest.mark.parametrize(
    ("repeat", "change", "effects"),
    [
        ("", "snooze", [Effect("snooze", "b", NOW_S + 300)]),
        ("daily", "snooze", [Effect("snooze", "b", NOW_S + 300)]),
        ("", "stop", [Effect("silence", "b")]),
        ("daily", "stop", [Effect("silence", "b")]),
        ("every:2h", "stop", [Effect("silence", "b")]),
        ("daily", "cancel", [Effect("cancel", "b")]),
        ("daily", "undo", []),
    ],
)
async def test_what_is_done_to_a_ringing_alarm_is_seen(
    db: Database, repeat: str, change: str, effects: list[Effect]
) -> None:
    given = Given(NOW, UTC, (GivenItem("b", "alarm", due=NOW, repeat=repeat, ringing=True),))
    async with Simulator(schema.Skills(), db).simulate(given) as simulation:
        before = simulation.state()
        (id,) = before.items
        match change:
            case "snooze":
                await simulation.timers.snooze(300)
            case "stop":
                simulation.timers.stop_ringing("voice")
            case "cancel":
                await simulation.timers.cancel(id)
            case "undo":
                await simulation.timers.rename(id, "gym")
                await simulation.timers.rename(id, "")
        changes = find_changes(before, simulation.state(), simulation.labels, UTC)
    assert [*changes.effects] == effects
