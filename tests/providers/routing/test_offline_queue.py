"""Queued questions are asked in order, beside the conversation, and their answers delivered."""

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
from voxd.providers.routing import offline_queue
from voxd.providers.routing.offline_queue import (
    MAX_ROUND_S,
    ROUND_S,
    START_DELAY_S,
    OfflineQueue,
    blame_for,
    spoken_late,
)
from voxd.store.db import Database
from voxd.store.history import HistoryStore
from voxd.store.queue import MAX_FAULTS, DeferredAnswer, Fault, UtteranceQueue
from voxd.turn.machine import RESTING

CLIP = Clip(np.arange(-8000, 8000, dtype="<i2").tobytes(), SAMPLE_RATE_HZ)
DOWN = ConnectionFailed("no network")
HOUR_S = 3600.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


class Cloud:
    """A provider that answers, fails as set, or waits while ``open`` is not set."""

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


class Rig:
    """An offline queue with a database, a clock, a provider and a loudspeaker of its own."""

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
        self.offline = OfflineQueue(
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
        self.offline.start()
        await until(lambda: bool(self.clock._sleepers))
        assert self.cloud.asked == self.emit.events == []
        await self.next_round(START_DELAY_S)

    async def resting(self) -> None:
        """Wait until nothing is done before a clock or an event says so."""
        await until(self._rests)

    def _rests(self) -> bool:
        return not self.offline._wake.is_set() and (
            bool([each for each in self.clock._sleepers if not each[2].done()])
            or not self.offline._some.is_set()
        )

    def receive(self, type: str, **data: Any) -> None:
        self.offline.handle(Event(next(self._numbers), type, 0.0, None, data))

    def turn(self, begins: bool) -> None:
        self.receive("state.changed", **{"from": "x", "to": "listening" if begins else "idle"})

    async def restored(self) -> None:
        self.receive("provider.restored", provider="cloud")
        await self.resting()

    async def next_round(self, seconds: float = ROUND_S) -> None:
        await self.clock.advance(seconds)
        await self.resting()

    def emitted(self, type: str) -> list[dict[str, Any]]:
        return [data for each, data in self.emit.events if each == type]

    async def close(self) -> None:
        await self.offline.close()
        await self.database.close()
        assert [found for type, data in self.emit.events if (found := problem(type, data))] == []


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    await made.open()
    yield made
    await made.close()


async def test_a_question_is_kept_and_answered_when_the_provider_has_recovered(rig: Rig) -> None:
    assert await rig.offline.keep("kitchen", CLIP, "")
    [added] = rig.emitted("queue.added")
    assert (added["agent"], added["duration_ms"], rig.offline.waiting) == ("kitchen", 1000, 1)
    await rig.clock.advance(20)
    assert rig.cloud.asked == []
    await rig.restored()
    assert rig.cloud.asked == [("kitchen", CLIP)], "every sample"
    assert rig.cloud.ages_s == [20.0]
    [answered] = rig.emitted("queue.answered")
    assert answered == {
        "id": added["id"],
        "agent": "kitchen",
        "provider": "provider of kitchen",
        "transcript": "how far is the moon",
        "reply": "Quite far.",
        "age_s": 20.0,
    }
    assert (rig.offline.waiting, rig.said) == (0, [])
    [remembered] = await rig.history.newest(5)
    assert (remembered.source, remembered.turn, remembered.transcript, remembered.reply) == (
        "queue", added["id"], "how far is the moon", "Quite far.",
    )  # fmt: skip


async def test_questions_are_asked_in_order_one_after_the_other(rig: Rig) -> None:
    for text in ("one", "two", "three"):
        await rig.offline.keep("default", None, text)
    await rig.restored()
    assert rig.cloud.texts == ["one", "two", "three"]
    assert [data["transcript"] for data in rig.emitted("queue.answered")] == ["one", "two", "three"]


async def test_without_an_event_rounds_become_rarer(rig: Rig) -> None:
    rig.cloud.faults["default"] = DOWN
    await rig.offline.keep("default", None, "one")
    waits_s = [*(ROUND_S * 2**number for number in range(7)), MAX_ROUND_S, MAX_ROUND_S]
    for number, wait_s in enumerate(waits_s):
        await rig.next_round(wait_s - 1)
        assert len(rig.cloud.asked) == number
        await rig.next_round(1)
        assert len(rig.cloud.asked) == number + 1
    del rig.cloud.faults["default"]
    await rig.next_round(MAX_ROUND_S)
    assert rig.offline.waiting == 0


async def test_an_empty_queue_causes_no_work(rig: Rig) -> None:
    assert not rig.clock._sleepers
    changes = await rig.database.run(lambda connection: connection.total_changes)
    await rig.clock.advance(10 * MAX_ROUND_S)
    assert await rig.database.run(lambda connection: connection.total_changes) == changes


# --- live turns -----------------------------------------------------------------------------------


async def test_no_question_is_asked_during_a_turn(rig: Rig) -> None:
    await rig.offline.keep("default", None, "one")
    rig.turn(True)
    rig.receive("provider.restored", provider="cloud")
    await until(lambda: not rig.offline._wake.is_set())
    await rig.clock.advance(0)
    assert rig.cloud.asked == []
    rig.turn(False)
    await rig.resting()
    assert rig.cloud.texts == ["one"]


async def test_a_turn_interrupts_a_deferred_question_which_is_asked_again_after_it(rig: Rig) -> None:
    rig.cloud.open.clear()
    for text in ("one", "two"):
        await rig.offline.keep("default", None, text)
    rig.receive("provider.restored", provider="cloud")
    await until(lambda: rig.cloud.waits == 1)
    rig.turn(True)
    await until(lambda: rig.cloud.cancelled == 1)
    rig.cloud.open.set()
    await rig.clock.advance(0)
    assert rig.cloud.texts == ["one"]
    rig.turn(False)
    await rig.resting()
    assert rig.cloud.texts == ["one", "one", "two"]
    assert len(rig.emitted("queue.answered")) == 2
    assert {entry.problem for entry in await rig.offline.entries()} == {""}, "no failure"


async def test_what_is_being_asked_when_the_device_stops_is_asked_after_the_next_start(
    rig: Rig, tmp_path: Path
) -> None:
    rig.cloud.open.clear()
    await rig.offline.keep("default", None, "one")
    rig.receive("provider.restored", provider="cloud")
    await until(lambda: rig.cloud.waits == 1)
    async with asyncio.timeout(5):
        await rig.offline.close()
    again = Rig(tmp_path)
    await again.open()
    assert again.cloud.texts == ["one"]
    assert len(again.emitted("queue.answered")) == 1
    await again.close()


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "blame"),
    [
        (DOWN, Fault.NONE),
        (RateLimited("later"), Fault.NONE),
        (AuthenticationError("no"), Fault.NONE),
        (SpendLimitReached("no money"), Fault.NONE),
        (ProviderError("no such model", code="model_not_found"), Fault.NONE),
        (ProviderError("oops", code="server_error"), Fault.UNKNOWN),
        (ProviderError("oops", code="middleware_failed"), Fault.UNKNOWN),
        (StreamError("broke off"), Fault.UNKNOWN),
        (ProviderError("slow", code="timeout"), Fault.UNKNOWN),
        (ProviderError("no", code="refused"), Fault.UNKNOWN),
        (ContextTooLong("too long"), Fault.UTTERANCE),
        (VoxdError("a bug"), Fault.UTTERANCE),
        (AudioError("damaged"), None),
        (ProviderError("short", code="audio_too_short"), None),
    ],
)
def test_what_is_at_fault(error: VoxdError, blame: Fault | None) -> None:
    assert blame_for(error) is blame


