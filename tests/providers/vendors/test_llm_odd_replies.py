"""Replies of the native protocols in forms that gateways and old versions give them."""

import json
from typing import Any

import pytest

from voxd.errors import ProviderError
from voxd.providers.pipeline.stages.reply_reader import ReplyReader
from voxd.providers.vendors.anthropic.wire import MessagesReader
from voxd.providers.vendors.ollama.wire import OllamaReader
from voxd.providers.vendors.openai.responses_wire import ResponsesReader

KNOWN = ("get_time", "get_weather")
TIME = [("get_time", {})]
BOTH = [*TIME, ("get_weather", {"city": "Rome"})]


def read(reader: ReplyReader, events: list[Any]) -> tuple[str, str, list[tuple[str, Any]]]:
    """Return the text, the reason and the calls of a reply."""
    text = "".join(reader.feed(each if isinstance(each, str) else json.dumps(each)) for each in events)
    end = reader.completion()
    return text, end.reason, [(call.name, json.loads(call.arguments)) for call in end.calls]


def block(index: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": fields}


def delta(index: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": fields}


STOP = {"type": "message_stop"}
USED = {"type": "tool_use", "id": "t1", "name": "get_time", "input": {}}


@pytest.mark.parametrize(
    ("events", "text", "reason", "calls"),
    [
        (
            [
                {
                    "type": "message",
                    "content": [{"type": "text", "text": "Hi."}, USED],
                    "stop_reason": "tool_use",
                    "usage": {"input_tokens": 3.5, "output_tokens": "4"},
                }
            ],
            "Hi.",
            "tool_calls",
            TIME,
        ),
        ([{"type": "message", "content": "Hi.", "stop_reason": None, "usage": None}], "Hi.", "stop", []),
        (
            [
                {"type": "message_start", "message": None},
                "",
                {"type": "ping"},
                block("0", type="text", text=None),
                delta("0", type="text_delta", text="Hi."),
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": None},
                },
                STOP,
            ],
            "Hi.",
            "stop",
            [],
        ),
        ([delta(None, type="text_delta", text="Hi."), STOP], "Hi.", "stop", []),
        (
            [
                block(0, **USED),
                delta(0, type="input_json_delta", partial_json="{}"),
                block(0, type="tool_use", id="t2", name="get_weather<|channel|>json", input=None),
                delta(0, type="input_json_delta", partial_json='{"city": '),
                delta(0, type="input_json_delta", partial_json='"Rome"}'),
                STOP,
            ],
            "",
            "tool_calls",
            BOTH,
        ),
        ([{"type": "message_delta", "delta": {"stop_reason": "refusal"}}, STOP], "", "refusal", []),
        ([{"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}, STOP], "", "length", []),
    ],
)
def test_messages(events: list[Any], text: str, reason: str, calls: list[Any]) -> None:
    assert read(MessagesReader("p", KNOWN), events) == (text, reason, calls)


@pytest.mark.parametrize(
    ("events", "text", "reason", "calls"),
    [
        ([{"message": {"content": "Hi."}, "done": True, "eval_count": 3.0}], "Hi.", "stop", []),
        ([{"message": {"content": ["Hi."]}}, "", {"done": "true", "done_reason": 5}], "Hi.", "stop", []),
        ([{"response": "Hi."}, "[DONE]"], "Hi.", "stop", []),
        (
            [
                {
                    "message": {
                        "content": None,
                        "tool_calls": [
                            {"function": {"index": 0, "name": "get_time", "arguments": None}},
                            {
                                "function": {
                                    "index": 0,
                                    "name": "get_weather",
                                    "arguments": '{"city": "Rome"}',
                                }
                            },
                        ],
                    }
                },
                {"done": True, "done_reason": None},
            ],
            "",
            "tool_calls",
            BOTH,
        ),
        (
            [{"message": {"content": "", "thinking": "Hm."}}, {"done": True, "done_reason": "length"}],
            "",
            "length",
            [],
        ),
    ],
)
def test_ollama(events: list[Any], text: str, reason: str, calls: list[Any]) -> None:
    assert read(OllamaReader("p", KNOWN), events) == (text, reason, calls)


MESSAGE = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "Hi."}]}
CALL = {"type": "function_call", "call_id": "c", "name": "get_time", "arguments": "{}"}
COMPLETED = {"type": "response.completed", "response": {"output": [MESSAGE], "usage": {"input_tokens": "3"}}}


@pytest.mark.parametrize(
    ("events", "text", "reason", "calls"),
    [
        ([{"object": "response", "error": None, "output": [MESSAGE, CALL]}], "Hi.", "tool_calls", TIME),
        ([COMPLETED], "Hi.", "stop", []),
        ([{"type": "response.output_text.delta", "delta": "Hi."}, COMPLETED], "Hi.", "stop", []),
        (
            [
                {"type": "response.output_text.delta", "output_index": 0, "item_id": "m", "delta": "Hi."},
                COMPLETED,
            ],
            "Hi.",
            "stop",
            [],
        ),
        (
            [{"type": "response.output_text.done", "item_id": "m", "text": "Hi."}, COMPLETED],
            "Hi.",
            "stop",
            [],
        ),
        (
            [
                {"type": "response.output_item.added", "output_index": 0, "item": {**CALL, "arguments": ""}},
                {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"lost'},
                {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{}"},
                {"type": "response.completed", "response": {"output": [CALL]}},
            ],
            "",
            "tool_calls",
            TIME,
        ),
        (
            [
                {
                    "type": "response.incomplete",
                    "response": {"incomplete_details": {"reason": "content_filter"}},
                }
            ],
            "",
            "refusal",
            [],
        ),
    ],
)
def test_responses(events: list[Any], text: str, reason: str, calls: list[Any]) -> None:
    assert read(ResponsesReader("p", KNOWN), events) == (text, reason, calls)


@pytest.mark.parametrize("reader", [MessagesReader, OllamaReader, ResponsesReader])
@pytest.mark.parametrize(
    "body",
    [
        {"error": "boom"},
        {"error": {"message": "boom", "code": 5}},
        [{"error": ["boom"]}],
        {"message": "boom"},
    ],
)
def test_an_error_has_its_words_in_every_protocol(reader: type[ReplyReader], body: Any) -> None:
    with pytest.raises(ProviderError, match="boom"):
        read(reader("p"), [body])
