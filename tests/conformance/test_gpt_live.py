"""The official OpenAI client completes a session with our fake GPT-Live server."""

import base64

import pytest

from tests.servers.gpt_live import live_server

openai = pytest.importorskip("openai", reason="the extra `conformance` is not installed")

from openai.types.live.client_event import ClientEvent  # noqa: E402
from openai.types.live.server_event import ServerEvent  # noqa: E402

from tests.conformance.strict import complaint, complaints  # noqa: E402


async def test_the_official_client_receives_and_closes() -> None:
    async with (
        live_server() as server,
        openai.AsyncOpenAI(api_key="sk-1", websocket_base_url=server.base_url) as client,
        client.live.connect() as connection,
    ):
        sound = {"format": {"type": "audio/pcm", "rate": 16_000}}
        await connection.session.start(session={"model": "gpt-live-1", "audio": sound})
        assert (await connection.recv()).session.id == "live_1"
        await connection.session.input_audio.append(audio=base64.b64encode(bytes(640)).decode())
        await server.until(lambda: len(server.frames) == 2)
        await server.heard("hello")
        await server.speak("Hello.", bytes(640))
        kinds = [(await connection.recv()).type for _ in range(3)]
        assert kinds == [
            "session.input_transcript.delta",
            "session.output_transcript.delta",
            "session.output_audio.delta",
        ]
        await connection.session.close()
        closed = await connection.recv()
        assert (closed.type, closed.usage.seconds) == ("session.closed", 6.0)
        assert complaints(ServerEvent, server.sent, unknown_fields=True) == []
        assert complaints(ClientEvent, server.frames) == []


def test_the_strict_types_catch_a_rate_the_vendor_does_not_take() -> None:
    session = {"model": "gpt-live-1", "audio": {"format": {"type": "audio/pcm", "rate": 44_100}}}
    assert complaint(ClientEvent, {"type": "session.start", "session": session})
