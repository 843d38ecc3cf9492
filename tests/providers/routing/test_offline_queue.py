"""Questions that waited are asked in order, beside the conversation, and their answers delivered."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import FakeClock, RecordingEmit
from tests.payloads import problem
from voxd.config import schema
from voxd.errors import (
    AudioError,
    AuthenticationError,
    Busy,
    ConnectionFailed,
    ContextTooLong,
    DeviceError,
    NotFound,
    ProviderError,
    RateLimited,
    SpendLimitReached,
    StoreError,
    StreamError,
    VoxdError,
)
from voxd.events import Event
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.providers.contract import ReplyAudio, ReplyEnd, ReplyItem, ReplyText, Transcript
from voxd.providers.routing import deferred as asker
from voxd.providers.routing.deferred import blame_for
from voxd.providers.routing.offline_queue import FIRST_S, LONGEST_ROUND_S, ROUND_S, OfflineQueue, spoken_late
from voxd.store.db import Database
from voxd.store.history import HistoryStore
from voxd.store.kept import DeferredAnswer, Fault
from voxd.store.queue import MAX_FAULTS, UtteranceQueue
from voxd.turn.machine import RESTING

CLIP = Clip(np.arange(-8000, 8000, dtype="<i2").tobytes(), SAMPLE_RATE_HZ)
DOWN = ConnectionFailed("no network")
HOUR_S = 3600.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


class Cloud:
    """Whoever is asked: answers, fails as told, or waits while ``open`` is not set."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Clip | str]] = []
        self.ages_s: list[float] = []
        self.faults: dict[str, Exception] = {}
        self.silent = False
        self.open = asyncio.Event()
        self.open.set()
        self.waits = self.cancelled = 0

    def ask(self, agent: str, said: Clip | str, age_s: float) -> tuple[str, AsyncGenerator[ReplyItem]]:
        self.ages_s.append(age_s)
        return f"provider of {agent}", self.answer(agent, said)

    async def answer(self, agent: str, said: Clip | str) -> AsyncGenerator[ReplyItem]:
        self.asked.append((agent, said))
        try:
            self.waits += 1
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        for fault in (self.faults.get(agent), self.faults.get(str(said))):
            if fault is not None:
                raise type(fault)(str(fault))
        heard = said if isinstance(said, str) else "how far is the moon"
        yield Transcript("how", False, "cloud")
        yield Transcript("" if self.silent else heard, True, "cloud")
        if not self.silent:
            yield ReplyText("Quite")
            yield ReplyAudio(CLIP)
            yield ReplyText("far.")
        yield ReplyEnd()

    @property
    def texts(self) -> list[Clip | str]:
        return [said for _, said in self.asked]


class House:
    """OfflineQueue with a database, a clock, a cloud and a loudspeaker of their own."""

    def __init__(self, path: Path, **config: Any) -> None:
        self.clock = FakeClock()
        self.database = Database(path / "voxd.db")
        self.emit = RecordingEmit()
        self.cloud = Cloud()
        self.said: list[str] = []
        self.refusals: list[VoxdError] = []
        self._numbers = itertools.count(1)
        settings = schema.Queue(**config)
        self.queue = UtteranceQueue(self.database, settings, self.clock, boot="b")
        self.history = HistoryStore(self.database, schema.History(), self.clock, boot="b")
        self.late = OfflineQueue(
            self.queue,
            self.history,
            settings,
            ask=self.cloud.ask,
            announce=self._announce,
            emit=self.emit,
            clock=self.clock,
            resting_states=RESTING,
        )

    async def _announce(self, text: str) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.said.append(text)

    async def open(self) -> None:
        await self.database.open()
        await self.start()

    async def start(self) -> None:
        self.late.start()
        await until(lambda: bool(self.clock._sleepers))
        assert self.cloud.asked == self.emit.events == []
        await self.next_round(FIRST_S)

    async def resting(self) -> None:
        """Wait until nothing is done before a clock or an event says so."""
        worker = self.late._worker
        assert worker is not None
        await until(lambda: self._rests())

    def _rests(self) -> bool:
        return not self.late._wake.is_set() and (
            bool([each for each in self.clock._sleepers if not each[2].done()])
            or not self.late._some.is_set()
        )

    def hear(self, type: str, **data: Any) -> None:
        self.late.handle(Event(next(self._numbers), type, 0.0, None, data))

    def turn(self, begins: bool) -> None:
        self.hear("state.changed", **{"from": "x", "to": "listening" if begins else "idle"})

    async def restored(self) -> None:
        self.hear("provider.restored", provider="cloud")
        await self.resting()

    async def next_round(self, seconds: float = ROUND_S) -> None:
        await self.clock.advance(seconds)
        await self.resting()

    def told(self, type: str) -> list[dict[str, Any]]:
        return [data for each, data in self.emit.events if each == type]

    async def close(self) -> None:
        await self.late.close()
        await self.database.close()
        assert [found for type, data in self.emit.events if (found := problem(type, data))] == []


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.open()
    yield made
    await made.close()


