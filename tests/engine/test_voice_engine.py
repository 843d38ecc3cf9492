"""The engine over the mock provider: every method of its interface."""

import asyncio
import gc
import os
from typing import Any

import pytest

import voxd
from tests.engine.conftest import Make
from tests.engine.sounds import duration_ms, pieces, silence, tone
from tests.fakes import FakeClock
from voxd import (
    AudioError,
    AuthenticationError,
    Capabilities,
    EngineError,
    EngineState,
    NotConnected,
    ProviderError,
    SessionConfig,
    StreamError,
    VoiceEngine,
    VoiceEngineConfig,
    register_provider,
)
from voxd.audio.files import wav_bytes
from voxd.errors import DeadlineExceeded, InvalidRequest, NotFound
from voxd.frames import Clip
from voxd.providers.vendors.mock.realtime import MockProvider


def test_the_forms_of_the_constructor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert VoiceEngine("sk-a").config.api_key == "sk-a"
    assert VoiceEngine(api_key="sk-a", mode="big").config.mode == "big"
    assert VoiceEngine(api_key="sk-a", voice="echo", sample_rate=16_000).config.voice == "echo"
    config = VoiceEngineConfig(api_key="sk-c", mode="big")
    assert VoiceEngine(config).config == config
    assert VoiceEngine(api_key="sk-a", config=config, mode="fast").config == config
    simple = VoiceEngine.create_simple(api_key="sk-a")
    assert simple.config == VoiceEngineConfig(api_key="sk-a")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    assert VoiceEngine().config.api_key == "sk-env"
    assert VoiceEngine("sk-a").config.api_key == "sk-a"
    with pytest.raises(TypeError):
        VoiceEngine("sk-a", vioce="echo")


async def test_connecting_and_disconnecting_publish_the_documented_payloads(make: Make) -> None:
    engine, log = make()
    assert (engine.is_connected, engine.get_state()) == (False, EngineState.DISCONNECTED)
    await engine.connect()
    await engine.connect()
    assert (engine.is_connected, engine.get_state()) == (True, EngineState.CONNECTED)
    await engine.disconnect()
    await engine.disconnect()
    assert (engine.is_connected, engine.get_state()) == (False, EngineState.DISCONNECTED)
    assert log.types() == ["connection.starting", "connection.established", "connection.closed"]
    starting, established, _ = log.events
    assert starting.source == "mock"
    assert starting.timestamp > 0
    assert established.connection_id
    assert established.latency_ms >= 0


async def test_an_engine_can_be_connected_again(make: Make) -> None:
    engine, log = make()
    for _ in range(2):
        async with engine:
            assert await engine.text_2_audio_response("hello")
    assert log.types().count("connection.established") == 2
    usage = await engine.get_usage()
    assert (usage.total_sessions, usage.responses) == (2, 2)


async def test_the_context_manager_connects_and_disconnects(make: Make) -> None:
    engine, _ = make()

    async def fail() -> None:
        async with engine as same:
            assert same is engine
            assert engine.is_connected
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert not engine.is_connected


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.start_listening(),
        lambda engine: engine.send_audio(b"\0\0"),
        lambda engine: engine.send_text("hello"),
        lambda engine: engine.send_recorded_audio(b"\0\0"),
        lambda engine: engine.interrupt(),
        lambda engine: engine.commit(),
        lambda engine: engine.text_2_audio_response("hello"),
        lambda engine: engine.send_tool_result("call_1", "done"),
    ],
)
async def test_without_a_connection_every_method_raises(make: Make, call: Any) -> None:
    engine, _ = make()
    with pytest.raises(EngineError, match="not connected") as caught:
        await call(engine)
    assert isinstance(caught.value, NotConnected)
    assert "connect()" in caught.value.hint
    await engine.stop_listening()


async def test_a_refused_connection_is_retried_and_reported(make: Make) -> None:
    clock = FakeClock()
    engine, log = make(metadata={"connect_fault": "refused"}, clock=clock)
    connecting = asyncio.create_task(engine.connect(retry_count=3))
    await clock.advance(0)
    assert engine.get_state() is EngineState.CONNECTING
    await clock.advance(60)
    with pytest.raises(voxd.ConnectionError):
        await connecting
    failed = await log.wait("connection.failed")
    assert isinstance(failed.error, voxd.ConnectionError)
    assert failed.retry_count == 2
    assert engine.get_state() is EngineState.DISCONNECTED


