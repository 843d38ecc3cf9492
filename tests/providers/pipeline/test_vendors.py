"""Whole turns over real lines to fakes of vendors: what one of them breaks, another mends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.providers.contract import Ear
from tests.servers.anthropic import Messages
from tests.servers.aura import Aura
from tests.servers.chat import Chat
from tests.servers.deepgram import DeepgramNova
from tests.servers.live_speech import KEY as EARS_KEY
from tests.servers.live_speech import Fault, LiveSpeech, Script
from tests.servers.openai_speech import OpenAISpeechServer
from tests.servers.scripted import KEY as MODEL_KEY
from tests.servers.scripted import Call, Refusal, Reply, Scripted, scripted
from tests.servers.voices import KEY as VOICE_KEY
from tests.servers.voices import Voice, served, told
from tests.servers.words import spoken
from voxd.events import EventType as E
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt
from voxd.providers.settings import SessionConfig, ToolSpec

QUESTION = spoken("kitchen light off")
BLOCK = 1280


@dataclass
class House:
    """Two vendors of each kind, and a pipeline of them."""

    ears: list[LiveSpeech]
    minds: list[Scripted]
    voices: list[Voice]
    provider: PipelineProvider
    ear: Ear
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def ask(self) -> None:
        for at in range(0, len(QUESTION), BLOCK):
            await self.provider.send_audio(QUESTION[at : at + BLOCK])
        await self.provider.commit()
        await self.ear.until(E.RESPONSE_COMPLETED)

    @property
    def said(self) -> list[str]:
        return [
            event.data["text"].strip() for event in self.ear.of(E.TEXT_OUTPUT) if event.data["is_partial"]
        ]

    @property
    def understood(self) -> str:
        (final,) = [event for event in self.ear.of(E.TEXT_TRANSCRIPTION) if not event.data["is_partial"]]
        return str(final.data["text"])

    def of(self, type: E) -> list[dict[str, Any]]:
        return [event.data for event in self.ear.of(type)]


async def house(
    stack: AsyncExitStack,
    *,
    ears: tuple[Script | None, ...] = (None, None),
    minds: tuple[Any, ...] = (Reply(), Reply()),
) -> House:
    heard = [await stack.enter_async_context(DeepgramNova(script).running()) for script in ears]
    dialects = (Chat(), Messages())
    thought = [
        await stack.enter_async_context(scripted(dialect, *(step if isinstance(step, tuple) else (step,))))
        for dialect, step in zip(dialects, minds, strict=True)
    ]
    voices: list[Voice] = [
        await stack.enter_async_context(served(Aura)),
        await stack.enter_async_context(served(OpenAISpeechServer)),
    ]
    provider = PipelineProvider(
        {
            "metadata": {
                "stt": [
                    {"kind": "deepgram", "name": f"ears{n}", "api_key": EARS_KEY, "endpoint": each.url}
                    for n, each in enumerate(heard)
                ],
                "llm": [
                    {
                        "kind": "openai",
                        "name": "gpt",
                        "api_key": MODEL_KEY,
                        "endpoint": f"{thought[0].url}/v1",
                    },
                    {"kind": "anthropic", "name": "claude", "api_key": MODEL_KEY, "endpoint": thought[1].url},
                ],
                "tts": [
                    {"kind": "deepgram", "name": "aura", "api_key": VOICE_KEY, "endpoint": voices[0].url},
                    {
                        "kind": "openai",
                        "name": "speech",
                        "api_key": VOICE_KEY,
                        "endpoint": f"{voices[1].url}/v1",
                    },
                ],
            }
        }
    )
    stack.push_async_callback(provider.disconnect)
    ear = Ear(provider)
    await provider.configure_session(
        SessionConfig(
            instructions="Be brief.", tools=(ToolSpec("set_timer", "Sets a timer.", {"type": "object"}),)
        )
    )
    await provider.connect()
    return House(heard, thought, voices, provider, ear)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def test_three_vendors_answer_a_spoken_question(stack: AsyncExitStack) -> None:
    home = await house(stack)
    await home.ask()
    assert home.understood == "kitchen light off"
    assert home.said == ["Hello there."]
    assert home.ear.of(E.AUDIO_OUTPUT_CHUNK)
    assert home.minds[0].bodies[0]["messages"][-1] == {"role": "user", "content": "kitchen light off"}
    assert {(used["provider"], used["stage"], used["key"]) for used in home.of(E.PROVIDER_USED)} == {
        ("ears0", "stt", 1),
        ("gpt", "llm", 1),
        ("aura", "tts", 1),
    }
    assert home.of(E.ERROR_GENERAL) == home.of(E.PROVIDER_FAILED) == []


async def test_headers_may_be_fixed_or_computed_for_every_request(stack: AsyncExitStack) -> None:
    server = await stack.enter_async_context(scripted(Chat(), Reply(("Hi", "."))))
    table = {"kind": "openai", "api_key": MODEL_KEY, "endpoint": f"{server.url}/v1"}
    numbers = iter("12")
    computed = {**table, "headers": lambda: {"x-number": next(numbers)}}
    near = [{"kind": "wyoming"}]
    told = {"stt": near, "llm": [computed, {**table, "headers": {"x-team": "red"}}], "tts": near}
    provider = PipelineProvider({"metadata": {**told, "hedge": False}})
    stack.push_async_callback(provider.disconnect)
    first, second = provider._parts.llm.candidates.stages
    for stage in (first, first, second):
        async for _ in stage.reply(Prompt("", (ChatMessage("user", "hello"),))):
            pass
    asked = [request.headers for request in server.plain.requests]
    assert [headers.get("x-number") for headers in asked] == ["1", "2", None]
    assert asked[2]["x-team"] == "red"


async def test_every_first_vendor_fails_and_every_second_answers(stack: AsyncExitStack) -> None:
    refused = Refusal(401, {"error": {"message": "no", "code": "invalid_api_key", "type": "x"}})
    home = await house(stack, ears=(Script(), None), minds=(refused, Reply()))
    home.ears[0].refuse_all()
    home.voices[0].faults.extend([told({"err_code": "INVALID_AUTH"}, 401)] * 4)
    await home.ask()
    assert home.understood == "kitchen light off"
    assert home.said == ["Hello there."]
    assert {failed["provider"] for failed in home.of(E.PROVIDER_FAILED)} >= {"gpt", "aura"}
    assert home.minds[1].bodies[0]["messages"][-1]["content"]
    assert len(home.voices[1].spoken) == 1


async def test_a_model_that_is_busy_is_not_asked_twice_while_another_waits(stack: AsyncExitStack) -> None:
    home = await house(stack, minds=(Refusal(503, "busy"), Reply()))
    await home.ask()
    assert home.said == ["Hello there."]
    assert len(home.minds[0].plain.requests) == 1


async def test_a_model_that_breaks_off_unheard_is_followed_by_another(stack: AsyncExitStack) -> None:
    home = await house(stack, minds=(Reply(text=("Per", "haps"), fault="cut"), Reply(text=("Surely", "."))))
    await home.ask()
    assert home.said == ["Surely."]


async def test_a_tool_is_called_and_its_result_answered(stack: AsyncExitStack) -> None:
    home = await house(stack, minds=((Reply(text=(), calls=(Call(),)), Reply(text=("Done", "."))), Reply()))
    await home.ask()
    (call,) = home.of(E.FUNCTION_CALL_INVOKED)
    assert (call["function_name"], call["arguments"]) == ("set_timer", {"seconds": 5})
    await home.provider.send_tool_result(call["call_id"], "set")
    await home.provider.request_response()
    await home.ear.until(E.RESPONSE_COMPLETED, 2)
    assert home.said == ["Done."]
    roles = [message["role"] for message in home.minds[0].bodies[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]


async def test_a_line_that_breaks_while_the_user_speaks_loses_no_word(stack: AsyncExitStack) -> None:
    home = await house(stack, ears=(Script(faults=[Fault(after_s=0.6, breaks=True)]), None))
    await home.ask()
    assert home.understood == "kitchen light off"


async def test_an_interruption_hangs_up_everywhere(stack: AsyncExitStack) -> None:
    home = await house(stack, minds=(Reply(text=("One two three. ", "Four"), hold_after=1), Reply()))
    await home.provider.send_text("count")
    await home.ear.until(E.AUDIO_OUTPUT_CHUNK)
    await home.provider.interrupt(10.0)
    seen = len(home.ear.events)
    home.minds[0].go()
    await asyncio.sleep(0)
    assert [
        event.type for event in home.ear.events[seen:] if event.type in (E.TEXT_OUTPUT, E.AUDIO_OUTPUT_CHUNK)
    ] == []
    assert [each["reason"] for each in home.of(E.RESPONSE_CANCELLED)] == ["client_cancelled"]
