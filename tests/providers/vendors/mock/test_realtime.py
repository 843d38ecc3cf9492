"""The mock provider keeps the contract, and does what its script says."""

import asyncio

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock, settle
from tests.properties import examples
from tests.providers.contract import LONG, SHORT, Ear, Make, ProviderContract, blocks, tone
from voxd.errors import AuthenticationError, ConfigError, ConnectionFailed, RateLimited, VoxdError
from voxd.events import EventType as E
from voxd.providers.base import BaseProvider
from voxd.providers.settings import SessionConfig
from voxd.providers.vendors.mock.realtime import (
    MS_PER_CHAR,
    RATE_HZ,
    LevelDetector,
    MockProvider,
    rms,
    synthesize,
)
from voxd.providers.vendors.mock.script import MockCall, MockReply, MockScript

STORY = "once upon a time " * 200


class TestContract(ProviderContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda: mock(replies={LONG: STORY}, chunk_delay_s=0.001)

    @pytest.fixture
    def make_refused(self) -> Make:
        return lambda: mock(connect_fault="refused")


def mock(*, clock: object = None, **script: object) -> MockProvider:
    return MockProvider({"metadata": script, "clock": clock})


async def opened(provider: BaseProvider) -> Ear:
    ear = Ear(provider)
    await provider.connect()
    return ear


async def answer(provider: BaseProvider, ear: Ear, text: str) -> str:
    count = len(ear.of(E.RESPONSE_COMPLETED)) + 1
    await provider.send_text(text)
    await ear.until(E.RESPONSE_COMPLETED, count)
    return str([event for event in ear.of(E.TEXT_OUTPUT) if not event.data["is_partial"]][-1].data["text"])


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("Hello", "Hi there!"),
        ("  hello! ", "Hi there!"),
        ("what is 3 plus 4", "You want 3 and 4."),
        ("whatever", "No idea."),
    ],
)
async def test_it_answers_by_exact_text_then_by_pattern_then_by_default(asked: str, answered: str) -> None:
    provider = mock(
        replies={"hello": "Hi there!"},
        patterns=[(r"(\d+) plus (\d+)", r"You want \1 and \2.")],
        default_reply="No idea.",
    )
    ear = await opened(provider)
    assert await answer(provider, ear, asked) == answered
    await provider.disconnect()


async def test_its_sound_is_as_long_as_its_text() -> None:
    provider = mock(default_reply="one two three")
    ear = await opened(provider)
    await answer(provider, ear, "count")
    size = sum(len(event.data["audio_data"]) for event in ear.of(E.AUDIO_OUTPUT_CHUNK))
    assert size / 2 / RATE_HZ * 1000 == pytest.approx(len("one two three") * MS_PER_CHAR)
    await provider.disconnect()


async def test_it_writes_only_when_only_text_is_wanted() -> None:
    provider = mock()
    await provider.configure_session(SessionConfig(modalities=("text",)))
    ear = await opened(provider)
    assert await answer(provider, ear, "hello")
    assert ear.of(E.AUDIO_OUTPUT_STARTED, E.AUDIO_OUTPUT_CHUNK, E.AUDIO_OUTPUT_STOPPED) == []
    await provider.disconnect()


async def test_its_delays_follow_the_configured_clock() -> None:
    clock = FakeClock()
    provider = mock(
        clock=clock, connect_delay_s=1.0, first_delay_s=2.0, chunk_delay_s=0.5, default_reply="Yes."
    )
    ear = Ear(provider)
    connecting = asyncio.create_task(provider.connect())
    await clock.advance(0.9)
    assert not provider.is_connected
    await clock.advance(0.2)
    await connecting
    await provider.send_text("hello")
    await clock.advance(1.9)
    assert ear.types() == [E.RESPONSE_STARTED]
    await clock.advance(0.1)
    assert len(ear.of(E.AUDIO_OUTPUT_CHUNK)) == 1
    await clock.advance(0.5)
    assert len(ear.of(E.AUDIO_OUTPUT_CHUNK)) == 2
    await provider.disconnect()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("refused", ConnectionFailed),
        ("timeout", ConnectionFailed),
        ("invalid_api_key", AuthenticationError),
        ("rate_limited", RateLimited),
    ],
)
async def test_it_fails_to_connect_as_often_as_it_should(fault: str, error: type[VoxdError]) -> None:
    script = MockScript(connect_fault=fault, connect_faults=2)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(error):
            await MockProvider({"metadata": script}).connect()
    provider = MockProvider({"metadata": script})
    await provider.connect()
    assert provider.is_connected
    await provider.disconnect()


async def test_a_rate_limit_reports_the_wait() -> None:
    provider = mock(connect_fault="rate_limited", retry_after_s=7)
    with pytest.raises(RateLimited) as raised:
        await provider.connect()
    assert raised.value.retry_after_s == 7


async def test_it_breaks_after_so_many_events() -> None:
    provider = mock(drop_after=5)
    ear = await opened(provider)
    await provider.send_text("hello")
    lost = await ear.until(E.CONNECTION_LOST)
    await settle()
    assert not provider.is_connected
    assert lost.data["code"] == "network_error"
    assert len(ear.events) == 6
    await provider.disconnect()


async def test_a_silent_one_never_answers() -> None:
    provider = mock(silent=True)
    ear = await opened(provider)
    await provider.send_text("hello")
    await settle()
    assert ear.events == []
    await provider.disconnect()


