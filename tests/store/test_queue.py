"""The queue keeps its order and its promises, and no clock makes it forget."""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.fakes import FakeClock
from tests.properties import examples
from voxd.config import schema
from voxd.errors import NotFound, StoreError
from voxd.store import queue
from voxd.store.db import Database
from voxd.store.queue import (
    BEHIND_FAULTS,
    DELIVERED_KEPT,
    LONGEST_REST_S,
    MAX_FAULTS,
    DroppedUtterance,
    Fault,
    QueuedUtterance,
    UtteranceQueue,
)

HOUR_S = 3600.0
YEAR_S = 365.25 * 86_400


class Desk:
    """A queue with a database and a clock of its own."""

    def __init__(self, path: Path, **config: object) -> None:
        self.clock = FakeClock()
        self.database = Database(path)
        self.queue = UtteranceQueue(self.database, schema.Queue(**config), self.clock, boot="b")

    async def add(self, text: str, agent: str = "default") -> str:
        return await self.queue.add(agent, text=text, duration_ms=0)

    async def answer(self, id: str, reply: str = "yes") -> bool:
        return await self.queue.answer(id, provider="cloud", transcript="really", reply=reply)

    async def fail(self, blame: Fault) -> tuple[str, DroppedUtterance | None]:
        """Take the next one and put it back; returns its text and whether it is given up."""
        kept = await self.queue.take()
        assert kept is not None
        return kept.text, await self.queue.put_back(kept.id, "server_error", blame)

    async def states(self) -> list[str]:
        return [entry.state for entry in await self.queue.entries()]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "voxd.db")
    await made.database.open()
    yield made
    await made.database.close()


async def test_an_utterance_goes_from_waiting_to_answered_to_delivered(desk: Desk) -> None:
    id = await desk.queue.add("kitchen", flac=b"fLaC sound", duration_ms=1500)
    assert await desk.queue.pending() == 1
    assert await desk.queue.take() == QueuedUtterance(id, "kitchen", b"fLaC sound", "", 0.0)
    await desk.clock.advance(90)
    assert await desk.answer(id)
    [late] = await desk.queue.undelivered()
    assert (late.id, late.agent, late.provider, late.transcript, late.reply, late.age_s) == (
        id, "kitchen", "cloud", "really", "yes", 90.0,
    )  # fmt: skip
    await desk.queue.deliver(id)
    assert await desk.queue.undelivered() == []
    assert await desk.states() == ["delivered"]
    assert await desk.queue.pending() == 0


async def test_a_typed_question_waits_too(desk: Desk) -> None:
    id = await desk.add("who is tom")
    assert await desk.queue.take() == QueuedUtterance(id, "default", None, "who is tom", 0.0)


async def test_they_are_given_out_in_order_and_never_to_two(desk: Desk) -> None:
    ids = [await desk.add(str(number)) for number in range(3)]
    taken = [await desk.queue.take() for _ in range(4)]
    assert [kept.id if kept else None for kept in taken] == [*ids, None]


async def test_agents_with_an_unhealthy_provider_are_skipped(desk: Desk) -> None:
    await desk.add("one", "ill")
    await desk.add("two", "well")
    kept = await desk.queue.take({"ill", "also ill"})
    assert kept is not None
    assert kept.agent == "well"
    assert await desk.queue.take({"ill"}) is None


async def test_the_list_shows_the_state_without_any_transcript(desk: Desk) -> None:
    id = await desk.queue.add("default", flac=b"123456", duration_ms=700)
    await desk.fail(Fault.UNKNOWN)
    await desk.clock.advance(5)
    [entry] = await desk.queue.entries()
    assert (entry.id, entry.agent, entry.state, entry.time) == (id, "default", "waiting", 1_800_000_000.0)
    assert (entry.duration_ms, entry.bytes, entry.attempts, entry.problem, entry.age_s) == (
        700, 6, 1, "server_error", 5.0,
    )  # fmt: skip


# --- failures -------------------------------------------------------------------------------------


async def test_an_entry_with_an_unreachable_provider_keeps_its_place(desk: Desk) -> None:
    await desk.add("one")
    await desk.add("two")
    for _ in range(5 * MAX_FAULTS):
        assert await desk.fail(Fault.NONE) == ("one", None)


async def test_one_that_fails_again_and_again_lets_the_others_pass_and_is_never_given_up(desk: Desk) -> None:
    await desk.add("poison")
    await desk.add("good")
    for _ in range(BEHIND_FAULTS):
        assert await desk.fail(Fault.UNKNOWN) == ("poison", None)
    good = await desk.queue.take()
    assert good is not None
    assert good.text == "good"
    assert await desk.queue.take() is None, "it rests"
    for _ in range(3 * MAX_FAULTS):
        await desk.clock.advance(LONGEST_REST_S)
        assert await desk.fail(Fault.UNKNOWN) == ("poison", None)


