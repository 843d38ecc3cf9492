"""The cloud in front, the device behind: who answers, and what is said about it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import pytest

from tests.fakes import FakeClock, RecordingEmit
from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    DeadlineExceeded,
    DeviceError,
    EngineError,
    NotFound,
    ProviderError,
    RateLimited,
    VoxdError,
)
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.providers.contract import Reply, ReplyAudio, ReplyEnd, ReplyText, Request, Transcript
from voxd.providers.fallback import NOTICE, FallbackProvider

CLIP = Clip(bytes(320), SAMPLE_RATE_HZ)
FRAMES = [Frame(at, bytes(2560)) for at in range(0, 5 * 1280, 1280)]
CLOUD = [Transcript("what time is it", True, "cloud"), ReplyText("Noon."), ReplyAudio(CLIP), ReplyEnd()]
DEVICE = [Transcript("time", True, "local"), ReplyText("It is noon."), ReplyAudio(CLIP), ReplyEnd()]
NOTICED = [ReplyText(NOTICE), ReplyAudio(CLIP)]
WAIT_S = 5.0


class Scripted:
    """Hears ``hears`` frames (None: all), says ``items``, and then fails with ``error``."""

    def __init__(self, name: str, items: list[Reply]) -> None:
        self.name = name
        self.items = items
        self.error: VoxdError | None = None
        self.hears: int | None = None
        self.heard: list[list[Frame]] = []
        self.asked: list[Request] = []
        self.prepared = self.closed = 0

    def prepare(self) -> None:
        self.prepared += 1

    async def converse(self, request: Request) -> AsyncGenerator[Reply]:
        self.asked.append(request)
        frames: list[Frame] = []
        self.heard.append(frames)
        if request.audio is not None and self.hears != 0:
            async for frame in request.audio:
                frames.append(frame)
                if len(frames) == self.hears:
                    break
        for item in self.items:
            yield item
        if self.error is not None:
            raise self.error

    async def speak(self, text: str) -> AsyncGenerator[Clip]:
        yield CLIP

    async def close(self) -> None:
        self.closed += 1


class House:
    def __init__(self) -> None:
        self.clock, self.emit = FakeClock(), RecordingEmit()
        self.cloud, self.device = Scripted("cloud", CLOUD), Scripted("local", DEVICE)
        self.both = FallbackProvider(self.cloud, self.device, emit=self.emit, clock=self.clock)

    def ill(self, error: VoxdError, *, after: int = 0, hears: int | None = None) -> None:
        self.cloud.items, self.cloud.error, self.cloud.hears = CLOUD[:after], error, hears

    def well(self) -> None:
        self.cloud.items, self.cloud.error, self.cloud.hears = CLOUD, None, None

    async def ask(self, *, speak: bool = True) -> list[Reply]:
        return await all_of(self.both, Request("t1", "default", audio=utterance(), speak=speak))


@pytest.fixture
def house() -> House:
    return House()


async def utterance(go_on: asyncio.Event | None = None) -> AsyncIterator[Frame]:
    for frame in FRAMES[:2]:
        yield frame
    if go_on is not None:
        await go_on.wait()
    for frame in FRAMES[2:]:
        yield frame


async def all_of(provider: FallbackProvider, request: Request) -> list[Reply]:
    async with asyncio.timeout(WAIT_S), aclosing(provider.converse(request)) as replies:
        return [item async for item in replies]


async def test_while_the_cloud_is_well_it_answers_alone(house: House) -> None:
    house.both.prepare()
    assert await house.ask() == CLOUD
    assert house.cloud.heard == [FRAMES]
    assert (house.cloud.prepared, house.device.prepared, house.device.asked) == (1, 0, [])
    assert house.emit.types() == []


@pytest.mark.parametrize("hears", [0, 1, None])
async def test_the_device_answers_the_same_utterance(house: House, hears: int | None) -> None:
    house.ill(ConnectionFailed("refused"), hears=hears)
    assert await house.ask() == [*NOTICED, *DEVICE]
    assert house.device.heard == [FRAMES]
    assert house.device.prepared


async def test_the_device_takes_over_while_the_user_still_speaks(house: House) -> None:
    house.ill(ConnectionFailed("refused"), hears=1)
    go_on = asyncio.Event()
    request = Request("t1", "default", audio=utterance(go_on))
    async with asyncio.timeout(WAIT_S), aclosing(house.both.converse(request)) as replies:
        assert await anext(replies) == NOTICED[0]
        assert await anext(replies) == NOTICED[1]
        go_on.set()
        assert [item async for item in replies] == DEVICE
    assert house.device.heard == [FRAMES]


async def test_words_whose_sound_never_came_are_not_said(house: House) -> None:
    house.ill(ConnectionFailed("broken"), after=2)
    said = await house.ask()
    assert ReplyText("Noon.") not in said
    assert said[-4:] == DEVICE


async def test_a_reply_that_breaks_off_while_it_is_heard_ends_with_its_reason(house: House) -> None:
    house.ill(ConnectionFailed("broken"), after=3)
    with pytest.raises(ConnectionFailed):
        await house.ask()
    assert house.device.asked == []
    house.well()
    assert await house.ask() == CLOUD, "one broken reply is no outage"


async def test_read_words_count_as_heard(house: House) -> None:
    house.ill(ConnectionFailed("broken"), after=2)
    with pytest.raises(ConnectionFailed):
        await house.ask(speak=False)


async def test_an_outage_is_told_once_and_its_end_once(house: House) -> None:
    house.ill(ConnectionFailed("refused"))
    await house.ask()
    await house.clock.advance(5)
    await house.ask()
    assert house.emit.events == [
        ("provider.failed", {"provider": "cloud", "code": "network_error", "reason": "refused"}),
        ("provider.changed", {"from": "cloud", "to": "local", "reason": "network_error"}),
    ]
    house.well()
    await house.clock.advance(10)
    assert await house.ask() == CLOUD
    await house.ask()
    assert house.emit.events[2:] == [("provider.restored", {"provider": "cloud"})]


async def test_during_an_outage_the_device_answers_at_once_and_without_a_word_about_it(house: House) -> None:
    house.ill(ConnectionFailed("refused"))
    await house.ask()
    house.both.prepare()
    assert house.cloud.prepared == 0
    assert await house.ask() == DEVICE
    assert len(house.cloud.asked) == 1


@pytest.mark.parametrize(
    ("error", "rest_s"),
    [
        (ConnectionFailed("x"), 5.0),
        (AuthenticationError("x"), 300.0),
        (RateLimited("x", retry_after_s=60), 60.0),
    ],
)
async def test_the_cloud_is_asked_again_when_it_has_rested(
    house: House, error: VoxdError, rest_s: float
) -> None:
    house.ill(error)
    await house.ask()
    await house.clock.advance(rest_s - 0.1)
    await house.ask()
    assert len(house.cloud.asked) == 1
    await house.clock.advance(0.1)
    house.both.prepare()
    assert (house.cloud.prepared, house.device.prepared) == (1, 2), "both, for it may still be ill"
    await house.ask()
    assert len(house.cloud.asked) == 2


async def test_who_has_mended_it_need_not_wait(house: House) -> None:
    house.ill(AuthenticationError("wrong key"))
    await house.ask()
    house.well()
    house.both.recover()
    assert await house.ask() == CLOUD


@pytest.mark.parametrize("code", ["audio_too_short", "input_audio_buffer_commit_empty"])
async def test_an_utterance_without_sound_is_no_outage(house: House, code: str) -> None:
    house.ill(ProviderError("too short", code=code))
    assert await house.ask() == DEVICE
    assert house.both.outage is None


@pytest.mark.parametrize("error", [DeadlineExceeded("slow"), ConfigError("no endpoint"), NotFound("no kind")])
async def test_whatever_keeps_the_cloud_from_answering_is_a_failure(house: House, error: VoxdError) -> None:
    house.ill(error)
    assert await house.ask() == [*NOTICED, *DEVICE]


@pytest.mark.parametrize("error", [DeviceError("no microphone"), EngineError("broken")])
async def test_faults_of_the_device_itself_are_its_own(house: House, error: VoxdError) -> None:
    house.ill(error)
    with pytest.raises(type(error)):
        await house.ask()
    assert house.both.outage is None


async def test_a_typed_question_goes_the_same_way(house: House) -> None:
    house.ill(ConnectionFailed("refused"))
    said = await all_of(house.both, Request("t1", "default", text="what time is it", speak=False))
    assert said == [NOTICED[0], *DEVICE]
    assert house.device.asked[0].text == "what time is it"


@pytest.mark.parametrize("choose", [lambda house: house.cloud, lambda house: house.device])
async def test_an_iterator_that_is_closed_closes_who_is_answering(
    house: House, choose: Callable[[House], Scripted]
) -> None:
    closed = asyncio.Event()

    async def endless(request: Request) -> AsyncGenerator[Reply]:
        try:
            while True:
                yield ReplyAudio(CLIP)
        finally:
            closed.set()

    house.ill(ConnectionFailed("refused"))
    choose(house).converse = endless  # type: ignore[method-assign]
    async with (
        asyncio.timeout(WAIT_S),
        aclosing(house.both.converse(Request("t1", "default", text="sing"))) as replies,
    ):
        async for item in replies:
            if isinstance(item, ReplyAudio) and item not in NOTICED[:1]:
                break
        await anext(replies)
        await anext(replies)
    assert closed.is_set()


async def test_closing_it_closes_the_cloud_and_leaves_the_device(house: House) -> None:
    await house.both.close()
    assert (house.cloud.closed, house.device.closed) == (1, 0)
