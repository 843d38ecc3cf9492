"""The user's functions on the way between an engine and the vendors of its pipeline."""

import asyncio
from dataclasses import replace

from tests.providers.pipeline.made import KIND, register
from tests.servers.chat import Chat
from tests.servers.scripted import KEY, Reply, scripted
from voxd import VoiceEngine
from voxd.net.request_middleware import Next as Send
from voxd.net.transport import HttpRequest, HttpResponse
from voxd.providers.pipeline.middleware import MiddlewareMessage, Next

WAIT_S = 5.0


async def loud(said: MiddlewareMessage, go_on: Next) -> MiddlewareMessage | None:
    return await go_on(replace(said, text=said.text.upper()) if said.role == "assistant" else said)


async def numbered(call: HttpRequest, send: Send) -> HttpResponse:
    return await send(replace(call, headers={**call.headers, "X-Request-ID": "r1"}))


async def test_requests_and_messages_pass_through_the_users_functions() -> None:
    register()
    async with asyncio.timeout(WAIT_S), scripted(Chat(), Reply(("Good ", "day."))) as server:
        engine = VoiceEngine(
            provider="pipeline",
            metadata={
                "stt": [{"kind": KIND, "name": "ears"}],
                "llm": [{"kind": "openai", "endpoint": f"{server.url}/v1", "api_key": KEY}],
                "tts": [{"kind": KIND, "name": "voice"}],
            },
        )
        engine.middleware(request=[numbered], message=[loud])
        texts: list[str] = []
        done = asyncio.Event()
        engine.on_text_response = texts.append
        engine.on_response_done = done.set
        async with engine:
            await engine.send_text("hello")
            await done.wait()
        assert texts == ["GOOD DAY."]
        assert server.asked.headers["x-request-id"] == "r1"
