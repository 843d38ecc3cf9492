"""The official Google client converses with the fake, and accepts every frame voxd sends to it."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conformance.gemini_gate import live_complaints
from tests.providers.contract import Ear
from tests.servers.gemini_live import INVALID, KEY, GeminiLive
from tests.servers.gemini_steps import Close, ToolResults, Until, call, heard, said, sound, speech
from voxd.events import EventType as E
from voxd.providers.settings import SessionConfig, ToolSpec
from voxd.providers.vendors.google.realtime import GeminiProvider

genai = pytest.importorskip("google.genai", reason="the extra `conformance` is not installed")

from google.genai import errors, types  # noqa: E402

MODEL = "gemini-3.8-live"
PCM = b"\x02\x00" * 1600
SCHEMA = {"type": "object", "properties": {"on": {"type": "boolean"}}}
MANUAL = {"automatic_activity_detection": {"disabled": True}}


@pytest.fixture
async def server() -> AsyncIterator[GeminiLive]:
    async with GeminiLive() as server:
        yield server
        for served in server.connections:
            for message in served.sent:
                # The vendor's type forbids what it does not know: the fake says nothing of its own.
                types.LiveServerMessage.model_validate(message)


@pytest.fixture
def live(server: GeminiLive) -> Any:
    return official(server).aio.live


def official(server: GeminiLive, key: str = KEY) -> Any:
    client = genai.Client(api_key=key)
    # The SDK has no setting for a server without TLS.
    client._api_client._websocket_base_url = lambda *_, **__: server.url
    client._api_client._websocket_ssl_ctx = {}
    return client


async def turn(session: Any) -> list[Any]:
    async with asyncio.timeout(5):
        return [message async for message in session.receive()]


def words(messages: list[Any]) -> str:
    parts = [message.server_content and message.server_content.output_transcription for message in messages]
    return "".join(part.text for part in parts if part)


async def test_the_official_client_types_and_is_answered(server: GeminiLive, live: Any) -> None:
    server.replies.append(speech("Ten past.", PCM, question="what time"))
    async with live.connect(model=MODEL, config={"response_modalities": ["AUDIO"]}) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "time?"}]})
        messages = await turn(session)
    assert words(messages) == "Ten past."
    assert b"".join(message.data for message in messages if message.data) == PCM
    assert messages[-1].usage_metadata.response_token_count == 60
    assert server.violations == []


async def test_the_official_client_sends_speech_and_its_end(server: GeminiLive, live: Any) -> None:
    async with live.connect(model=MODEL, config={"realtime_input_config": MANUAL}) as session:
        await session.send_realtime_input(activity_start={})
        await session.send_realtime_input(audio={"data": PCM, "mime_type": "audio/pcm;rate=16000"})
        await session.send_realtime_input(activity_end={})
        assert words(await turn(session)) == "ok"
    assert server.connections[0].sound == PCM
    assert server.violations == []


async def test_the_official_client_interrupts(server: GeminiLive, live: Any) -> None:
    server.replies.append((sound(PCM), said("once upon"), Until(asyncio.Event())))
    async with live.connect(model=MODEL, config={"realtime_input_config": MANUAL}) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "story"}]})
        received = session.receive()
        async for message in received:
            if message.server_content and message.server_content.output_transcription:
                break
        await session.send_realtime_input(activity_start={})
        rest = [message async for message in received]
    assert [message.server_content.interrupted for message in rest if message.server_content] == [True, None]
    assert rest[-1].server_content.turn_complete


async def test_the_official_client_answers_the_calls_of_tools(server: GeminiLive, live: Any) -> None:
    server.replies.append((call(("1", "lamp", {"on": True})), ToolResults(), *speech("Done.")))
    tools = [{"function_declarations": [{"name": "lamp", "parameters_json_schema": SCHEMA}]}]
    async with live.connect(model=MODEL, config={"tools": tools}) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "lamp on"}]})
        messages = []
        async for message in session.receive():
            messages.append(message)
            for wanted in (message.tool_call and message.tool_call.function_calls) or ():
                assert (wanted.name, wanted.args) == ("lamp", {"on": True})
                answer = types.FunctionResponse(id=wanted.id, name=wanted.name, response={"output": "on"})
                await session.send_tool_response(function_responses=answer)
    assert words(messages) == "Done."
    assert server.violations == []


async def test_the_official_client_resumes_and_is_refused_with_a_stale_handle(
    server: GeminiLive, live: Any
) -> None:
    async with live.connect(model=MODEL, config={"session_resumption": {}}) as session:
        async for message in session.receive():
            if message.session_resumption_update:
                handle = message.session_resumption_update.new_handle
                break
        await server.connections[0].send({"goAway": {"timeLeft": "10s"}})
        async for message in session.receive():
            assert message.go_away.time_left == "10s"
            break
    async with live.connect(model=MODEL, config={"session_resumption": {"handle": handle}}) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "again"}]})
        assert words(await turn(session)) == "ok"
    with pytest.raises(errors.APIError) as raised:
        async with live.connect(model=MODEL, config={"session_resumption": {"handle": "stale"}}):
            pass
    assert (raised.value.code, raised.value.details) == INVALID


async def test_the_official_client_receives_a_wrong_key_and_a_close(server: GeminiLive) -> None:
    with pytest.raises(errors.APIError) as raised:
        async with official(server, "wrong").aio.live.connect(model=MODEL):
            pass
    assert raised.value.code == 1007
    server.replies.append((Close(1011, "Internal error occurred."),))
    async with official(server).aio.live.connect(model=MODEL) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "hi"}]})
        with pytest.raises(errors.APIError) as raised:
            await turn(session)
    assert raised.value.code == 1011


async def test_voxd_begins_a_session_as_the_official_client_does(server: GeminiLive, live: Any) -> None:
    wanted = types.LiveConnectConfig(
        response_modalities=["AUDIO"],
        temperature=0.5,
        max_output_tokens=99,
        speech_config={"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}},
        system_instruction="be brief",
        tools=[
            {
                "function_declarations": [
                    {
                        "name": "lamp",
                        "description": "Switches.",
                        "parameters_json_schema": SCHEMA,
                        "behavior": "BLOCKING",
                    }
                ]
            }
        ],
        realtime_input_config=MANUAL,
        session_resumption={},
        context_window_compression={"sliding_window": {}},
        input_audio_transcription={},
        output_audio_transcription={},
        history_config={"initial_history_in_client_content": True},
    )
    async with live.connect(model=MODEL, config=wanted):
        golden = (await server.connection(1)).setup
    # The client names a role that a system instruction does not have.
    golden["systemInstruction"].pop("role")
    provider = GeminiProvider(
        {"api_key": KEY, "endpoint": server.url, "metadata": {"behavior": "BLOCKING"}, "voice": "Kore"}
    )
    await provider.add_history("user", "hello")
    await provider.configure_session(
        SessionConfig(
            instructions="be brief",
            temperature=0.5,
            max_output_tokens=99,
            tools=(ToolSpec("lamp", "Switches.", SCHEMA),),
        )
    )
    await provider.connect()
    await provider.disconnect()
    first, second = server.connections
    assert second.setup == golden
    assert second.path == first.path
    assert second.headers["x-goog-api-key"] == first.headers["x-goog-api-key"]


@pytest.mark.parametrize("model", [MODEL, "gemini-3.1-flash-live-preview", "gemini-2.5-flash-live"])
@pytest.mark.parametrize("detection", ["client", "server"])
async def test_every_frame_voxd_sends_is_one_the_vendor_takes(
    server: GeminiLive, model: str, detection: str
) -> None:
    lamp = call(("1", "lamp", {"on": True}))
    server.replies.extend(
        [
            (heard("lamp"), lamp, ToolResults(), *speech("Done.")),
            (sound(PCM), Until(asyncio.Event())),
            (lamp, Until(asyncio.Event())),
        ]
    )
    provider = GeminiProvider({"api_key": KEY, "endpoint": server.url, "model": model, "voice": "Kore"})
    ear = Ear(provider)
    await provider.add_history("user", "hello")
    await provider.add_history("assistant", "hello")
    config = SessionConfig(
        instructions="be brief",
        language="de",
        temperature=0.0,
        turn_detection="client" if detection == "client" else "server",
        vad_threshold=0.3,
        vad_silence_ms=400,
        tools=(ToolSpec("lamp", "Switches.", SCHEMA), ToolSpec("stop", "Stops.", {"type": "object"})),
    )
    await provider.configure_session(config)
    await provider.connect()
    await provider.send_audio(PCM)
    await provider.commit()
    await ear.until(E.FUNCTION_CALL_INVOKED)
    await provider.send_tool_result("1", "on")
    await ear.until(E.RESPONSE_COMPLETED, 2)
    await provider.send_text("tell me")
    await ear.until(E.AUDIO_OUTPUT_CHUNK, 2)
    await provider.interrupt(10.0)
    await provider.send_text("lamp")
    await ear.until(E.FUNCTION_CALL_INVOKED, 2)
    await provider.interrupt(None)
    await provider.send_tool_result("1", "on")
    await provider.add_history("user", "by the way")
    await provider.send_audio(PCM)
    await provider.clear_audio()
    await provider.disconnect()
    assert live_complaints(server.received) == []
    assert server.violations == []
    kinds = {kind for message in server.received for kind in message}
    assert kinds == {"setup", "clientContent", "realtimeInput", "toolResponse"}


@pytest.mark.parametrize(
    "message",
    [
        {"realtimeInput": {"audio": {"data": base64.b64encode(PCM).decode(), "mime": "audio/pcm"}}},
        {"clientContent": {"turns": [{"role": "user", "content": "hi"}]}},
        {"setup": {"model": "m", "realtimeInputConfig": {"detection": {}}}},
        {"setup": {"model": "m", "realtimeInputConfig": {}, "generationConfig": {"modalities": ["AUDIO"]}}},
        {"toolResponse": {"functionResponses": [{"callId": "1"}]}},
        {"response.create": {}},
    ],
)
def test_the_gate_finds_what_the_vendor_would_refuse(message: dict[str, Any]) -> None:
    assert live_complaints([message])
