"""Chat completions: what is sent to which server, and the quirks of compatible servers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from tests.providers.vendors.llm_contract import TIMER, FullContract, answer, asked, heard
from tests.rig.transports import KEY, open_transport
from tests.servers.chat import Chat
from tests.servers.scripted import Bytes, Call, Refusal, Reply, Used, scripted, sse
from voxd.errors import AuthenticationError, ConfigError, ProviderError
from voxd.net.transport import Access, Budget
from voxd.providers.pipeline.stages.chat_completions import (
    ChatHost,
    ChatReader,
    ModelRow,
    chat_body,
    host_at,
)
from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt, StageConfig, ToolCall
from voxd.providers.pipeline.stages.llm_options import ChatOptions
from voxd.providers.vendors.openai.llm import OpenAIChatLlm

CALL = ToolCall("call_1", "set_timer", '{"seconds": 5}')
QUIRKS = ("ollama", "llama.cpp", "litellm", "bare", "objects", "continuous", "stop", "late")


def model(**options: Any) -> OpenAIChatLlm:
    """Return a model that is only asked what it would send."""
    return OpenAIChatLlm(StageConfig("p", "openai", options=options), None)  # type: ignore[arg-type]


class TestContract(FullContract):
    model = OpenAIChatLlm
    kind = "openai"

    def dialect(self) -> Chat:
        return Chat()


def test_a_request_has_the_whole_conversation() -> None:
    messages = (
        ChatMessage("user", "Set a timer."),
        ChatMessage("assistant", "", (CALL,), raw_of="mine"),
        ChatMessage("tool", "done", call_id="call_1", tool="set_timer"),
        ChatMessage("assistant", "It is set."),
        ChatMessage("user", "Thanks."),
    )
    prompt = Prompt("Be brief.", messages, (TIMER,), max_output_tokens=200, temperature=0.5)
    assert chat_body(prompt, "gpt-6-luna", "mine", ChatOptions(), ChatHost.OPENAI) == {
        "model": "gpt-6-luna",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Set a timer."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "set_timer", "arguments": '{"seconds": 5}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "done"},
            {"role": "assistant", "content": "It is set."},
            {"role": "user", "content": "Thanks."},
        ],
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
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
        "max_completion_tokens": 200,
        "temperature": 0.5,
    }


def test_what_is_not_configured_is_not_sent() -> None:
    assert chat_body(
        Prompt("", (ChatMessage("user", "Hi."),)), "m", "mine", ChatOptions(), ChatHost.OTHER
    ) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi."}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_server_may_call_things_by_other_names() -> None:
    prompt = asked(max_output_tokens=9)
    assert chat_body(prompt, "m", "mine", ChatOptions(), ChatHost.OTHER)["max_tokens"] == 9
    assert chat_body(prompt, "m", "mine", ChatOptions(), ChatHost.AZURE)["max_completion_tokens"] == 9
    options = ChatOptions(max_tokens_field="n_predict", stream_usage=False, body={"reasoning_effort": "low"})
    body = chat_body(prompt, "m", "mine", options, ChatHost.OTHER)
    assert (body["n_predict"], body["reasoning_effort"]) == (9, "low")
    assert "stream_options" not in body


@pytest.mark.parametrize(
    ("endpoint", "host", "url"),
    [
        ("https://api.openai.com/v1", ChatHost.OPENAI, "https://api.openai.com/v1/chat/completions"),
        ("https://eu.api.openai.com", ChatHost.OPENAI, "https://eu.api.openai.com/v1/chat/completions"),
        (
            "https://api.openai.com.evil.example",
            ChatHost.OTHER,
            "https://api.openai.com.evil.example/v1/chat/completions",
        ),
        (
            "https://r.openai.azure.com",
            ChatHost.AZURE,
            "https://r.openai.azure.com/openai/v1/chat/completions",
        ),
        (
            "https://r.openai.azure.com/openai/v1/",
            ChatHost.AZURE,
            "https://r.openai.azure.com/openai/v1/chat/completions",
        ),
        ("http://pi.local:11434", ChatHost.OTHER, "http://pi.local:11434/v1/chat/completions"),
        ("http://pi.local/api/chat/completions", ChatHost.OTHER, "http://pi.local/api/chat/completions"),
        ("http://pi.local/v1?version=2", ChatHost.OTHER, "http://pi.local/v1/chat/completions?version=2"),
    ],
)
def test_an_endpoint_may_be_written_in_many_ways(endpoint: str, host: ChatHost, url: str) -> None:
    assert host_at(endpoint) is host
    assert model().url(Access(endpoint), "/chat/completions") == url


@pytest.mark.parametrize("endpoint", ["api.openai.com", "ftp://x/v1", "http://", "http://[x/v1"])
def test_an_endpoint_that_is_not_a_url_is_reported_without_repeating_it(endpoint: str) -> None:
    with pytest.raises(ProviderError, match="URL") as caught:
        model().url(Access(endpoint), "/chat/completions")
    assert (caught.value.code, caught.value.retryable) == ("bad_endpoint", False)


def test_the_key_goes_into_the_header_the_host_reads() -> None:
    own, azure, other = "https://api.openai.com/v1", "https://r.openai.azure.com", "http://pi.local/v1"
    assert model().headers(Access(own, "k")) == {"Authorization": "Bearer k"}
    assert model().headers(Access(azure, "k")) == {"api-key": "k"}
    assert model(auth="bearer").headers(Access(azure, "k")) == {"Authorization": "Bearer k"}
    assert model(auth="api-key").headers(Access(other, "k")) == {"api-key": "k"}
    assert model().headers(Access(other)) == {}
    named = model(organization="org", project="proj").headers(Access(other))
    assert named == {"OpenAI-Organization": "org", "OpenAI-Project": "proj"}
    for endpoint in (own, azure):
        with pytest.raises(AuthenticationError):
            model().headers(Access(endpoint))
    with pytest.raises(AuthenticationError, match="odd characters"):
        model().headers(Access(other, "k\nx"))


def test_an_option_of_a_wrong_type_is_named() -> None:
    with pytest.raises(ConfigError, match="stream_usage"):
        OpenAIChatLlm(StageConfig("p", "openai", options={"stream_usage": "no"}), None)  # type: ignore[arg-type]


async def test_a_local_server_needs_no_key() -> None:
    async with scripted(Chat(key="")) as server, open_transport(server.url, "") as transport:
        pieces, _ = await answer(OpenAIChatLlm(StageConfig("p", "openai", model="qwen3"), transport), asked())
        assert "".join(pieces) == "Hello there."
        assert server.bodies[0]["model"] == "qwen3"
        assert "authorization" not in server.asked.headers


@pytest.mark.parametrize("quirk", QUIRKS)
async def test_the_quirks_of_other_servers_are_understood(quirk: str) -> None:
    calls = (Call(), Call("stop", "{}", "call_2"))
    reply = Reply(("Right", "."), calls, thoughts="Hm. What do they want?", used=Used(120, 40, 0, 2))
    async with scripted(Chat(quirk), reply) as server, open_transport(server.url) as transport:
        pieces, end = await answer(
            OpenAIChatLlm(StageConfig("p", "openai"), transport), asked(tools=(TIMER,))
        )
        assert "".join(pieces) == "Right."
        assert end.reason == "tool_calls"
        assert [(call.name, call.id) for call in end.calls] == [("set_timer", "call_1"), ("stop", "call_2")]
        assert [json.loads(call.arguments) for call in end.calls] == [{"seconds": 5}, {}]
        known = (0, 0) if quirk == "bare" else (120, 40)
        assert (end.usage.input_text_tokens, end.usage.cached_text_tokens) == known


@pytest.mark.parametrize("newline", [b"\r\n", b"\r"])
async def test_lines_may_end_in_any_way_with_comments_between_them(newline: bytes) -> None:
    async with scripted(Chat()) as server, open_transport(server.url) as transport:
        server.newline, server.noise = newline, (b": ping\n\n", b"retry: 9\n", b"event: chunk\n")
        pieces, _ = await answer(OpenAIChatLlm(StageConfig("p", "openai"), transport), asked())
        assert "".join(pieces) == "Hello there."


@pytest.mark.parametrize(
    ("end", "reason"), [("length", "length"), ("content_filter", "refusal"), ("refusal", "refusal")]
)
async def test_the_stop_reason_of_an_answer_is_mapped(end: str, reason: str) -> None:
    async with (
        scripted(Chat(), Reply(("I", " cannot."), end=end)) as server,
        open_transport(server.url) as transport,
    ):
        pieces, told = await answer(OpenAIChatLlm(StageConfig("p", "openai"), transport), asked())
        assert ("".join(pieces), told.reason) == ("I cannot.", reason)


async def test_the_models_are_listed_with_their_last_day() -> None:
    async with scripted(Chat()) as server, open_transport(server.url) as transport:
        rows = await OpenAIChatLlm(StageConfig("p", "openai"), transport).models(Budget())
        assert rows == [ModelRow("gpt-6-luna"), ModelRow("gpt-4o", "2027-01-14")]


async def test_a_list_of_models_that_is_none_is_a_fault() -> None:
    odd = Chat()
    odd.other = lambda asked: {"models": []}  # type: ignore[method-assign]
    async with scripted(odd) as server, open_transport(server.url) as transport:
        with pytest.raises(ProviderError):
            await OpenAIChatLlm(StageConfig("p", "openai"), transport).models(Budget())


async def test_a_vendor_message_that_repeats_the_key_is_not_quoted() -> None:
    refusal = Refusal(400, {"error": {"message": f"bad header {KEY}", "code": None}})
    async with scripted(Chat(), refusal) as server, open_transport(server.url) as transport:
        with pytest.raises(ProviderError) as caught:
            await answer(OpenAIChatLlm(StageConfig("p", "openai"), transport), asked())
        assert KEY not in str(caught.value)


async def test_an_answer_that_is_whole_is_one_whatever_follows_it() -> None:
    chunks: list[Any] = [{"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]}]
    broken = b"".join(map(sse, chunks)) + b'data: {"error": {"message": "late"}}\n\n'
    async with (
        scripted(Chat(), Bytes(broken, "text/event-stream")) as server,
        open_transport(server.url) as transport,
    ):
        pieces, end = await answer(OpenAIChatLlm(StageConfig("p", "openai"), transport), asked())
        assert (pieces, end.reason) == (["Yes."], "stop")


async def test_text_behind_a_hasty_end_is_not_lost() -> None:
    chunks = [
        {"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]} for text in ("One", ", two.")
    ]
    body = b"".join(map(sse, chunks))
    async with (
        scripted(Chat(), Bytes(body, "text/event-stream")) as server,
        open_transport(server.url) as transport,
    ):
        pieces, _ = await answer(OpenAIChatLlm(StageConfig("p", "openai"), transport), asked())
        assert "".join(pieces) == "One, two."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "content", "tool_calls", "function", "usage", "error", "index"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@examples(80)
@given(st.lists(JSON.map(json.dumps) | st.text(max_size=20), max_size=5))
def test_every_answer_of_a_server_raises_only_voxd_errors(said: list[str]) -> None:
    error = heard(ChatReader("p"), said)
    assert error is None or error.provider == "p"
