"""Replies as servers with OpenAI's protocol really send them, over a real connection."""

import json
from typing import Any

import pytest

from tests.providers.vendors.llm_contract import NAME, TIMER, after_tools, answer, asked
from tests.rig.transports import open_transport
from tests.servers.chat import Chat
from tests.servers.scripted import Bytes, Call, Refusal, Reply, Scripted, scripted, sse
from voxd.errors import AuthenticationError, ContextTooLong, ProviderError, RateLimited
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, Prompt, StageConfig, ToolCall
from voxd.providers.vendors.openai.llm import OpenAIChatLlm

SSE, JSON = "text/event-stream", "application/json"
DONE = b"data: [DONE]\n\n"


def chunk(delta: Any = None, reason: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [choice], **more}


def stream(*events: Any, done: bytes = DONE) -> bytes:
    return b"".join(each if isinstance(each, bytes) else sse(each) for each in events) + done


def text(content: Any = "Hi.", **more: Any) -> dict[str, Any]:
    return chunk({"content": content, **more})


def fragment(
    name: Any = None, arguments: Any = None, index: Any = ..., id: Any = ..., **more: Any
) -> dict[str, Any]:
    fields: dict[str, Any] = {"function": {"name": name, "arguments": arguments}, **more}
    fields |= {} if index is ... else {"index": index}
    return fields | ({} if id is ... else {"id": id})


def calling(*fragments: Any, reason: Any = None) -> dict[str, Any]:
    return chunk({"tool_calls": list(fragments)}, reason)


END = chunk(reason="stop")
WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4},
}


async def reply(
    body: bytes, content_type: str = SSE, prompt: Prompt | None = None
) -> tuple[str, Completion, Scripted]:
    """Return what is made of ``body`` as the response of a server."""
    async with (
        scripted(Chat(key=""), Bytes(body, content_type)) as server,
        open_transport(server.url, "", name=NAME) as transport,
    ):
        model = OpenAIChatLlm(StageConfig(NAME, "openai", model="m"), transport)
        pieces, end = await answer(model, prompt or asked(tools=(TIMER,)))
        return "".join(pieces), end, server


ODD = (b"null", b"{}", b"[]", b"7", b'"x"')
NO_ERRORS = (None, "", {}, [], False, 0, {"code": 0, "message": ""})
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
DETAIL = {"type": "reasoning.text", "text": "Hm."}

