import functools
import logging
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock, settle
from tests.payloads import problem
from tests.properties import examples
from voxd.bus.aliases import EVENT_ALIASES
from voxd.bus.bus import CHUNKS_KEPT, TYPES_COUNTED, Bus
from voxd.errors import InvalidRequest
from voxd.events import Event, EventType


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bus(clock: FakeClock) -> Bus:
    return Bus(clock)


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events]


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "heard"),
    [
        (EventType.TEXT_OUTPUT, ["a", "b"]),
        ("text.output", ["a", "b"]),
        ("TEXT_OUTPUT", ["a", "b"]),
        ("message:received", ["b"]),
        ("text.*", ["a", "b", "c"]),
        ("*", ["a", "b", "c", "d"]),
        ("custom:*", ["d"]),
        ("custom:event", ["d"]),
        ("message:sent", ["c"]),
        ("nobody:knows", []),
    ],
)
def test_a_name_means_these_events(bus: Bus, name: str, heard: list[str]) -> None:
    events: list[Event] = []
    bus.on(name, events.append)
    bus.emit(EventType.TEXT_OUTPUT, text="a", is_partial=True)
    bus.emit("text.output", text="b", is_partial=False)
    bus.emit("text.input", text="c")
    bus.emit("custom:event", text="d")
    assert texts(events) == heard
    assert texts(bus.get_history(name)) == heard


@pytest.mark.parametrize("name", sorted(EVENT_ALIASES))
def test_an_event_emitted_under_an_old_name_is_delivered_under_its_new_name(bus: Bus, name: str) -> None:
    heard: list[Event] = []
    bus.on(name, heard.append)
    bus.on(EVENT_ALIASES[name].type, heard.append)
    bus.emit(name)
    assert [event.type for event in heard] == [EVENT_ALIASES[name].type] * 2


def test_types_of_ours_arrive_as_members(bus: Bus) -> None:
    heard: list[Event] = []
    bus.on("*", heard.append)
    bus.emit("text.input", text="a")
    assert heard[0].type is EventType.TEXT_INPUT


@pytest.mark.parametrize("name", ["", None, 3])
def test_an_invalid_event_name_is_refused(bus: Bus, name: Any) -> None:
    with pytest.raises(InvalidRequest):
        bus.on(name, print)


@pytest.mark.parametrize(("handler", "filter"), [(None, None), ("print", None), (print, "x")])
def test_what_cannot_be_called_is_refused(bus: Bus, handler: Any, filter: Any) -> None:
    with pytest.raises(InvalidRequest):
        bus.on("*", handler, filter=filter)


# --- on, once, off --------------------------------------------------------------------------------


def test_a_filter_decides(bus: Bus) -> None:
    heard: list[Event] = []
    bus.on("text.output", heard.append, filter=lambda event: len(event.text) > 2)
    bus.emit("text.output", text="no")
    bus.emit("text.output", text="yes")
    assert texts(heard) == ["yes"]


def test_once_means_the_first_event_that_passes_the_filter(bus: Bus) -> None:
    heard: list[Event] = []
    bus.once("text.output", heard.append, filter=lambda event: event.text != "a")
    for text in "abc":
        bus.emit("text.output", text=text)
    assert texts(heard) == ["b"]
    assert bus.get_metrics()["handler_count"] == 0


def test_once_is_once_even_when_the_handler_emits_the_same(bus: Bus) -> None:
    heard: list[Event] = []

    def again(event: Event) -> None:
        heard.append(event)
        bus.emit("x", text="b")

    bus.once("x", again)
    bus.emit("x", text="a")
    assert texts(heard) == ["a"]


def test_off_takes_an_id_or_a_type_with_a_handler_or_an_id(bus: Bus) -> None:
    heard: list[Event] = []
    by_id = bus.on("x", heard.append)
    assert isinstance(by_id, str)
    assert bus.off(by_id)
    assert not bus.off(by_id)
    bus.on("x", heard.append)
    bus.on("x", heard.append)
    assert not bus.off("y", heard.append)
    assert bus.off("x", heard.append)
    bus.on("TEXT_INPUT", heard.append)
    assert bus.off(EventType.TEXT_INPUT, heard.append)
    unsubscribe = bus.on("message:received", heard.append)
    assert bus.off("message:received", unsubscribe)
    bus.emit("x")
    bus.emit("message:received")
    assert heard == []


