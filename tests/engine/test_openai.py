"""The engine against the fake OpenAI server: what each field of its configuration puts on the wire."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

import voxd
from tests.engine.conftest import Make
from tests.engine.sounds import pieces, silence, tone
from tests.servers.openai_realtime import KEY, Call, RealtimeServer, Refusal, Reply, Script, realtime_server
from voxd import AuthenticationError, SessionPresets


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    async with realtime_server() as server:
        yield server


def options(server: RealtimeServer, **more: Any) -> dict[str, Any]:
    metadata = {"endpoint": server.url, **more.pop("metadata", {})}
    return {"provider": "openai", "api_key": KEY, "metadata": metadata, **more}


async def session_of(server: RealtimeServer) -> dict[str, Any]:
    frame = await server.received("session.update")
    return dict(frame["session"])


@pytest.mark.parametrize(
    ("given", "detection"),
    [
        ({}, None),
        ({"vad_enabled": False}, None),
        ({"vad_type": "server"}, {"type": "server_vad", "silence_duration_ms": 500}),
        (
            {"vad_type": "server", "vad_threshold": 0.7, "vad_speech_end_ms": 900},
            {"type": "server_vad", "silence_duration_ms": 900, "threshold": 0.7},
        ),
        ({"vad_type": "server", "latency_mode": "ultra_low"}, {"silence_duration_ms": 300}),
        ({"mode": "provider"}, {"type": "server_vad"}),
    ],
)
async def test_turn_detection_by_the_vendor_or_the_client(
    make: Make, server: RealtimeServer, given: dict[str, Any], detection: dict[str, Any] | None
) -> None:
    engine, _ = make(**options(server, **given))
    await engine.connect()
    said = (await session_of(server))["audio"]["input"]["turn_detection"]
    if detection is None:
        assert said is None
    else:
        assert {key: said[key] for key in detection} == detection


@pytest.mark.parametrize(
    ("given", "transcription"), [({}, False), ({"mode": "big"}, True), ({"enable_transcription": True}, True)]
)
async def test_transcription_is_enabled_by_mode_or_by_name(
    make: Make, server: RealtimeServer, given: dict[str, Any], transcription: bool
) -> None:
    engine, _ = make(**options(server, **given))
    await engine.connect()
    asked = (await session_of(server))["audio"]["input"].get("transcription")
    assert bool(asked) is transcription


async def test_voice_language_and_instructions_reach_the_vendor(make: Make, server: RealtimeServer) -> None:
    engine, _ = make(
        **options(server, voice="echo", language="es", mode="big", session=SessionPresets.ASSISTANT)
    )
    await engine.connect()
    session = await session_of(server)
    assert session["audio"]["output"]["voice"] == "echo"
    assert session["audio"]["input"]["transcription"]["language"] == "es"
    assert session["instructions"] == SessionPresets.ASSISTANT.instructions


async def test_metadata_names_the_model_and_the_key_goes_into_the_header(
    make: Make, server: RealtimeServer
) -> None:
    engine, _ = make(**options(server, metadata={"model": "gpt-realtime-2.1"}))
    await engine.connect()
    request = server.requests[0]
    assert "model=gpt-realtime-2.1" in request.path
    assert request.headers["Authorization"] == f"Bearer {KEY}"


async def test_a_custom_endpoint_works_the_same_way(make: Make, server: RealtimeServer) -> None:
    engine, _ = make(
        **{**options(server, mode="provider", metadata={"auth_type": "bearer"}), "provider": "custom"}
    )
    await engine.connect()
    assert await engine.text_2_audio_response("hello") == tone_of(200)


async def test_a_text_is_read_aloud_outside_of_the_conversation(make: Make) -> None:
    async with realtime_server(Script(replies=[Reply(hold_after=2), Reply("Dinner is ready.")])) as server:
        engine, log = make(**options(server))
        await engine.connect()
        await engine.send_text("tell me a story")
        await log.wait("audio.output_chunk")
        assert await engine.text_2_audio_response("Dinner is ready.") == tone_of(200)
        request = server.of_type("response.create")[-1]["response"]
        assert request["conversation"] == "none"
        assert request["input"][0]["content"][0]["text"] == "Dinner is ready."
        assert "word for word" in request["instructions"]
        assert log.types().index("response.cancelled") < log.types().index("response.completed")
        assert engine.history[-1].text == "Dinner is ready."


async def test_a_wrong_key_is_refused_once(make: Make, server: RealtimeServer) -> None:
    engine, log = make(**{**options(server), "api_key": "sk-wrong"})
    with pytest.raises(AuthenticationError):
        await engine.connect()
    assert len(server.requests) == 1
    assert isinstance(log.of("connection.failed")[0].error, AuthenticationError)


async def test_a_server_that_refuses_is_a_connection_error(make: Make) -> None:
    async with realtime_server(Script(refusal=Refusal(503))) as server:
        engine, _ = make(**options(server))
        with pytest.raises(voxd.EngineError):
            await engine.connect(retry_count=1)
        assert len(server.requests) == 1


async def test_a_spoken_question_is_committed_and_answered_in_sound(
    make: Make, server: RealtimeServer
) -> None:
    engine, log = make(**options(server, enable_transcription=True))
    await engine.connect()
    for piece in pieces(tone(400) + silence(700)):
        await engine.send_audio(piece)
    await log.wait("response.completed")
    assert log.sound() == tone_of(200)
    texts = [event.text for event in log.of("text.transcription") if not event.is_partial]
    assert texts == ["what time is it"]
    usage = await engine.get_usage()
    assert (usage.responses, usage.input_audio_tokens, usage.output_text_tokens) == (1, 30, 10)
    assert (await engine.estimate_cost()).total > 0


async def test_the_callers_rate_is_converted_both_ways(make: Make, server: RealtimeServer) -> None:
    engine, log = make(**options(server, sample_rate=16_000))
    await engine.connect()
    await engine.send_recorded_audio(tone(1000, rate_hz=16_000))
    await log.wait("response.completed")
    sent = sum(len(frame["audio"]) * 3 // 4 for frame in server.of_type("input_audio_buffer.append"))
    assert sent == pytest.approx(48_000, abs=100)
    assert len(log.sound()) == pytest.approx(200 * 32, abs=10)


async def test_a_barge_in_truncates_what_was_not_played(make: Make) -> None:
    async with realtime_server(
        replies=[Reply(text="one two three", sound_ms=4000, hold_after=150)]
    ) as server:
        engine, log = make(**options(server, output_device="virtual", latency_mode="ultra_low"))
        await engine.connect()
        await engine.send_text("count")
        await log.wait("playback.started")
        await engine.send_audio(tone(200))
        truncated = await server.received("conversation.item.truncate")
        interrupted = await log.wait("conversation.interrupted")
        assert truncated["audio_end_ms"] == pytest.approx(interrupted.played_ms, abs=1)
        assert truncated["audio_end_ms"] < 3000
        await server.received("response.cancel")


async def test_functions_are_declared_called_and_answered(make: Make) -> None:
    def weather(city: str) -> str:
        """Tell the weather."""
        return f"sunny in {city}"

    replies = [Reply(text="", calls=(Call("weather", '{"city": "Rome"}'),)), Reply(text="It is sunny.")]
    async with realtime_server(replies=replies) as server:
        engine, log = make(**options(server, mode="big"), tools=[weather])
        await engine.connect()
        assert (await session_of(server))["tools"][0]["name"] == "weather"
        assert await engine.ask("weather")
        outputs = [frame["item"].get("output") for frame in server.of_type("conversation.item.create")]
        assert "sunny in Rome" in outputs
        assert log.of("text.output")[-1].text == "It is sunny."


def tone_of(milliseconds: int) -> bytes:
    """Return what the fake server says, delta by delta."""
    from tests.servers.openai_realtime import tone as server_tone

    return server_tone(20) * (milliseconds // 20)


async def test_settings_in_the_vendors_own_form_arrive(make: Make, server: RealtimeServer) -> None:
    metadata = {
        "noise_reduction": {"type": "far_field"},
        "reasoningEffort": "low",
        "max_response_output_tokens": 99,
        "voice_id": "sage",
    }
    engine, _ = make(**options(server, metadata=metadata))
    await engine.connect()
    session = await session_of(server)
    assert session["audio"]["input"]["noise_reduction"] == {"type": "far_field"}
    assert session["audio"]["output"]["voice"] == "sage"
    assert session["reasoning"] == {"effort": "low"}
    assert session["max_output_tokens"] == 99
