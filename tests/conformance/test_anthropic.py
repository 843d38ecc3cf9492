"""The official Anthropic client talks to our fake of the Messages API, and takes what voxd sends."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.conformance import prompts
from tests.providers.vendors.llm_contract import TIMER, after_tools, answer, asked
from tests.rig.transports import open_transport
from tests.servers.anthropic import Messages, refusal
from tests.servers.scripted import KEY, Call, Refusal, Reply, Scripted, Used, scripted
from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt, StageConfig
from voxd.providers.vendors.anthropic.llm import AnthropicLlm
from voxd.providers.vendors.anthropic.options import NEW, OLD, AnthropicOptions
from voxd.providers.vendors.anthropic.wire import messages_body

anthropic = pytest.importorskip("anthropic", reason="the extra `conformance` is not installed")

from anthropic.types import RawMessageStreamEvent  # noqa: E402
from anthropic.types.message_create_params import MessageCreateParamsStreaming  # noqa: E402
from anthropic.types.shared import ErrorResponse  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402

from tests.conformance.params import Judge  # noqa: E402
from tests.conformance.strict import complaints  # noqa: E402

USER: Any = [{"role": "user", "content": "Set a timer."}]
WHOLE = Reply(
    ("Right", "."), (Call(), Call("stop", "{}", "call_2")), thoughts="Hm.", used=Used(120, 40, 30, 17)
)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge("anthropic.types", MessageCreateParamsStreaming)


@asynccontextmanager
async def client_of(*script: Reply | Refusal, key: str = KEY) -> AsyncIterator[tuple[Any, Scripted]]:
    async with (
        scripted(Messages(), *script) as server,
        anthropic.AsyncAnthropic(api_key=key, base_url=server.url, max_retries=0) as client,
    ):
        yield client, server


def said_by(server: Scripted) -> list[Any]:
    """Return the events of the server that the SDK has a type for: pings it knows without one."""
    return [event for event in server.sent if event["type"] != "ping"]


async def test_the_official_client_reads_thoughts_text_and_calls() -> None:
    async with client_of(WHOLE) as (client, server):
        asking = client.messages.stream(model="claude-haiku-5-5", max_tokens=100, messages=USER)
        async with asking as stream:
            message = await stream.get_final_message()
        kinds = [block.type for block in message.content]
        assert kinds == ["thinking", "text", "tool_use", "tool_use"]
        assert [block.input for block in message.content[2:]] == [{"seconds": 5}, {}]
        assert message.content[0].signature
        usage = message.usage
        assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (50, 40, 17)
        assert usage.cache_creation_input_tokens == 30
        assert message.stop_reason == "tool_use"
        assert complaints(RawMessageStreamEvent, said_by(server), unknown_fields=True) == []


async def test_the_official_client_sends_the_same_request_as_voxd() -> None:
    async with client_of() as (client, server), open_transport(server.url) as transport:
        async with client.messages.stream(
            model="claude-haiku-5-5",
            max_tokens=4096,
            messages=[{"role": "user", "content": [{"type": "text", "text": "What time is it?"}]}],
            system="Be brief.",
        ) as stream:
            await stream.get_final_message()
        await answer(AnthropicLlm(StageConfig("p", "anthropic"), transport), asked())
        theirs, ours = server.plain.requests
        assert json.loads(ours.body) == json.loads(theirs.body)
        for name in ("anthropic-version", "authorization", "content-type"):
            assert ours.headers[name] == theirs.headers[name]
        assert (ours.method, ours.target) == (theirs.method, theirs.target)


@pytest.mark.parametrize("end", ["length", "refusal", "pause_turn", "model_context_window_exceeded"])
async def test_the_official_client_accepts_every_stop_reason(end: str) -> None:
    async with client_of(Reply(end=end)) as (client, server):
        async with client.messages.stream(model="m", max_tokens=100, messages=USER) as stream:
            message = await stream.get_final_message()
        assert message.stop_reason == {"length": "max_tokens"}.get(end, end)
        assert complaints(RawMessageStreamEvent, said_by(server), unknown_fields=True) == []


async def test_the_official_client_receives_failures() -> None:
    overloaded = {"type": "overloaded_error", "message": "Overloaded"}
    async with client_of(Reply(fault="error", complaint=overloaded)) as (client, server):
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            async with client.messages.stream(model="m", max_tokens=100, messages=USER) as stream:
                await stream.get_final_message()
        TypeAdapter(ErrorResponse).validate_python(server.sent[-1])
    for refused, kind in (
        (refusal(529, "overloaded_error", "Overloaded"), anthropic.InternalServerError),
        (refusal(429, "rate_limit_error", "slow", "enforced_spend_limit_reached"), anthropic.RateLimitError),
        (refusal(402, "billing_error", "pay"), anthropic.APIStatusError),
    ):
        TypeAdapter(ErrorResponse).validate_python(refused.body)
        async with client_of(refused) as (client, _):
            with pytest.raises(kind):
                await client.messages.create(model="m", max_tokens=100, messages=USER)
    async with client_of(key="sk-wrong") as (client, _):
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.create(model="m", max_tokens=100, messages=USER)


async def test_the_official_client_lists_the_models() -> None:
    async with client_of() as (client, _):
        assert [row.id async for row in client.models.list()] == ["claude-haiku-5-5"]


@pytest.mark.parametrize("name", [*prompts.ALL, "warm"])
def test_the_types_allow_the_requests_of_voxd(judge: Judge, name: str) -> None:
    prompt = prompts.ALL.get(name, prompts.WARM)
    for options in (
        AnthropicOptions(),
        AnthropicOptions(cache="1h"),
        AnthropicOptions(body={"thinking": {"type": "adaptive"}}),
    ):
        body = messages_body(prompt, "claude-haiku-5-5", "anthropic", options)
        assert judge.complaint(json.loads(json.dumps(body))) == ""


def test_a_temperature_is_what_only_the_old_types_allowed(judge: Judge) -> None:
    body = messages_body(prompts.WARM, "claude-haiku-4-5", "anthropic", AnthropicOptions(api_version=OLD))
    assert "temperature" in judge.complaint(body)
    body.pop("temperature")
    assert judge.complaint(body) == ""
    assert "temperature" not in messages_body(
        prompts.WARM, "claude-haiku-4-5", "x", AnthropicOptions(api_version=NEW)
    )


@pytest.mark.parametrize("encrypted", [False, True])
async def test_thoughts_that_go_back_are_what_the_types_allow(judge: Judge, encrypted: bool) -> None:
    async with (
        scripted(Messages(encrypted=encrypted), WHOLE, Reply()) as server,
        open_transport(server.url) as transport,
    ):
        model = AnthropicLlm(StageConfig("p", "anthropic"), transport)
        _, end = await answer(model, asked(tools=(TIMER,)))
        said = ChatMessage("assistant", "Right.", end.calls, raw=end.raw, raw_of="p")
        first, _, *results = after_tools(end, provider="p").messages
        await answer(model, Prompt("", (first, said, *results), (TIMER,)))
        assert "thinking" in json.dumps(server.bodies[-1])
        assert [judge.complaint(body) for body in server.bodies] == ["", ""]


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "id": "x", "content": "y"}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "x", "name": "f"}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}]}]},
        {"tools": [{"name": "f", "description": "x"}]},
        {"max_tokens": None},
        {"temperature": 0.5},
        {"cache_control": {"type": "ephemeral", "ttl": "2h"}},
    ],
)
def test_the_judge_can_say_no(judge: Judge, change: dict[str, Any]) -> None:
    body = messages_body(prompts.PLAIN, "claude-haiku-5-5", "anthropic", AnthropicOptions())
    assert judge.complaint(body) == ""
    assert judge.complaint(body | change) != ""