async def test_an_unavailable_provider_delays_only_its_own_agents(rig: Rig) -> None:
    rig.cloud.faults["broken"] = DOWN
    for agent, text in (("broken", "one"), ("broken", "two"), ("healthy", "three")):
        await rig.offline.keep(agent, None, text)
    await rig.restored()
    assert rig.cloud.texts == ["one", "three"]
    rig.cloud.faults.clear()
    await rig.restored()
    assert rig.cloud.texts == ["one", "three", "one", "two"]


async def test_a_question_that_breaks_the_provider_does_not_block_the_others(rig: Rig) -> None:
    rig.cloud.faults["poison"] = StreamError("broke off")
    for text in ("poison", "good", "better"):
        await rig.offline.keep("default", None, text)
    for _ in range(4):
        await rig.restored()
    assert [data["transcript"] for data in rig.emitted("queue.answered")] == ["good", "better"]
    assert [entry.problem for entry in await rig.offline.entries() if entry.state == "waiting"] == [
        "stream_failed"
    ]


async def test_a_bug_does_not_block_the_others_and_is_given_up(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.cloud.faults["poison"] = ZeroDivisionError("the poison is secret")
    for text in ("poison", "good"):
        await rig.offline.keep("default", None, text)
    for _ in range(MAX_FAULTS):
        await rig.restored()
        await rig.clock.advance(6 * HOUR_S)
        await rig.resting()
    assert [data["transcript"] for data in rig.emitted("queue.answered")] == ["good"]
    assert [data["reason"] for data in rig.emitted("queue.dropped")] == ["internal"]
    assert "secret" not in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_an_answer_that_the_disk_does_not_take_is_asked_for_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.offline.keep("default", None, "one")

    async def full(*_: object, **__: object) -> bool:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(rig.queue, "answer", full)
        patch.setattr(rig.queue, "put_back", full)
        for _ in range(2 * MAX_FAULTS):
            await rig.restored()
    assert rig.emitted("queue.answered") == rig.emitted("queue.dropped") == []
    await rig.restored()
    assert [data["transcript"] for data in rig.emitted("queue.answered")] == ["one"]


async def test_sound_without_words_is_given_up(rig: Rig) -> None:
    rig.cloud.silent = True
    await rig.offline.keep("default", CLIP, "")
    await rig.restored()
    assert [data["reason"] for data in rig.emitted("queue.dropped")] == ["nothing_said"]
    assert rig.offline.waiting == 0


async def test_damaged_sound_is_given_up(rig: Rig) -> None:
    await rig.queue.add("default", flac=b"fLaC but not really", duration_ms=100)
    await rig.offline.keep("default", None, "good")
    await rig.restored()
    assert [data["reason"] for data in rig.emitted("queue.dropped")] == ["audio_failed"]
    assert rig.cloud.texts == ["good"]


async def test_an_answer_that_never_ends_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline_queue, "ANSWER_LIMIT_S", 0.01)
    rig.cloud.open.clear()
    await rig.offline.keep("default", None, "one")
    await rig.restored()
    [entry] = await rig.offline.entries()
    assert (entry.state, entry.problem) == ("waiting", "timeout")


