"""Failover: which provider is tried, what is announced, and what is queued when none answers."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

import pytest

from tests.fakes import FakeClock, RecordingEmit, settle
from voxd.config import provider_schema, schema
from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    DeadlineExceeded,
    DeviceError,
    LocalEngineError,
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
    ActionTaken,
    PlaybackResult,
    ReplyAudio,
    ReplyEnd,
    ReplyItem,
    ReplyText,
    Request,
    Transcript,
)
from voxd.providers.routing.announcements import QUEUED, announce_failover, announce_queued, explain
from voxd.providers.routing.failover import READ_AHEAD, FailoverProvider, ReadAhead
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


NOTICED = told(DEVICE, announce_failover("network_error", "cloud", "local"))


class Scripted:
    """Hears ``hears`` frames (None: all), waits for ``go_on``, says ``items``, then fails with ``error``."""

    def __init__(self, name: str, items: Sequence[ReplyItem]) -> None:
        self.name = name
        self.all_items = list(items)
        self.recover()
        self.heard: list[list[Frame]] = []
        self.asked: list[Request] = []
        self.cut: list[float | None] = []
        self.prepared = self.closed = 0
        self.mute = False

    def recover(self) -> None:
        self.items: Sequence[ReplyItem] = self.all_items
        self.error: VoxdError | None = None
        self.hears: int | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    def fail(self, error: VoxdError, *, after: int = 0, hears: int | None = None) -> None:
        self.items, self.error, self.hears = self.all_items[:after], error, hears

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
            self.cut.append(request.playback.played_ms)

    async def speak(self, text: str) -> AsyncGenerator[Clip]:
        if self.mute:
            raise LocalEngineError("no voice")
        yield CLIP

    async def close(self) -> None:
        self.closed += 1


class Rig:
    """Two vendors and the device, on a clock that the tests move."""

    def __init__(self) -> None:
        self.clock, self.emit = FakeClock(), RecordingEmit()
        self.cloud, self.other = Scripted("cloud", CLOUD), Scripted("other", OTHER)
        self.device = Scripted("local", DEVICE)
        self.health = CircuitBreaker(emit=self.emit, clock=self.clock, jitter=lambda: 0.0)
        config = schema.Config(
            providers={"cloud": provider_schema.ProviderConfig(kind="mock", usd_per_day=1.0)}
        )
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
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    await rig.health.close()
    await rig.spend.close()


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


# --- the order --------------------------------------------------------------------------------------


async def test_a_healthy_preferred_provider_answers_alone(rig: Rig) -> None:
    rig.both.prepare()
    assert await rig.ask() == CLOUD
    assert rig.cloud.heard == [FRAMES]
    assert (rig.cloud.prepared, rig.device.prepared, rig.device.asked) == (1, 0, [])
    assert rig.emit.types() == []
    assert (rig.both.answering, rig.both.problem) == ("cloud", None)


@pytest.mark.parametrize("hears", [0, 1, None])
async def test_the_next_provider_answers_the_same_utterance(rig: Rig, hears: int | None) -> None:
    rig.cloud.fail(GONE, hears=hears)
    assert await rig.ask() == NOTICED
    assert rig.device.heard == [FRAMES]
    assert rig.device.prepared


async def test_providers_are_tried_in_order(rig: Rig) -> None:
    rig.use("cloud", "other", "local")
    rig.cloud.fail(GONE)
    assert await rig.ask() == told(OTHER, announce_failover("network_error", "cloud", "other"))
    rig.other.fail(AuthenticationError("wrong key"))
    assert await rig.ask() == told(DEVICE, announce_failover("invalid_api_key", "other", "local"))
    rig.cloud.recover()
    rig.health.record_success("cloud")
    assert await rig.ask() == CLOUD, "back to the first"
    assert [data for type, data in rig.emit.events if type == "provider.changed"] == [
        {"from": "cloud", "to": "other", "reason": "network_error"},
        {"from": "other", "to": "local", "reason": "network_error"},
        {"from": "local", "to": "cloud", "reason": "restored"},
    ]


async def test_the_device_takes_over_while_the_user_still_speaks_and_does_not_interrupt(
    rig: Rig,
) -> None:
    rig.cloud.fail(GONE, hears=1)
    go_on = asyncio.Event()
    asking = asyncio.create_task(all_of(rig.both, Request("t1", "default", audio=utterance(go_on))))
    await settle()
    await rig.clock.advance(60.0)
    assert len(rig.device.asked) == 1
    assert not asking.done()
    go_on.set()
    assert await asking == NOTICED
    assert rig.device.heard == [FRAMES]


async def test_text_whose_sound_never_came_is_not_part_of_the_reply(rig: Rig) -> None:
    rig.cloud.fail(GONE, after=2)
    replies = await rig.ask()
    assert ReplyText("Noon.") not in replies
    assert replies[1:] == NOTICED


async def test_a_reply_that_breaks_off_during_playback_ends_with_its_error(rig: Rig) -> None:
    rig.cloud.fail(GONE, after=3)
    with pytest.raises(ConnectionFailed):
        await rig.ask()
    assert (rig.device.asked, rig.kept) == ([], [])
    rig.cloud.recover()
    assert await rig.ask() == CLOUD, "one broken reply is not an outage"


@pytest.mark.parametrize(
    ("items", "error", "speak"),
    [
        ((CLOUD[0], ReplyText("Done."), ReplyAudio(CLIP)), GONE, True),
        ((ReplyText("Done."),), GONE, False),
        ((CLOUD[0], ActionTaken()), GONE, True),
        ((CLOUD[0], ReplyEnd()), GONE, True),
        ((), ProviderError("no", code="message_stopped"), True),
        ((), DeviceError("no sound"), True),
    ],
)
async def test_after_an_audible_reply_or_an_action_no_other_provider_is_tried(
    rig: Rig, items: tuple[ReplyItem, ...], error: VoxdError, speak: bool
) -> None:
    rig.cloud.items, rig.cloud.error = items, error
    out: list[ReplyItem] = []
    request = Request("t1", "default", text="set a timer", speak=speak)
    raised: VoxdError | None = None
    try:
        async with aclosing(rig.both.converse(request)) as replies:
            async for item in replies:
                out.append(item)  # noqa: PERF401 - what came before the failure
    except VoxdError as failure:
        raised = failure
    assert raised is error
    assert out == [item for item in items if not isinstance(item, ActionTaken)]
    assert rig.device.asked == []


async def test_text_of_a_reply_without_sound_counts_as_delivered(rig: Rig) -> None:
    rig.cloud.fail(GONE, after=2)
    with pytest.raises(ConnectionFailed):
        await rig.ask(speak=False)


@pytest.mark.parametrize("error", [DeadlineExceeded("slow"), ConfigError("no endpoint"), NotFound("no kind")])
async def test_every_error_of_a_provider_leads_to_failover(rig: Rig, error: VoxdError) -> None:
    rig.cloud.fail(error)
    assert await rig.ask() == told(DEVICE, announce_failover(error.code, "cloud", "local"))


async def test_a_lost_microphone_is_not_an_outage_of_the_provider(rig: Rig) -> None:
    rig.cloud.fail(DeviceError("no microphone"))
    with pytest.raises(DeviceError):
        await rig.ask()
    assert (rig.both.problem, rig.kept) == (None, [])


async def test_a_deliberate_refusal_does_not_lead_to_failover(rig: Rig) -> None:
    rig.cloud.fail(ProviderError("not for children", code="message_stopped"))
    with pytest.raises(ProviderError):
        await rig.ask()
    assert rig.device.asked == []


@pytest.mark.parametrize("code", ["audio_too_short", "input_audio_buffer_commit_empty"])
async def test_an_utterance_without_sound_is_not_an_outage(rig: Rig, code: str) -> None:
    rig.cloud.fail(ProviderError("too short", code=code))
    assert await rig.ask() == DEVICE
    assert not rig.device.asked[0].known_only
    assert rig.emit.events == []


# --- outages ----------------------------------------------------------------------------------------


async def test_an_outage_is_announced_once_and_its_end_is_one_event(rig: Rig) -> None:
    rig.health.set_probe("cloud", rig.probe)
    rig.cloud.fail(GONE)
    await rig.ask()
    assert await rig.ask() == DEVICE
    assert rig.emit.events == [
        ("provider.failed", {"provider": "cloud", "code": "network_error", "reason": "refused"}),
        ("provider.changed", {"from": "cloud", "to": "local", "reason": "network_error"}),
    ]
    rig.cloud.recover()
    await rig.clock.advance(4.0)
    assert await rig.ask() == CLOUD
    assert rig.emit.events[2:] == [
        ("provider.restored", {"provider": "cloud"}),
        ("provider.changed", {"from": "local", "to": "cloud", "reason": "restored"}),
    ]


async def test_during_an_outage_the_provider_is_neither_tried_nor_prepared(rig: Rig) -> None:
    rig.cloud.fail(GONE)
    await rig.ask()
    rig.both.prepare()
    assert rig.cloud.prepared == 0
    assert (rig.both.answering, str(rig.both.problem)) == ("local", "refused")
    assert await rig.ask() == DEVICE
    assert len(rig.cloud.asked) == 1


async def test_an_outage_found_between_turns_is_announced_in_the_next(rig: Rig) -> None:
    rig.health.record_failure("cloud", GONE)
    assert await rig.ask() == NOTICED
    assert rig.cloud.asked == []


async def test_a_reason_in_text_does_not_replace_the_spoken_one(rig: Rig) -> None:
    rig.cloud.fail(GONE)
    assert ReplyText(announce_failover("network_error", "cloud", "local")) in await rig.ask(speak=False)
    assert await rig.ask() == NOTICED
    assert await rig.ask(speak=False) == [DEVICE[0], DEVICE[1], DEVICE[2], DEVICE[3]]


async def test_a_reason_that_cannot_be_spoken_does_not_cost_the_answer(rig: Rig) -> None:
    rig.use("cloud", "other")
    rig.cloud.fail(GONE)
    rig.device.mute = True
    assert await rig.ask() == [
        *OTHER[:-1], ReplyText(announce_failover("network_error", "cloud", "other")), OTHER[-1]
    ]  # fmt: skip


async def test_a_question_of_the_device_is_not_followed_by_a_reason(rig: Rig) -> None:
    rig.cloud.fail(GONE)
    rig.device.items = [*DEVICE[:3], ReplyEnd(expects_answer=True)]
    assert await rig.ask() == [*DEVICE[:3], ReplyEnd(expects_answer=True)]
    rig.device.recover()
    assert await rig.ask() == NOTICED


async def test_a_late_answer_comes_after_the_reason(rig: Rig) -> None:
    rig.cloud.fail(GONE)
    rig.device.go_on.clear()
    asking = asyncio.create_task(rig.ask())
    await rig.clock.advance(2.4)
    rig.clock.now += 0.2
    await rig.clock.advance(0.0)
    await settle()
    rig.device.go_on.set()
    replies = await asking
    assert replies == [*said(explain("network_error", "cloud")), *DEVICE]


async def test_a_reason_that_was_said_early_is_not_repeated_with_the_promise(rig: Rig) -> None:
    rig.cloud.fail(GONE)
    rig.device.fail(NotUnderstood("beyond me"), after=1)
    rig.device.go_on.clear()
    asking = asyncio.create_task(rig.ask())
    await settle()
    await rig.clock.advance(2.6)
    rig.device.go_on.set()
    assert await asking == [
        *said(explain("network_error", "cloud")), DEVICE[0], *said(QUEUED), ReplyEnd()
    ]  # fmt: skip


async def test_the_played_time_of_a_late_answer_excludes_the_reason(rig: Rig) -> None:
    rig.cloud.fail(GONE)
    rig.use("cloud", "other")
    rig.other.go_on.clear()
    heard = PlaybackResult()
    async with (
        asyncio.timeout(WAIT_S),
        aclosing(rig.both.converse(Request("t1", "default", text="time", playback=heard))) as replies,
    ):
        first = asyncio.create_task(anext(replies))
        await rig.clock.advance(2.5)
        assert await first == ReplyText(announce_failover("network_error", "cloud", "other"))
        assert isinstance(await anext(replies), ReplyAudio)
        rig.other.go_on.set()
        async for item in replies:
            if isinstance(item, ReplyEnd):
                heard.played_ms = 13.0
                break
    assert rig.other.cut == [3.0], "ten of them were the reason"


async def test_no_further_vendor_is_tried_when_the_user_has_waited_long(rig: Rig) -> None:
    rig.use("cloud", "other", "local")
    rig.cloud.fail(GONE)
    rig.cloud.go_on.clear()
    asking = asyncio.create_task(rig.ask())
    await settle()
    await rig.clock.advance(4.5)
    rig.cloud.go_on.set()
    assert (await asking)[-1] == ReplyEnd()
    assert (rig.other.asked, len(rig.device.asked)) == ([], 1)


async def test_an_unhealthy_provider_is_tried_when_no_other_is_left(rig: Rig) -> None:
    rig.use("cloud", "other")
    rig.cloud.fail(GONE)
    rig.other.fail(GONE)
    await rig.ask()
    rig.other.recover()
    assert await rig.ask() == OTHER
    assert len(rig.cloud.asked) == 2


async def test_a_rate_limited_provider_is_not_tried_at_all(rig: Rig) -> None:
    rig.use("cloud")
    rig.cloud.fail(RateLimited("busy", retry_after_s=60.0))
    for _ in range(3):
        await rig.ask()
    assert len(rig.cloud.asked) == 1


# --- money ------------------------------------------------------------------------------------------


async def test_at_the_spending_limit_the_device_answers_and_says_so_once(rig: Rig) -> None:
    rig.spend_all()
    assert await rig.ask() == told(DEVICE, announce_failover("spend_limit", "cloud", "local"))
    assert await rig.ask() == DEVICE
    assert (rig.cloud.asked, rig.both.answering) == ([], "local")
    assert isinstance(rig.both.problem, SpendLimitReached)


async def test_without_another_provider_the_question_is_queued_or_its_error_raised(rig: Rig) -> None:
    rig.spend_all()
    rig.use("cloud")
    assert await rig.ask() == [*said(announce_queued("spend_limit", "cloud")), ReplyEnd()]
    rig.use("cloud", keep=False)
    with pytest.raises(SpendLimitReached):
        await rig.ask()
    assert rig.cloud.asked == []


async def test_failing_middleware_is_announced_and_the_question_is_queued(rig: Rig) -> None:
    rig.cloud.fail(ProviderError("ValueError in house_rules.py", code="middleware_failed"))
    rig.device.fail(NotUnderstood("no"))
    kept_words = announce_queued("middleware_failed", "cloud")
    assert kept_words.startswith("Cloud does not work with my settings.")
    assert await rig.ask() == [*said(kept_words), ReplyEnd()]
    assert rig.health.outage("cloud") is None, "it says nothing about the provider"


# --- queued questions -------------------------------------------------------------------------------


async def test_a_question_the_device_does_not_understand_is_queued_and_announced(rig: Rig) -> None:
    rig.cloud.fail(GONE)
    rig.device.fail(NotUnderstood("beyond me"), after=1)
    assert await rig.ask() == [DEVICE[0], *said(announce_queued("network_error", "cloud")), ReplyEnd()]
    assert rig.device.asked[0].known_only
    assert rig.kept == [("default", WHOLE, "")]
    assert await rig.ask() == [DEVICE[0], *said(announce_queued("network_error", "cloud")), ReplyEnd()]
    rig.device.recover()
    assert await rig.ask() == DEVICE, "the outage was announced before"


async def test_a_typed_question_is_queued_too(rig: Rig) -> None:
    rig.cloud.fail(GONE)
    rig.device.fail(NotUnderstood("beyond me"))
    replies = await all_of(rig.both, Request("t1", "cook", text="what is love", speak=False))
    assert replies == [ReplyText(announce_queued("network_error", "cloud")), ReplyEnd()]
    assert rig.kept == [("cook", None, "what is love")]


@pytest.mark.parametrize("keeps", [False, StoreError("disk full")])
async def test_a_question_that_cannot_be_queued_is_not_promised(rig: Rig, keeps: bool | StoreError) -> None:
    rig.keeps = keeps
    rig.cloud.fail(GONE)
    rig.device.fail(NotUnderstood("beyond me"))
    with pytest.raises(ConnectionFailed):
        await rig.ask()


async def test_a_device_with_a_broken_engine_still_queues(rig: Rig) -> None:
    rig.cloud.fail(GONE)
    rig.device.fail(LocalEngineError("no engine"))
    assert ReplyText(announce_queued("network_error", "cloud")) in await rig.ask()
    assert [data["provider"] for type, data in rig.emit.events if type == "provider.failed"] == ["cloud"]


async def test_an_empty_utterance_is_not_queued(rig: Rig) -> None:
    rig.use("cloud")
    rig.cloud.fail(ProviderError("too short", code="audio_too_short"))
    with pytest.raises(ProviderError):
        await rig.ask()
    assert rig.kept == []


async def test_an_utterance_is_queued_whole_even_if_all_failed_at_its_beginning(rig: Rig) -> None:
    rig.use("cloud")
    rig.cloud.fail(GONE, hears=1)
    go_on = asyncio.Event()
    asking = asyncio.create_task(all_of(rig.both, Request("t1", "default", audio=utterance(go_on))))
    await settle()
    go_on.set()
    await asking
    assert rig.kept == [("default", WHOLE, "")]


async def test_a_vendor_may_follow_the_device_for_what_it_does_not_understand(rig: Rig) -> None:
    rig.use("local", "cloud")
    assert await rig.ask() == DEVICE
    rig.device.fail(NotUnderstood("beyond me"))
    assert await rig.ask() == CLOUD
    assert rig.emit.events == []
    rig.cloud.fail(GONE)
    assert await rig.ask() == [*said(announce_queued("network_error", "cloud")), ReplyEnd()]


# --- the end ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("choose", [lambda rig: rig.cloud, lambda rig: rig.device])
async def test_closing_the_iterator_closes_the_providers_reply(
    rig: Rig, choose: Callable[[Rig], Scripted]
) -> None:
    closed = asyncio.Event()

    async def endless(request: Request) -> AsyncGenerator[ReplyItem]:
        try:
            while True:
                await asyncio.sleep(0)
                yield ReplyAudio(CLIP)
        finally:
            closed.set()

    rig.cloud.fail(GONE)
    choose(rig).converse = endless  # type: ignore[method-assign]
    before = asyncio.all_tasks()
    async with (
        asyncio.timeout(WAIT_S),
        aclosing(rig.both.converse(Request("t1", "default", text="sing"))) as replies,
    ):
        for _ in range(5):
            assert isinstance(await anext(replies), ReplyAudio)
    assert closed.is_set()
    assert asyncio.all_tasks() <= before


async def test_closing_it_closes_the_vendors_but_not_the_device(rig: Rig) -> None:
    rig.use("cloud", "other", "local")
    await rig.both.close()
    assert (rig.cloud.closed, rig.other.closed, rig.device.closed) == (1, 1, 0)


# --- reading ahead ----------------------------------------------------------------------------------

SOUND = ReplyAudio(Clip(bytes(320), SAMPLE_RATE_HZ))


class Source:
    """A reply of ``items`` that ends with ``error``; counts what was read and notes the closing."""

    def __init__(self, items: list[ReplyItem], error: Exception | None = None) -> None:
        self.items = items
        self.error = error
        self.given = 0
        self.closed = False

    async def replies(self) -> AsyncGenerator[ReplyItem]:
        try:
            for item in self.items:
                self.given += 1
                yield item
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


async def test_a_reply_is_read_ahead_up_to_a_limit() -> None:
    source = Source([SOUND] * 100)
    async with asyncio.timeout(WAIT_S), ReadAhead(source.replies()) as ahead:
        await settle()
        await ahead.wait_ready()
        assert READ_AHEAD <= source.given <= READ_AHEAD + 1
        found = [await ahead.next() for _ in range(101)]
    assert found == [*source.items, None]


async def test_the_provider_is_closed_at_the_end_of_playback_and_not_before() -> None:
    source = Source([ReplyText("Noon."), SOUND, ReplyEnd()])
    async with asyncio.timeout(WAIT_S), ReadAhead(source.replies()) as ahead:
        for item in source.items:
            assert await ahead.next() == item
        await settle()
        assert not source.closed
    assert source.closed


async def test_an_error_comes_after_the_items_before_it() -> None:
    source = Source([SOUND], ConnectionFailed("broken"))
    async with asyncio.timeout(WAIT_S), ReadAhead(source.replies()) as ahead:
        await settle()
        assert await ahead.next() == SOUND
        with pytest.raises(ConnectionFailed):
            await ahead.next()


async def test_waiting_for_an_item_may_be_cancelled() -> None:
    go_on = asyncio.Event()

    async def slow() -> AsyncGenerator[ReplyItem]:
        await go_on.wait()
        yield SOUND
        yield ReplyEnd()

    async with asyncio.timeout(WAIT_S), ReadAhead(slow()) as ahead:
        waiting = asyncio.create_task(ahead.wait_ready())
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        go_on.set()
        assert [await ahead.next(), await ahead.next()] == [SOUND, ReplyEnd()]
