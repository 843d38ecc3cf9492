"""The user's functions on the way between an engine and the vendors of its pipeline."""

import asyncio
from dataclasses import replace

import pytest

from tests.providers.pipeline.made import KIND, register
from tests.servers.chat import Chat
from tests.servers.scripted import KEY, Reply, scripted
from voxd import VoiceEngine, VoiceEngineConfig
from voxd.errors import ConfigError
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


async def number(said: MiddlewareMessage, go_on: Next) -> MiddlewareMessage | None:
    return await go_on(replace(said, text=said.text.replace("1234", "[number]")))


def test_sound_that_cannot_be_filtered_is_refused_unless_that_is_said() -> None:
    engine = VoiceEngine(provider="mock")
    with pytest.raises(ConfigError, match="cannot filter sound") as raised:
        engine.middleware(message=[number])
    assert 'audio="unfiltered"' in raised.value.hint
    with pytest.raises(ConfigError, match="not an HTTP request"):
        engine.middleware(request=[numbered])
    with pytest.raises(ConfigError, match="cannot filter sound"):
        VoiceEngineConfig(provider="mock", metadata={"middleware": [number]})


async def test_text_of_a_speech_to_speech_provider_passes_through_the_users_functions() -> None:
    engine = VoiceEngine(provider="mock", metadata={"patterns": [[r"(.+)", r"You said \1, that is 1234."]]})
    engine.middleware(message=[number], audio="unfiltered")
    texts: list[str] = []
    done = asyncio.Event()
    engine.on_text_response = texts.append
    engine.on_response_done = done.set
    async with asyncio.timeout(WAIT_S), engine:
        await engine.send_text("1234")
        await done.wait()
    assert texts == ["You said [number], that is [number]."]


async def test_another_provider_of_the_engine_gets_the_functions_too() -> None:
    other = {"provider": "mock", "metadata": {"default_reply": "It is 1234."}}
    engine = VoiceEngine(
        provider="mock",
        enable_multi_provider=True,
        metadata={"connect_fault": "refused", "failover": [other]},
    )
    engine.middleware(message=[number], audio="unfiltered")
    texts: list[str] = []
    done = asyncio.Event()
    engine.on_text_response = texts.append
    engine.on_response_done = done.set
    async with asyncio.timeout(WAIT_S):
        await engine.connect(retry_count=1)
        async with engine:
            await engine.send_text("hello")
            await done.wait()
            await engine.switch_provider("mock", {"metadata": {"default_reply": "Still 1234."}})
            done.clear()
            await engine.send_text("hello")
            await done.wait()
    assert texts == ["It is [number].", "Still [number]."]