def test_a_handler_taken_off_by_an_earlier_one_is_not_called(bus: Bus) -> None:
    heard: list[Event] = []
    bus.on("x", lambda event: bus.off(later), priority=1)
    later = bus.on("x", heard.append)
    bus.emit("x")
    assert heard == []


@examples(50, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.booleans()), max_size=12), st.integers(1, 3))
def test_the_order_is_priority_then_registration(
    registrations: list[tuple[int, bool, bool]], emitted: int
) -> None:
    bus, called = Bus(FakeClock()), defaultdict[int, list[int]](list)
    expected = defaultdict[int, list[tuple[int, int]]](list)
    for number, (priority, is_once, is_off) in enumerate(registrations):

        def handler(event: Event, number: int = number) -> None:
            called[event.round].append(number)

        register = bus.once if is_once else bus.on
        handler_id = register("x", handler, priority=priority)
        if is_off:
            bus.off(handler_id)
        for round in range(0 if is_off else 1 if is_once else emitted):
            expected[round].append((-priority, number))
    for round in range(emitted):
        bus.emit("x", round=round)
    assert called == {round: [number for _, number in sorted(each)] for round, each in expected.items()}


def test_what_handlers_emit_comes_after_what_they_handle(bus: Bus) -> None:
    heard: list[str] = []
    bus.on("a", lambda event: bus.emit("b"), priority=1)
    bus.on("*", lambda event: heard.append(event.type))
    bus.emit("a")
    assert heard == ["a", "b"]
    assert [event.type for event in bus.history] == ["a", "b"]


# --- bad handlers ---------------------------------------------------------------------------------


def bad(event: Event) -> None:
    raise ValueError("on purpose")