async def test_a_temporary_fault_costs_one_retry(make: Make) -> None:
    class Flaky(MockProvider):
        openings = 0

        async def connect(self) -> None:
            Flaky.openings += 1
            if Flaky.openings < 3:
                raise OSError("the network is down")
            await super().connect()

    register_provider("flaky", Flaky)
    clock = FakeClock()
    engine, log = make(provider="flaky", clock=clock)
    connecting = asyncio.create_task(engine.connect(retry_count=3))
    await clock.advance(60)
    await connecting
    assert engine.is_connected
    assert "connection.failed" not in log.types()


async def test_a_wrong_key_fails_at_once(make: Make) -> None:
    engine, log = make(metadata={"connect_fault": "invalid_api_key"}, clock=FakeClock())
    with pytest.raises(AuthenticationError):
        await engine.connect()
    assert log.types() == ["connection.starting", "connection.failed"]


async def test_a_missing_key_names_the_variable_and_sends_nothing(make: Make) -> None:
    engine, log = make(provider="openai")
    with pytest.raises(AuthenticationError) as caught:
        await engine.connect()
    assert "OPENAI_API_KEY" in caught.value.hint
    assert log.types() == ["connection.starting", "connection.failed"]


async def test_an_unknown_provider_is_reported_with_the_known_ones(make: Make) -> None:
    engine, _ = make(provider="nobody")
    with pytest.raises(NotFound, match="nobody") as caught:
        await engine.connect()
    assert "mock" in caught.value.hint


async def test_text_is_answered_in_text_and_sound(make: Make) -> None:
    engine, log = make(metadata={"replies": {"hello": "Hi there!"}})
    await engine.connect()
    await engine.send_text("Hello")
    await log.wait("response.completed")
    assert log.of("text.input")[0].text == "Hello"
    assert log.of("text.output")[-1].text == "Hi there!"
    assert not log.of("text.output")[-1].is_partial
    chunk = log.of("audio.output_chunk")[0]
    assert (chunk.sample_rate, chunk.channels) == (24_000, 1)
    assert [(line.role, line.text) for line in engine.history] == [
        ("user", "Hello"),
        ("assistant", "Hi there!"),
    ]


async def test_text_2_audio_response_returns_all_audio(make: Make) -> None:
    engine, log = make()
    await engine.connect()
    audio = await engine.text_2_audio_response("hello")
    assert audio == log.sound()
    assert log.of("audio.output_stopped")[0].duration_ms == pytest.approx(duration_ms(audio))


async def test_the_text_itself_is_spoken_and_not_answered(make: Make) -> None:
    engine, log = make(metadata={"replies": {"hello": "Hi there!"}})
    await engine.connect()
    audio = await engine.text_2_audio_response("hello")
    assert log.of("text.output")[-1].text == "hello"
    assert duration_ms(audio) < duration_ms((await engine.ask("hello")).audio)
    assert "text.input" not in log.types()[: log.types().index("response.completed")]
    assert [line.text for line in engine.history] == ["hello", "hello", "Hi there!"]


async def test_where_a_text_cannot_be_spoken_the_error_says_so(make: Make) -> None:
    class Answering(MockProvider):
        capabilities = Capabilities(speaks_text=False)

    register_provider("answering", Answering)
    engine, _ = make(provider="answering")
    await engine.connect()
    with pytest.raises(ProviderError, match="answering cannot say a given text") as caught:
        await engine.text_2_audio_response("hello")
    assert caught.value.code == "cannot_speak_text"
    assert "ask()" in caught.value.hint
    assert (await engine.ask("hello")).audio


async def test_a_question_returns_text_audio_and_usage(make: Make) -> None:
    engine, log = make(metadata={"replies": {"hello": "Hi there! How are you?"}})
    await engine.connect()
    await engine.ask("good morning")
    reply = await engine.ask("hello")
    assert (reply.text, str(reply), reply.content) == ("Hi there! How are you?",) * 3
    assert log.sound().endswith(reply.audio)
    assert reply.duration_s == pytest.approx(duration_ms(reply.audio) / 1000)
    assert (reply.usage.responses, reply.sample_rate) == (1, 24_000)
    assert reply.usage.output_text_tokens == 6
    assert reply.usage.total_sessions == 0


