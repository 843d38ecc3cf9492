"""The official OpenAI client has our fake of ``/audio/speech`` speak, and asks for the same as voxd."""

import json

import pytest

from tests.rig.transports import open_transport
from tests.servers.openai_realtime import KEY as REALTIME_KEY
from tests.servers.openai_realtime import Script, realtime_server
from tests.servers.openai_speech import OpenAISpeechServer
from tests.servers.voices import KEY, served, sound_of
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.vendors.openai.tts import OpenAITts
from voxd.providers.vendors.openai.tts_realtime import OpenAIRealtimeTts

openai = pytest.importorskip("openai", reason="the extra `conformance` is not installed")

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent  # noqa: E402

from tests.conformance.strict import complaints  # noqa: E402

TEXT = "Your tea is ready."


async def test_voxd_sends_the_same_request_as_the_official_client() -> None:
    async with served(OpenAISpeechServer) as server, open_transport(f"{server.url}/v1", KEY) as transport:
        async with (
            openai.AsyncOpenAI(api_key=KEY, base_url=f"{server.url}/v1") as client,
            client.audio.speech.with_streaming_response.create(
                model="tts-1",
                voice="alloy",
                input=TEXT,
                response_format="pcm",
                speed=1.5,
                instructions="Whisper.",
            ) as answer,
        ):
            theirs = b"".join([piece async for piece in answer.iter_bytes()])
        options = {"speed": 1.5, "instructions": "Whisper."}
        tts = OpenAITts(StageConfig("den", "openai", options=options), transport)
        ours = b"".join([clip.pcm async for clip in tts.synthesize(TEXT, Budget())])
        first, second = server.spoken
        assert theirs == ours == sound_of(TEXT, 24_000, "alloy")
        assert (second.method, second.target) == (first.method, first.target)
        assert json.loads(second.body) == json.loads(first.body)
        assert second.headers["authorization"] == first.headers["authorization"]


async def test_the_official_client_is_refused_with_a_wrong_key() -> None:
    async with (
        served(OpenAISpeechServer) as server,
        openai.AsyncOpenAI(api_key="sk-wrong", base_url=f"{server.url}/v1") as client,
    ):
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
            await client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)


async def test_every_frame_of_a_text_that_is_read_aloud_passes_the_strict_types() -> None:
    async with (
        realtime_server(Script(read_aloud=True)) as server,
        open_transport(server.base_url, REALTIME_KEY) as transport,
    ):
        options = {"speed": 1.2, "instructions": "calmly"}
        tts = OpenAIRealtimeTts(
            StageConfig("den", "openai_realtime", voice="cedar", options=options), transport
        )
        assert [clip async for clip in tts.synthesize(TEXT, Budget())]
        assert server.types() == ["session.update", "response.create"]
        assert complaints(RealtimeClientEvent, server.frames) == []
        assert complaints(RealtimeServerEvent, server.sent, unknown_fields=True) == []


async def test_the_official_client_has_a_text_read_aloud_out_of_band() -> None:
    async with (
        realtime_server(Script(read_aloud=True)) as server,
        openai.AsyncOpenAI(api_key=REALTIME_KEY, websocket_base_url=server.base_url) as client,
        client.realtime.connect(model="gpt-realtime-2.1-mini") as connection,
    ):
        content = [{"type": "input_text", "text": TEXT}]
        item = {"type": "message", "role": "user", "content": content}
        await connection.response.create(response={"conversation": "none", "input": [item]})
        async for event in connection:
            if event.type == "response.output_audio_transcript.done":
                assert event.transcript == TEXT
            if event.type == "response.done":
                break
