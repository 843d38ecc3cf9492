"""A user's own endpoint: JSON or plain text, under the names its fields have there."""

import json
from typing import Any

import pytest

from tests.providers.vendors.llm_contract import TIMER, ProtocolContract, StreamingContract, answer, asked
from tests.rig.transports import open_transport
from tests.servers.own_http import OwnHttp
from tests.servers.plain_http import plain_http, reply
from tests.servers.scripted import Bytes, Reply, scripted
from voxd.errors import AuthenticationError, ProviderError
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import ChatMessage, Prompt, StageConfig, ToolCall
from voxd.providers.vendors.custom.llm import CustomLlm, completion_of, custom_body, text_of
from voxd.providers.vendors.custom.options import CustomLlmOptions


class TestContractOfText(StreamingContract):
    model = CustomLlm
    kind = "custom"
    path = "/ask"

    def dialect(self) -> OwnHttp:
        return OwnHttp()


class TestContractOfJson(ProtocolContract):
    model = CustomLlm
    kind = "custom"
    path = "/ask"
    options = {"stream": False}  # noqa: RUF012
    tells_cached = False

    def dialect(self) -> OwnHttp:
        return OwnHttp(streams=False)


def test_a_request_is_as_the_guide_has_it() -> None:
    call = ToolCall("x", "set_timer", "{}")
    messages = (
        ChatMessage("user", "Set a timer."),
        ChatMessage("assistant", "", (call,)),
        ChatMessage("tool", "done", call_id="x", tool="set_timer"),
    )
    prompt = Prompt("Be brief.", messages, (TIMER,), max_output_tokens=200)
    assert custom_body(prompt, "mine", CustomLlmOptions()) == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Set a timer."},
            {"role": "user", "content": "[set_timer] done"},
        ],
        "model": "mine",
        "max_tokens": 200,
        "stream": True,
    }
    assert set(custom_body(asked(), "", CustomLlmOptions(stream=False))) == {"messages"}


def test_fields_may_have_other_names() -> None:
    options = CustomLlmOptions(
        messages_field="turns",
        model_field="",
        max_tokens_field="limit",
        temperature_field="heat",
        stream_field="live",
        body={"room": "kitchen"},
    )
    body = custom_body(asked(max_output_tokens=9, temperature=0.5), "mine", options)
    assert set(body) == {"turns", "limit", "heat", "live", "room"}
    options = CustomLlmOptions(
        content_path="result.text", input_tokens_path="n.in", output_tokens_path="n.out"
    )
    said = {"result": {"text": "Hi."}, "n": {"in": 3, "out": "many"}}
    assert text_of("p", said, options) == "Hi."
    assert completion_of(said, options).usage.input_text_tokens == 3
    assert completion_of(said, options).usage.output_text_tokens == 0


@pytest.mark.parametrize("said", [{}, {"content": None}, [], "x", None, 5])
def test_an_answer_without_text_is_a_fault(said: Any) -> None:
    with pytest.raises(ProviderError) as caught:
        text_of("p", said, CustomLlmOptions())
    assert caught.value.code == "bad_frame"


async def test_a_json_answer_to_a_text_request_is_understood() -> None:
    body = Bytes(json.dumps({"content": "Hi."}).encode(), "application/json; charset=utf-8")
    async with scripted(OwnHttp(), body) as server, open_transport(f"{server.url}/ask") as transport:
        pieces, _ = await answer(CustomLlm(StageConfig("p", "custom"), transport), asked())
        assert pieces == ["Hi."]


@pytest.mark.parametrize(
    ("said", "content_type", "text"),
    [
        (b'{"content": "Hi."}', "text/plain", "Hi."),
        (b'\xef\xbb\xbf {"content": [{"type": "text", "text": "Hi."}]}', "text/plain", "Hi."),
        (b'{"content": "Hi.", "probability": NaN}', "application/json", "Hi."),
        (b"Hi.", "application/octet-stream", "Hi."),
        (b"{braces} are text", "text/plain", "{braces} are text"),
        (
            b'{"content": "Hi.", "usage": {"input_tokens": 3.0, "output_tokens": "x"}}',
            "application/json",
            "Hi.",
        ),
        (b'{"content": ""}', "application/json", ""),
    ],
)
async def test_a_body_is_read_as_what_it_is(said: bytes, content_type: str, text: str) -> None:
    async with (
        scripted(OwnHttp(), Bytes(said, content_type)) as server,
        open_transport(f"{server.url}/ask") as transport,
    ):
        pieces, _ = await answer(CustomLlm(StageConfig("p", "custom"), transport), asked())
        assert "".join(pieces) == text