async def test_a_question_may_be_answered_in_text_only(make: Make) -> None:
    engine, _ = make(session=SessionConfig(modalities=("text",)), metadata={"default_reply": "Yes."})
    await engine.connect()
    reply = await engine.ask("hello")
    assert (reply.text, reply.audio) == ("Yes.", b"")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("rate_limited", voxd.RateLimited),
        ("rate_limit_exceeded", voxd.RateLimited),
        ("invalid_api_key", AuthenticationError),
        ("context_too_long", voxd.ContextTooLong),
        ("answer_filtered", voxd.NoAnswer),
        ("odd", voxd.ProviderError),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
async def test_a_failed_reply_raises_its_cause(
    make: Make, code: str, kind: type[EngineError], begun: bool
) -> None:
    class Failing(MockProvider):
        async def send_text(self, text: str) -> None:
            if begun:
                self.emit_event("response.started", {"response_id": "r"})
            self.emit_event("error", {"code": code, "message": "it broke", "hint": "wait"})
            if begun:
                self.emit_event("response.cancelled", {"response_id": "r", "reason": "failed"})

    register_provider("failing", Failing)
    engine, _ = make(provider="failing")
    await engine.connect()
    with pytest.raises(kind, match="it broke") as caught:
        await engine.ask("hello", timeout=5)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.hint) == (code, "wait")
    assert caught.value.provider == "failing"  # type: ignore[attr-defined]


async def test_a_reply_after_a_tool_call_is_awaited(make: Make) -> None:
    reply = {"text": "It is {results}.", "calls": [{"name": "weather", "arguments": {"city": "Rome"}}]}
    asked: list[str] = []

    def weather(city: str) -> str:
        """Tell the weather."""
        asked.append(city)
        return "sunny"

    engine, log = make(mode="big", metadata={"replies": {"weather": reply}}, tools=[weather])
    await engine.connect()
    audio = (await engine.ask("weather")).audio
    assert asked == ["Rome"]
    assert audio == log.sound()
    assert log.of("text.output")[-1].text == "It is sunny."


async def test_no_answer_in_time_is_an_error(make: Make) -> None:
    engine, _ = make(metadata={"silent": True})
    await engine.connect()
    with pytest.raises(DeadlineExceeded):
        await engine.text_2_audio_response("hello", timeout=0.01)
    assert engine.is_connected


async def test_a_reply_without_audio_is_an_error(make: Make) -> None:
    engine, _ = make(session=SessionConfig(modalities=("text",)))
    await engine.connect()
    with pytest.raises(StreamError, match="no audio"):
        await engine.text_2_audio_response("hello")


@pytest.mark.parametrize("end", ["interrupt", "disconnect"])
async def test_a_reply_that_is_broken_off_is_an_error(make: Make, end: str) -> None:
    engine, log = make(metadata={"chunk_delay_s": 60})
    await engine.connect()
    waiting = asyncio.create_task(engine.text_2_audio_response("hello"))
    await log.wait("audio.output_chunk")
    await getattr(engine, end)()
    with pytest.raises(StreamError):
        await waiting


async def test_a_broken_connection_is_one_error(make: Make) -> None:
    class Breaking(MockProvider):
        async def send_text(self, text: str) -> None:
            self._connected = False
            self.emit_event("connection.lost", {"provider": "mock", "code": "network_error", "reason": ""})
            raise OSError("reset")

    register_provider("breaking", Breaking)
    engine, _ = make(provider="breaking")
    await engine.connect()
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    with pytest.raises(voxd.ConnectionError):
        await engine.ask("hello")
    gc.collect()
    assert unseen == []


async def test_two_questions_at_once_each_get_their_own_answer(make: Make) -> None:
    engine, _ = make(metadata={"replies": {"one": "1", "two": "one two three four"}})
    await engine.connect()
    short, long = await asyncio.gather(engine.ask("one"), engine.ask("two"))
    assert (short.text, long.text) == ("1", "one two three four")
    assert len(short.audio) < len(long.audio)


async def test_an_interruption_ends_the_reply_and_reports_the_played_length(make: Make) -> None:
    engine, log = make(metadata={"chunk_delay_s": 60})
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("audio.output_chunk")
    assert engine.get_state() is EngineState.RESPONDING
    await engine.interrupt(played_ms=12.0)
    assert log.of("conversation.interrupted")[0].played_ms == 12.0
    await log.wait("response.cancelled")
    assert engine.get_state() is EngineState.CONNECTED


async def test_a_recording_is_answered(make: Make) -> None:
    engine, log = make(metadata={"hears": ["good morning"]}, enable_transcription=True)
    await engine.connect()
    await engine.send_recorded_audio(tone(400))
    await log.wait("response.completed")
    assert log.of("text.transcription")[0].text == "good morning"