async def test_with_server_turn_detection_a_pause_ends_the_question() -> None:
    provider = mock(hears=("what time is it", "and now"), default_reply="Noon.")
    await provider.configure_session(SessionConfig(turn_detection="server", vad_silence_ms=200))
    ear = await opened(provider)
    for block in blocks(bytes(RATE_HZ) + tone(600, RATE_HZ) + bytes(RATE_HZ), RATE_HZ):
        await provider.send_audio(block)
    await ear.until(E.RESPONSE_COMPLETED)
    began, ended = (event.data for event in ear.of(E.CONVERSATION_TURN_DETECTED))
    assert (began["speaking"], ended["speaking"]) == (True, False)
    assert began["at_ms"] == pytest.approx(540, abs=40)
    assert ended["at_ms"] == pytest.approx(1300, abs=60)
    assert ear.of(E.TEXT_TRANSCRIPTION)[0].data["text"] == "what time is it"
    await provider.disconnect()


async def test_with_server_turn_detection_a_word_interrupts_the_reply() -> None:
    provider = mock(default_reply=STORY, chunk_delay_s=0.001)
    await provider.configure_session(SessionConfig(turn_detection="server"))
    ear = await opened(provider)
    await provider.send_text("tell")
    await ear.until(E.AUDIO_OUTPUT_CHUNK)
    await provider.send_audio(tone(40, RATE_HZ))
    cancelled = await ear.until(E.RESPONSE_CANCELLED)
    assert cancelled.data["reason"] == "turn_detected"
    await provider.disconnect()


async def test_a_commit_of_too_little_audio_is_an_error_event() -> None:
    provider = mock()
    ear = await opened(provider)
    await provider.send_audio(tone(500, RATE_HZ))
    await provider.clear_audio()
    await provider.send_audio(tone(50, RATE_HZ))
    await provider.commit()
    assert [event.data["code"] for event in ear.events] == ["input_audio_buffer_commit_empty"]
    await provider.disconnect()


async def test_it_calls_tools_and_answers_with_their_results() -> None:
    calls = (MockCall("weather", {"city": "Rome"}), MockCall("clock"))
    provider = mock(replies={"news": MockReply("I know: {results}", calls)})
    ear = await opened(provider)
    await provider.send_text("news")
    await ear.until(E.RESPONSE_COMPLETED)
    invoked = ear.of(E.FUNCTION_CALL_INVOKED)
    assert [(event.data["function_name"], event.data["arguments"]) for event in invoked] == [
        ("weather", {"city": "Rome"}),
        ("clock", {}),
    ]
    for event, output in zip(invoked, ("sunny", "noon"), strict=True):
        await provider.send_tool_result(event.data["call_id"], output)
    await provider.request_response()
    await ear.until(E.RESPONSE_COMPLETED, 2)
    assert ear.of(E.TEXT_OUTPUT)[-1].data["text"] == "I know: sunny; noon"
    await provider.disconnect()


async def test_it_counts_its_input_and_output() -> None:
    provider = mock(default_reply="four words of text")
    ear = await opened(provider)
    await provider.send_audio(tone(2000, RATE_HZ))
    await provider.commit()
    await ear.until(E.RESPONSE_COMPLETED)
    usage = await provider.get_usage()
    assert usage is not None
    assert (usage.input_audio_tokens, usage.output_audio_tokens) == (20, 23)
    assert usage.audio_seconds == pytest.approx(2.0 + 18 * MS_PER_CHAR / 1000)
    assert usage.output_text_tokens == 5
    await provider.disconnect()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ({"connect_fault": "earthquake"}, "connect_fault"),
        ({"hears": "hello"}, "hears"),
        ({"replies": {"x": {"txt": "y"}}}, "txt"),
    ],
)
def test_an_invalid_script_is_refused(script: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        mock(**script)


async def test_a_script_may_come_from_a_file() -> None:
    text = """
        default_reply = "No idea."
        patterns = [["weather in (.+)", 'Sunny in \\1.']]
        [replies.time]
        text = "It is {results}."
        calls = [{ name = "get_time" }]
    """
    provider = MockProvider({"metadata": tomli.loads(text)})
    ear = await opened(provider)
    assert await answer(provider, ear, "the weather in Rome") == "Sunny in Rome."
    await provider.send_text("time")
    assert (await ear.until(E.FUNCTION_CALL_INVOKED)).data["function_name"] == "get_time"
    await provider.disconnect()


async def test_short_questions_of_the_contract_have_an_answer() -> None:
    provider = mock()
    ear = await opened(provider)
    assert await answer(provider, ear, SHORT) == MockScript().default_reply
    await provider.disconnect()


@examples(50)
@given(st.text(max_size=40))
def test_the_sound_of_any_text_is_whole_samples_of_its_length(text: str) -> None:
    pcm = b"".join(synthesize(text))
    assert len(pcm) == round(len(text) * MS_PER_CHAR) * RATE_HZ // 1000 * 2
    assert not pcm or rms(pcm) > 500


@examples(50)
@given(st.lists(st.booleans(), max_size=60))
def test_speech_begins_and_ends_in_turn(loud: list[bool]) -> None:
    vad = LevelDetector(threshold=500, silence_ms=80)
    changes = [vad.feed(tone(40, RATE_HZ) if block else bytes(1920)) for block in loud]
    told = [change for change in changes if change is not None]
    assert told == [index % 2 == 0 for index in range(len(told))]
    assert vad.at_ms == 40 * len(loud)
