"""The official OpenAI client completes sessions with our fake server, and accepts every frame voxd sends."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.providers.contract import Ear
from tests.servers.openai_realtime import KEY, Call, RealtimeServer, Reply, Script, realtime_server, tone
from voxd.events import EventType as E
from voxd.providers.realtime.openai_protocol import wire
from voxd.providers.settings import SessionConfig, ToolSpec
from voxd.providers.vendors.openai.realtime import OpenAIProvider

openai = pytest.importorskip("openai", reason="the extra `conformance` is not installed")

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent  # noqa: E402

from tests.conformance.strict import complaint, complaints  # noqa: E402

TOOL = ToolSpec(
    "set_timer", "Set a timer.", {"type": "object", "properties": {"seconds": {"type": "integer"}}}
)
SESSION: dict[str, Any] = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "turn_detection": None,
            "transcription": {"model": "gpt-transcribe"},
        }
    },
}


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    replies = [Reply(calls=(Call("set_timer", '{"seconds": 5}'),)), Reply("Done.", sound_ms=60)]
    async with realtime_server(Script(replies=replies)) as server:
        yield server


@pytest.fixture
async def client(server: RealtimeServer) -> AsyncIterator[Any]:
    async with openai.AsyncOpenAI(api_key=KEY, websocket_base_url=server.base_url) as client:
        yield client


async def collect(connection: Any, last: str) -> list[Any]:
    found = []
    async for event in connection:
        found.append(event)
        if event.type == last:
            return found
    raise AssertionError(f"the server never said {last}: {[event.type for event in found]}")


async def test_the_official_client_talks_and_calls_a_tool(server: RealtimeServer, client: Any) -> None:
    async with client.realtime.connect(model="gpt-realtime-2.1-mini") as connection:
        assert (await collect(connection, "session.created"))[0].session.type == "realtime"
        await connection.session.update(session=SESSION)
        await collect(connection, "session.updated")
        await connection.input_audio_buffer.append(audio=base64.b64encode(tone(200)).decode())
        await connection.input_audio_buffer.commit()
        await collect(connection, "input_audio_buffer.committed")
        await connection.response.create()
        events = await collect(connection, "response.done")
        call = events[-1].response.output[-1]
        assert (call.type, call.name, call.arguments) == ("function_call", "set_timer", '{"seconds": 5}')
        sound = [event.delta for event in events if event.type == "response.output_audio.delta"]
        assert len(b"".join(map(base64.b64decode, sound))) == 200 * wire.BYTES_PER_MS
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "ok"}
        await connection.conversation.item.create(item=output)
        await connection.response.create()
        events = await collect(connection, "response.done")
        assert events[-1].response.usage.output_token_details.text_tokens == 10
    assert complaints(RealtimeServerEvent, server.sent, unknown_fields=True) == []
    assert complaints(RealtimeClientEvent, server.frames) == []


async def test_the_official_client_interrupts_and_receives_its_mistakes(
    server: RealtimeServer, client: Any
) -> None:
    server.script.replies = [Reply(hold_after=3, late=2)]
    async with client.realtime.connect(model="gpt-realtime-2.1-mini") as connection:
        await connection.input_audio_buffer.commit()
        assert (await collect(connection, "error"))[-1].error.code == "input_audio_buffer_commit_empty"
        await connection.response.create()
        item_id = (await collect(connection, "response.output_audio.delta"))[-1].item_id
        await connection.response.cancel()
        done = (await collect(connection, "response.done"))[-1].response
        assert (done.status, done.status_details.reason) == ("cancelled", "client_cancelled")
        truncate = connection.conversation.item.truncate
        await truncate(item_id=item_id, content_index=0, audio_end_ms=60_000)
        assert "already shorter than" in (await collect(connection, "error"))[-1].error.message
        await truncate(item_id=item_id, content_index=0, audio_end_ms=20)
        await collect(connection, "conversation.item.truncated")
    assert complaints(RealtimeServerEvent, server.sent, unknown_fields=True) == []


async def test_the_official_client_is_refused_with_a_wrong_key(server: RealtimeServer) -> None:
    async with openai.AsyncOpenAI(api_key="sk-wrong", websocket_base_url=server.base_url) as client:
        with pytest.raises(Exception, match="401"):
            async with client.realtime.connect(model="gpt-realtime-2.1-mini"):
                pass


@pytest.mark.parametrize("turn_detection", ["client", "server", "semantic"])
async def test_every_frame_of_voxd_passes_the_strict_types(
    server: RealtimeServer, turn_detection: str
) -> None:
    provider = OpenAIProvider(
        {
            "api_key": KEY,
            "endpoint": server.url,
            "voice": "marin",
            "metadata": {"noise_reduction": "far_field", "reasoning_effort": "low"},
        }
    )
    config = SessionConfig(
        instructions="Be brief.",
        language="en",
        temperature=0.7,
        max_output_tokens=9999,
        turn_detection=turn_detection,
        vad_threshold=0.4,
        vad_silence_ms=300,
        tools=(TOOL,),
        speed=2.0,
    )
    ear = Ear(provider)
    await provider.configure_session(config)
    await provider.connect()
    await provider.add_history("user", "my name is Ada")
    await provider.add_history("assistant", "Hello Ada.")
    await provider.send_audio(tone(200))
    await provider.send_audio(bytes(4800))
    await provider.commit()
    await ear.until(E.RESPONSE_COMPLETED)
    await provider.send_tool_result("call_1", "ok")
    await provider.request_response()
    await ear.until(E.RESPONSE_COMPLETED, 2)
    server.script.replies = [Reply(hold_after=2)]
    await provider.send_text("and now?")
    await provider.interrupt(0.0)
    await server.received("response.cancel")
    await provider.clear_audio()
    await server.received("input_audio_buffer.clear")
    await provider.disconnect()
    assert complaints(RealtimeClientEvent, server.frames) == []
    assert "OpenAI-Beta" not in server.requests[0].headers


def test_a_truncation_passes_the_strict_types() -> None:
    assert complaint(RealtimeClientEvent, wire.truncate("truncate_1", "item_1", 0, 20)) == ""


BAD_FRAMES: dict[str, dict[str, Any]] = {
    "an unknown type": {"type": "session.begin"},
    "no type of session": {"type": "session.update", "session": {"instructions": "x"}},
    "the beta's modalities": {
        "type": "session.update",
        "session": {"type": "realtime", "modalities": ["text"]},
    },
    "the beta's flat voice": {"type": "session.update", "session": {"type": "realtime", "voice": "marin"}},
    "a temperature": {"type": "session.update", "session": {"type": "realtime", "temperature": 0.7}},
    "16 kHz": {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}},
        },
    },
    "no content index": {"type": "conversation.item.truncate", "item_id": "a", "audio_end_ms": 1},
    "no sound": {"type": "input_audio_buffer.append"},
    "a misspelt field": {"type": "response.cancel", "respones_id": "a"},
}


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_the_strict_types_catch(frame: dict[str, Any]) -> None:
    assert complaint(RealtimeClientEvent, frame)