async def test_a_wav_file_of_any_rate_is_answered(make: Make) -> None:
    engine, log = make()
    await engine.connect()
    await engine.send_recorded_audio(wav_bytes(Clip(tone(400, rate_hz=8_000), 8_000)))
    await log.wait("response.completed")
    assert (await engine.get_usage()).input_audio_tokens == 4


async def test_a_recording_without_auto_respond_waits_for_commit(make: Make) -> None:
    engine, log = make()
    await engine.connect()
    await engine.send_recorded_audio(tone(400), auto_respond=False)
    assert "response.started" not in log.types()
    await engine.commit()
    await log.wait("response.completed")


async def test_a_recording_replaces_audio_that_was_not_answered(make: Make) -> None:
    engine, log = make(vad_enabled=False)
    await engine.connect()
    await engine.send_audio(tone(3000))
    await engine.send_recorded_audio(tone(400))
    await log.wait("response.completed")
    assert (await engine.get_usage()).input_audio_tokens == 4


async def test_a_recording_ends_the_reply_in_progress(make: Make) -> None:
    engine, log = make(metadata={"chunk_delay_s": 60})
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("audio.output_chunk")
    await engine.send_recorded_audio(tone(400))
    await log.wait("response.cancelled")
    await log.wait("response.started", 2)


async def test_with_server_vad_the_recording_ends_with_silence(make: Make) -> None:
    engine, log = make(vad_type="server")
    await engine.connect()
    await engine.send_recorded_audio(tone(400))
    await log.wait("response.completed")
    assert [event.speaking for event in log.of("conversation.turn_detected")] == [True, False]


@pytest.mark.parametrize(
    ("audio", "error"), [(b"\0", AudioError), ("text", AudioError), (b"RIFF\0\0\0\0WAVE", InvalidRequest)]
)
async def test_invalid_audio_is_refused(make: Make, audio: Any, error: type[Exception]) -> None:
    engine, _ = make()
    await engine.connect()
    with pytest.raises(error):
        await engine.send_recorded_audio(audio)
    if error is AudioError:
        with pytest.raises(AudioError):
            await engine.send_audio(audio)


async def test_the_client_vad_ends_a_turn_and_requests_a_reply(make: Make) -> None:
    engine, log = make()
    await engine.connect()
    for piece in pieces(silence(200) + tone(400) + silence(700)):
        await engine.send_audio(piece)
    await log.wait("response.completed")
    turns = [(event.speaking, event.at_ms) for event in log.of("conversation.turn_detected")]
    assert turns == [(True, pytest.approx(300, abs=20)), (False, pytest.approx(1100, abs=20))]


async def test_speaking_interrupts_the_reply(make: Make) -> None:
    engine, log = make(metadata={"chunk_delay_s": 60})
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("audio.output_chunk")
    await engine.send_audio(tone(200))
    await log.wait("response.cancelled")
    assert log.types().index("conversation.turn_detected") < log.types().index("conversation.interrupted")


async def test_continued_speech_replaces_a_reply_that_has_not_begun(make: Make) -> None:
    class Slow(MockProvider):
        questions = 0

        async def commit(self) -> None:
            Slow.questions += 1
            if Slow.questions > 1:
                await super().commit()

    register_provider("slow", Slow)
    engine, log = make(provider="slow")
    await engine.connect()
    for piece in pieces(tone(400) + silence(700)):
        await engine.send_audio(piece)
    assert engine.get_state() is EngineState.RESPONDING
    for piece in pieces(tone(400) + silence(700)):
        await engine.send_audio(piece)
    await log.wait("response.completed")
    assert log.types().count("conversation.interrupted") == 1
    assert log.types().index("conversation.interrupted") < log.types().index("response.started")


async def test_metrics_usage_and_cost_are_real_numbers(make: Make) -> None:
    engine, log = make()
    assert engine.get_metrics()["connection"] == {"latency": 0.0, "uptime": 0.0}
    assert (await engine.estimate_cost()).total == 0.0
    await engine.connect()
    for piece in pieces(tone(400) + silence(700)):
        await engine.send_audio(piece)
    await log.wait("response.completed")
    metrics = engine.get_metrics()
    assert {name: set(group) for name, group in metrics.items()} == {
        "audio": {"capture_rate", "playback_latency", "buffer_health"},
        "connection": {"latency", "uptime"},
        "processing": {"vad_performance", "audio_processing"},
    }
    assert all(isinstance(value, float) for group in metrics.values() for value in group.values())
    assert metrics["connection"]["uptime"] > 0
    assert 0 < metrics["processing"]["vad_performance"] < 100
    usage = await engine.get_usage()
    assert usage.audio_seconds == pytest.approx(1.1 + duration_ms(log.sound()) / 1000, abs=0.02)
    assert (usage.total_sessions, usage.text_tokens > 0) == (1, True)
    cost = await engine.estimate_cost()
    assert cost.total == pytest.approx(cost.audio_cost + cost.text_cost)
    assert min(cost.audio_cost, cost.text_cost) > 0
    await engine.disconnect()
    assert await engine.get_usage() == usage
    assert await engine.estimate_cost() == cost


