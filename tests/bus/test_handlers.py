"""Handlers that hang, flood or are slow: what they may cost the house, which is nothing."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeClock, settle
from tests.payloads import problem
from voxd.bus.bus import Bus
from voxd.bus.handler import CALL_TIMEOUT_S, QUEUE_EVENTS, SLOW_CALLS, SLOW_S, SLOW_WITHIN_S
from voxd.bus.workers import MAX_PENDING
from voxd.events import Event

DEADLINE_S = 5.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def bus(clock: FakeClock) -> AsyncIterator[Bus]:
    bus = Bus(clock)
    yield bus
    await bus.close(0)


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, DEADLINE_S)
    await settle()


def numbers(events: list[Event]) -> list[int]:
    return [event.number for event in events]


def failures(bus: Bus) -> list[str]:
    return [event.reason for event in bus.get_history("handler.failed")]


# --- async handlers -------------------------------------------------------------------------------


class Callable:
    def __init__(self, heard: list[Event]) -> None:
        self.heard = heard

    async def __call__(self, event: Event) -> None:
        await self.method(event)

    async def method(self, event: Event) -> None:
        await asyncio.sleep(0)
        self.heard.append(event)


@pytest.mark.parametrize(
    "make",
    [
        lambda each: each,
        lambda each: each.method,
        lambda each: functools.partial(each.method),
        lambda each: lambda event: each.method(event),
    ],
    ids=["object", "method", "partial", "lambda"],
)
async def test_every_kind_of_async_handler_gets_all_events_in_order(bus: Bus, make) -> None:
    heard: list[Event] = []
    bus.on("x", make(Callable(heard)))
    for number in range(20):
        bus.emit("x", number=number)
    assert heard == [], "emit waits for nobody"
    await bus.close()
    assert numbers(heard) == list(range(20))
    assert bus.get_metrics()["events_handled"] == 20


async def test_an_async_handler_registered_once_runs_once_to_its_end(bus: Bus) -> None:
    heard: list[Event] = []
    bus.once("x", Callable(heard))
    bus.emit("x", number=1)
    bus.emit("x", number=2)
    await bus.close()
    assert numbers(heard) == [1]


async def test_a_hanging_handler_delays_no_other_handler_and_is_cancelled(bus: Bus, clock: FakeClock) -> None:
    heard: list[Event] = []
    finished: list[int] = []

    async def hang(event: Event) -> None:
        if event.number == 0:
            await asyncio.Event().wait()
        finished.append(event.number)
        if event.number == 2:
            raise asyncio.CancelledError

    bus.on("x", hang, priority=9)
    bus.on("x", heard.append)
    bus.on("x", Callable(others := []))
    for number in range(3):
        bus.emit("x", number=number)
    await clock.advance(CALL_TIMEOUT_S - 0.1)
    assert numbers(heard) == numbers(others) == [0, 1, 2]
    assert (finished, failures(bus)) == ([], [])
    await clock.advance(0.2)
    assert finished == [1, 2]
    assert failures(bus) == ["timeout"]
    assert bus.get_metrics()["handler_errors"] == 2, "the last call failed by itself"


async def test_a_handler_that_refuses_to_end_harms_only_itself(bus: Bus, clock: FakeClock) -> None:
    let_go = asyncio.Event()
    finished: list[int] = []

    async def stubborn(event: Event) -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        finished.append(event.number)

    bus.on("x", stubborn)
    for number in range(QUEUE_EVENTS + 11):
        bus.emit("x", number=number)
        await settle() if number == 0 else None
    await clock.advance(3 * CALL_TIMEOUT_S + 1)
    assert bus.get_metrics()["events_dropped"] == 10
    assert bus.get_metrics()["handler_errors"] == 3
    let_go.set()
    await bus.close()
    assert finished == [0, *range(11, QUEUE_EVENTS + 11)], "the oldest were dropped"


async def test_a_lagging_handler_loses_the_oldest_events_and_this_is_logged_once(
    bus: Bus, clock: FakeClock
) -> None:
    handler = Callable(heard := [])
    bus.on("x", lambda event: handler(event))
    for number in range(QUEUE_EVENTS + 50):
        bus.emit("x", number=number)
    await bus.close()
    assert numbers(heard) == list(range(50, QUEUE_EVENTS + 50))
    assert failures(bus) == ["lagging"]
    assert bus.get_metrics()["events_dropped"] == 50


async def test_a_handler_that_never_waits_leaves_the_loop_to_others(bus: Bus) -> None:
    seen: list[str] = []

    async def greedy(event: Event) -> None:
        seen.append("greedy")

    bus.on("x", greedy)
    for _ in range(100):
        bus.emit("x")
    asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, seen.append, "other")
    await bus.close()
    assert seen.index("other") < 5


async def test_a_cancellation_of_its_own_is_a_handlers_fault_only(bus: Bus) -> None:
    heard: list[int] = []

    async def cancels_itself(event: Event) -> None:
        heard.append(event.number)
        raise asyncio.CancelledError

    bus.on("x", cancels_itself)
    bus.emit("x", number=1)
    bus.emit("x", number=2)
    await bus.close()
    assert heard == [1, 2]
    assert failures(bus) == ["raised"]


async def test_off_forgets_what_waits(bus: Bus) -> None:
    handler_id = bus.on("x", Callable(heard := []))
    for number in range(5):
        bus.emit("x", number=number)
    bus.off(handler_id)
    await bus.close()
    assert heard == []


async def test_close_gives_up_what_does_not_end_and_leaves_no_task(bus: Bus) -> None:
    async def hang(event: Event) -> None:
        await asyncio.Event().wait()

    bus.on("x", hang)
    bus.once("x", hang)
    bus.emit("x")
    await bus.close(0)
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert bus.get_metrics()["handler_count"] == 1, "it is registered still"


async def test_a_handler_may_close_the_bus_it_is_called_by(bus: Bus) -> None:
    closed = asyncio.Event()

    async def close(event: Event) -> None:
        await bus.close(DEADLINE_S)
        await asyncio.sleep(0)
        closed.set()

    bus.on("x", close)
    bus.emit("x")
    await settle()
    assert closed.is_set()


async def test_an_idle_bus_has_no_task(bus: Bus) -> None:
    bus.on("x", Callable([]))
    bus.emit("x", number=1)
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_without_a_loop_an_async_handler_fails_and_others_are_called() -> None:
    bus = Bus(FakeClock())
    heard: list[Event] = []
    bus.on("x", Callable(heard))
    bus.on("x", lambda event: Callable(heard).method(event))
    bus.on("x", heard.append)
    bus.emit("x", number=1)
    assert numbers(heard) == [1]
    assert bus.get_metrics()["handler_errors"] == 2


# --- slow sync handlers ---------------------------------------------------------------------------


class Slow:
    """A sync handler that takes its time, by the fake clock; in a thread it can be held up for real."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.loop_thread = threading.get_ident()
        self.threads: list[int] = []
        self.numbers: list[int] = []
        self.called = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, event: Event) -> None:
        self.threads.append(threading.get_ident())
        self.numbers.append(event.number)
        if threading.get_ident() == self.loop_thread:
            self.clock.now += SLOW_S * 1.5
        else:
            self.called.set()
            assert self.go_on.wait(DEADLINE_S)