async def test_questions_that_are_too_old_are_dropped_and_said(rig: Rig) -> None:
    rig.cloud.faults["default"] = DOWN
    await rig.offline.keep("default", None, "one")
    await rig.clock.advance(73 * HOUR_S)
    await rig.restored()
    assert [data["reason"] for data in rig.emitted("queue.dropped")] == ["too_old"]
    assert rig.offline.waiting == 0


# --- keeping --------------------------------------------------------------------------------------


async def test_nothing_is_kept_when_the_queue_is_full(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_utterances=1)
    await rig.open()
    assert await rig.offline.keep("default", None, "one")
    assert not await rig.offline.keep("default", None, "two")
    assert "the queue is full" in rig.offline.problem
    [error] = rig.emitted("error")
    assert (error["code"], len(rig.emitted("queue.added"))) == ("queue_full", 1)
    await rig.restored()
    assert await rig.offline.keep("default", None, "three")
    assert rig.offline.problem == ""
    await rig.close()


async def test_nothing_is_kept_without_a_disk(tmp_path: Path) -> None:
    (tmp_path / "voxd.db").mkdir()
    rig = Rig(tmp_path)
    await rig.open()
    assert not await rig.offline.keep("default", CLIP, "")
    assert rig.emitted("queue.added") == []
    assert [data["code"] for data in rig.emitted("error")] == ["store_failed"]
    await rig.close()


@pytest.mark.parametrize(("clip", "text"), [(None, ""), (Clip(b"", 16_000), "")])
async def test_an_empty_question_is_not_kept(rig: Rig, clip: Clip | None, text: str) -> None:
    assert not await rig.offline.keep("default", clip, text)
    assert rig.offline.waiting == 0


async def test_a_queue_that_is_off_keeps_nothing_and_still_answers_what_waits(rig: Rig) -> None:
    await rig.offline.keep("default", None, "one")
    rig.offline.configure(schema.Queue(enabled=False))
    assert not await rig.offline.keep("default", None, "two")
    await rig.resting()
    assert rig.cloud.texts == ["one"]