WORDS = {
    "a whole body": (json.dumps(WHOLE).encode(), JSON),
    "a whole body, printed": (json.dumps(WHOLE, indent=2).encode(), JSON),
    "a whole body under another name": (json.dumps(WHOLE).encode(), SSE),
    "a whole body without its type": (json.dumps({"choices": WHOLE["choices"]}).encode(), "text/plain"),
    "a whole body in one event": (stream(WHOLE), SSE),
    "a whole body without a reason": (
        json.dumps({"choices": [{"message": {"content": "Hi."}}]}).encode(),
        JSON,
    ),
    "lines of JSON": (b"".join(json.dumps(each).encode() + b"\n" for each in (text(), END)), JSON),
    "an array of chunks": (json.dumps([text("H"), text("i."), END]).encode(), JSON),
    "events under the name of JSON": (stream(text(), END), JSON),
    "a byte order mark": ("\ufeff".encode() + stream(text(), END), SSE),
    "no empty line between events": (stream(text(), END).replace(b"\n\n", b"\n"), SSE),
    "keep-alives without data": (stream(b"data:\n\n", text(), b"data: \n\n", b"data\n\n", END), SSE),
    "comments": (stream(b": OPENROUTER PROCESSING\n\n", text(), b":\n", END), SSE),
    "words for a keep-alive": (stream(b"data: ping\n\n", text(), b"event: ping\ndata: {}\n\n", END), SSE),
    "odd keep-alives": (stream(*(b"data: %b\n\n" % each for each in ODD), text(), END), SSE),
    "no [DONE]": (stream(text(), END, done=b""), SSE),
    "no end but [DONE]": (stream(text()), SSE),
    "no end but the usage": (stream(text(), {"choices": [], "usage": {"prompt_tokens": 1}}, done=b""), SSE),
    "the reason with the text": (stream(chunk({"content": "Hi."}, "stop"), done=b""), SSE),
    "the reason with every text": (stream(*(chunk({"content": each}, "stop") for each in ("H", "i."))), SSE),
    "a reason that is not one": (stream(text(), chunk(reason="bananas")), SSE),
    "a reason of a wrong type": (stream(text(), chunk(reason={"type": "stop"})), SSE),
    "an empty reason": (stream(chunk({"content": "Hi."}, ""), END), SSE),
    "a role alone": (stream(chunk({"role": "assistant"}), text(), END), SSE),
    "null everywhere": (
        stream(
            {"choices": None, "usage": None, "error": None},
            {"choices": [{"delta": None, "finish_reason": None}]},
            chunk(dict.fromkeys(("role", "content", "tool_calls", "function_call", "refusal"))),
            text(tool_calls=[], function_call=None),
            END,
        ),
        SSE,
    ),
    "content in parts": (stream(text([{"type": "text", "text": each} for each in ("H", "i.")]), END), SSE),
    "one part": (stream(text({"type": "text", "text": "Hi."}), END), SSE),
    "a part in words": (stream(text(["H", "i."]), END), SSE),
    "thoughts among the parts": (
        stream(
            text([THOUGHT, {"type": "text", "text": "Hi."}]),
            END,
        ),
        SSE,
    ),
    "references among the parts": (
        stream(text([{"type": "text", "text": "Hi."}, {"type": "reference", "reference_ids": [1]}]), END),
        SSE,
    ),
    "thoughts of every name": (
        stream(
            chunk({"content": None, "reasoning_content": "Hm."}),
            chunk({"content": "", "reasoning": "Hm.", "reasoning_details": [DETAIL]}),
            chunk({"thinking_blocks": [THOUGHT], "reasoning_content": {"a": 1}}),
            text(reasoning=None, reasoning_content=""),
            END,
        ),
        SSE,
    ),
    "several choices": (
        stream(
            {"choices": [{"index": 0, "delta": {"content": "H"}}, {"index": 1, "delta": {"content": "No."}}]},
            {"choices": [{"index": 1, "delta": {"content": "No."}, "finish_reason": "stop"}]},
            {"choices": [{"index": 0, "delta": {"content": "i."}, "finish_reason": "stop"}]},
        ),
        SSE,
    ),
    "a choice without an index": (stream({"choices": [{"delta": {"content": "Hi."}}]}, END), SSE),
    "a choice that is no list": (stream({"choices": {"delta": {"content": "Hi."}}}, END), SSE),
    "an index in words": (stream({"choices": [{"index": "0", "delta": {"content": "Hi."}}]}, END), SSE),
    "no choices at first": (
        stream({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}, text(), END),
        SSE,
    ),
    "the whole beside the pieces": (
        stream(
            *(
                {"choices": [{"index": 0, "delta": {"content": each}, "message": {"content": so_far}}]}
                for each, so_far in (("H", "H"), ("i.", "Hi."))
            ),
            END,
        ),
        SSE,
    ),
    "text of the older protocol": (stream({"choices": [{"text": "Hi.", "index": 0}]}, END), SSE),
    "errors that are none": (
        stream(
            *(
                text("") | {"error": each}
                for each in (None, "", {}, [], False, 0, {"code": 0, "message": ""})
            ),
            text(),
            END,
        ),
        SSE,
    ),
    "a success in the form of an error": (
        stream(text() | {"base_resp": {"status_code": 0, "status_msg": "success"}}, END),
        SSE,
    ),
    "ill-typed extras": (
        stream(
            text() | {"created": "now", "model": None, "id": 7, "system_fingerprint": [], "usage": "none"},
            {"choices": [{"index": 0, "delta": {}, "logprobs": 5, "finish_reason": "stop"}], "usage": []},
        ),
        SSE,
    ),
}


