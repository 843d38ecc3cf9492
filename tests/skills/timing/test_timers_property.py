"""Whatever is done to the timers in any order: none is lost, rings early or twice, and the disk agrees."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import FakeClock, RecordingEmit, settle
from tests.skills.timer_house import BERLIN, DAILY, EVENING, HOUR_S, moment
from voxd.errors import InvalidRequest, StoreError
from voxd.reports import Repeat, TimerEntry
from voxd.skills.timing.timers import RETRY_S, Timers
from voxd.store.db import Database
from voxd.store.migrations import MIGRATIONS
from voxd.store.timers import TimerRecord, TimerStore

RING_S = 60.0
LATE_S = 1.5
"""A step of the clock is noticed within a second."""


class MemoryDatabase:
    """A real database without a file or a thread, so that an example takes milliseconds."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:")
        for statement in MIGRATIONS[0]:
            self._connection.execute(statement)
        self.is_full = False

    async def run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        await asyncio.sleep(0)
        if not self.is_full:
            return work(self._connection)
        # A full disk can be read.
        self._connection.execute("PRAGMA query_only = ON")
        try:
            return work(self._connection)
        except sqlite3.OperationalError as error:
            raise StoreError("the disk is full") from error
        finally:
            self._connection.execute("PRAGMA query_only = OFF")