async def test_a_provider_chosen_by_hand_is_asked_at_once(rig: Rig) -> None:
    await rig.offline.keep("default", None, "one")
    changed = {"from": "cloud", "to": "local"}
    rig.receive("provider.changed", **changed, reason="timeout")
    await rig.resting()
    assert rig.cloud.texts == []
    rig.receive("provider.changed", **changed, reason="requested")
    await rig.resting()
    assert rig.cloud.texts == ["one"]


# --- delivering -----------------------------------------------------------------------------------


async def test_an_answer_that_a_crash_kept_back_is_delivered_after_the_start_under_the_same_id(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path)
    await rig.database.open()
    id = await rig.queue.add("default", text="one", duration_ms=0)
    await rig.queue.answer(id, provider="cloud", transcript="one", reply="Yes.")
    await rig.start()
    assert [data["id"] for data in rig.emitted("queue.answered")] == [id]
    await rig.close()
    again = Rig(tmp_path)
    await again.open()
    assert again.emitted("queue.answered") == []
    await again.close()


async def test_a_late_answer_is_said_aloud_when_the_room_is_quiet(tmp_path: Path) -> None:
    rig = Rig(tmp_path, speak=True)
    await rig.open()
    rig.refusals = [Busy("a turn is under way")]
    await rig.offline.keep("default", CLIP, "")
    await rig.restored()
    assert rig.said == ["Earlier you asked: how far is the moon. Quite far."]
    assert rig.offline.waiting == 0
    await rig.close()


async def test_an_answer_that_cannot_be_said_is_delivered_all_the_same(tmp_path: Path) -> None:
    rig = Rig(tmp_path, speak=True)
    await rig.open()
    rig.refusals = [DeviceError("no loudspeaker")]
    await rig.offline.keep("default", None, "one")
    await rig.restored()
    assert (rig.said, rig.offline.waiting, len(rig.emitted("queue.answered"))) == ([], 0, 1)
    assert len(await rig.history.newest(5)) == 1
    await rig.close()


@pytest.mark.parametrize(
    ("transcript", "sentence"),
    [
        ("How far is it?", "Earlier you asked: How far is it. Far."),
        ("", "To your earlier question: Far."),
    ],
)
def test_the_announcement(transcript: str, sentence: str) -> None:
    assert spoken_late(DeferredAnswer("1", "default", "cloud", transcript, "Far.", 9.0)) == sentence


# --- what a user may do ---------------------------------------------------------------------------


async def test_forgetting_ends_what_is_being_asked(rig: Rig) -> None:
    rig.cloud.open.clear()
    for text in ("one", "two"):
        await rig.offline.keep("default", None, text)
    rig.receive("provider.restored", provider="cloud")
    await until(lambda: rig.cloud.waits == 1)
    assert await rig.offline.forget() == 2
    await until(lambda: rig.cloud.cancelled == 1)
    await rig.resting()
    assert (rig.offline.waiting, await rig.offline.entries(), rig.emitted("queue.answered")) == (0, [], [])
    assert [data["reason"] for data in rig.emitted("queue.dropped")] == ["forgotten"] * 2


async def test_what_is_dropped_while_it_is_asked_is_not_delivered(rig: Rig) -> None:
    rig.cloud.open.clear()
    await rig.offline.keep("default", None, "one")
    rig.receive("provider.restored", provider="cloud")
    await until(lambda: rig.cloud.waits == 1)
    [entry] = await rig.offline.entries()
    assert await rig.offline.drop(entry.id) == 1
    rig.cloud.open.set()
    await rig.resting()
    assert (rig.emitted("queue.answered"), len(rig.emitted("queue.dropped"))) == ([], 1)


async def test_retrying_asks_at_once(rig: Rig) -> None:
    rig.cloud.faults["default"] = DOWN
    await rig.offline.keep("default", None, "one")
    await rig.restored()
    rig.cloud.faults.clear()
    assert await rig.offline.retry(None) == 1
    await rig.resting()
    assert rig.offline.waiting == 0
    with pytest.raises(NotFound):
        await rig.offline.retry("unknown")
    with pytest.raises(NotFound):
        await rig.offline.drop("unknown")
