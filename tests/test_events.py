"""The bus: order, bounds, and listeners that fail."""

import re
from pathlib import Path

import pytest

import voxd
from tests.fakes import FakeClock
from voxd.events import EVENT_TYPES, Bus, Event


async def drained(bus: Bus, *emitted: str) -> list[str]:
    with bus.subscribe() as events:
        for type in emitted:
            bus.emit(type)
        events.close()
        return [event.type async for event in events]


async def test_what_a_handler_emits_comes_after_what_made_it_do_so() -> None:
    bus = Bus(FakeClock())

    def handler(event: Event) -> None:
        if event.type == "audio.lost":
            bus.emit("state.changed")

    bus.handle(handler)
    assert await drained(bus, "audio.lost") == ["audio.lost", "state.changed"]


async def test_a_handler_that_fails_stops_neither_the_others_nor_whoever_emits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = Bus(FakeClock())
    seen: list[str] = []

    def failing(event: Event) -> None:
        raise RuntimeError("a bug")

    bus.handle(failing)
    bus.handle(lambda event: seen.append(event.type))
    assert await drained(bus, "audio.lost") == seen == ["audio.lost"]
    assert "a handler of event audio.lost failed" in caplog.text


async def test_a_listener_that_lags_loses_the_oldest_and_the_loss_is_counted() -> None:
    bus = Bus(FakeClock())
    with bus.subscribe(["turn.*"], limit=2) as events:
        for type in ("turn.started", "state.changed", "turn.reply", "turn.ended"):
            bus.emit(type)
        events.close()
        assert [event.type async for event in events] == ["turn.reply", "turn.ended"]
        assert events.dropped == 1


def test_every_type_that_is_emitted_is_in_the_table_and_the_other_way_round() -> None:
    package = Path(voxd.__file__).parent
    emitted: set[str] = set()
    for file in package.rglob("*.py"):
        emitted |= set(re.findall(r'(?:emit|_note)\(\s*"([a-z.]+)"', file.read_text()))
    assert emitted == set(EVENT_TYPES)
