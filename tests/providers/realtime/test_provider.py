"""A turn with a speech-to-speech provider, from the first frame to what was heard of the reply."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from tests.fakes import RecordingEmit, settle
from tests.providers.contract import tone
from voxd.clock import SystemClock
from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, VoxdError
from voxd.events import EventType as E
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.providers.contract import (
    TYPED,
    LatencyStep,
    PlaybackResult,
    ReplyAudio,
    ReplyEnd,
    ReplyItem,
    ReplyText,
    Request,
    StepReached,
    Transcript,
)
from voxd.providers.realtime.provider import RealtimeConfig, RealtimeProvider
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox, tool
from voxd.providers.usage import Cost, Usage
from voxd.providers.vendors.mock.realtime import MockProvider
from voxd.providers.vendors.mock.script import MockScript

WAIT_S = 5.0


class Speaking:
    """Somebody who speaks as long as the test lets him, a tenth of a second at a time."""

    def __init__(self) -> None:
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._at = 0

    def say(self, seconds: float = 0.5) -> None:
        for _ in range(round(seconds * 10)):
            pcm = tone(100, SAMPLE_RATE_HZ)
            self._frames.put_nowait(Frame(self._at, pcm))
            self._at += len(pcm) // 2

    def stop(self) -> None:
        self._frames.put_nowait(None)

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        frame = await self._frames.get()
        if frame is None:
            raise StopAsyncIteration
        return frame


def asked(seconds: float = 0.5) -> Speaking:
    speaking = Speaking()
    speaking.say(seconds)
    speaking.stop()
    return speaking


class Vendor:
    """Makes mock providers from one script and keeps them."""

    def __init__(self, **script: Any) -> None:
        self.script = msgspec.convert(script, MockScript)
        self.made: list[MockProvider] = []

    def __call__(self) -> MockProvider:
        self.made.append(MockProvider({"metadata": self.script}))
        return self.made[-1]

    @property
    def now(self) -> MockProvider:
        return self.made[-1]


class Line:
    """A live provider on a vendor, and what it told."""

    def __init__(self, vendor: Callable[[], Any], *, tools: ToolBox | None = None, **brain: Any) -> None:
        self.emit = RecordingEmit()
        self.failures: list[tuple[str, VoxdError]] = []
        self.records: list[tuple[str, Usage, Cost | None]] = []
        settings = {"config": SessionConfig(), "first_audio_timeout_s": WAIT_S, **brain}
        self.provider = RealtimeProvider(
            RealtimeConfig("cloud", "mock", vendor, **settings),
            tools=tools or ToolBox(),
            emit=self.emit,
            clock=SystemClock(),
            speak=one_clip,
            record=lambda *entry: self.records.append(entry),
            failed=lambda *failure: self.failures.append(failure),
        )

    def of(self, type: E) -> list[dict[str, Any]]:
        return [data for seen, data in self.emit.events if seen == type]


async def one_clip(text: str) -> AsyncGenerator[Clip]:
    yield Clip(bytes(320), SAMPLE_RATE_HZ)


@pytest.fixture
async def opened() -> AsyncIterator[list[RealtimeProvider]]:
    """Live providers to be closed at the end, none of whose tasks may be left then."""
    before = asyncio.all_tasks()
    providers: list[RealtimeProvider] = []
    yield providers
    async with asyncio.timeout(WAIT_S):
        for provider in providers:
            await provider.close()
    assert asyncio.all_tasks() - before <= {asyncio.current_task()}


@pytest.fixture
def line(opened: list[RealtimeProvider]) -> Callable[..., Line]:
    def made(vendor: Callable[[], Any], **options: Any) -> Line:
        line = Line(vendor, **options)
        opened.append(line.provider)
        return line

    return made


async def all_of(provider: Any, request: Request) -> list[ReplyItem]:
    async with asyncio.timeout(WAIT_S), aclosing(provider.converse(request)) as replies:
        return [item async for item in replies]


def spoken_ms(items: list[ReplyItem]) -> float:
    return sum(item.clip.duration_s * 1000 for item in items if isinstance(item, ReplyAudio))


def words(items: list[ReplyItem]) -> list[str]:
    return [item.text for item in items if isinstance(item, ReplyText)]


async def test_a_spoken_question_is_transcribed_and_answered_in_sentences_and_audio(
    line: Callable[..., Line],
) -> None:
    vendor = Vendor(hears=("what time is it",), replies={"what time is it": "It is noon. Shall I go on?"})
    live = line(vendor)
    items = await all_of(live.provider, Request("t1", "default", audio=asked()))
    assert Transcript("what time is it", True, "cloud") in items
    assert words(items) == ["It is noon.", "Shall I go on?"]
    assert spoken_ms(items) == pytest.approx(len("It is noon. Shall I go on?") * 65, abs=20)
    assert items[-1] == ReplyEnd(expects_answer=True)
    assert [item.step for item in items if isinstance(item, StepReached)] == [
        LatencyStep.SESSION_READY,
        LatencyStep.AUDIO_SENT,
    ]


async def test_audio_is_sent_while_the_user_still_speaks(line: Callable[..., Line]) -> None:
    vendor, speaking = Vendor(), Speaking()
    live = line(vendor)
    async with (
        asyncio.timeout(WAIT_S),
        aclosing(live.provider.converse(Request("t1", "default", audio=speaking))) as replies,
    ):
        first = await anext(replies)
        assert isinstance(first, StepReached)
        speaking.say(0.3)
        assert (await anext(replies)) == StepReached(
            LatencyStep.AUDIO_SENT, pytest.approx(SystemClock().monotonic(), abs=5)
        )
        assert vendor.now._sound_bytes > 0, "nobody has said that the question is complete"
        speaking.stop()
        assert [item async for item in replies][-1] == ReplyEnd()


async def test_what_was_prepared_at_the_wake_word_is_not_opened_again(line: Callable[..., Line]) -> None:
    vendor = Vendor(connect_delay_s=0.01)
    live = line(vendor)
    live.provider.prepare()
    live.provider.prepare()
    await all_of(live.provider, Request("t1", "default", audio=asked()))
    live.provider.prepare()
    await all_of(live.provider, Request("t2", "default", audio=asked()))
    assert vendor.script.openings == 1


async def test_a_typed_question_without_speech_gets_no_audio(line: Callable[..., Line]) -> None:
    live = line(Vendor(replies={"hello": "Hello yourself."}))
    items = await all_of(live.provider, Request("t1", "default", text="hello", speak=False))
    assert words(items) == ["Hello yourself."]
    assert spoken_ms(items) == 0


async def test_the_transcript_of_a_typed_question_is_its_text(line: Callable[..., Line]) -> None:
    live = line(Vendor(replies={"hello": "Hello yourself."}))
    items = await all_of(live.provider, Request("t1", "default", text="hello"))
    assert [item for item in items if isinstance(item, Transcript)] == [Transcript("hello", True, TYPED)]


async def test_a_cut_reply_is_kept_as_far_as_it_was_played(line: Callable[..., Line]) -> None:
    vendor = Vendor(default_reply="one two three four five six", chunk_delay_s=0.001)
    live, heard = line(vendor), PlaybackResult()
    async with (
        asyncio.timeout(WAIT_S),
        aclosing(live.provider.converse(Request("t1", "default", text="count", playback=heard))) as replies,
    ):
        async for item in replies:
            if isinstance(item, ReplyAudio):
                break
        heard.played_ms = 260.0
    assert vendor.now.played_ms == [260.0]
    assert [data["played_ms"] for data in live.of(E.CONVERSATION_INTERRUPTED)] == [260.0]


async def test_a_complete_reply_can_still_be_cut(line: Callable[..., Line]) -> None:
    vendor, heard = Vendor(default_reply="one two three four five six"), PlaybackResult()
    live = line(vendor)
    async with (
        asyncio.timeout(WAIT_S),
        aclosing(live.provider.converse(Request("t1", "default", text="count", playback=heard))) as replies,
    ):
        async for item in replies:
            if isinstance(item, ReplyEnd):
                heard.played_ms = 300.0
                break
    assert vendor.now.played_ms == [300.0]


async def test_a_reply_played_to_its_end_is_not_cut(line: Callable[..., Line]) -> None:
    vendor = Vendor()
    live = line(vendor)
    await all_of(live.provider, Request("t1", "default", text="count"))
    assert vendor.now.played_ms == []


async def test_an_abandoned_question_is_cleared(line: Callable[..., Line]) -> None:
    vendor, speaking = Vendor(), Speaking()
    live = line(vendor)
    speaking.say(0.5)
    async with (
        asyncio.timeout(WAIT_S),
        aclosing(live.provider.converse(Request("t1", "default", audio=speaking))) as replies,
    ):
        async for item in replies:
            if isinstance(item, StepReached) and item.step is LatencyStep.AUDIO_SENT:
                break
    assert vendor.now._sound_bytes == 0


async def test_a_turn_ends_after_the_response_to_its_tool_calls(line: Callable[..., Line]) -> None:
    def weather(city: str) -> str:
        """Tell the weather."""
        return f"rain in {city}"

    calls = [{"name": "weather", "arguments": {"city": "Rome"}}]
    vendor = Vendor(replies={"weather": {"text": "I see {results}.", "calls": calls}})
    live = line(vendor, tools=ToolBox([tool(weather)]))
    items = await all_of(live.provider, Request("t1", "default", text="weather"))
    assert words(items) == ["I see rain in Rome."]


@pytest.mark.parametrize(
    ("script", "brain", "code"),
    [
        ({"connect_fault": "invalid_api_key"}, {}, "invalid_api_key"),
        ({"connect_fault": "refused"}, {}, "network_error"),
        ({"connect_fault": "rate_limited"}, {}, "rate_limited"),
        ({"connect_delay_s": 60.0}, {"connect_timeout_s": 0.02}, "timeout"),
        ({"silent": True}, {"first_audio_timeout_s": 0.02}, "timeout"),
        ({"drop_after": 3}, {}, "network_error"),
    ],
)
async def test_each_fault_ends_the_turn_with_its_code(
    line: Callable[..., Line], script: dict[str, Any], brain: dict[str, Any], code: str
) -> None:
    live = line(Vendor(**script), **brain)
    with pytest.raises(ProviderError) as raised:
        await all_of(live.provider, Request("t1", "default", audio=asked()))
    assert raised.value.code == code
    assert raised.value.provider


async def test_a_provider_that_cannot_be_made_is_a_fault_of_the_turn(line: Callable[..., Line]) -> None:
    def none() -> MockProvider:
        raise AuthenticationError("there is no key")

    with pytest.raises(ProviderError) as raised:
        await all_of(line(none).provider, Request("t1", "default", text="hello"))
    assert raised.value.code == "invalid_api_key"


async def test_too_little_audio_is_refused(line: Callable[..., Line]) -> None:
    with pytest.raises(VoxdError) as raised:
        await all_of(line(Vendor()).provider, Request("t1", "default", audio=asked(0.0)))
    assert raised.value.code == "input_audio_buffer_commit_empty"


async def test_turns_follow_one_another(line: Callable[..., Line]) -> None:
    """The second begins when the first has been told what was heard of it."""
    vendor, heard = Vendor(chunk_delay_s=0.001), PlaybackResult()
    live = line(vendor)
    first = live.provider.converse(Request("t1", "default", text="one", playback=heard))
    async with asyncio.timeout(WAIT_S):
        async for item in first:
            if isinstance(item, ReplyAudio):
                break
        second = asyncio.create_task(all_of(live.provider, Request("t2", "default", text="two")))
        heard.played_ms = 10.0
        await first.aclose()
        items = await second
    assert vendor.now.played_ms == [10.0]
    assert isinstance(items[-1], ReplyEnd)


async def test_a_vendor_with_turn_detection_gets_silence_and_no_commit(
    line: Callable[..., Line],
) -> None:
    vendor = Vendor(default_reply="Yes.")
    live = line(vendor, config=SessionConfig(turn_detection="server"))
    items = await all_of(live.provider, Request("t1", "default", audio=asked()))
    assert words(items) == ["Yes."]


async def test_what_a_turn_costs_is_recorded_once(line: Callable[..., Line]) -> None:
    live = line(Vendor())
    for number in range(2):
        await all_of(live.provider, Request(f"t{number}", "default", text="hello"))
    await live.provider.close()
    assert sum(usage.responses for _, usage, _ in live.records) == 2
    assert {name for name, _, _ in live.records} == {"cloud"}
    assert all(cost is not None and cost.total > 0 for _, usage, cost in live.records if usage.responses)


async def test_single_words_and_audio_are_not_published(line: Callable[..., Line]) -> None:
    live = line(Vendor())
    await all_of(live.provider, Request("t1", "default", text="hello"))
    assert live.of(E.AUDIO_OUTPUT_CHUNK) == []
    assert [data["is_partial"] for data in live.of(E.TEXT_OUTPUT)] == [False]
    assert live.of(E.CONNECTION_ESTABLISHED)


async def test_a_forgotten_conversation_is_not_sent_to_the_next_session(line: Callable[..., Line]) -> None:
    vendor = Vendor()
    live = line(vendor)
    await all_of(live.provider, Request("t1", "default", text="my name is Ann"))
    await live.provider.forget()
    await all_of(live.provider, Request("t2", "default", text="who am I"))
    assert len(vendor.made) == 2
    assert vendor.now.history == []


async def test_the_vendors_time_runs_from_the_end_of_the_question_not_from_the_wake_word(
    line: Callable[..., Line],
) -> None:
    """While the user speaks the session may take its time; then he has waited for it already."""
    speaking = Speaking()
    live = line(Vendor(connect_delay_s=60.0), first_audio_timeout_s=0.05, connect_timeout_s=60.0)
    asking = asyncio.create_task(all_of(live.provider, Request("t1", "default", audio=speaking)))
    speaking.say(0.5)
    done, _ = await asyncio.wait({asking}, timeout=0.2)
    assert not done
    speaking.stop()
    with pytest.raises(ConnectionFailed) as raised:
        await asking
    assert raised.value.code == "timeout"


async def test_a_session_in_which_the_vendor_is_silent_is_not_used_again(line: Callable[..., Line]) -> None:
    vendor = Vendor(silent=True)
    live = line(vendor, first_audio_timeout_s=0.02)
    for number in range(2):
        with pytest.raises(ProviderError):
            await all_of(live.provider, Request(f"t{number}", "default", text="hello"))
        await settle()
    assert len(vendor.made) == 2


class Queueing(MockProvider):
    """Its question waits in a queue of ours for as long as ``in_queue_s``."""

    in_queue_s = 0.0
    asked_s: float | None = None

    async def send_text(self, text: str) -> None:
        self.asked_s = asyncio.get_running_loop().time()
        await super().send_text(text)

    @property
    def queued_s(self) -> float:  # type: ignore[override]
        passed_s = 0.0 if self.asked_s is None else asyncio.get_running_loop().time() - self.asked_s
        return min(passed_s, self.in_queue_s)


@pytest.mark.parametrize(("in_queue_s", "answered"), [(0.6, True), (0.0, False)])
async def test_the_time_in_a_queue_of_ours_is_not_the_vendors(
    line: Callable[..., Line], in_queue_s: float, answered: bool
) -> None:
    def make() -> MockProvider:
        made = Queueing({"metadata": {"first_delay_s": 0.6}})
        made.in_queue_s = in_queue_s
        return made

    live = line(make, first_audio_timeout_s=0.2)
    request = Request("t1", "default", text="hello")
    if answered:
        assert isinstance((await all_of(live.provider, request))[-1], ReplyEnd)
    else:
        with pytest.raises(ProviderError, match="no reply"):
            await all_of(live.provider, request)


async def test_a_failed_connect_between_turns_is_reported(line: Callable[..., Line]) -> None:
    live = line(Vendor(connect_fault="refused"))
    live.provider.prepare()
    async with asyncio.timeout(WAIT_S):
        while not live.failures:
            await asyncio.sleep(0)
    assert [(name, error.code) for name, error in live.failures] == [("cloud", "network_error")]