@pytest.mark.parametrize("name", WORDS)
async def test_an_answer_is_understood_in_any_form(name: str) -> None:
    body, content_type = WORDS[name]
    words, end, _ = await reply(body, content_type)
    assert (words, end.reason, end.calls) == ("Hi.", "stop", ())


@pytest.mark.parametrize(
    ("usage", "read", "said"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, 3, 4),
        ({"prompt_tokens": 3.0, "completion_tokens": "4"}, 3, 4),
        ({"input_tokens": 3, "output_tokens": 4}, 3, 4),
        ({"prompt_tokens": None, "completion_tokens": 4, "prompt_tokens_details": None}, 0, 4),
        ({"prompt_tokens": -1, "completion_tokens": True}, 0, 0),
        ({"prompt_tokens": "many", "prompt_tokens_details": "none"}, 0, 0),
        ({"prompt_tokens": 1e400}, 0, 0),
        ("many", 0, 0),
        ([], 0, 0),
        (None, 0, 0),
    ],
)
async def test_a_usage_of_any_type_is_read_as_far_as_it_goes(usage: Any, read: int, said: int) -> None:
    _, end, _ = await reply(stream(text(), END, {"choices": [], "usage": usage}))
    assert (end.usage.input_text_tokens, end.usage.output_text_tokens) == (read, said)


async def test_groqs_usage_and_deepseeks_cache_are_found() -> None:
    _, end, _ = await reply(stream(text(), chunk(reason="stop", x_groq={"usage": {"prompt_tokens": 5}})))
    assert end.usage.input_text_tokens == 5
    used = {"prompt_tokens": 5, "prompt_cache_hit_tokens": 2}
    _, end, _ = await reply(stream(text(), END, {"choices": [], "usage": used}))
    assert end.usage.cached_text_tokens == 2


@pytest.mark.parametrize(
    ("body", "kind", "code", "words"),
    [
        ({"error": "boom"}, ProviderError, "stream_failed", "boom"),
        ({"error": {"message": "boom", "code": 500}}, ProviderError, "server_error", "boom"),
        ({"error": {"message": "boom", "code": 500.0}}, ProviderError, "server_error", "boom"),
        ({"error": {"message": "slow", "code": 429}}, RateLimited, "rate_limited", "slow"),
        ({"error": {"message": "slow", "code": "429"}}, RateLimited, "rate_limited", "slow"),
        ({"error": {"message": "who?", "code": 401}}, AuthenticationError, "invalid_api_key", "who"),
        ({"error": {"message": {"message": "boom"}, "code": 5}}, ProviderError, "stream_failed", "boom"),
        ({"error": ["boom"]}, ProviderError, "stream_failed", "boom"),
        ({"error": [{"message": "boom"}]}, ProviderError, "stream_failed", "boom"),
        ({"errors": [{"message": "boom"}]}, ProviderError, "stream_failed", "boom"),
        ({"error": True, "message": "boom"}, ProviderError, "stream_failed", "boom"),
        ({"error": 503, "message": "boom"}, ProviderError, "overloaded", "boom"),
        ({"error": '{"error": {"message": "boom", "code": 503}}'}, ProviderError, "overloaded", "boom"),
        ([{"error": {"message": "boom", "code": 503, "status": "X"}}], ProviderError, "overloaded", "boom"),
        ({"object": "error", "message": "boom", "code": 40303}, ProviderError, "stream_failed", "boom"),
        ({"type": "error", "error": {"message": "boom"}}, ProviderError, "stream_failed", "boom"),
        ({"base_resp": {"status_code": 1008, "status_msg": "boom"}}, ProviderError, "stream_failed", "boom"),
        ({"detail": "boom"}, ProviderError, "stream_failed", "boom"),
        ({"detail": [{"loc": ["body"], "msg": "boom"}]}, ProviderError, "stream_failed", "boom"),
        ({"message": "boom", "code": 404}, ProviderError, "stream_failed", "boom"),
        ({"error_code": 336, "error_msg": "boom"}, ProviderError, "stream_failed", "boom"),
        ({"error": {"message": "context length exceeded"}}, ContextTooLong, "context_too_long", "context"),
        (
            chunk() | {"choices": [{"error": {"message": "boom", "code": 502}}]},
            ProviderError,
            "server_error",
            "boom",
        ),
        (chunk(reason="error"), ProviderError, "stream_failed", "could not finish"),
    ],
)
async def test_an_error_with_status_200_is_one(
    body: Any, kind: type[ProviderError], code: str, words: str
) -> None:
    said = json.dumps(body).encode()
    bodies = [
        Bytes(said, JSON),
        Bytes(json.dumps(body, indent=2).encode(), SSE),
        Bytes(stream(body, done=b""), SSE),
        Bytes(stream(text("One"), body, done=b""), SSE),
        Bytes(stream(text("One"), said + b"\n\n", done=b""), SSE),
    ]
    async with (
        scripted(Chat(key=""), *bodies) as server,
        open_transport(server.url, "", name=NAME) as transport,
    ):
        for _ in bodies:
            with pytest.raises(kind, match=words) as caught:
                await answer(OpenAIChatLlm(StageConfig(NAME, "openai"), transport), asked())
            assert (caught.value.code, caught.value.provider) == (code, NAME)


