"""Anthropic's Messages: both versions, thoughts that go back signed, results in one message."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from tests.providers.vendors.llm_contract import TIMER, FullContract, after_tools, answer, asked, heard
from tests.rig.transports import KEY, open_transport
from tests.servers.anthropic import SIGNATURE, Messages, refusal
from tests.servers.scripted import Bytes, Call, Reply, scripted, sse
from voxd.errors import AuthenticationError, ConfigError, ProviderError, RateLimited
from voxd.net.transport import Access, Budget
from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt, StageConfig, ToolCall
from voxd.providers.pipeline.stages.tool_calls import portable_id
from voxd.providers.vendors.anthropic.llm import AnthropicLlm
from voxd.providers.vendors.anthropic.options import NEW, OLD, AnthropicOptions
from voxd.providers.vendors.anthropic.wire import (
    MessagesReader,
    messages_body,
    messages_of,
    takes_temperature,
)

FIRST, SECOND = ToolCall("toolu_1", "set_timer", '{"seconds": 5}'), ToolCall("functions.stop:0", "stop", "{}")
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE}


class TestContract(FullContract):
    model = AnthropicLlm
    kind = "anthropic"
    path = ""

    def dialect(self) -> Messages:
        return Messages()


class TestContractOfTheOldVersion(FullContract):
    model = AnthropicLlm
    kind = "anthropic"
    path = "/v1/messages"
    options = {"api_version": OLD}  # noqa: RUF012

    def dialect(self) -> Messages:
        return Messages()


def test_a_request_has_the_whole_conversation() -> None:
    messages = (
        ChatMessage("user", "Set a timer."),
        ChatMessage("assistant", "Right.", (FIRST, SECOND), raw_of="anthropic"),
        ChatMessage("tool", "done", call_id="toolu_1", tool="set_timer"),
        ChatMessage("tool", "no timer runs", call_id="functions.stop:0", tool="stop", ok=False),
        ChatMessage("user", "And now?"),
    )
    prompt = Prompt("Be brief.", messages, (TIMER,), max_output_tokens=200)
    assert messages_body(prompt, "claude-haiku-5-5", "anthropic", AnthropicOptions(cache="1h")) == {
        "model": "claude-haiku-5-5",
        "max_tokens": 200,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Set a timer."}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Right."},
                    {"type": "tool_use", "id": "toolu_1", "name": "set_timer", "input": {"seconds": 5}},
                    {"type": "tool_use", "id": SECOND.id, "name": "stop", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"},
                    {
                        "type": "tool_result",
                        "tool_use_id": SECOND.id,
                        "content": "no timer runs",
                        "is_error": True,
                    },
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
        "stream": True,
        "tools": [{"name": "set_timer", "description": "Set a timer.", "input_schema": TIMER.parameters}],
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }


def test_a_limit_is_always_sent_and_other_fields_when_they_are_configured() -> None:
    body = messages_body(asked(), "m", "anthropic", AnthropicOptions(body={"thinking": {"type": "adaptive"}}))
    assert (body["max_tokens"], body["thinking"]) == (4096, {"type": "adaptive"})
    assert set(body) == {"model", "max_tokens", "messages", "stream", "system", "thinking"}


def test_a_conversation_begins_with_the_user_and_the_roles_take_turns() -> None:
    said = [ChatMessage("assistant", "Hello."), *(ChatMessage("user", text) for text in ("One.", "Two."))]
    assert messages_of([*said, ChatMessage("assistant", "A."), ChatMessage("assistant", "B.")], "x") == [
        {"role": "user", "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A."}, {"type": "text", "text": "B."}]},
    ]


@pytest.mark.parametrize(
    ("model", "version", "takes"),
    [
        ("claude-haiku-5-5", OLD, False),
        ("claude-sonnet-5", OLD, False),
        ("claude-opus-4-7", OLD, False),
        ("claude-opus-4-6", OLD, True),
        ("claude-opus-4-5-20251101", OLD, True),
        ("claude-sonnet-4-6", OLD, True),
        ("claude-sonnet-4-20250514", OLD, True),
        ("claude-3-5-sonnet-20241022", OLD, True),
        ("claude-mythos-preview", OLD, False),
        ("anthropic/claude-haiku-4-5", OLD, True),
        ("qwen3-8b", OLD, True),
        ("claude-haiku-4-5", NEW, False),
        ("qwen3-8b", NEW, False),
    ],
)
def test_a_temperature_is_only_sent_to_a_model_that_accepts_one(
    model: str, version: Any, takes: bool
) -> None:
    assert takes_temperature(model, version) is takes
    options = AnthropicOptions(api_version=version)
    assert ("temperature" in messages_body(asked(temperature=1.5), model, "x", options)) is takes
    assert "temperature" not in messages_body(asked(), model, "x", options)


async def test_an_accepted_temperature_is_within_the_range_of_the_vendor() -> None:
    async with scripted(Messages()) as server, open_transport(server.url) as transport:
        config = StageConfig("p", "anthropic", model="claude-haiku-4-5", options={"api_version": OLD})
        await answer(AnthropicLlm(config, transport), asked(temperature=1.5))
        assert server.bodies[0]["temperature"] == 1.0


@pytest.mark.parametrize(("version", "header"), [(NEW, "authorization"), (OLD, "x-api-key")])
async def test_each_version_sends_the_key_in_its_own_way(version: str, header: str) -> None:
    async with scripted(Messages()) as server, open_transport(server.url) as transport:
        config = StageConfig("p", "anthropic", options={"api_version": version})
        await answer(AnthropicLlm(config, transport), asked())
        assert server.asked.headers["anthropic-version"] == version
        assert KEY in server.asked.headers[header]
        assert not {"authorization", "x-api-key"} - {header} & set(server.asked.headers)


def test_an_unknown_version_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match="2024-01-01"):
        AnthropicLlm(StageConfig("p", "x", options={"api_version": "2024-01-01"}), None)  # type: ignore[arg-type]


async def test_only_the_vendor_himself_needs_a_key() -> None:
    async with open_transport("", "") as transport:
        with pytest.raises(AuthenticationError):
            await answer(AnthropicLlm(StageConfig("p", "anthropic"), transport), asked())
    async with scripted(Messages(key="")) as server, open_transport(server.url, "") as transport:
        await answer(AnthropicLlm(StageConfig("p", "anthropic"), transport), asked())
        assert "authorization" not in server.asked.headers


def test_the_models_own_endpoint_is_used_unless_another_is_configured() -> None:
    model = AnthropicLlm(StageConfig("p", "anthropic"), None)  # type: ignore[arg-type]
    assert model._probe(Access("", "key")).url == "https://api.anthropic.com/v1/models"


@pytest.mark.parametrize("encrypted", [False, True])
async def test_thoughts_go_back_word_for_word_with_the_results(encrypted: bool) -> None:
    thinking = Reply(("Right.",), (Call(), Call("stop", "{}", "call_2")), thoughts="Hm.")
    async with (
        scripted(Messages(encrypted=encrypted), thinking, Reply()) as server,
        open_transport(server.url) as transport,
    ):
        model = AnthropicLlm(StageConfig("p", "anthropic"), transport)
        pieces, end = await answer(model, asked(tools=(TIMER,)))
        assert "".join(pieces) == "Right."
        prompt = after_tools(end, provider="p")
        said = ChatMessage("assistant", "Right.", end.calls, raw=end.raw, raw_of="p")
        await answer(model, Prompt("", (prompt.messages[0], said, *prompt.messages[2:]), budget=Budget()))
        first, text, *calls = server.bodies[-1]["messages"][1]["content"]
        assert first == ({"type": "redacted_thinking", "data": "Hm."} if encrypted else SIGNED)
        assert text == {"type": "text", "text": "Right."}
        assert [call["input"] for call in calls] == [{"seconds": 5}, {}]


def test_thoughts_go_back_only_to_their_own_model_and_with_all_their_calls() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "set_timer", "input": {"seconds": 5}}
    raw = [SIGNED, {"type": "text", "text": "Right."}, call]
    said = ChatMessage("assistant", "Right", (FIRST,), raw=raw, raw_of="anthropic")
    result = ChatMessage("tool", "done", call_id="toolu_1", tool="set_timer")
    asked_for = ChatMessage("user", "Set a timer.")
    heard_of_it = {"type": "text", "text": "Right"}
    assert messages_of((asked_for, said, result), "anthropic")[1]["content"] == [SIGNED, heard_of_it, call]
    unsaid = replace(said, text="")
    assert messages_of((asked_for, unsaid, result), "anthropic")[1]["content"] == [SIGNED, call]
    assert messages_of((asked_for, said, result), "other")[1]["content"] == [
        heard_of_it,
        call | {"id": portable_id("toolu_1")},
    ]
    other = replace(said, calls=(replace(FIRST, id="toolu_2"),))
    result = replace(result, call_id="toolu_2")
    assert SIGNED not in messages_of((asked_for, other, result), "anthropic")[1]["content"]
    assert messages_of((asked_for, said), "anthropic")[1]["content"] == [{"type": "text", "text": "Right"}]


async def test_an_answer_without_thoughts_has_nothing_to_give_back() -> None:
    async with (
        scripted(Messages(), Reply(("Right.",), (Call(),))) as server,
        open_transport(server.url) as transport,
    ):
        _, end = await answer(AnthropicLlm(StageConfig("p", "anthropic"), transport), asked(tools=(TIMER,)))
        assert end.raw is None


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("stop", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("length", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
    ],
)
async def test_the_stop_reason_of_an_answer_is_mapped(end: str, reason: str) -> None:
    async with scripted(Messages(), Reply(end=end)) as server, open_transport(server.url) as transport:
        _, told = await answer(AnthropicLlm(StageConfig("p", "anthropic"), transport), asked())
        assert told.reason == reason


async def test_a_call_that_was_cut_off_is_not_run() -> None:
    async with (
        scripted(Messages(), Reply((), (Call(),), end="length")) as server,
        open_transport(server.url) as transport,
    ):
        _, told = await answer(AnthropicLlm(StageConfig("p", "anthropic"), transport), asked(tools=(TIMER,)))
        assert (told.reason, told.calls) == ("length", ())


@pytest.mark.parametrize(
    ("refused", "kind", "code", "retryable"),
    [
        (refusal(529, "overloaded_error", "Overloaded"), ProviderError, "overloaded", True),
        (refusal(429, "rate_limit_error", "slow", retry_after="3"), RateLimited, "rate_limited", True),
        (
            refusal(429, "rate_limit_error", "spent", "enforced_spend_limit_reached"),
            ProviderError,
            "insufficient_quota",
            False,
        ),
        (refusal(402, "billing_error", "pay"), ProviderError, "insufficient_quota", False),
        (refusal(404, "not_found_error", "model: x"), ProviderError, "model_not_found", False),
        (refusal(400, "invalid_request_error", "no"), ProviderError, "invalid_request_error", False),
    ],
)
async def test_refusals_of_the_vendor_state_whether_a_retry_helps(
    refused: Any, kind: type[ProviderError], code: str, retryable: bool
) -> None:
    async with scripted(Messages(), refused) as server, open_transport(server.url) as transport:
        with pytest.raises(kind) as caught:
            await answer(AnthropicLlm(StageConfig("p", "anthropic"), transport), asked())
        assert (caught.value.code, caught.value.retryable) == (code, retryable)
        assert len(server.bodies) == 1


async def test_an_error_before_the_first_word_is_reported() -> None:
    complaint = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    body = Bytes(sse(complaint, named=True), "text/event-stream")
    async with scripted(Messages(), body) as server, open_transport(server.url) as transport:
        with pytest.raises(ProviderError, match="Overloaded") as caught:
            await answer(AnthropicLlm(StageConfig("p", "anthropic"), transport), asked())
        assert (caught.value.code, caught.value.retryable) == ("overloaded", True)


def test_what_is_new_is_passed_over() -> None:
    reader = MessagesReader("p")
    events: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use", "id": "x"}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": "{"},
        },
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "A"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "B"}},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "new_delta", "text": "?"}},
        {"type": "something_new", "index": 1},
        {"type": "message_stop"},
    ]
    assert "".join(reader.feed(json.dumps(event)) for event in events) == "AB"
    assert (reader.completion().reason, reader.completion().calls) == ("stop", ())


KINDS = ["message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop", "x"]
BLOCKS = st.dictionaries(
    st.sampled_from(
        ["type", "text", "id", "name", "input", "thinking", "partial_json", "stop_reason", "usage"]
    ),
    st.none() | st.integers() | st.sampled_from(["text", "tool_use", "thinking", "text_delta", "end_turn"]),
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional={"index": st.integers(0, 1), "content_block": BLOCKS, "delta": BLOCKS, "message": BLOCKS},
)


@examples(80)
@given(st.lists(EVENTS.map(json.dumps) | st.text(max_size=20), max_size=6))
def test_every_answer_of_a_server_raises_only_voxd_errors(said: list[str]) -> None:
    error = heard(MessagesReader("p"), said)
    assert error is None or error.provider == "p"
