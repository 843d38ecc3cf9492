"""The official Ollama client talks to our fake of its server, and asks as voxd does."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.providers.vendors.llm_contract import TIMER, after_tools, answer, asked
from tests.rig.transports import open_transport
from tests.servers.ollama import MODEL, OllamaChat
from tests.servers.scripted import Call, Reply, Scripted, scripted
from voxd.providers.pipeline.stages.chat_completions import chat_tools
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.vendors.ollama.llm import OllamaLlm

ollama = pytest.importorskip("ollama", reason="the extra `conformance` is not installed")

USER: Any = [{"role": "user", "content": "Set a timer."}]
WHOLE = Reply(("Right", "."), (Call(), Call("stop", "{}", "call_2")), thoughts="Hm.")


@asynccontextmanager
async def client_of(*script: Reply) -> AsyncIterator[tuple[Any, Scripted]]:
    async with scripted(OllamaChat(), *script) as server:
        client = ollama.AsyncClient(host=server.url)
        try:
            yield client, server
        finally:
            await client._client.aclose()


async def test_the_official_client_reads_thoughts_text_and_calls() -> None:
    async with client_of(WHOLE) as (client, server):
        parts = [part async for part in await client.chat(model=MODEL, messages=USER, stream=True)]
        assert "".join(part.message.content for part in parts) == "Right."
        assert parts[0].message.thinking == "Hm."
        calls = [call.function for part in parts for call in part.message.tool_calls or ()]
        assert [(call.name, call.arguments) for call in calls] == [
            ("set_timer", {"seconds": 5}),
            ("stop", {}),
        ]
        assert (parts[-1].done, parts[-1].prompt_eval_count, parts[-1].eval_count) == (True, 120, 17)
        for line_ in server.sent:
            ollama.ChatResponse.model_validate(line_, strict=True)


async def test_the_official_client_receives_failures() -> None:
    async with client_of(Reply(fault="error")) as (client, _):
        with pytest.raises(ollama.ResponseError, match="boom"):
            [part async for part in await client.chat(model=MODEL, messages=USER, stream=True)]
        with pytest.raises(ollama.ResponseError, match="not found") as caught:
            await client.chat(model="qwen3", messages=USER)
        assert caught.value.status_code == 404


async def test_the_official_client_lists_the_models() -> None:
    async with client_of() as (client, _):
        assert [model.model for model in (await client.list()).models] == [f"{MODEL}:latest"]


async def test_the_official_client_sends_the_same_request_as_voxd() -> None:
    options = {"keep_alive": "1h", "think": True, "context_tokens": 8192, "options": {"top_p": 0.9}}
    async with client_of(WHOLE, Reply()) as (client, server), open_transport(server.url, "") as transport:
        model = OllamaLlm(StageConfig("p", "ollama", options=options), transport)
        _, end = await answer(model, asked(tools=(TIMER,), max_output_tokens=200))
        await answer(model, after_tools(end, provider="p", max_output_tokens=200))
        parts = await client.chat(
            model=MODEL,
            messages=json.loads(json.dumps(server.bodies[-1]["messages"])),
            tools=chat_tools((TIMER,)),
            stream=True,
            think=True,
            keep_alive="1h",
            options={"num_predict": 200, "num_ctx": 8192, "top_p": 0.9},
        )
        [part async for part in parts]
        ours, theirs = server.bodies[1:]
        assert _without_ids(ours) == theirs
        assert "thinking" in json.dumps(theirs)
        assert server.plain.requests[1].target == server.plain.requests[2].target


def _without_ids(body: Any) -> Any:
    """Return ``body`` without the ids of calls, which the server knows and this client does not yet."""
    for message in body["messages"]:
        message.pop("tool_call_id", None)
        for call in message.get("tool_calls", ()):
            call.pop("id", None)
    return body