async def test_a_question_is_kept_and_answered_when_the_provider_is_well_again(house: House) -> None:
    assert await house.late.keep("kitchen", CLIP, "")
    [added] = house.told("queue.added")
    assert (added["agent"], added["duration_ms"], house.late.waiting) == ("kitchen", 1000, 1)
    await house.clock.advance(20)
    assert house.cloud.asked == []
    await house.restored()
    assert house.cloud.asked == [("kitchen", CLIP)], "every sample of it"
    assert house.cloud.ages_s == [20.0]
    [answered] = house.told("queue.answered")
    assert answered == {
        "id": added["id"],
        "agent": "kitchen",
        "provider": "provider of kitchen",
        "transcript": "how far is the moon",
        "reply": "Quite far.",
        "age_s": 20.0,
    }
    assert (house.late.waiting, house.said) == (0, [])
    [remembered] = await house.history.newest(5)
    assert (remembered.source, remembered.turn, remembered.transcript, remembered.reply) == (
        "queue", added["id"], "how far is the moon", "Quite far.",
    )  # fmt: skip


async def test_questions_are_asked_in_order_one_after_the_other(house: House) -> None:
    for text in ("one", "two", "three"):
        await house.late.keep("default", None, text)
    await house.restored()
    assert house.cloud.texts == ["one", "two", "three"]
    assert [data["transcript"] for data in house.told("queue.answered")] == ["one", "two", "three"]


async def test_without_any_event_it_is_tried_now_and_then_and_less_and_less_often(house: House) -> None:
    house.cloud.faults["default"] = DOWN
    await house.late.keep("default", None, "one")
    waits_s = [*(ROUND_S * 2**number for number in range(7)), LONGEST_ROUND_S, LONGEST_ROUND_S]
    for number, wait_s in enumerate(waits_s):
        await house.next_round(wait_s - 1)
        assert len(house.cloud.asked) == number
        await house.next_round(1)
        assert len(house.cloud.asked) == number + 1
    del house.cloud.faults["default"]
    await house.next_round(LONGEST_ROUND_S)
    assert house.late.waiting == 0


async def test_nothing_is_done_while_nothing_waits(house: House) -> None:
    assert not house.clock._sleepers
    changes = await house.database.run(lambda connection: connection.total_changes)
    await house.clock.advance(10 * LONGEST_ROUND_S)
    assert await house.database.run(lambda connection: connection.total_changes) == changes


# --- live turns -----------------------------------------------------------------------------------


async def test_a_turn_is_never_disturbed(house: House) -> None:
    await house.late.keep("default", None, "one")
    house.turn(True)
    house.hear("provider.restored", provider="cloud")
    await until(lambda: not house.late._wake.is_set())
    await house.clock.advance(0)
    assert house.cloud.asked == []
    house.turn(False)
    await house.resting()
    assert house.cloud.texts == ["one"]


async def test_it_gives_way_to_a_turn_and_asks_again_after_it(house: House) -> None:
    house.cloud.open.clear()
    for text in ("one", "two"):
        await house.late.keep("default", None, text)
    house.hear("provider.restored", provider="cloud")
    await until(lambda: house.cloud.waits == 1)
    house.turn(True)
    await until(lambda: house.cloud.cancelled == 1)
    house.cloud.open.set()
    await house.clock.advance(0)
    assert house.cloud.texts == ["one"]
    house.turn(False)
    await house.resting()
    assert house.cloud.texts == ["one", "one", "two"]
    assert len(house.told("queue.answered")) == 2
    assert {entry.problem for entry in await house.late.entries()} == {""}, "nobody is to blame"


async def test_what_is_being_asked_when_the_device_stops_is_asked_after_the_next_start(
    house: House, tmp_path: Path
) -> None:
    house.cloud.open.clear()
    await house.late.keep("default", None, "one")
    house.hear("provider.restored", provider="cloud")
    await until(lambda: house.cloud.waits == 1)
    async with asyncio.timeout(5):
        await house.late.close()
    again = House(tmp_path)
    await again.open()
    assert again.cloud.texts == ["one"]
    assert len(again.told("queue.answered")) == 1
    await again.close()


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "blame"),
    [
        (DOWN, Fault.NOBODY),
        (RateLimited("later"), Fault.NOBODY),
        (AuthenticationError("no"), Fault.NOBODY),
        (SpendLimitReached("no money"), Fault.NOBODY),
        (ProviderError("no such model", code="model_not_found"), Fault.NOBODY),
        (ProviderError("oops", code="server_error"), Fault.UNSURE),
        (ProviderError("oops", code="middleware_failed"), Fault.UNSURE),
        (StreamError("broke off"), Fault.UNSURE),
        (ProviderError("slow", code="timeout"), Fault.UNSURE),
        (ProviderError("no", code="refused"), Fault.UNSURE),
        (ContextTooLong("too long"), Fault.UTTERANCE),
        (VoxdError("a bug"), Fault.UTTERANCE),
        (AudioError("damaged"), None),
        (ProviderError("short", code="audio_too_short"), None),
    ],
)
def test_whose_fault_it_is(error: VoxdError, blame: Fault | None) -> None:
    assert blame_for(error) is blame