async def test_one_that_is_refused_again_and_again_is_given_up(desk: Desk) -> None:
    id = await desk.add("poison")
    for _ in range(MAX_FAULTS - 1):
        assert await desk.fail(Fault.UTTERANCE) == ("poison", None)
        await desk.clock.advance(LONGEST_REST_S)
    assert await desk.fail(Fault.UTTERANCE) == ("poison", DroppedUtterance(id, "default"))
    assert await desk.states() == []


async def test_one_that_ends_the_process_again_and_again_is_given_up(desk: Desk) -> None:
    id = await desk.add("poison")
    for _ in range(MAX_FAULTS - 1):
        assert await desk.queue.take()
        assert await desk.queue.recover(crashed=True) == []
        await desk.clock.advance(LONGEST_REST_S)
    assert await desk.queue.take()
    assert await desk.queue.recover(crashed=True) == [DroppedUtterance(id, "default")]


async def test_entries_taken_by_an_ended_process_are_delivered_again(desk: Desk) -> None:
    id = await desk.add("one")
    await desk.queue.take()
    assert await desk.queue.take() is None
    assert await desk.queue.recover(crashed=True) == []
    kept = await desk.queue.take()
    assert kept is not None
    assert kept.id == id


async def test_what_never_came_back_though_its_process_lives_is_nobodys_fault(desk: Desk) -> None:
    await desk.add("one")
    for _ in range(2 * MAX_FAULTS):
        assert await desk.queue.take()
        assert await desk.queue.recover(crashed=False) == []


async def test_an_answer_to_a_dropped_entry_is_discarded(desk: Desk) -> None:
    id = await desk.add("one")
    await desk.queue.take()
    assert await desk.queue.drop(id) == [DroppedUtterance(id, "default")]
    assert not await desk.answer(id)
    assert await desk.queue.put_back(id, "x", Fault.UTTERANCE) is None
    assert await desk.queue.undelivered() == []


async def test_it_is_answered_once(desk: Desk) -> None:
    id = await desk.add("one")
    assert await desk.answer(id, "first")
    assert not await desk.answer(id, "second")
    [late] = await desk.queue.undelivered()
    assert late.reply == "first"


async def test_delivering_is_one_transaction_with_what_goes_along(desk: Desk) -> None:
    id = await desk.add("one")
    await desk.answer(id)
    done: list[str] = []

    def fails(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("no")

    with pytest.raises(StoreError):
        await desk.queue.deliver(id, fails)
    assert await desk.states() == ["answered"]
    for _ in range(2):
        await desk.queue.deliver(id, lambda connection: done.append(id))
    assert done == [id], "a second delivery finds nothing to do"


# --- bounds ---------------------------------------------------------------------------------------


async def test_a_full_queue_refuses_and_drops_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "voxd.db", max_utterances=2)
    await desk.database.open()
    ids = [await desk.add("one"), await desk.add("two")]
    with pytest.raises(StoreError, match="full") as caught:
        await desk.add("three")
    assert (caught.value.code, "voxctl queue list" in caught.value.hint) == ("queue_full", True)
    assert [entry.id for entry in await desk.queue.entries()] == ids
    await desk.answer(ids[0])
    await desk.queue.deliver(ids[0])
    await desk.add("three")
    desk.queue.configure(schema.Queue(max_utterances=3))
    await desk.add("four")
    await desk.database.close()


async def test_sound_is_counted_by_its_size(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "voxd.db", max_size_mb=0.001)
    await desk.database.open()
    id = await desk.queue.add("default", flac=bytes(900), duration_ms=1)
    with pytest.raises(StoreError, match="full"):
        await desk.queue.add("default", flac=bytes(200), duration_ms=1)
    await desk.answer(id)
    await desk.queue.add("default", flac=bytes(200), duration_ms=1)
    await desk.database.close()


async def test_what_waits_for_too_long_is_dropped_and_said(desk: Desk) -> None:
    old = await desk.add("old")
    answered = await desk.add("answered")
    await desk.answer(answered)
    await desk.clock.advance(71 * HOUR_S)
    await desk.add("young")
    assert await desk.queue.prune() == []
    await desk.clock.advance(2 * HOUR_S)
    assert await desk.queue.prune() == [DroppedUtterance(old, "default")]
    assert await desk.states() == ["answered", "waiting"], "an answer is delivered however old it is"


@pytest.mark.parametrize("step_s", [56 * YEAR_S, -50 * YEAR_S, 100 * HOUR_S])
async def test_a_step_of_the_wall_clock_drops_nothing(desk: Desk, step_s: float) -> None:
    await desk.add("one")
    desk.clock.step_wall(step_s)
    await desk.add("two")
    assert await desk.queue.prune() == []
    assert [entry.age_s for entry in await desk.queue.entries()] == [0.0, 0.0]


async def test_traces_of_deliveries_are_bounded(desk: Desk) -> None:
    for number in range(DELIVERED_KEPT + 5):
        id = await desk.add(str(number))
        await desk.answer(id)
        await desk.queue.deliver(id)
    await desk.queue.prune()
    assert len(await desk.states()) == DELIVERED_KEPT
    await desk.clock.advance(73 * HOUR_S)
    await desk.queue.prune()
    assert await desk.states() == []


