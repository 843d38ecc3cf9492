"""What all models that stream share: what the client is sent, and an end that is not waited for long."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from tests.providers.vendors.llm_contract import answer, asked
from voxd.errors import ProviderError, StreamError
from voxd.providers.pipeline.stages import llm_stream as streaming
from voxd.providers.pipeline.stages.chat_completions import ChatReader
from voxd.providers.pipeline.stages.contract import LanguageModel, StageConfig
from voxd.providers.pipeline.stages.llm_stream import ThinkTagFilter
from voxd.providers.pipeline.stages.tokens import request_tokens
from voxd.providers.vendors.ollama.llm import LOADING_S, OllamaLlm
from voxd.providers.vendors.ollama.wire import OllamaReader
from voxd.providers.vendors.openai.llm import OpenAIChatLlm

DONE = '{"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]}'
USED = '{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}'


class Told:
    """A client that plays its script, and records what it was sent."""

    status = 200

    def __init__(self, events: Sequence[str | Exception | None] = ()) -> None:
        self.headers: dict[str, str] = {}
        self.told: dict[str, Any] = {}
        self._events = events

    @asynccontextmanager
    async def request(self, build: Any, budget: Any, **told: Any) -> AsyncIterator["Told"]:
        self.told = {"budget": budget, **told}
        yield self

    async def events(self) -> AsyncIterator[tuple[str, str]]:
        for event in self._events:
            if event is None:
                await asyncio.Event().wait()
            if isinstance(event, Exception):
                raise event
            yield "", str(event)

    async def lines(self) -> AsyncIterator[str]:
        async for _, data in self.events():
            yield data


def model_on(transport: Told, kind: type[LanguageModel] = OpenAIChatLlm) -> LanguageModel:
    return kind(StageConfig("mine", "openai"), transport)  # type: ignore[arg-type]


async def test_the_vendor_client_gets_the_result_and_usage_of_each_request() -> None:
    transport, prompt = Told([DONE, "[DONE]"]), asked()
    await answer(model_on(transport), prompt)
    refused = transport.told.pop("read_refusal")
    assert transport.told == {
        "budget": prompt.budget,
        "kind": "chat",
        "tokens": request_tokens(prompt),
        "first_byte_s": None,
        "whole_s": None,
    }
    assert isinstance(refused("mine", 400, {}, b'{"error": "context length"}'), ProviderError)


async def test_a_server_that_loads_a_model_first_gets_more_time() -> None:
    transport = Told(['{"message": {"content": "Yes."}, "done": true}'])
    await answer(model_on(transport, OllamaLlm), asked())
    assert transport.told["first_byte_s"] == LOADING_S
    assert transport.told["whole_s"] > LOADING_S


async def test_a_complete_answer_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "TAIL_S", 0.01)
    pieces, end = await answer(model_on(Told([DONE, USED, None])), asked())
    assert (pieces, end.reason, end.usage.input_text_tokens) == (["Yes."], "stop", 3)


@pytest.mark.parametrize("fault", [StreamError("gone"), '{"error": "late"}', "garbage"])
async def test_what_goes_wrong_behind_a_complete_answer_does_not_matter(fault: str | Exception) -> None:
    pieces, end = await answer(model_on(Told([DONE, fault])), asked())
    assert (pieces, end.reason) == (["Yes."], "stop")


async def test_nothing_is_read_behind_the_last_event() -> None:
    pieces, end = await answer(model_on(Told([DONE, USED, "[DONE]", AssertionError("read on")])), asked())
    assert (pieces, end.usage.output_text_tokens) == (["Yes."], 1)


@pytest.mark.parametrize("events", [(), ("{}",), ('{"choices": [{"delta": {"content": "Ye"}}]}',)])
async def test_an_answer_without_its_end_is_none(events: tuple[str, ...]) -> None:
    with pytest.raises(StreamError, match="broke off") as caught:
        await answer(model_on(Told(events)), asked())
    assert caught.value.provider == "mine"
    assert caught.value.retryable


def spoken(*pieces: str) -> str:
    aloud = ThinkTagFilter()
    return "".join(map(aloud.feed, pieces)) + aloud.end()


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("Hello.", "Hello."),
        ("<think>Hm.</think>\n\nHello.", "Hello."),
        ("\n<think>\nHm. a < b\n</think>Hello.", "Hello."),
        ("<think></think><think>More.</think>Hello.", "Hello."),
        ("Tags like <think>this</think> stay.", "Tags like <think>this</think> stay."),
        ("<thin air>", "<thin air>"),
        ("<thi", "<thi"),
        ("<", "<"),
        ("  ", "  "),
        ("", ""),
        ("<think>Hm", ""),
        ("<think>Hm</thin", ""),
    ],
)
def test_only_thoughts_at_the_beginning_are_left_out(said: str, heard: str) -> None:
    assert spoken(said) == heard
    assert spoken(*said) == heard


@examples(80)
@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "a", " ", "\n"]), max_size=8), st.data())
def test_it_does_not_matter_where_an_answer_is_cut(parts: list[str], data: st.DataObject) -> None:
    said = "".join(parts)
    at = data.draw(st.integers(0, len(said)))
    assert spoken(said[:at], said[at:]) == spoken(said)


@examples(50)
@given(st.text())
def test_an_answer_without_thoughts_is_spoken_as_it_is(said: str) -> None:
    assert spoken(said) == said or said.lstrip().startswith("<think>")


def test_words_are_not_held_back() -> None:
    aloud = ThinkTagFilter()
    assert [aloud.feed(piece) for piece in ("He", "llo <", "think>")] == ["He", "llo <", "think>"]


@pytest.mark.parametrize("pieces", [("<think>Hm.</", "think>", "It is five."), ("It is", " five.", "")])
def test_readers_say_nothing_of_them(pieces: tuple[str, ...]) -> None:
    chat, ollama = ChatReader("p"), OllamaReader("p")
    heard = "".join(chat.feed(json.dumps({"choices": [{"delta": {"content": piece}}]})) for piece in pieces)
    assert heard + chat.feed("[DONE]") == "It is five."
    heard = "".join(ollama.feed(json.dumps({"message": {"content": piece}})) for piece in pieces)
    assert heard + ollama.feed('{"done": true}') == "It is five."


def test_what_was_held_back_in_vain_is_said_at_the_end() -> None:
    chat, ollama = ChatReader("p"), OllamaReader("p")
    end = {"choices": [{"delta": {"content": "<"}, "finish_reason": "stop"}]}
    assert chat.feed(json.dumps(end)) == "<"
    assert ollama.feed('{"message": {"content": "<"}, "done": true}') == "<"