@pytest.mark.parametrize(
    "said", [b'{"error": "boom"}', b'{"detail": "boom"}', b'{"error": {"message": "boom", "code": 500}}']
)
async def test_an_error_is_not_read_aloud(said: bytes) -> None:
    async with (
        scripted(OwnHttp(), Bytes(said, "text/plain")) as server,
        open_transport(f"{server.url}/ask") as transport,
    ):
        with pytest.raises(ProviderError, match="boom"):
            await answer(CustomLlm(StageConfig("p", "custom"), transport), asked())


def test_a_path_may_lead_through_lists() -> None:
    options = CustomLlmOptions(content_path="choices.0.message.content")
    assert text_of("p", {"choices": [{"message": {"content": "Hi."}}]}, options) == "Hi."


@pytest.mark.parametrize("content_type", ["text/event-stream", "text/plain"])
async def test_events_are_not_read_aloud(content_type: str) -> None:
    body = Bytes(b"data: {}\n\n", content_type)
    async with scripted(OwnHttp(), body) as server, open_transport(f"{server.url}/ask") as transport:
        with pytest.raises(ProviderError) as caught:
            await answer(CustomLlm(StageConfig("p", "custom"), transport), asked())
        assert "openai" in caught.value.hint


async def test_an_incomplete_character_is_shown_as_a_replacement_character() -> None:
    body = Bytes("Grüß".encode()[:-1], "text/plain")
    async with scripted(OwnHttp(), body) as server, open_transport(f"{server.url}/ask") as transport:
        pieces, _ = await answer(CustomLlm(StageConfig("p", "custom"), transport), asked())
        assert "".join(pieces) == "Grü\N{REPLACEMENT CHARACTER}"


async def test_no_key_is_sent_where_none_is_configured() -> None:
    async with (
        scripted(OwnHttp(key=""), Reply()) as server,
        open_transport(f"{server.url}/ask", "") as transport,
    ):
        await answer(CustomLlm(StageConfig("p", "custom"), transport), asked())
        assert "authorization" not in server.asked.headers


async def test_an_endpoint_that_is_not_configured_is_a_fault() -> None:
    async with open_transport("", "") as transport:
        with pytest.raises(ProviderError, match="URL"):
            await answer(CustomLlm(StageConfig("p", "custom"), transport), asked())


@pytest.mark.parametrize("status", [200, 204, 400, 405, 501])
async def test_a_reachable_endpoint_is_healthy(status: int) -> None:
    async with (
        plain_http(reply(b"", status=status)) as server,
        open_transport(f"{server.url}/ask") as transport,
    ):
        await CustomLlm(StageConfig("p", "custom"), transport).check(Budget(retries=0))
        assert [asked.method for asked in server.requests] == ["OPTIONS"]


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationError), (404, ProviderError), (503, ProviderError)]
)
async def test_an_endpoint_that_refuses_is_not_healthy(status: int, kind: type[ProviderError]) -> None:
    async with (
        plain_http(reply(b"", status=status)) as server,
        open_transport(f"{server.url}/ask") as transport,
    ):
        with pytest.raises(kind):
            await CustomLlm(StageConfig("p", "custom"), transport).check(Budget(retries=0))


async def test_a_separate_address_may_report_the_health() -> None:
    async with (
        plain_http(reply(b"ok"), reply(b"", status=405)) as server,
        open_transport("https://far.example") as transport,
    ):
        options = {"check_url": f"{server.url}/health"}
        model = CustomLlm(StageConfig("p", "custom", options=options), transport)
        await model.check(Budget(retries=0))
        assert [(asked.method, asked.target) for asked in server.requests] == [("GET", "/health")]
        with pytest.raises(ProviderError):
            await model.check(Budget(retries=0))
