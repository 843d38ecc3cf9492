"""Several who may answer: who is asked, what is said about it, and what is kept when nobody does."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

import pytest

from tests.fakes import FakeClock, RecordingEmit, settle
from voxd.config import schema, vendors
from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    DeadlineExceeded,
    DeviceError,
    EngineError,
    NotFound,
    NotUnderstood,
    ProviderError,
    RateLimited,
    SpendLimitReached,
    StoreError,
    VoxdError,
)
from voxd.events import Event
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.providers.contract import (
    PlaybackResult,
    ReplyAudio,
    ReplyEnd,
    ReplyItem,
    ReplyText,
    Request,
    Transcript,
)
from voxd.providers.routing.announcements import KEPT, kept, notice, reason
from voxd.providers.routing.failover import FailoverProvider
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.spend import SpendGuard
from voxd.providers.usage import Usage

CLIP = Clip(bytes(320), SAMPLE_RATE_HZ)
FRAMES = [Frame(at, bytes(2560)) for at in range(0, 5 * 1280, 1280)]
WHOLE = Clip(b"".join(frame.pcm for frame in FRAMES), SAMPLE_RATE_HZ)
CLOUD = [Transcript("what time is it", True, "cloud"), ReplyText("Noon."), ReplyAudio(CLIP), ReplyEnd()]
OTHER = [Transcript("the time", True, "other"), ReplyText("It's twelve."), ReplyAudio(CLIP), ReplyEnd()]
DEVICE = [Transcript("time", True, "local"), ReplyText("It is noon."), ReplyAudio(CLIP), ReplyEnd()]
GONE = ConnectionFailed("refused")
WAIT_S = 5.0


def said(text: str) -> list[ReplyItem]:
    return [ReplyText(text), ReplyAudio(CLIP)]


def told(answer: Sequence[ReplyItem], *notices: str) -> list[ReplyItem]:
    """Return ``answer`` with the notices behind its words."""
    return [*answer[:-1], *(item for text in notices for item in said(text)), answer[-1]]


NOTICED = told(DEVICE, notice("network_error", "cloud", "local"))


class Scripted:
    """Hears ``hears`` frames (None: all), waits for ``go_on``, says ``items``, then fails with ``error``."""

    def __init__(self, name: str, items: Sequence[ReplyItem]) -> None:
        self.name = name
        self.well_items = list(items)
        self.well()
        self.heard: list[list[Frame]] = []
        self.asked: list[Request] = []
        self.cut: list[float | None] = []
        self.prepared = self.closed = 0
        self.mute = False

    def well(self) -> None:
        self.items: Sequence[ReplyItem] = self.well_items
        self.error: VoxdError | None = None
        self.hears: int | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    def ill(self, error: VoxdError, *, after: int = 0, hears: int | None = None) -> None:
        self.items, self.error, self.hears = self.well_items[:after], error, hears

    def prepare(self) -> None:
        self.prepared += 1

    async def converse(self, request: Request) -> AsyncGenerator[ReplyItem]:
        self.asked.append(request)
        frames: list[Frame] = []
        self.heard.append(frames)
        if request.audio is not None and self.hears != 0:
            async for frame in request.audio:
                frames.append(frame)
                if len(frames) == self.hears:
                    break
        await self.go_on.wait()
        try:
            for item in self.items:
                yield item
            if self.error is not None:
                raise self.error
        finally:
            self.cut.append(request.heard.played_ms)

    async def speak(self, text: str) -> AsyncGenerator[Clip]:
        if self.mute:
            raise EngineError("no voice")
        yield CLIP

    async def close(self) -> None:
        self.closed += 1


class House:
    """Two vendors and the device, on a clock that the tests move."""

    def __init__(self) -> None:
        self.clock, self.emit = FakeClock(), RecordingEmit()
        self.cloud, self.other = Scripted("cloud", CLOUD), Scripted("other", OTHER)
        self.device = Scripted("local", DEVICE)
        self.health = CircuitBreaker(emit=self.emit, clock=self.clock, jitter=lambda: 0.0)
        config = schema.Config(providers={"cloud": vendors.Provider(kind="mock", usd_per_day=1.0)})
        self.spend = SpendGuard(config, emit=self.emit, clock=self.clock)
        self.kept: list[tuple[str, Clip | None, str]] = []
        self.keeps: bool | VoxdError = True
        self.use("cloud", "local")

    def use(self, *names: str, keep: bool = True) -> None:
        by_name = {each.name: each for each in (self.cloud, self.other, self.device)}
        self.both = FailoverProvider(
            [by_name[name] for name in names],
            self.device,
            health=self.health,
            spend=self.spend,
            emit=self.emit,
            clock=self.clock,
            keep=self.keep if keep else None,
        )

    async def keep(self, agent: str, clip: Clip | None, text: str) -> bool:
        if isinstance(self.keeps, VoxdError):
            raise self.keeps
        if self.keeps:
            self.kept.append((agent, clip, text))
        return self.keeps

    async def probe(self) -> None:
        """A probe that succeeds."""

    def spend_all(self) -> None:
        data = {"provider": "cloud", "stage": "", "key": 0, "usage": Usage(), "cost_usd": 1.0}
        self.spend.handle(Event(1, "provider.used", 0.0, None, data))

    async def ask(self, *, speak: bool = True) -> list[ReplyItem]:
        return await all_of(self.both, Request("t1", "default", audio=utterance(), speak=speak))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.health.close()
    await house.spend.close()


async def utterance(go_on: asyncio.Event | None = None) -> AsyncIterator[Frame]:
    for frame in FRAMES[:2]:
        yield frame
    if go_on is not None:
        await go_on.wait()
    for frame in FRAMES[2:]:
        yield frame


async def all_of(provider: FailoverProvider, request: Request) -> list[ReplyItem]:
    async with asyncio.timeout(WAIT_S), aclosing(provider.converse(request)) as replies:
        return [item async for item in replies]


# --- who answers ------------------------------------------------------------------------------------


async def test_while_the_first_is_well_he_answers_alone(house: House) -> None:
    house.both.prepare()
    assert await house.ask() == CLOUD
    assert house.cloud.heard == [FRAMES]
    assert (house.cloud.prepared, house.device.prepared, house.device.asked) == (1, 0, [])
    assert house.emit.types() == []
    assert (house.both.answering, house.both.problem) == ("cloud", None)


@pytest.mark.parametrize("hears", [0, 1, None])
async def test_the_next_one_answers_the_same_utterance(house: House, hears: int | None) -> None:
    house.cloud.ill(GONE, hears=hears)
    assert await house.ask() == NOTICED
    assert house.device.heard == [FRAMES]
    assert house.device.prepared


async def test_they_are_asked_in_their_order(house: House) -> None:
    house.use("cloud", "other", "local")
    house.cloud.ill(GONE)
    assert await house.ask() == told(OTHER, notice("network_error", "cloud", "other"))
    house.other.ill(AuthenticationError("wrong key"))
    assert await house.ask() == told(DEVICE, notice("invalid_api_key", "other", "local"))
    house.cloud.well()
    house.health.record_success("cloud")
    assert await house.ask() == CLOUD, "back to the first"
    assert [data for type, data in house.emit.events if type == "provider.changed"] == [
        {"from": "cloud", "to": "other", "reason": "network_error"},
        {"from": "other", "to": "local", "reason": "network_error"},
        {"from": "local", "to": "cloud", "reason": "restored"},
    ]


async def test_the_device_takes_over_while_the_user_still_speaks_and_does_not_talk_over_him(
    house: House,
) -> None:
    house.cloud.ill(GONE, hears=1)
    go_on = asyncio.Event()
    asking = asyncio.create_task(all_of(house.both, Request("t1", "default", audio=utterance(go_on))))
    await settle()
    await house.clock.advance(60.0)
    assert len(house.device.asked) == 1
    assert not asking.done()
    go_on.set()
    assert await asking == NOTICED
    assert house.device.heard == [FRAMES]


async def test_words_whose_sound_never_came_are_not_said(house: House) -> None:
    house.cloud.ill(GONE, after=2)
    replies = await house.ask()
    assert ReplyText("Noon.") not in replies
    assert replies[1:] == NOTICED


async def test_a_reply_that_breaks_off_while_it_is_heard_ends_with_its_reason(house: House) -> None:
    house.cloud.ill(GONE, after=3)
    with pytest.raises(ConnectionFailed):
        await house.ask()
    assert (house.device.asked, house.kept) == ([], [])
    house.cloud.well()
    assert await house.ask() == CLOUD, "one broken reply is no outage"


async def test_read_words_count_as_heard(house: House) -> None:
    house.cloud.ill(GONE, after=2)
    with pytest.raises(ConnectionFailed):
        await house.ask(speak=False)


@pytest.mark.parametrize("error", [DeadlineExceeded("slow"), ConfigError("no endpoint"), NotFound("no kind")])
async def test_whatever_keeps_the_first_from_answering_is_a_failure(house: House, error: VoxdError) -> None:
    house.cloud.ill(error)
    assert await house.ask() == told(DEVICE, notice(error.code, "cloud", "local"))


async def test_a_lost_microphone_is_nobodys_outage(house: House) -> None:
    house.cloud.ill(DeviceError("no microphone"))
    with pytest.raises(DeviceError):
        await house.ask()
    assert (house.both.problem, house.kept) == (None, [])


async def test_what_was_refused_on_purpose_is_refused_by_all(house: House) -> None:
    house.cloud.ill(ProviderError("not for children", code="message_stopped"))
    with pytest.raises(ProviderError):
        await house.ask()
    assert house.device.asked == []


@pytest.mark.parametrize("code", ["audio_too_short", "input_audio_buffer_commit_empty"])
async def test_an_utterance_without_sound_is_no_outage(house: House, code: str) -> None:
    house.cloud.ill(ProviderError("too short", code=code))
    assert await house.ask() == DEVICE
    assert not house.device.asked[0].known_only
    assert house.emit.events == []


# --- outages ----------------------------------------------------------------------------------------


async def test_an_outage_is_told_once_and_its_end_once(house: House) -> None:
    house.health.set_probe("cloud", house.probe)
    house.cloud.ill(GONE)
    await house.ask()
    assert await house.ask() == DEVICE
    assert house.emit.events == [
        ("provider.failed", {"provider": "cloud", "code": "network_error", "reason": "refused"}),
        ("provider.changed", {"from": "cloud", "to": "local", "reason": "network_error"}),
    ]
    house.cloud.well()
    await house.clock.advance(4.0)
    assert await house.ask() == CLOUD
    assert house.emit.events[2:] == [
        ("provider.restored", {"provider": "cloud"}),
        ("provider.changed", {"from": "local", "to": "cloud", "reason": "restored"}),
    ]


async def test_during_an_outage_nobody_who_is_ill_is_asked_or_prepared(house: House) -> None:
    house.cloud.ill(GONE)
    await house.ask()
    house.both.prepare()
    assert house.cloud.prepared == 0
    assert (house.both.answering, str(house.both.problem)) == ("local", "refused")
    assert await house.ask() == DEVICE
    assert len(house.cloud.asked) == 1


async def test_an_outage_that_was_found_between_turns_is_told_in_the_next(house: House) -> None:
    house.health.record_failure("cloud", GONE)
    assert await house.ask() == NOTICED
    assert house.cloud.asked == []


async def test_who_reads_a_reason_has_not_heard_it(house: House) -> None:
    house.cloud.ill(GONE)
    assert ReplyText(notice("network_error", "cloud", "local")) in await house.ask(speak=False)
    assert await house.ask() == NOTICED
    assert await house.ask(speak=False) == [DEVICE[0], DEVICE[1], DEVICE[2], DEVICE[3]]


async def test_a_reason_that_cannot_be_said_does_not_cost_the_answer(house: House) -> None:
    house.use("cloud", "other")
    house.cloud.ill(GONE)
    house.device.mute = True
    assert await house.ask() == [
        *OTHER[:-1], ReplyText(notice("network_error", "cloud", "other")), OTHER[-1]
    ]  # fmt: skip


async def test_a_question_of_the_device_is_not_followed_by_a_reason(house: House) -> None:
    house.cloud.ill(GONE)
    house.device.items = [*DEVICE[:3], ReplyEnd(expects_answer=True)]
    assert await house.ask() == [*DEVICE[:3], ReplyEnd(expects_answer=True)]
    house.device.well()
    assert await house.ask() == NOTICED


async def test_an_answer_that_is_late_comes_after_the_reason(house: House) -> None:
    house.cloud.ill(GONE)
    house.device.go_on.clear()
    asking = asyncio.create_task(house.ask())
    await house.clock.advance(2.4)
    house.clock.now += 0.2
    await house.clock.advance(0.0)
    await settle()
    house.device.go_on.set()
    replies = await asking
    assert replies == [*said(reason("network_error", "cloud")), *DEVICE]


async def test_a_late_reason_is_not_said_again_with_the_promise(house: House) -> None:
    house.cloud.ill(GONE)
    house.device.ill(NotUnderstood("beyond me"), after=1)
    house.device.go_on.clear()
    asking = asyncio.create_task(house.ask())
    await settle()
    await house.clock.advance(2.6)
    house.device.go_on.set()
    assert await asking == [
        *said(reason("network_error", "cloud")), DEVICE[0], *said(KEPT), ReplyEnd()
    ]  # fmt: skip


async def test_what_was_heard_of_a_late_answer_does_not_count_the_reason(house: House) -> None:
    house.cloud.ill(GONE)
    house.use("cloud", "other")
    house.other.go_on.clear()
    heard = PlaybackResult()
    async with (
        asyncio.timeout(WAIT_S),
        aclosing(house.both.converse(Request("t1", "default", text="time", heard=heard))) as replies,
    ):
        first = asyncio.create_task(anext(replies))
        await house.clock.advance(2.5)
        assert await first == ReplyText(notice("network_error", "cloud", "other"))
        assert isinstance(await anext(replies), ReplyAudio)
        house.other.go_on.set()
        async for item in replies:
            if isinstance(item, ReplyEnd):
                heard.played_ms = 13.0
                break
    assert house.other.cut == [3.0], "ten of them were the reason"


async def test_no_further_vendor_is_asked_when_the_user_has_waited_long(house: House) -> None:
    house.use("cloud", "other", "local")
    house.cloud.ill(GONE)
    house.cloud.go_on.clear()
    asking = asyncio.create_task(house.ask())
    await settle()
    await house.clock.advance(4.5)
    house.cloud.go_on.set()
    assert (await asking)[-1] == ReplyEnd()
    assert (house.other.asked, len(house.device.asked)) == ([], 1)


async def test_who_is_ill_is_asked_when_nobody_else_is_left(house: House) -> None:
    house.use("cloud", "other")
    house.cloud.ill(GONE)
    house.other.ill(GONE)
    await house.ask()
    house.other.well()
    assert await house.ask() == OTHER
    assert len(house.cloud.asked) == 2


async def test_who_asked_to_be_left_alone_is_not_asked_at_all(house: House) -> None:
    house.use("cloud")
    house.cloud.ill(RateLimited("busy", retry_after_s=60.0))
    for _ in range(3):
        await house.ask()
    assert len(house.cloud.asked) == 1


# --- money ------------------------------------------------------------------------------------------


async def test_when_the_money_is_spent_the_device_answers_and_says_so_once(house: House) -> None:
    house.spend_all()
    assert await house.ask() == told(DEVICE, notice("spend_limit", "cloud", "local"))
    assert await house.ask() == DEVICE
    assert (house.cloud.asked, house.both.answering) == ([], "local")
    assert isinstance(house.both.problem, SpendLimitReached)


async def test_without_anybody_else_it_is_kept_or_the_reason_is_told(house: House) -> None:
    house.spend_all()
    house.use("cloud")
    assert await house.ask() == [*said(kept("spend_limit", "cloud")), ReplyEnd()]
    house.use("cloud", keep=False)
    with pytest.raises(SpendLimitReached):
        await house.ask()
    assert house.cloud.asked == []


async def test_middleware_that_fails_is_said_and_costs_no_question(house: House) -> None:
    house.cloud.ill(ProviderError("ValueError in house_rules.py", code="middleware_failed"))
    house.device.ill(NotUnderstood("no"))
    kept_words = kept("middleware_failed", "cloud")
    assert kept_words.startswith("Cloud does not work as it is set up.")
    assert await house.ask() == [*said(kept_words), ReplyEnd()]
    assert house.health.outage("cloud") is None, "it says nothing about the provider"


# --- what nobody answers ----------------------------------------------------------------------------


async def test_what_the_device_does_not_understand_is_kept_and_that_is_said(house: House) -> None:
    house.cloud.ill(GONE)
    house.device.ill(NotUnderstood("beyond me"), after=1)
    assert await house.ask() == [DEVICE[0], *said(kept("network_error", "cloud")), ReplyEnd()]
    assert house.device.asked[0].known_only
    assert house.kept == [("default", WHOLE, "")]
    assert await house.ask() == [DEVICE[0], *said(kept("network_error", "cloud")), ReplyEnd()]
    house.device.well()
    assert await house.ask() == DEVICE, "the outage has been told"


async def test_a_typed_question_is_kept_too(house: House) -> None:
    house.cloud.ill(GONE)
    house.device.ill(NotUnderstood("beyond me"))
    replies = await all_of(house.both, Request("t1", "cook", text="what is love", speak=False))
    assert replies == [ReplyText(kept("network_error", "cloud")), ReplyEnd()]
    assert house.kept == [("cook", None, "what is love")]


@pytest.mark.parametrize("keeps", [False, StoreError("disk full")])
async def test_what_cannot_be_kept_is_not_promised(house: House, keeps: bool | StoreError) -> None:
    house.keeps = keeps
    house.cloud.ill(GONE)
    house.device.ill(NotUnderstood("beyond me"))
    with pytest.raises(ConnectionFailed):
        await house.ask()


async def test_a_device_that_is_broken_itself_keeps_what_it_can(house: House) -> None:
    house.cloud.ill(GONE)
    house.device.ill(EngineError("no ears"))
    assert ReplyText(kept("network_error", "cloud")) in await house.ask()
    assert [data["provider"] for type, data in house.emit.events if type == "provider.failed"] == ["cloud"]


async def test_nothing_is_kept_when_nobody_said_anything(house: House) -> None:
    house.use("cloud")
    house.cloud.ill(ProviderError("too short", code="audio_too_short"))
    with pytest.raises(ProviderError):
        await house.ask()
    assert house.kept == []


async def test_an_utterance_is_kept_whole_even_if_everybody_failed_at_its_beginning(house: House) -> None:
    house.use("cloud")
    house.cloud.ill(GONE, hears=1)
    go_on = asyncio.Event()
    asking = asyncio.create_task(all_of(house.both, Request("t1", "default", audio=utterance(go_on))))
    await settle()
    go_on.set()
    await asking
    assert house.kept == [("default", WHOLE, "")]


async def test_the_device_first_and_a_vendor_for_what_it_does_not_know(house: House) -> None:
    house.use("local", "cloud")
    assert await house.ask() == DEVICE
    house.device.ill(NotUnderstood("beyond me"))
    assert await house.ask() == CLOUD
    assert house.emit.events == []
    house.cloud.ill(GONE)
    assert await house.ask() == [*said(kept("network_error", "cloud")), ReplyEnd()]


# --- the end ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("choose", [lambda house: house.cloud, lambda house: house.device])
async def test_an_iterator_that_is_closed_closes_who_is_answering(
    house: House, choose: Callable[[House], Scripted]
) -> None:
    closed = asyncio.Event()

    async def endless(request: Request) -> AsyncGenerator[ReplyItem]:
        try:
            while True:
                await asyncio.sleep(0)
                yield ReplyAudio(CLIP)
        finally:
            closed.set()

    house.cloud.ill(GONE)
    choose(house).converse = endless  # type: ignore[method-assign]
    before = asyncio.all_tasks()
    async with (
        asyncio.timeout(WAIT_S),
        aclosing(house.both.converse(Request("t1", "default", text="sing"))) as replies,
    ):
        for _ in range(5):
            assert isinstance(await anext(replies), ReplyAudio)
    assert closed.is_set()
    assert asyncio.all_tasks() <= before


async def test_closing_it_closes_the_vendors_and_leaves_the_device(house: House) -> None:
    house.use("cloud", "other", "local")
    await house.both.close()
    assert (house.cloud.closed, house.other.closed, house.device.closed) == (1, 1, 0)