async def test_an_ill_provider_keeps_only_its_own_agents_waiting(house: House) -> None:
    house.cloud.faults["ill"] = DOWN
    for agent, text in (("ill", "one"), ("ill", "two"), ("well", "three")):
        await house.late.keep(agent, None, text)
    await house.restored()
    assert house.cloud.texts == ["one", "three"]
    house.cloud.faults.clear()
    await house.restored()
    assert house.cloud.texts == ["one", "three", "one", "two"]


async def test_a_question_that_breaks_the_provider_does_not_block_the_others_for_ever(house: House) -> None:
    house.cloud.faults["poison"] = StreamError("broke off")
    for text in ("poison", "good", "better"):
        await house.late.keep("default", None, text)
    for _ in range(4):
        await house.restored()
    assert [data["transcript"] for data in house.told("queue.answered")] == ["good", "better"]
    assert [entry.problem for entry in await house.late.entries() if entry.state == "waiting"] == [
        "stream_failed"
    ]


async def test_a_bug_does_not_block_the_others_and_is_given_up(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.cloud.faults["poison"] = ZeroDivisionError("the poison is secret")
    for text in ("poison", "good"):
        await house.late.keep("default", None, text)
    for _ in range(MAX_FAULTS):
        await house.restored()
        await house.clock.advance(6 * HOUR_S)
        await house.resting()
    assert [data["transcript"] for data in house.told("queue.answered")] == ["good"]
    assert [data["reason"] for data in house.told("queue.dropped")] == ["internal"]
    assert "secret" not in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_an_answer_that_the_disk_does_not_take_is_asked_for_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.late.keep("default", None, "one")

    async def full(*_: object, **__: object) -> bool:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(house.queue, "answer", full)
        patch.setattr(house.queue, "put_back", full)
        for _ in range(2 * MAX_FAULTS):
            await house.restored()
    assert house.told("queue.answered") == house.told("queue.dropped") == []
    await house.restored()
    assert [data["transcript"] for data in house.told("queue.answered")] == ["one"]


async def test_sound_without_words_is_given_up(house: House) -> None:
    house.cloud.silent = True
    await house.late.keep("default", CLIP, "")
    await house.restored()
    assert [data["reason"] for data in house.told("queue.dropped")] == ["nothing_said"]
    assert house.late.waiting == 0


async def test_damaged_sound_is_given_up(house: House) -> None:
    await house.queue.add("default", flac=b"fLaC but not really", duration_ms=100)
    await house.late.keep("default", None, "good")
    await house.restored()
    assert [data["reason"] for data in house.told("queue.dropped")] == ["audio_failed"]
    assert house.cloud.texts == ["good"]


async def test_an_answer_that_never_ends_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker, "ASK_S", 0.01)
    house.cloud.open.clear()
    await house.late.keep("default", None, "one")
    await house.restored()
    [entry] = await house.late.entries()
    assert (entry.state, entry.problem) == ("waiting", "timeout")


async def test_questions_that_are_too_old_are_dropped_and_said(house: House) -> None:
    house.cloud.faults["default"] = DOWN
    await house.late.keep("default", None, "one")
    await house.clock.advance(73 * HOUR_S)
    await house.restored()
    assert [data["reason"] for data in house.told("queue.dropped")] == ["too_old"]
    assert house.late.waiting == 0


# --- keeping --------------------------------------------------------------------------------------


async def test_nothing_is_promised_when_the_queue_is_full(tmp_path: Path) -> None:
    house = House(tmp_path, max_utterances=1)
    await house.open()
    assert await house.late.keep("default", None, "one")
    assert not await house.late.keep("default", None, "two")
    assert "the queue is full" in house.late.problem
    [error] = house.told("error")
    assert (error["code"], len(house.told("queue.added"))) == ("queue_full", 1)
    await house.restored()
    assert await house.late.keep("default", None, "three")
    assert house.late.problem == ""
    await house.close()