@pytest.mark.parametrize(
    "data",
    [b'data: {"message": "boom"}', b"data: boom", b'data: {"error": {"message": "boom"}}', b'data: "boom"'],
)
async def test_an_event_with_the_name_of_an_error_is_one(data: bytes) -> None:
    with pytest.raises(ProviderError, match="boom"):
        await reply(stream(b"event: error\n" + data + b"\n\n", done=b""))


FIVE = '{"seconds": 5}'
AGAIN = {
    "message": {"content": None, "tool_calls": [fragment("set_timer", FIVE, id="a")]},
    "finish_reason": "tool_calls",
}


@pytest.mark.parametrize(
    ("events", "calls"),
    [
        pytest.param(
            [calling(fragment("set_timer", FIVE, 0), fragment("stop", "{}", 0), reason="tool_calls")],
            [("set_timer", {"seconds": 5}), ("stop", {})],
            id="all number 0 without ids",
        ),
        pytest.param(
            [calling(fragment("set_timer", FIVE, 0)), calling(fragment("stop", "{}", 0)), END],
            [("set_timer", {"seconds": 5}), ("stop", {})],
            id="all number 0, one event each",
        ),
        pytest.param(
            [calling(fragment("set_timer", FIVE), fragment("stop", "")), END],
            [("set_timer", {"seconds": 5}), ("stop", {})],
            id="no numbers",
        ),
        pytest.param(
            [
                chunk({"function_call": {"name": "set_timer", "arguments": ""}}),
                chunk({"function_call": {"arguments": FIVE}}, "function_call"),
            ],
            [("set_timer", {"seconds": 5})],
            id="the older protocol",
        ),
        pytest.param(
            [calling(fragment("set_timer<|channel|>commentary", {"seconds": 5}, 0, 7)), END],
            [("set_timer", {"seconds": 5})],
            id="a token in the name, an object, a number as id",
        ),
        pytest.param(
            [calling({"name": "set_timer", "arguments": {"seconds": 5}}), END],
            [("set_timer", {"seconds": 5})],
            id="no function",
        ),
        pytest.param(
            [calling({"function": {"name": "set_timer", "parameters": {"seconds": 5}}}), END],
            [("set_timer", {"seconds": 5})],
            id="parameters",
        ),
        pytest.param(
            [chunk({"tool_calls": fragment("set_timer", FIVE, 0, "a")}), END],
            [("set_timer", {"seconds": 5})],
            id="no list",
        ),
        pytest.param(
            [calling(fragment("set_timer", FIVE, 0, "a")), {"choices": [{"delta": {}, **AGAIN}]}],
            [("set_timer", {"seconds": 5})],
            id="the whole again",
        ),
        pytest.param(
            [{"object": "chat.completion", "choices": [AGAIN]}],
            [("set_timer", {"seconds": 5})],
            id="a whole body",
        ),
        pytest.param(
            [calling(fragment(None, "{}", 0, "a"), None, 5), chunk(reason="tool_calls")],
            [],
            id="none that has a name",
        ),
    ],
)
async def test_calls_are_understood_in_any_form(events: list[Any], calls: list[Any]) -> None:
    words, end, _ = await reply(stream(*events))
    assert words == ""
    assert [(call.name, json.loads(call.arguments)) for call in end.calls] == calls
    assert len({call.id for call in end.calls}) == len(calls)


