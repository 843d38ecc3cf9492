"""The Responses API: nothing is stored, thoughts behind calls go back word for word."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from tests.providers.vendors.llm_contract import TIMER, FullContract, after_tools, answer, asked, heard
from tests.rig.transports import open_transport
from tests.servers.responses import ENCRYPTED, Responses
from tests.servers.scripted import Call, Reply, scripted
from voxd.errors import ContextTooLong, ProviderError, RateLimited
from voxd.providers.pipeline.stages.chat_completions import ChatHost
from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt, StageConfig, ToolCall
from voxd.providers.vendors.openai.llm import OpenAIResponsesLlm
from voxd.providers.vendors.openai.options import OpenAIResponsesOptions
from voxd.providers.vendors.openai.responses_wire import ResponsesReader, responses_body

CALL = ToolCall("call_1", "set_timer", '{"seconds": 5}')


class TestContract(FullContract):
    model = OpenAIResponsesLlm
    kind = "openai_responses"

    def dialect(self) -> Responses:
        return Responses()


def test_a_request_is_stored_nowhere_and_has_the_whole_conversation() -> None:
    messages = (
        ChatMessage("user", "Set a timer."),
        ChatMessage("assistant", "Right.", (CALL,), raw_of="mine"),
        ChatMessage("tool", "done", call_id="call_1", tool="set_timer"),
    )
    prompt = Prompt("Be brief.", messages, (TIMER,), max_output_tokens=200, temperature=0.5)
    assert responses_body(prompt, "gpt-6-luna", "mine", OpenAIResponsesOptions(), ChatHost.OPENAI) == {
        "model": "gpt-6-luna",
        "input": [
            {"type": "message", "role": "user", "content": "Set a timer."},
            {"type": "message", "role": "assistant", "content": "Right."},
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "set_timer",
                "arguments": '{"seconds": 5}',
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "done"},
        ],
        "instructions": "Be brief.",
        "stream": True,
        "store": False,
        "stream_options": {"include_obfuscation": False},
        "tools": [
            {
                "type": "function",
                "name": "set_timer",
                "description": "Set a timer.",
                "parameters": TIMER.parameters,
                "strict": False,
            }
        ],
        "max_output_tokens": 200,
        "temperature": 0.5,
    }
    bare = responses_body(
        asked(), "m", "x", OpenAIResponsesOptions(body={"reasoning": {"effort": "low"}}), ChatHost.OTHER
    )
    assert set(bare) == {"model", "input", "instructions", "stream", "store", "reasoning"}


async def test_thoughts_behind_a_call_go_back_to_their_own_model() -> None:
    thinking = Reply((), (Call(),), thoughts="Hm.")
    async with scripted(Responses(), thinking, Reply()) as server, open_transport(server.url) as transport:
        model = OpenAIResponsesLlm(StageConfig("p", "openai_responses"), transport)
        _, end = await answer(model, asked(tools=(TIMER,)))
        await answer(model, after_tools(end, provider="p"))
        kinds = [item["type"] for item in server.bodies[-1]["input"]]
        assert kinds == ["message", "reasoning", "function_call", "function_call_output"]
        assert server.bodies[-1]["input"][1]["encrypted_content"] == ENCRYPTED
        await answer(model, after_tools(end, provider="other"))
        assert "reasoning" not in [item["type"] for item in server.bodies[-1]["input"]]


@pytest.mark.parametrize(
    ("end", "reason"), [("length", "length"), ("content_filter", "refusal"), ("refusal", "refusal")]
)
async def test_the_stop_reason_of_an_answer_is_mapped(end: str, reason: str) -> None:
    async with (
        scripted(Responses(), Reply(("I", " cannot."), end=end)) as server,
        open_transport(server.url) as transport,
    ):
        pieces, told = await answer(OpenAIResponsesLlm(StageConfig("p", "x"), transport), asked())
        assert ("".join(pieces), told.reason) == ("I cannot.", reason)


def failed(error: Any) -> dict[str, Any]:
    return {"type": "response.failed", "response": {"status": "failed", "error": error}}


@pytest.mark.parametrize(
    ("event", "kind", "code"),
    [
        (failed({"code": "rate_limit_exceeded", "message": "slow down"}), RateLimited, "rate_limited"),
        (failed({"code": "server_error", "message": "boom"}), ProviderError, "server_error"),
        (failed(None), ProviderError, "stream_failed"),
        (
            {"type": "error", "code": "context_length_exceeded", "message": "m"},
            ContextTooLong,
            "context_too_long",
        ),
        ({"type": "error", "error": {"type": "server_error"}}, ProviderError, "server_error"),
        ({"error": {"message": "boom", "type": "server_error"}}, ProviderError, "server_error"),
    ],
)
def test_a_failure_is_understood_in_any_shape(event: Any, kind: type[ProviderError], code: str) -> None:
    with pytest.raises(kind) as caught:
        ResponsesReader("p").feed(json.dumps(event))
    assert caught.value.code == code


def test_calls_are_kept_apart_when_their_pieces_mix() -> None:
    reader = ResponsesReader("p")
    stem = "response.function_call_arguments"
    for event in (
        *(_added(index, f"call_{index}") for index in (1, 2)),
        {"type": f"{stem}.delta", "output_index": 1, "delta": '{"a":'},
        {"type": f"{stem}.delta", "output_index": 2, "delta": '{"b":'},
        {"type": f"{stem}.delta", "output_index": 1, "delta": "1}"},
        {"type": f"{stem}.done", "output_index": 2, "arguments": '{"b":2}'},
        {"type": "response.something_new", "delta": {"x": 1}},
        {"type": "response.completed", "response": {}},
    ):
        assert reader.feed(json.dumps(event)) == ""
    assert [call.arguments for call in reader.completion().calls] == ['{"a":1}', '{"b":2}']


def _added(index: int, call_id: str) -> dict[str, Any]:
    item = {"type": "function_call", "call_id": call_id, "name": "f", "arguments": ""}
    return {"type": "response.output_item.added", "output_index": index, "item": item}


FIELDS = ["type", "delta", "item", "response", "error", "usage", "output_index", "arguments"]
VALUES = (
    st.none()
    | st.integers()
    | st.sampled_from(
        ["response.output_text.delta", "response.output_item.done", "response.completed", "error", "x"]
    )
)
EVENTS = st.dictionaries(st.sampled_from(FIELDS), VALUES | st.dictionaries(st.sampled_from(FIELDS), VALUES))


@examples(80)
@given(st.lists(EVENTS.map(json.dumps) | st.text(max_size=20), max_size=5))
def test_every_answer_of_a_server_raises_only_voxd_errors(said: list[str]) -> None:
    error = heard(ResponsesReader("p"), said)
    assert error is None or error.provider == "p"