@dataclass
class World:
    """The timers, and what a person who watches them knows."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(wall=EVENING))
    emit: RecordingEmit = field(default_factory=RecordingEmit)
    db: MemoryDatabase = field(default_factory=MemoryDatabase)
    boot: str = "boot"
    expected: set[int] = field(default_factory=set)
    rung: set[tuple[int, str]] = field(default_factory=set)
    undo: list[TimerRecord] = field(default_factory=list)
    stopped: set[int] = field(default_factory=set)
    late: set[int] = field(default_factory=set)
    was_full: bool = False

    async def start(self) -> None:
        self.store = TimerStore(cast(Database, self.db))
        self.timers = Timers(
            self.store, self.clock, self.emit, self.ring, ring_s=RING_S, tz=BERLIN, boot=self.boot
        )
        await self.timers.start()
        await settle()

    def ring(self, entry: TimerEntry) -> None:
        record = self.timers.record(entry.id)
        assert entry.due_in_s <= 0, "none rings early"
        assert record.paused_left_s is None
        moments = [record] if record.snooze is None else [record, record.snooze]
        due = [self.moment_of(each) for each in moments if self.due_in_s(each) <= 0]
        # One of its moments is new; what rang when the daemon ended was taken out.
        assert {(entry.id, each) for each in due} - self.rung, "none rings twice for one occurrence"
        self.rung |= {(entry.id, each) for each in due}

    def due_in_s(self, record: TimerRecord) -> float:
        if record.day is None:
            return record.due_monotonic_s - self.clock.monotonic()
        return record.due_wall_s - self.clock.wall()

    def moment_of(self, record: TimerRecord) -> str:
        if record.day is None:
            return f"{record.due_monotonic_s:.3f}"
        return f"{record.day} {record.at}"

    def forget_rings_of(self, ids: set[int]) -> None:
        self.rung = {(id, due) for id, due in self.rung if id not in ids}

    async def check(self) -> None:
        await settle()
        entries = self.timers.list()
        self.stopped |= {data["id"] for type, data in self.emit.events if type == "timer.stopped"}
        self.emit.events.clear()
        listed = {entry.id for entry in entries}
        # Only the end of a ring, or a person, takes something out.
        assert listed <= self.expected
        assert self.expected - listed <= self.stopped
        self.expected = listed
        assert entries == sorted(entries, key=lambda entry: (entry.paused, entry.due_in_s))
        # The end of its ring is refused by the disk: it stays in the list, and is tried again.
        refused = self.stopped if self.db.is_full or self.was_full else set()
        self.was_full = self.db.is_full
        self.stopped &= listed
        silent = [each for each in entries if not each.ringing and not each.paused and each.id not in refused]
        assert all(entry.due_in_s > -LATE_S for entry in silent), "nothing that is due is silent"
        ringing = {entry.id for entry in entries if entry.ringing}
        stored = {record.id: record for record in await self.store.all()}
        assert set(stored) == listed
        # While a ring lasts, the disk may still hold an earlier occurrence: it is the same ring.
        assert all(self.timers.record(id) == stored[id] for id in listed - ringing - self.late)

    async def fill_disk(self, is_full: bool) -> None:
        self.db.is_full = is_full
        if is_full:
            # From now on what time does to any of them is on disk later than in memory.
            self.late = set(self.expected)
        else:
            await wait(self, RETRY_S + 1.0)
            self.late = set()


TIMES = [moment(f"2026-11-{day} {at}") for day in (21, 22) for at in ("00:30", "07:00", "22:00")]
REPEATS = [
    DAILY,
    Repeat(weekdays=(0, 5), every_weeks=2),
    Repeat(month_day=31),
    Repeat(interval_s=2.5 * HOUR_S),
    Repeat(interval_s=HOUR_S),
]
SPANS_S = st.sampled_from([0.3, 20.0, 59.0, 600.0, HOUR_S, 9 * HOUR_S, 26 * HOUR_S])
WHICH = st.integers(0, 3)
OPERATIONS = st.one_of(
    st.tuples(st.just("countdown"), SPANS_S),
    st.tuples(st.just("alarm"), st.sampled_from(TIMES), st.sampled_from([None, *REPEATS])),
    st.tuples(st.just("interval"), st.sampled_from(REPEATS[-2:])),
    st.tuples(st.just("extend"), WHICH, st.sampled_from([30.0, HOUR_S, -10.0, -2 * HOUR_S])),
    st.tuples(st.just("pause"), WHICH),
    st.tuples(st.just("resume"), WHICH),
    st.tuples(st.just("rename"), WHICH),
    st.tuples(st.just("move"), WHICH, st.sampled_from([{"duration_s": 90.0}, {"aim": TIMES[1]}])),
    st.tuples(st.just("repeat"), WHICH, st.sampled_from(REPEATS)),
    st.tuples(st.just("snooze"), st.sampled_from([5.0, 540.0, 2 * HOUR_S])),
    st.tuples(st.just("stop")),
    st.tuples(st.just("cancel"), WHICH),
    st.tuples(st.just("restore")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("reboot"), SPANS_S),
    st.tuples(st.just("step"), st.sampled_from([-HOUR_S, -20.0, 20.0, HOUR_S / 2])),
    st.tuples(st.just("wait"), SPANS_S),
    st.tuples(st.just("disk full"), st.booleans()),
    # Often, or hardly anything would ring.
    *[st.tuples(st.just("until next"), st.sampled_from([0.0, 20.0, RING_S + 1.0])) for _ in range(5)],
)


async def perform(world: World, name: str, *values: Any) -> None:
    timers = world.timers
    match name:
        case "countdown":
            world.expected.add((await timers.set("timer", duration_s=values[0])).id)
        case "alarm":
            world.expected.add((await timers.set("alarm", aim=values[0], repeat=values[1])).id)
        case "interval":
            world.expected.add((await timers.set("reminder", repeat=values[0])).id)
        case "snooze":
            await timers.snooze(values[0])
        case "stop":
            timers.stop_ringing("voice")
        case "restore":
            if world.undo:
                record = world.undo.pop()
                world.forget_rings_of({record.id})
                world.expected.add((await timers.restore(record)).id)
        case "restart" | "reboot":
            await end_and_start(world, *values)
        case "disk full":
            await world.fill_disk(values[0])
        case "step":
            world.clock.step_wall(values[0])
            await wait(world, 1.1)
        case "wait":
            await wait(world, values[0])
        case "until next":
            entries = timers.list()
            next_s = [each.due_in_s for each in entries if not each.ringing and not each.paused]
            await wait(world, max(0.0, min(next_s, default=0.0)) + values[0])
        case _:
            await change(world, name, *values)


async def change(world: World, name: str, which: int, *values: Any) -> None:
    timers = world.timers
    entries = timers.list()
    if which >= len(entries):
        return
    id = entries[which].id
    before = timers.record(id)
    match name:
        case "extend":
            await timers.extend(id, values[0])
        case "pause":
            await timers.pause(id)
        case "resume":
            await timers.resume(id)
        case "rename":
            await timers.rename(id, f"{before.name}x"[-3:])
        case "move":
            await timers.move(id, **values[0])
        case "repeat":
            await timers.move(id, repeat=values[0])
        case "cancel":
            before = await timers.cancel(id)
            world.expected.remove(id)
    world.undo.append(before)


async def end_and_start(world: World, off_s: float | None = None) -> None:
    # What rings then rings again, and so does what has rung while the disk took no more.
    world.forget_rings_of({entry.id for entry in world.timers.ringing()} | world.stopped | world.late)
    await world.timers.close()
    if off_s is not None:
        world.boot += "x"
        world.undo.clear()
        # The moments of countdowns are counted from the start of the machine.
        world.rung = {(id, due) for id, due in world.rung if "-" in due}
        world.clock = FakeClock(monotonic=5.0, wall=world.clock.wall() + off_s)
    await world.start()


async def wait(world: World, seconds: float) -> None:
    end = world.clock.now + seconds
    while (left_s := end - world.clock.now) > 1e-6:
        next_s = [
            RING_S / 2 if each.ringing else each.due_in_s for each in world.timers.list() if not each.paused
        ]
        nap_s = min([left_s, *next_s]) - 1.0
        if nap_s > 0:
            world.clock.now += nap_s
            world.clock.wall_now += nap_s
        await world.clock.advance(min(1.0, end - world.clock.now))


async def live(operations: list[tuple[Any, ...]]) -> None:
    world = World()
    await world.start()
    for name, *values in operations:
        before = world.timers.list()
        ringing = {entry.id for entry in world.timers.ringing()}
        try:
            await perform(world, name, *values)
        except InvalidRequest:
            pass
        except StoreError:
            # Nothing of it happened, but that what rang may be silent.
            assert [each for each in before if each.id not in ringing] == [
                each for each in world.timers.list() if each.id not in ringing
            ]
        await world.check()
    await world.timers.close()


@settings(deadline=None)
@given(st.lists(OPERATIONS, min_size=4, max_size=14))
def test_no_sequence_of_changes_loses_a_timer_or_rings_wrongly(operations: list[tuple[Any, ...]]) -> None:
    asyncio.run(live(operations))