async def test_arguments_that_were_cut_off_are_no_object_and_are_not_sent_again() -> None:
    cut = stream(calling(fragment("set_timer", '{"seconds": 5', 0, "call_1"), reason="tool_calls"))
    async with (
        scripted(Chat(key=""), Bytes(cut, SSE), Reply()) as server,
        open_transport(server.url, "", name=NAME) as transport,
    ):
        model = OpenAIChatLlm(StageConfig(NAME, "openai"), transport)
        _, end = await answer(model, asked(tools=(TIMER,)))
        assert [call.arguments for call in end.calls] == ['{"seconds": 5']
        await answer(model, after_tools(end, ok=False))
        assert server.bodies[-1]["messages"][2]["tool_calls"][0]["function"]["arguments"] == "{}"


SIGNED = {"google": {"thought_signature": "c2lnbmVk+/=="}}
DETAILS = [
    {"type": "reasoning.text", "text": "Hm", "index": 0, "format": "anthropic-claude-v1"},
    {"type": "reasoning.text", "text": ". So.", "index": 0},
    {"type": "reasoning.text", "signature": "sig", "index": 0},
    {"type": "reasoning.encrypted", "data": "AA==", "id": "rs_1", "index": 1},
]


@pytest.mark.parametrize(
    ("deltas", "message", "call"),
    [
        pytest.param(
            [{"reasoning_content": "Hm"}, {"reasoning_content": ". So.", "content": ""}],
            {"reasoning_content": "Hm. So."},
            {},
            id="DeepSeek, Moonshot",
        ),
        pytest.param([{"reasoning": "Hm"}, {"reasoning": "."}], {"reasoning": "Hm."}, {}, id="vLLM, Ollama"),
        pytest.param(
            [{"reasoning_details": [each]} for each in DETAILS],
            {
                "reasoning_details": [
                    {
                        "type": "reasoning.text",
                        "text": "Hm. So.",
                        "signature": "sig",
                        "index": 0,
                        "format": "anthropic-claude-v1",
                    },
                    DETAILS[3],
                ]
            },
            {},
            id="OpenRouter",
        ),
        pytest.param(
            [
                {"thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": None}]},
                {"thinking_blocks": [{"type": "thinking", "thinking": ".", "signature": None}]},
                {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "sig"}]},
            ],
            {"thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "sig"}]},
            {},
            id="LiteLLM",
        ),
        pytest.param([], {}, {"extra_content": SIGNED}, id="Google"),
        pytest.param([{"extra_content": SIGNED}], {"extra_content": SIGNED}, {}, id="Google, on the message"),
        pytest.param(
            [], {}, {"provider_specific_fields": {"thought_signature": "s"}}, id="LiteLLM for Google"
        ),
    ],
)
async def test_what_a_vendor_needs_back_goes_back_unchanged(
    deltas: list[Any], message: dict[str, Any], call: dict[str, Any]
) -> None:
    odd_id = "call_with/odd:chars"
    body = stream(
        *map(chunk, deltas),
        calling(fragment("set_timer", '{"seconds":  5}', 0, odd_id, **call), reason="tool_calls"),
    )
    async with (
        scripted(Chat(key=""), Bytes(body, SSE), Reply()) as server,
        open_transport(server.url, "", name=NAME) as transport,
    ):
        model = OpenAIChatLlm(StageConfig(NAME, "openai"), transport)
        _, end = await answer(model, asked(tools=(TIMER,)))
        await answer(model, after_tools(end))
        said, result = server.bodies[-1]["messages"][2:4]
        function = {"name": "set_timer", "arguments": '{"seconds":  5}'}
        assert said == {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": odd_id, "type": "function", "function": function, **call}],
            **message,
        }
        assert result["tool_call_id"] == odd_id
        # Another provider, of the same kind too, gets none of it.
        await answer(model, after_tools(end, provider="other"))
        said, result = server.bodies[-1]["messages"][2:4]
        assert set(said) == {"role", "content", "tool_calls"}
        assert set(said["tool_calls"][0]) == {"id", "type", "function"}
        assert (len(result["tool_call_id"]), result["tool_call_id"].isalnum()) == (9, True)
        assert said["tool_calls"][0]["id"] == result["tool_call_id"]


