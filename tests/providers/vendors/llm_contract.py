"""What every language model must do, third-party ones included: subclass `LanguageModelContract`."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar

import pytest

from tests.conformance.request_gate import request_complaints
from tests.rig.transports import KEY, RecordedTransport, open_transport
from tests.servers.scripted import Bytes, Call, Dialect, Refusal, Reply, Scripted, Used, scripted
from voxd.errors import AuthenticationError, ContextTooLong, ProviderError, RateLimited
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import (
    ChatMessage,
    Completion,
    LanguageModel,
    Prompt,
    StageConfig,
    TextChunk,
    ToolCall,
)
from voxd.providers.pipeline.stages.reply_reader import ReplyReader
from voxd.providers.settings import ToolSpec

WAIT_S = 5.0
NAME = "mine"
"""The provider in the configuration."""

TIMER = ToolSpec(
    "set_timer",
    "Set a timer.",
    {"type": "object", "properties": {"seconds": {"type": "integer"}}, "required": ["seconds"]},
)
HTML = Bytes(b"<html><body>Log in, please.</body></html>", "text/html; charset=utf-8")


def asked(text: str = "What time is it?", **more: Any) -> Prompt:
    """Return a prompt that asks ``text``."""
    more = {"budget": Budget(retries=0), **more}
    return Prompt("Be brief.", (ChatMessage("user", text),), **more)


def after_tools(answered: Completion, *, provider: str = NAME, ok: bool = True, **more: Any) -> Prompt:
    """Return the prompt that follows when the calls of ``answered`` have been run."""
    said = ChatMessage("assistant", "", answered.calls, raw=answered.raw, raw_of=provider)
    results = tuple(
        ChatMessage("tool", f"done {call.id}", call_id=call.id, tool=call.name, ok=ok)
        for call in answered.calls
    )
    messages = (ChatMessage("user", "Set a timer."), said, *results)
    return Prompt("Be brief.", messages, (TIMER,), budget=Budget(retries=0), **more)


async def answer(model: LanguageModel, prompt: Prompt) -> tuple[list[str], Completion]:
    """Return the pieces and the end of an answer, which comes once and last."""
    async with asyncio.timeout(WAIT_S):
        *tokens, end = [item async for item in model.reply(prompt)]
    assert isinstance(end, Completion)
    assert all(isinstance(token, TextChunk) and token.text for token in tokens)
    return [token.text for token in tokens if isinstance(token, TextChunk)], end


def heard(reader: ReplyReader, said: Iterable[str]) -> ProviderError | None:
    """Have ``reader`` read ``said``; return the error it raises, None when it takes it for an answer."""
    try:
        for data in said:
            assert isinstance(reader.feed(data), str)
        reader.completion()
    except ProviderError as error:
        return error
    return None


class LanguageModelContract:
    """Subclass it, and what below fits too, in the tests of a vendor; say how to reach its fake."""

    model: ClassVar[type[LanguageModel]]
    kind: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    path: ClassVar[str] = "/v1"

    def dialect(self) -> Dialect:
        raise NotImplementedError

    @asynccontextmanager
    async def serving(
        self, *script: Reply | Refusal | Bytes, key: str = KEY, **options: Any
    ) -> AsyncIterator[tuple[LanguageModel, Scripted, RecordedTransport]]:
        """Yield a model, its vendor, and the line between them."""
        config = StageConfig(NAME, self.kind, options={**self.options, **options})
        async with (
            scripted(self.dialect(), *script) as server,
            open_transport(f"{server.url}{self.path}", key, name="mine") as transport,
        ):
            model = self.model(config, transport)
            try:
                yield model, server, transport
            finally:
                await model.close()
                await model.close()
            assert request_complaints(self.kind, server.bodies) == []

    async def test_an_answer_comes_in_pieces_and_ends_once(self) -> None:
        async with self.serving() as (model, server, transport):
            pieces, end = await answer(model, asked())
            assert "".join(pieces) == "Hello there."
            assert (end.reason, end.calls) == ("stop", ())
            assert [data["code"] for data in transport.data("provider.call")] == ["ok"]
            assert len(server.bodies) == 1

    async def test_one_connection_serves_many_answers(self) -> None:
        async with self.serving() as (model, server, _):
            for _ in range(3):
                await answer(model, asked())
            assert server.plain.connections == 1

    async def test_headers_of_the_prompt_are_sent(self) -> None:
        async with self.serving() as (model, server, _):
            await answer(model, asked(headers={"X-Trace": "abc"}))
            assert server.asked.headers["x-trace"] == "abc"

    async def test_characters_may_be_split_anywhere(self) -> None:
        text = ("Grüße", " \N{SLIGHTLY SMILING FACE}", " — 漢字\u2028!")
        async with self.serving(Reply(text)) as (model, server, _):
            server.byte_by_byte = True
            pieces, _ = await answer(model, asked())
            assert "".join(pieces) == "".join(text)

    async def test_a_conversation_with_loose_ends_is_taken_all_the_same(self) -> None:
        loose = ToolCall("call_9", "set_timer", '{"seconds": 5}')
        messages = (
            ChatMessage("tool", "whose?", call_id="call_0", tool="set_timer"),
            ChatMessage("user", "Set a timer."),
            ChatMessage("assistant", "", (loose,)),
            ChatMessage("user", "No, wait."),
            ChatMessage("assistant", "Certainly", (loose,)),
            ChatMessage("user", "Thanks."),
            ChatMessage("assistant", ""),
            ChatMessage("user", "And now?"),
        )
        async with self.serving() as (model, _, _):
            pieces, _ = await answer(model, Prompt("", messages, budget=Budget(retries=0)))
            assert "".join(pieces) == "Hello there."

    async def test_an_answer_that_breaks_off_is_a_fault(self) -> None:
        async with self.serving(Reply(fault="cut")) as (model, _, transport):
            with pytest.raises(ProviderError) as caught:
                await answer(model, asked())
            assert caught.value.retryable
            assert [data["code"] for data in transport.data("provider.call")] == ["truncated"]

    async def test_a_log_in_page_is_not_an_answer(self) -> None:
        async with self.serving(HTML) as (model, _, _):
            with pytest.raises(ProviderError) as caught:
                await answer(model, asked())
            assert caught.value.code == "captive_portal"

    async def test_an_empty_body_is_not_an_answer(self) -> None:
        async with self.serving(Bytes(b"", "text/event-stream")) as (model, _, _):
            with pytest.raises(ProviderError):
                await answer(model, asked())

    @pytest.mark.parametrize(
        ("status", "kind", "retryable"),
        [
            (400, ProviderError, False),
            (401, AuthenticationError, False),
            (402, ProviderError, False),
            (403, AuthenticationError, False),
            (404, ProviderError, False),
            (408, ProviderError, True),
            (413, ContextTooLong, False),
            (429, RateLimited, True),
            (500, ProviderError, True),
            (503, ProviderError, True),
            (529, ProviderError, True),
        ],
    )
    async def test_a_refusal_states_whether_a_retry_helps(
        self, status: int, kind: type[ProviderError], retryable: bool
    ) -> None:
        async with self.serving(Refusal(status, "nonsense")) as (model, _, _):
            with pytest.raises(kind) as caught:
                await answer(model, asked())
            assert caught.value.retryable is retryable

    async def test_a_refused_request_is_tried_again_within_the_budget(self) -> None:
        busy = Refusal(503, {"error": "loading"}, {"Retry-After-Ms": "1"})
        async with self.serving(busy, busy, Reply()) as (model, server, _):
            budget = Budget(retries=2)
            pieces, _ = await answer(model, asked(budget=budget))
            assert "".join(pieces) == "Hello there."
            assert (len(server.bodies), budget.retries) == (3, 0)

    async def test_too_long_a_conversation_is_a_distinct_error(self) -> None:
        said = {
            "error": {"message": "prompt is too long: 9 tokens > 5 maximum", "type": "invalid_request_error"}
        }
        async with self.serving(Refusal(400, said)) as (model, _, _):
            with pytest.raises(ContextTooLong):
                await answer(model, asked())

    async def test_a_check_costs_nothing(self) -> None:
        async with self.serving() as (model, server, _):
            await model.check(Budget(retries=0))
            assert server.bodies == []

    async def test_a_check_fails_when_the_server_is_unreachable(self) -> None:
        async with self.serving() as (model, server, _), open_transport("http://127.0.0.1:1", KEY) as nowhere:
            with pytest.raises(ProviderError):
                await type(model)(model.config, nowhere).check(Budget(retries=0))
            assert server.bodies == []


class StreamingContract(LanguageModelContract):
    """For models that answer word by word."""

    async def test_the_first_piece_comes_before_the_second_is_written(self) -> None:
        async with self.serving(Reply(hold_after=1)) as (model, server, _):
            replies = model.reply(asked())
            async with asyncio.timeout(WAIT_S), aclosing(replies):
                assert await anext(replies) == TextChunk("Hello")
                server.go()
                assert (
                    "".join([item.text async for item in replies if isinstance(item, TextChunk)]) == " there."
                )

    async def test_giving_an_answer_up_frees_the_line(self) -> None:
        async with self.serving(Reply(hold_after=1)) as (model, _, transport):
            replies = model.reply(asked())
            await anext(replies)
            await replies.aclose()
            assert [data["code"] for data in transport.data("provider.call")] == ["cancelled"]


class ProtocolContract(LanguageModelContract):
    """For models whose answers carry usage and a stop reason."""

    tells_cached: ClassVar[bool] = True

    async def test_the_usage_counts_cached_tokens_as_a_part_of_the_input(self) -> None:
        async with self.serving(Reply(used=Used(read=120, cached=40, written=30, said=17))) as (model, _, _):
            _, end = await answer(model, asked())
            assert (end.usage.input_text_tokens, end.usage.output_text_tokens) == (120, 17)
            assert end.usage.cached_text_tokens == (40 if self.tells_cached else 0)

    @pytest.mark.parametrize("fault", ["quiet", "garbage", "odd", "half"])
    async def test_an_answer_without_its_end_is_a_fault(self, fault: str) -> None:
        async with self.serving(Reply(fault=fault)) as (model, _, _):
            with pytest.raises(ProviderError) as caught:
                await answer(model, asked())
            assert caught.value.code in {"stream_failed", "bad_frame", "bad_answer", "truncated"}

    async def test_a_complaint_in_the_middle_is_a_fault(self) -> None:
        async with self.serving(Reply(fault="error")) as (model, _, _):
            with pytest.raises(ProviderError, match="boom") as caught:
                await answer(model, asked())
            assert caught.value.retryable
            assert caught.value.provider == "mine"


class ToolContract(LanguageModelContract):
    """For models that can call tools."""

    async def test_a_tool_is_called_and_its_result_sent(self) -> None:
        async with self.serving(Reply((), (Call(),)), Reply(("Set.",))) as (model, server, _):
            pieces, end = await answer(model, asked("Set a timer.", tools=(TIMER,)))
            assert (pieces, end.reason) == ([], "tool_calls")
            assert [(call.name, json.loads(call.arguments)) for call in end.calls] == [
                ("set_timer", {"seconds": 5})
            ]
            pieces, _ = await answer(model, after_tools(end))
            assert pieces == ["Set."]
            assert "done call_1" in str(server.bodies[-1])

    async def test_several_tools_are_called_at_once(self) -> None:
        calls = (Call(id="call_1"), Call("stop", "{}", "call_2"), Call(id="call_3"))
        async with self.serving(Reply(("Right.",), calls), Reply()) as (model, _, _):
            pieces, end = await answer(model, asked(tools=(TIMER,)))
            assert pieces == ["Right."]
            assert [call.name for call in end.calls] == ["set_timer", "stop", "set_timer"]
            assert len({call.id for call in end.calls}) == 3
            assert end.calls[1].arguments == "{}"
            await answer(model, after_tools(end))


class FullContract(StreamingContract, ProtocolContract, ToolContract):
    """For models that can do all of it."""
