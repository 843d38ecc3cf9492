"""Ollama's own API: models that have to be loaded first, calls that come whole, tokens that are counted."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from tests.providers.vendors.llm_contract import (
    TIMER,
    WAIT_S,
    FullContract,
    after_tools,
    answer,
    asked,
    heard,
)
from tests.rig.transports import KEY, open_transport
from tests.servers.ollama import MODEL, OllamaChat
from tests.servers.scripted import Call, Refusal, Reply, scripted
from voxd.errors import AuthenticationError, ProviderError
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt, StageConfig, ToolCall
from voxd.providers.vendors.ollama.llm import LOADING_S, OllamaLlm
from voxd.providers.vendors.ollama.options import OllamaOptions
from voxd.providers.vendors.ollama.wire import OllamaReader, chat_body, loading_body

CALL = ToolCall("call_1", "set_timer", '{"seconds": 5}')


class TestContract(FullContract):
    model = OllamaLlm
    kind = "ollama"
    path = ""
    tells_cached = False

    def dialect(self) -> OllamaChat:
        return OllamaChat()


def test_a_request_has_the_whole_conversation() -> None:
    messages = (
        ChatMessage("user", "Set a timer."),
        ChatMessage("assistant", "", (CALL,), raw="Hm.", raw_of="ollama"),
        ChatMessage("tool", "done", call_id="call_1", tool="set_timer"),
    )
    prompt = Prompt("Be brief.", messages, (TIMER,), max_output_tokens=200, temperature=0.5)
    options = OllamaOptions(keep_alive="1h", think="low", context_tokens=8192, options={"top_p": 0.9})
    assert chat_body(prompt, "qwen3", "ollama", options) == {
        "model": "qwen3",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Set a timer."},
            {
                "role": "assistant",
                "thinking": "Hm.",
                "tool_calls": [
                    {"id": "call_1", "function": {"name": "set_timer", "arguments": {"seconds": 5}}}
                ],
            },
            {"role": "tool", "tool_name": "set_timer", "content": "done", "tool_call_id": "call_1"},
        ],
        "stream": True,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "set_timer",
                    "description": "Set a timer.",
                    "parameters": TIMER.parameters,
                },
            }
        ],
        "options": {"num_predict": 200, "temperature": 0.5, "num_ctx": 8192, "top_p": 0.9},
        "keep_alive": "1h",
        "think": "low",
    }


def test_what_is_not_configured_is_not_sent() -> None:
    assert set(chat_body(asked(), "m", "ollama", OllamaOptions())) == {"model", "messages", "stream"}


def test_a_model_is_loaded_with_the_settings_it_is_used_with() -> None:
    options = OllamaOptions(keep_alive=-1, context_tokens=8192)
    loading = loading_body("m", options)
    assert loading["messages"] == []
    asking = chat_body(asked(), "m", "ollama", options)
    assert {name: asking[name] for name in ("options", "keep_alive", "model")} == {
        name: loading[name] for name in ("options", "keep_alive", "model")
    }


async def test_the_model_is_loaded_while_the_user_still_speaks() -> None:
    async with scripted(OllamaChat()) as server, open_transport(server.url, "") as transport:
        model = OllamaLlm(StageConfig("p", "ollama", options={"keep_alive": "1h"}), transport)
        model.prepare()
        model.prepare()
        async with asyncio.timeout(WAIT_S):
            await server.plain.asked.wait()
        assert server.bodies == [{"model": MODEL, "messages": [], "stream": False, "keep_alive": "1h"}]
        await model.close()


async def test_a_model_that_cannot_be_loaded_is_not_an_error() -> None:
    async with open_transport("http://127.0.0.1:1", "") as transport:
        model = OllamaLlm(StageConfig("p", "ollama"), transport)
        model.prepare()
        async with asyncio.timeout(5.0):
            while not transport.data("provider.call"):
                await asyncio.sleep(0)
        await model.close()


def test_a_model_that_is_being_loaded_may_take_its_time() -> None:
    assert OllamaLlm.first_byte_s == LOADING_S
    assert OllamaLlm.whole_s is not None
    assert OllamaLlm.whole_s > LOADING_S


async def test_a_model_that_is_not_there_is_named_with_the_command_that_gets_it() -> None:
    async with scripted(OllamaChat()) as server, open_transport(server.url, "") as transport:
        model = OllamaLlm(StageConfig("p", "ollama", model="qwen3:4b"), transport)
        for asking in (answer(model, asked()), model.check(Budget())):
            with pytest.raises(ProviderError) as caught:
                await asking
            assert (caught.value.code, caught.value.retryable) == ("model_not_found", False)
            assert "ollama pull qwen3:4b" in caught.value.hint


async def test_a_model_without_tools_is_a_distinct_error() -> None:
    refused = Refusal(400, {"error": "registry.ollama.ai/library/gemma3 does not support tools"})
    async with scripted(OllamaChat(), refused) as server, open_transport(server.url, "") as transport:
        with pytest.raises(ProviderError, match="does not support tools") as caught:
            await answer(OllamaLlm(StageConfig("p", "ollama"), transport), asked(tools=(TIMER,)))
        assert "tools" in caught.value.hint
        assert not caught.value.retryable


async def test_the_cloud_gets_the_key() -> None:
    async with scripted(OllamaChat(key=KEY)) as server:
        async with open_transport(server.url) as transport:
            await answer(OllamaLlm(StageConfig("p", "ollama"), transport), asked())
        async with open_transport(server.url, "") as transport:
            with pytest.raises(AuthenticationError):
                await answer(OllamaLlm(StageConfig("p", "ollama"), transport), asked())


async def test_thoughts_before_a_call_go_back_and_are_never_spoken() -> None:
    thinking = Reply(("Right.",), (Call(),), thoughts="Hm.")
    async with (
        scripted(OllamaChat(numbered=False), thinking, Reply()) as server,
        open_transport(server.url, "") as transport,
    ):
        model = OllamaLlm(StageConfig("p", "ollama"), transport)
        pieces, end = await answer(model, asked(tools=(TIMER,)))
        assert pieces == ["Right."]
        assert (end.raw, bool(end.calls[0].id)) == ("Hm.", True)
        await answer(model, after_tools(end, provider="p"))
        assert server.bodies[-1]["messages"][2]["thinking"] == "Hm."


@pytest.mark.parametrize(("end", "reason"), [("stop", "stop"), ("length", "length"), ("load", "stop")])
async def test_the_stop_reason_of_an_answer_is_mapped(end: str, reason: str) -> None:
    async with scripted(OllamaChat(), Reply(end=end)) as server, open_transport(server.url, "") as transport:
        _, told = await answer(OllamaLlm(StageConfig("p", "ollama"), transport), asked())
        assert told.reason == reason


async def test_a_list_of_models_that_is_none_is_a_fault() -> None:
    odd = OllamaChat()
    odd.other = lambda asked: {"models": 5}  # type: ignore[method-assign]
    async with scripted(odd) as server, open_transport(server.url, "") as transport:
        with pytest.raises(ProviderError):
            await OllamaLlm(StageConfig("p", "ollama"), transport).check(Budget())


def test_a_conversation_of_another_vendor_is_understood() -> None:
    said = ChatMessage("assistant", "", (ToolCall("x", "f", "nonsense"),), raw=[1], raw_of="anthropic")
    prompt = Prompt("", (ChatMessage("user", "?"), said, ChatMessage("tool", "ok", call_id="x", tool="f")))
    sent = chat_body(prompt, "m", "ollama", OllamaOptions())["messages"][1]
    assert sent["tool_calls"][0]["function"]["arguments"] == {}
    assert "thinking" not in sent


SAID = st.dictionaries(
    st.sampled_from(["content", "thinking", "tool_calls"]), st.none() | st.text(max_size=3)
)
LINES: Any = st.fixed_dictionaries(
    {},
    optional={"message": SAID | st.none(), "done": st.booleans(), "error": st.none() | st.text(max_size=3)},
)


@examples(80)
@given(st.lists(LINES.map(json.dumps) | st.text(max_size=20), max_size=5))
def test_every_answer_of_a_server_raises_only_voxd_errors(said: list[str]) -> None:
    error = heard(OllamaReader("p"), said)
    assert error is None or error.provider == "p"
