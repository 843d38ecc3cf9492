"""The official client of Hugging Face talks to our fake as it would to the router."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.providers.vendors.llm_contract import TIMER
from tests.servers.chat import Chat
from tests.servers.scripted import KEY, Call, Refusal, Reply, Scripted, scripted
from voxd.providers.pipeline.stages.chat_completions import chat_tools

huggingface_hub = pytest.importorskip("huggingface_hub", reason="the extra `conformance` is not installed")

USER: Any = [{"role": "user", "content": "Set a timer."}]


@asynccontextmanager
async def client_of(*script: Reply | Refusal) -> AsyncIterator[tuple[Any, Scripted]]:
    async with scripted(Chat(), *script) as server:
        # Kept by name: a client that nobody holds is collected, and closes the stream.
        client = huggingface_hub.AsyncInferenceClient(base_url=f"{server.url}/v1", api_key=KEY)
        async with client:
            yield client, server


async def test_the_official_client_reads_a_chat_with_calls() -> None:
    async with client_of(Reply(("Right", "."), (Call(),))) as (client, server):
        chunks = [
            chunk
            async for chunk in await client.chat_completion(
                messages=USER,
                model="openai/gpt-oss-20b:fastest",
                stream=True,
                tools=chat_tools((TIMER,)),
                stream_options={"include_usage": True},
            )
        ]
        deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
        assert "".join(delta.content or "" for delta in deltas) == "Right."
        arguments = "".join(call.function.arguments for delta in deltas for call in delta.tool_calls or ())
        assert arguments == '{"seconds": 5}'
        assert chunks[-1].usage.prompt_tokens == 120
        assert server.bodies[0]["model"] == "openai/gpt-oss-20b:fastest"
        assert server.asked.target == "/v1/chat/completions"


async def test_the_official_client_receives_refusals() -> None:
    spent = Refusal(402, {"error": "You have exceeded your monthly included credits"})
    async with client_of(spent) as (client, _):
        with pytest.raises(huggingface_hub.errors.HfHubHTTPError, match="402"):
            await client.chat_completion(messages=USER, model="x")