@pytest.fixture
async def moved(bus: Bus, clock: FakeClock) -> Slow:
    """A handler that has just been moved to a thread."""
    slow = Slow(clock)
    bus.on("x", slow)
    for number in range(SLOW_CALLS):
        bus.emit("x", number=number)
    return slow


async def test_a_slow_handler_is_moved_to_a_thread_and_that_is_reported(bus: Bus, moved: Slow) -> None:
    assert failures(bus) == ["slow"]
    (report,) = bus.get_history("handler.failed")
    assert problem(report.type, report.data) == ""
    bus.emit("x", number=9)
    await until(moved.called)
    assert moved.threads[:SLOW_CALLS] == [moved.loop_thread] * SLOW_CALLS
    assert moved.threads[SLOW_CALLS] != moved.loop_thread
    assert moved.numbers == [0, 1, 2, 9]


async def test_the_filter_holds_in_the_thread(bus: Bus, clock: FakeClock) -> None:
    slow = Slow(clock)
    bus.on("x", slow, filter=lambda event: event.number != 8)
    for number in (0, 1, 2, 8, 9):
        bus.emit("x", number=number)
    await until(slow.called)
    assert slow.numbers == [0, 1, 2, 9]


async def test_a_handler_that_is_quick_enough_stays(bus: Bus, clock: FakeClock) -> None:
    def quick(event: Event) -> None:
        clock.now += SLOW_S * 0.9

    bus.on("x", quick)
    for _ in range(10):
        bus.emit("x")
    assert failures(bus) == []