async def test_events_have_history_and_metrics(make: Make) -> None:
    engine, log = make()
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("response.completed")
    history = engine.events.get_history(event_type=voxd.EventType.TEXT_OUTPUT, limit=3)
    assert len(history) == 3
    metrics = engine.events.get_metrics()
    assert metrics["handler_count"] == 1
    assert metrics["events_emitted"] >= len(log.events)


async def test_async_handlers_of_the_end_are_awaited(make: Make) -> None:
    engine, _ = make()
    ended: list[str] = []

    async def farewell(event: voxd.Event) -> None:
        await asyncio.sleep(0)
        ended.append(event.type)

    engine.events.on(voxd.EventType.CONNECTION_CLOSED, farewell)
    async with engine:
        pass
    assert ended == ["connection.closed"]


async def test_sessions_opened_and_closed_leave_nothing_behind(make: Make) -> None:
    engine, log = make(output_device="virtual", metadata={"default_reply": "Yes."})

    async def once() -> None:
        async with engine:
            await engine.send_text("hello")
            await log.wait("playback.started", len(log.of("connection.established")))

    await once()
    descriptors, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
    for _ in range(3):
        await once()
    assert (len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())) == (descriptors, tasks)


async def test_disconnecting_while_connecting_ends_both_at_once(make: Make) -> None:
    clock = FakeClock()
    engine, _ = make(metadata={"connect_fault": "refused"}, clock=clock)
    connecting = asyncio.create_task(engine.connect())
    await clock.advance(0.1)
    await engine.disconnect()
    with pytest.raises(NotConnected):
        await connecting
    assert engine.get_state() is EngineState.DISCONNECTED


async def test_a_cancelled_connect_leaves_an_engine_that_can_be_connected(make: Make) -> None:
    engine, _ = make(metadata={"connect_delay_s": 60})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine.connect(), 0.01)
    assert engine.get_state() is EngineState.DISCONNECTED
    await engine.switch_provider("mock", {"metadata": {}})
    await engine.connect()
    assert engine.is_connected


async def test_connecting_after_a_loss_continues_the_conversation(make: Make) -> None:
    clock = FakeClock()
    engine, log = make(metadata={"drop_after": 9, "replies": {"hello": "one two three four"}}, clock=clock)
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("connection.lost")
    assert engine.get_state() is EngineState.DISCONNECTED
    with pytest.raises(NotConnected):
        await engine.send_text("hello")
    await engine.connect()
    assert engine.is_connected
    assert engine.history[0].text == "hello"


@pytest.mark.parametrize(
    "deaf", [{"vad_threshold": 0.9}, {"vad_speech_start_ms": 600}, {"vad_speech_end_ms": 2000}]
)
async def test_each_setting_of_the_client_vad_counts(make: Make, deaf: dict[str, Any]) -> None:
    engine, log = make(**deaf)
    await engine.connect()
    for piece in pieces(tone(400) + silence(700)):
        await engine.send_audio(piece)
    assert False not in [event.speaking for event in log.of("conversation.turn_detected")]
    hearing, heard = make()
    await hearing.connect()
    for piece in pieces(tone(400) + silence(700)):
        await hearing.send_audio(piece)
    assert [event.speaking for event in heard.of("conversation.turn_detected")] == [True, False]


def test_an_engine_and_its_handlers_may_be_created_outside_of_the_loop() -> None:
    engine = VoiceEngine(provider="mock")
    received: list[str] = []
    engine.events.on("*", lambda event: received.append(event.type))
    engine.on_text_response = received.append

    async def talk() -> None:
        async with engine:
            await engine.ask("hello")

    for _ in range(2):
        received.clear()
        asyncio.run(talk())
        assert "connection.starting" in received
        assert "This is the mock provider. I heard you." in received
