"""The official OpenAI client talks to our fakes of chats and responses, and takes what voxd sends."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.conformance import prompts
from tests.conformance.request_gate import request_complaints
from tests.providers.vendors.llm_contract import TIMER, after_tools, answer, asked
from tests.rig.transports import open_transport
from tests.servers.chat import Chat, refusal
from tests.servers.responses import Responses
from tests.servers.scripted import KEY, Call, Dialect, Refusal, Reply, Scripted, scripted
from voxd.providers.pipeline.stages.chat_completions import ChatHost, chat_body, chat_tools
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.pipeline.stages.llm_options import ChatOptions
from voxd.providers.vendors.openai.llm import OpenAIChatLlm, OpenAIResponsesLlm
from voxd.providers.vendors.openai.options import OpenAIResponsesOptions as ResponsesOptions
from voxd.providers.vendors.openai.responses_wire import responses_body

openai = pytest.importorskip("openai", reason="the extra `conformance` is not installed")

from openai.types.chat import ChatCompletionChunk  # noqa: E402
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming  # noqa: E402
from openai.types.model import Model  # noqa: E402
from openai.types.responses import ResponseStreamEvent  # noqa: E402
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming  # noqa: E402

from tests.conformance.params import Judge  # noqa: E402
from tests.conformance.strict import complaints  # noqa: E402

USER: Any = [{"role": "user", "content": "Set a timer."}]
WHOLE = Reply(("Right", "."), (Call(), Call("stop", "{}", "call_2")), thoughts="Hm.")


@pytest.fixture(scope="module")
def chat_judge() -> Judge:
    return Judge("openai.types", CompletionCreateParamsStreaming)


@pytest.fixture(scope="module")
def responses_judge() -> Judge:
    return Judge("openai.types", ResponseCreateParamsStreaming)


@asynccontextmanager
async def client_of(
    dialect: Dialect, *script: Reply | Refusal, key: str = KEY
) -> AsyncIterator[tuple[Any, Scripted]]:
    async with (
        scripted(dialect, *script) as server,
        openai.AsyncOpenAI(api_key=key, base_url=f"{server.url}/v1", max_retries=0) as client,
    ):
        yield client, server


async def test_the_official_client_reads_a_chat_with_calls() -> None:
    async with client_of(Chat(), WHOLE) as (client, server):
        stream = client.chat.completions.stream(model="gpt-6-luna", messages=USER, tools=chat_tools((TIMER,)))
        async with stream as events:
            whole = await events.get_final_completion()
        choice = whole.choices[0]
        assert (choice.message.content, choice.finish_reason) == ("Right.", "tool_calls")
        calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls]
        assert calls == [("call_1", "set_timer", '{"seconds": 5}'), ("call_2", "stop", "{}")]
        for event in server.sent:
            ChatCompletionChunk.model_validate(event, strict=True)


async def test_the_official_client_receives_the_usage_of_a_chat() -> None:
    async with client_of(Chat()) as (client, _):
        options = {"include_usage": True}
        stream = await client.chat.completions.create(
            model="gpt-6-luna", messages=USER, stream=True, stream_options=options
        )
        last = [chunk async for chunk in stream][-1]
        assert (last.usage.prompt_tokens, last.usage.prompt_tokens_details.cached_tokens) == (120, 40)


async def test_the_official_client_receives_failures() -> None:
    async with client_of(Chat(), Reply(fault="error")) as (client, _):
        stream = await client.chat.completions.create(model="m", messages=USER, stream=True)
        with pytest.raises(openai.APIError, match="boom"):
            [chunk async for chunk in stream]
    slow = refusal(429, "Rate limit reached", "rate_limit_exceeded", "requests")
    async with client_of(Chat(), slow) as (client, _):
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model="m", messages=USER, stream=True)
    async with client_of(Chat(), key="sk-wrong") as (client, _):
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="m", messages=USER, stream=True)


async def test_the_official_client_lists_the_models() -> None:
    async with client_of(Chat()) as (client, _):
        rows = [row async for row in client.models.list()]
        assert [(row.id, row.shutdown_date) for row in rows][-1] == ("gpt-4o", "2027-01-14")
        assert all(isinstance(row, Model) for row in rows)


async def test_the_official_client_reads_a_response_with_calls() -> None:
    async with client_of(Responses(), WHOLE) as (client, server):
        stream = await client.responses.create(model="gpt-6-luna", input="Set a timer.", stream=True)
        events = [event async for event in stream]
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert text == "Right."
        calls = [item for item in events[-1].response.output if item.type == "function_call"]
        assert [(call.call_id, call.name, call.arguments) for call in calls] == [
            ("call_1", "set_timer", '{"seconds": 5}'),
            ("call_2", "stop", "{}"),
        ]
        assert events[-1].response.usage.input_tokens_details.cached_tokens == 40
        assert complaints(ResponseStreamEvent, server.sent, unknown_fields=True) == []


@pytest.mark.parametrize("end", ["length", "content_filter", "refusal"])
async def test_the_official_client_reads_responses_that_end_early(end: str) -> None:
    async with client_of(Responses(), Reply(end=end)) as (client, server):
        stream = await client.responses.create(model="gpt-6-luna", input="Hello.", stream=True)
        last = [event async for event in stream][-1]
        assert last.type == ("response.completed" if end == "refusal" else "response.incomplete")
        assert complaints(ResponseStreamEvent, server.sent, unknown_fields=True) == []


async def test_the_official_client_receives_a_failed_response() -> None:
    async with client_of(Responses(), Reply(fault="error")) as (client, server):
        stream = await client.responses.create(model="gpt-6-luna", input="Hello.", stream=True)
        last = [event async for event in stream][-1]
        assert (last.type, last.code, last.message) == ("error", "server_error", "boom")
        assert complaints(ResponseStreamEvent, server.sent, unknown_fields=True) == []


@pytest.mark.parametrize("name", [*prompts.ALL, "warm"])
def test_the_types_allow_the_chat_requests_of_voxd(chat_judge: Judge, name: str) -> None:
    prompt = prompts.ALL.get(name, prompts.WARM)
    for host in ChatHost:
        body = chat_body(prompt, "gpt-6-luna", "p", ChatOptions(), host)
        assert chat_judge.complaint(json.loads(json.dumps(body))) == ""


@pytest.mark.parametrize("name", [*prompts.ALL, "warm"])
def test_the_types_allow_the_response_requests_of_voxd(responses_judge: Judge, name: str) -> None:
    prompt = prompts.ALL.get(name, prompts.WARM)
    for host in ChatHost:
        body = responses_body(prompt, "gpt-6-luna", "x", ResponsesOptions(), host)
        assert responses_judge.complaint(json.loads(json.dumps(body))) == ""


async def test_thoughts_that_go_back_are_what_the_types_allow(responses_judge: Judge) -> None:
    async with scripted(Responses(), WHOLE, Reply()) as server, open_transport(server.url) as transport:
        model = OpenAIResponsesLlm(StageConfig("p", "openai_responses"), transport)
        _, end = await answer(model, asked(tools=(TIMER,)))
        await answer(model, after_tools(end, provider="p"))
        assert "encrypted_content" in json.dumps(server.bodies[-1])
        assert [responses_judge.complaint(body) for body in server.bodies] == ["", ""]


async def test_a_whole_turn_of_voxd_is_what_the_types_allow(chat_judge: Judge) -> None:
    # OpenAI itself sends no thoughts in this protocol; servers that do get them back.
    plain = replace(WHOLE, thoughts="")
    async with scripted(Chat(), plain, Reply()) as server, open_transport(server.url) as transport:
        model = OpenAIChatLlm(StageConfig("p", "openai"), transport)
        _, end = await answer(model, asked(tools=(TIMER,)))
        await answer(model, after_tools(end, provider="p"))
        assert [chat_judge.complaint(body) for body in server.bodies] == ["", ""]


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "usr", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x", "mood": "good"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "x", "type": "function"}]}]},
        {"tools": [{"type": "function", "name": "f", "parameters": {}}]},
        {"stream_options": {"usage": True}},
        {"max_output_tokens": 5},
        {"stream": False},
    ],
)
def test_the_judge_of_chats_can_say_no(chat_judge: Judge, change: dict[str, Any]) -> None:
    body = chat_body(prompts.PLAIN, "m", "p", ChatOptions(), ChatHost.OPENAI)
    assert chat_judge.complaint(body) == ""
    assert chat_judge.complaint(body | change) != ""


@pytest.mark.parametrize(
    "change",
    [
        {"input": [{"role": "usr", "content": "x"}]},
        {"input": [{"type": "function_call_output", "call": "x", "output": "x"}]},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"max_tokens": 5},
        {"messages": []},
    ],
)
def test_the_judge_of_responses_can_say_no(responses_judge: Judge, change: dict[str, Any]) -> None:
    body = responses_body(prompts.PLAIN, "m", "x", ResponsesOptions(), ChatHost.OPENAI)
    assert responses_judge.complaint(body) == ""
    assert responses_judge.complaint(body | change) != ""


@pytest.mark.parametrize("kind", ["openai", "huggingface", "openai_responses", "anthropic"])
def test_the_gate_of_all_requests_can_say_no(kind: str) -> None:
    if kind == "anthropic":
        pytest.importorskip("anthropic", reason="the extra `conformance` is not installed")
    assert request_complaints(kind, [{"model": "m", "mood": "good"}]) != []
    assert request_complaints("custom", [{"mood": "good"}]) == []