async def test_a_handler_that_is_slow_now_and_then_stays(bus: Bus, clock: FakeClock) -> None:
    bus.on("x", Slow(clock))
    for number in range(10):
        bus.emit("x", number=number)
        await clock.advance(SLOW_WITHIN_S / 2)
    assert failures(bus) == []


async def test_a_thread_that_hangs_loses_the_oldest_events_and_delays_no_other_handler(
    bus: Bus, moved: Slow
) -> None:
    bus.on("x", Callable(heard := []))
    moved.go_on.clear()
    bus.emit("x", number=100)
    await until(moved.called)
    for number in range(QUEUE_EVENTS + 7):
        bus.emit("x", number=number)
        await settle()
    assert len(heard) == QUEUE_EVENTS + 8
    assert bus.get_metrics()["events_dropped"] == 7
    moved.go_on.set()


async def test_a_failure_in_a_thread_is_reported_on_the_loop(bus: Bus, clock: FakeClock) -> None:
    told = asyncio.Event()
    bus.on("handler.failed", lambda event: told.set(), filter=lambda event: event.reason == "raised")

    def fails_in_a_thread(event: Event) -> None:
        if event.number >= SLOW_CALLS:
            raise ValueError
        clock.now += SLOW_S * 1.5

    bus.on("x", fails_in_a_thread)
    for number in range(SLOW_CALLS):
        bus.emit("x", number=number)
    await clock.advance(11)
    bus.emit("x", number=SLOW_CALLS)
    await asyncio.wait_for(told.wait(), DEADLINE_S)


async def test_what_a_moved_handler_emits_arrives_on_the_loop(bus: Bus, clock: FakeClock) -> None:
    heard: list[int] = []
    arrived = asyncio.Event()

    def emits(event: Event) -> None:
        clock.now += SLOW_S * 1.5
        bus.emit("y", number=event.number)

    def note(event: Event) -> None:
        heard.append(threading.get_ident())
        if event.number == SLOW_CALLS:
            arrived.set()

    bus.on("x", emits)
    bus.on("y", note, priority=1)
    for number in range(SLOW_CALLS + 1):
        bus.emit("x", number=number)
    await asyncio.wait_for(arrived.wait(), DEADLINE_S)
    assert set(heard) == {threading.get_ident()}


async def test_a_thread_that_floods_the_loop_is_refused(bus: Bus, clock: FakeClock) -> None:
    flooded = threading.Event()

    def floods(event: Event) -> None:
        if event.number < SLOW_CALLS:
            clock.now += SLOW_S * 1.5
            return
        for _ in range(MAX_PENDING + 40):
            bus.emit("y")
        flooded.set()

    bus.on("x", floods)
    for number in range(SLOW_CALLS + 1):
        bus.emit("x", number=number)
    assert flooded.wait(DEADLINE_S), "the loop does nothing meanwhile"
    await settle()
    assert bus.get_metrics()["events_by_type"]["y"] == MAX_PENDING
    assert bus.get_metrics()["events_dropped"] == 40


async def test_close_ends_the_threads_and_handlers_come_back_to_the_loop(bus: Bus, moved: Slow) -> None:
    bus.emit("x", number=3)
    await until(moved.called)
    (thread,) = (each for each in threading.enumerate() if each.ident == moved.threads[-1])
    await bus.close()
    await asyncio.to_thread(thread.join, DEADLINE_S)
    assert not thread.is_alive()
    bus.emit("x", number=4)
    assert moved.threads[-1] == moved.loop_thread


async def test_on_and_once_are_decorators_too() -> None:
    bus, seen = Bus(FakeClock()), []

    @bus.on("text.output", priority=2, filter=lambda event: event.text != "no")
    def first(event: Event) -> None:
        seen.append(("first", event.text))

    @bus.once("TEXT_OUTPUT")
    async def second(event: Event) -> None:
        seen.append(("second", event.text))

    for text in ("one", "no", "two"):
        bus.emit("text.output", text=text)
    await bus.close()
    assert seen == [("first", "one"), ("first", "two"), ("second", "one")]
    assert bus.has_handler("text.output")
    assert not bus.has_handler("text.input")
    assert bus.off("text.output", first)
    assert not bus.has_handler("text.output")
    first(Event(1, "text.output", 0.0, None, {"text": "called"}))
    assert seen[-1] == ("first", "called")