async def test_thoughts_before_an_answer_in_words_are_not_sent_back() -> None:
    _, end, _ = await reply(stream(chunk({"reasoning_content": "Hm."}), text(), END))
    assert end.raw is None


async def test_a_server_that_refuses_its_own_thoughts_is_asked_without_them() -> None:
    body = stream(
        chunk({"reasoning": "Hm."}),
        calling(fragment("set_timer", "{}", 0, "a", extra_content=SIGNED), reason="tool_calls"),
    )
    refusal = Refusal(400, {"error": {"message": "'messages.2': property 'reasoning' is unsupported"}})
    async with (
        scripted(Chat(key=""), Bytes(body, SSE), refusal, Reply()) as server,
        open_transport(server.url, "", name=NAME) as transport,
    ):
        model = OpenAIChatLlm(StageConfig(NAME, "openai"), transport)
        _, end = await answer(model, asked(tools=(TIMER,)))
        for _ in range(2):
            pieces, _ = await answer(model, after_tools(end))
            assert "".join(pieces) == "Hello there."
        sent = [("reasoning" in body["messages"][2]) for body in server.bodies[1:]]
        assert sent == [True, False, False]
        assert server.bodies[-1]["messages"][2]["tool_calls"][0]["extra_content"] == SIGNED


async def test_a_last_answer_is_requested_without_tools() -> None:
    said = ChatMessage("assistant", "", (ToolCall("a", "set_timer", "{}"),), raw_of=NAME)
    result = ChatMessage("tool", "not run", call_id="a", tool="set_timer", ok=False)
    prompt = Prompt("", (ChatMessage("user", "?"), said, result), (TIMER,), may_call=False)
    _, _, server = await reply(stream(text(), END), prompt=prompt)
    assert {"tools", "tool_choice"} & set(server.bodies[0]) == set()
    assert server.bodies[0]["messages"][1]["tool_calls"][0]["id"] == "a"


@pytest.mark.parametrize(
    "listed", [[{"id": "m"}, {"id": None}, 5], {"data": [{"id": "m", "shutdown_date": 5}, None]}]
)
async def test_odd_entries_of_a_list_of_models_are_left_out(listed: Any) -> None:
    odd = Chat(key="")
    odd.other = lambda asked: listed  # type: ignore[method-assign]
    async with (
        scripted(odd, Reply((), (Call(),))) as server,
        open_transport(server.url, "", name=NAME) as transport,
    ):
        rows = await OpenAIChatLlm(StageConfig("p", "openai"), transport).models(asked().budget)
        assert [row.id for row in rows] == ["m"]