async def test_nothing_is_promised_without_a_disk(tmp_path: Path) -> None:
    (tmp_path / "voxd.db").mkdir()
    house = House(tmp_path)
    await house.open()
    assert not await house.late.keep("default", CLIP, "")
    assert house.told("queue.added") == []
    assert [data["code"] for data in house.told("error")] == ["store_failed"]
    await house.close()


@pytest.mark.parametrize(("clip", "text"), [(None, ""), (Clip(b"", 16_000), "")])
async def test_there_is_nothing_to_keep_of_nothing(house: House, clip: Clip | None, text: str) -> None:
    assert not await house.late.keep("default", clip, text)
    assert house.late.waiting == 0


async def test_a_queue_that_is_off_keeps_nothing_and_still_answers_what_waits(house: House) -> None:
    await house.late.keep("default", None, "one")
    house.late.configure(schema.Queue(enabled=False))
    assert not await house.late.keep("default", None, "two")
    await house.resting()
    assert house.cloud.texts == ["one"]


async def test_whoever_is_chosen_by_hand_is_asked_at_once(house: House) -> None:
    await house.late.keep("default", None, "one")
    changed = {"from": "cloud", "to": "local"}
    house.hear("provider.changed", **changed, reason="timeout")
    await house.resting()
    assert house.cloud.texts == []
    house.hear("provider.changed", **changed, reason="requested")
    await house.resting()
    assert house.cloud.texts == ["one"]


# --- delivering -----------------------------------------------------------------------------------


async def test_an_answer_that_a_crash_kept_back_is_delivered_after_the_start_under_the_same_id(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    await house.database.open()
    id = await house.queue.add("default", text="one", duration_ms=0)
    await house.queue.answer(id, provider="cloud", transcript="one", reply="Yes.")
    await house.start()
    assert [data["id"] for data in house.told("queue.answered")] == [id]
    await house.close()
    again = House(tmp_path)
    await again.open()
    assert again.told("queue.answered") == []
    await again.close()


async def test_a_late_answer_is_said_aloud_when_the_room_is_quiet(tmp_path: Path) -> None:
    house = House(tmp_path, speak=True)
    await house.open()
    house.refusals = [Busy("somebody speaks")]
    await house.late.keep("default", CLIP, "")
    await house.restored()
    assert house.said == ["Earlier you asked: how far is the moon. Quite far."]
    assert house.late.waiting == 0
    await house.close()


async def test_an_answer_that_cannot_be_said_is_delivered_all_the_same(tmp_path: Path) -> None:
    house = House(tmp_path, speak=True)
    await house.open()
    house.refusals = [DeviceError("no loudspeaker")]
    await house.late.keep("default", None, "one")
    await house.restored()
    assert (house.said, house.late.waiting, len(house.told("queue.answered"))) == ([], 0, 1)
    assert len(await house.history.newest(5)) == 1
    await house.close()


@pytest.mark.parametrize(
    ("transcript", "sentence"),
    [
        ("How far is it?", "Earlier you asked: How far is it. Far."),
        ("", "To your earlier question: Far."),
    ],
)
def test_the_announcement(transcript: str, sentence: str) -> None:
    assert spoken_late(DeferredAnswer("1", "default", "cloud", transcript, "Far.", 9.0)) == sentence


# --- what a person may do -------------------------------------------------------------------------


async def test_forgetting_ends_what_is_being_asked(house: House) -> None:
    house.cloud.open.clear()
    for text in ("one", "two"):
        await house.late.keep("default", None, text)
    house.hear("provider.restored", provider="cloud")
    await until(lambda: house.cloud.waits == 1)
    assert await house.late.forget() == 2
    await until(lambda: house.cloud.cancelled == 1)
    await house.resting()
    assert (house.late.waiting, await house.late.entries(), house.told("queue.answered")) == (0, [], [])
    assert [data["reason"] for data in house.told("queue.dropped")] == ["forgotten"] * 2


async def test_what_is_dropped_while_it_is_asked_is_not_delivered(house: House) -> None:
    house.cloud.open.clear()
    await house.late.keep("default", None, "one")
    house.hear("provider.restored", provider="cloud")
    await until(lambda: house.cloud.waits == 1)
    [entry] = await house.late.entries()
    assert await house.late.drop(entry.id) == 1
    house.cloud.open.set()
    await house.resting()
    assert (house.told("queue.answered"), len(house.told("queue.dropped"))) == ([], 1)


async def test_retrying_asks_at_once(house: House) -> None:
    house.cloud.faults["default"] = DOWN
    await house.late.keep("default", None, "one")
    await house.restored()
    house.cloud.faults.clear()
    assert await house.late.retry(None) == 1
    await house.resting()
    assert house.late.waiting == 0
    with pytest.raises(NotFound):
        await house.late.retry("nobody")
    with pytest.raises(NotFound):
        await house.late.drop("nobody")