@pytest.mark.parametrize("register", ["on", "handle", "filter", "async"])
async def test_a_failing_handler_stops_no_other_handler_and_is_logged_once(
    bus: Bus, register: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Event] = []

    async def async_bad(event: Event) -> None:
        bad(event)

    match register:
        case "on":
            bus.on("text.input", bad, priority=9)
        case "handle":
            bus.handle(bad)
        case "filter":
            bus.on("text.input", print, filter=bad, priority=9)
        case "async":
            bus.on("text.input", async_bad, priority=9)
    bus.on("text.input", heard.append)
    failures: list[Event] = []
    bus.on("handler.failed", failures.append)
    for text in "abc":
        bus.emit("text.input", text=text)
    await settle()
    assert texts(heard) == ["a", "b", "c"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "on purpose" in caplog.text
    assert [event.error for event in failures] == ["ValueError"]
    assert problem(failures[0].type, failures[0].data) == ""
    assert bus.get_metrics()["handler_errors"] >= 3


def test_a_failure_with_the_news_of_a_failure_is_not_news(bus: Bus) -> None:
    bus.on("text.input", bad)
    bus.on("handler.failed", lambda event: bad(event))
    bus.emit("text.input", text="a")
    assert bus.get_metrics()["handler_errors"] == 2
    assert [event.type for event in bus.history] == ["text.input", "handler.failed"]


async def test_reports_of_failures_are_few(bus: Bus, clock: FakeClock) -> None:
    for _ in range(50):
        bus.on("x", functools.partial(bad))
    for _ in range(50):
        bus.emit("x")
    assert len(bus.get_history("handler.failed")) == 20
    await clock.advance(61)
    bus.emit("x")
    assert len(bus.get_history("handler.failed")) == 40
    assert bus.get_history("handler.failed")[-1].failures == 51


def test_handlers_that_go_round_in_a_circle_are_cut(bus: Bus) -> None:
    news: list[Event] = []
    bus.on("a", lambda event: bus.emit("b"))
    bus.on("b", lambda event: bus.emit("a"))
    bus.on("handler.failed", news.append)
    bus.emit("a")
    bus.emit("c")
    assert [event.reason for event in news] == ["loop"]
    assert bus.get_metrics()["events_dropped"] == 1


def test_a_handler_that_emits_in_floods_is_cut(bus: Bus) -> None:
    heard: list[Event] = []
    bus.on("a", lambda event: [bus.emit("b", text=str(number)) for number in range(1000)])
    bus.on("b", heard.append)
    bus.emit("a")
    assert texts(heard) == [str(number) for number in range(256)]
    assert bus.get_metrics()["events_dropped"] == 744


# --- memory ---------------------------------------------------------------------------------------


def test_history_remembers_no_sound_but_its_size(bus: Bus) -> None:
    heard: list[Event] = []
    bus.on("*", heard.append)
    bus.emit("custom:clip", wav=b"\0" * 5000, name="x")
    bus.emit("audio.output_chunk", audio_data=b"\0" * 4800, sample_rate=24_000, channels=1)
    assert (heard[0].wav, heard[1].audio_data) == (b"\0" * 5000, b"\0" * 4800)
    assert bus.history[0].data == {"wav_bytes": 5000, "name": "x"}
    (chunk,) = bus.get_history(EventType.AUDIO_OUTPUT_CHUNK)
    assert chunk.data == {"audio_data_bytes": 4800, "sample_rate": 24_000, "channels": 1}


def test_history_keeps_the_text_of_an_exception_not_its_frames(bus: Bus) -> None:
    bus.emit("error", code="x", message="y", hint="", error=ValueError("y"))
    assert bus.history[0].error == "ValueError: y"


def test_chunks_of_sound_push_nothing_out_of_history(bus: Bus) -> None:
    bus.emit("text.input", text="a")
    with bus.subscribe() as subscription:
        for _ in range(1000):
            bus.emit("audio.input_chunk", audio_data=b"\0\0", duration_ms=20)
        bus.emit("text.input", text="b")
        assert [event.id for event in bus.get_history()] == [1, 2], "their numbers have no gap"
        assert len(bus.get_history("audio.input_chunk")) == CHUNKS_KEPT
        assert subscription.dropped == 0


@pytest.mark.parametrize(("limit", "found"), [(None, "abc"), (2, "bc"), (5, "abc"), (0, "")])
def test_history_gives_the_newest_in_order(bus: Bus, limit: int | None, found: str) -> None:
    for text in "abc":
        bus.emit("text.input", text=text)
    assert texts(bus.get_history(EventType.TEXT_INPUT, limit=limit)) == list(found)


def test_history_is_bounded_and_can_be_cleared() -> None:
    bus = Bus(FakeClock(), history=3)
    for number in range(9):
        bus.emit("x", number=number)
    bus.emit("audio.input_chunk", audio_data=b"", duration_ms=0)
    assert [event.number for event in bus.get_history()] == [6, 7, 8]
    bus.clear_history()
    assert bus.get_history() == bus.get_history("audio.input_chunk") == []
    with pytest.raises(InvalidRequest):
        bus.get_history(limit=-1)


def test_metrics_count(bus: Bus) -> None:
    bus.on("text.input", lambda event: None)
    bus.on("text.input", bad)
    bus.emit("text.input", text="a")
    bus.emit("x")
    assert bus.get_metrics() == {
        "events_emitted": 3,
        "events_handled": 1,
        "events_dropped": 0,
        "handler_count": 2,
        "handler_errors": 1,
        "events_by_type": {"text.input": 1, "handler.failed": 1, "x": 1},
    }


def test_names_without_end_do_not_fill_the_memory(bus: Bus) -> None:
    bus.on("*", lambda event: None)
    for number in range(TYPES_COUNTED + 100):
        bus.emit(f"custom:{number}")
    counts = bus.get_metrics()["events_by_type"]
    assert len(counts) == TYPES_COUNTED + 1
    assert counts["(other)"] == 100


async def test_an_event_emitted_by_an_internal_handler_comes_after_its_cause() -> None:
    bus = Bus(FakeClock())
    bus.handle(
        lambda event: bus.emit("mute.changed", muted=True, source="voice") if event.type == "a" else None
    )
    with bus.subscribe() as events:
        bus.emit("a")
        events.close()
        assert [event.type async for event in events] == ["a", "mute.changed"]