# --- what a person may do -------------------------------------------------------------------------


async def test_retrying_ends_a_rest(desk: Desk) -> None:
    id = await desk.add("poison")
    for _ in range(BEHIND_FAULTS):
        await desk.fail(Fault.UNKNOWN)
    assert await desk.queue.take() is None
    assert await desk.queue.retry(id) == 1
    assert await desk.queue.take()
    assert await desk.queue.retry() == 1
    with pytest.raises(NotFound):
        await desk.queue.retry("none")


async def test_dropping_one_or_all(desk: Desk) -> None:
    ids = [await desk.add(str(number)) for number in range(3)]
    assert await desk.queue.drop(ids[1]) == [DroppedUtterance(ids[1], "default")]
    with pytest.raises(NotFound):
        await desk.queue.drop(ids[1])
    assert [gone.id for gone in await desk.queue.drop()] == [ids[0], ids[2]]
    assert await desk.queue.drop() == []


async def test_forgetting_leaves_no_word_and_no_sound_in_any_file(desk: Desk) -> None:
    await desk.queue.add("default", flac=b"the sound of a secret" * 500, duration_ms=1)
    typed = await desk.add("my typed secret")
    answered = await desk.add("my other secret")
    await desk.answer(answered, "a secret reply")
    delivered = await desk.add("my old secret")
    await desk.answer(delivered, "a delivered secret")
    await desk.queue.deliver(delivered)
    gone = await desk.queue.forget()
    assert len(gone) == 3
    assert typed in {each.id for each in gone}
    assert await desk.states() == []
    left = b"".join(file.read_bytes() for file in desk.database.path.parent.iterdir())
    assert b"secret" not in left


async def test_a_delivered_answer_leaves_no_word_in_the_database(desk: Desk) -> None:
    id = await desk.add("my secret question")
    await desk.answer(id, "a secret reply")
    await desk.queue.deliver(id)
    await desk.database.maintain("PRAGMA wal_checkpoint(TRUNCATE)")
    left = b"".join(file.read_bytes() for file in desk.database.path.parent.iterdir())
    assert b"secret" not in left


# --- disks ----------------------------------------------------------------------------------------


async def test_a_database_in_memory_promises_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "state"
    blocked.write_text("")
    desk = Desk(blocked / "voxd.db")
    await desk.database.open()
    with pytest.raises(StoreError, match="nothing will be remembered"):
        await desk.add("one")
    assert await desk.states() == []
    await desk.database.close()


async def test_a_full_disk_promises_nothing_and_keeps_what_was_promised(desk: Desk) -> None:
    id = await desk.add("one")
    pages = await desk.database.run(lambda c: int(c.execute("PRAGMA page_count").fetchone()[0]))
    await desk.database.maintain(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"):
        await desk.queue.add("default", flac=bytes(100_000), duration_ms=1)
    assert [entry.id for entry in await desk.queue.entries()] == [id]


async def test_the_last_of_the_disk_is_left_to_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage(desk.database.path.parent).free
    monkeypatch.setattr(queue, "RESERVE_BYTES", 2 * free)
    with pytest.raises(StoreError, match="nearly full") as caught:
        await desk.add("one")
    assert "free some space" in caught.value.hint
    assert await desk.states() == []


OPERATIONS = st.lists(
    st.sampled_from(["add", "take", "answer", "deliver", "none", "unknown", "recover", "drop"]), max_size=40
)


@examples(50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
async def test_whatever_happens_what_was_accepted_is_there_until_it_is_delivered_or_dropped(
    desk: Desk, operations: list[str]
) -> None:
    await desk.queue.forget()
    state: dict[str, str] = {}
    taken: list[str] = []
    for operation in operations:
        waiting = [id for id, is_in in state.items() if is_in == "waiting"]
        answered = [id for id, is_in in state.items() if is_in == "answered"]
        match operation:
            case "add":
                state[await desk.add("x")] = "waiting"
            case "take" if kept := await desk.queue.take():
                assert kept.id in waiting
                assert kept.id not in taken
                taken.append(kept.id)
            case "answer" if taken:
                id = taken.pop(0)
                assert await desk.answer(id) == (state.get(id) == "waiting")
                state.update({id: "answered"} if id in state else {})
            case "deliver" if answered:
                await desk.queue.deliver(answered[0])
                state[answered[0]] = "delivered"
            case "none" | "unknown" if taken:
                assert await desk.queue.put_back(taken.pop(), "x", Fault(operation)) is None
            case "recover":
                await desk.queue.recover(crashed=True)
                taken.clear()
            case "drop" if waiting:
                await desk.queue.drop(waiting[-1])
                del state[waiting[-1]]
    assert {entry.id: entry.state for entry in await desk.queue.entries()} == state
