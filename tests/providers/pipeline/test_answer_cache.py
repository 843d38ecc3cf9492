"""The same question in the same conversation is asked once."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from tests.fakes import FakeClock, RecordingEmit, settle
from tests.providers.pipeline.rig import Rig
from tests.providers.pipeline.stage_fakes import HANG, Brain
from voxd.errors import ConnectionFailed
from voxd.events import EventType as E
from voxd.providers.pipeline.answer_cache import MAX_ANSWERS, AnswerCache, answer_key
from voxd.providers.pipeline.llm_chain import AnswerEnd, AnswerEvent
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, Prompt, TextChunk, ToolCall


def cache(clock: FakeClock, emit: RecordingEmit | None = None) -> AnswerCache:
    return AnswerCache(60.0, emit=emit or RecordingEmit(), clock=clock)


async def test_an_answer_is_kept_for_its_time_and_only_for_the_same_conversation() -> None:
    clock, emit = FakeClock(), RecordingEmit()
    kept = cache(clock, emit)
    brain = Brain("brain", clock, "It is noon.")
    for _ in range(2):
        async with Rig(clock=clock, llm=[brain], answers=kept) as rig:
            await rig.type("what time is it")
            assert rig.said == ["It is noon."]
    assert len(brain.prompts) == 1
    async with Rig(clock=clock, llm=[brain], answers=kept) as rig:
        await rig.type("what day is it")
        await rig.type("what time is it")
    assert len(brain.prompts) == 3, "another conversation"
    await clock.advance(61)
    async with Rig(clock=clock, llm=[brain], answers=kept) as rig:
        await rig.type("what time is it")
    assert len(brain.prompts) == 4
    hits = [data["hit"] for type, data in emit.events if type == E.CACHE_USED]
    assert hits == [False, True, False, False, False]


async def test_answers_that_call_tools_or_break_off_are_not_kept() -> None:
    clock = FakeClock()
    kept = cache(clock)
    for answer in (
        ("Wait. ", ToolCall("c", "f", "{}")),
        ("One two. ", 0.1, ConnectionFailed("gone")),
        ("One two. ", HANG),
    ):
        brain = Brain("brain", clock, answer)
        for _ in range(2):
            async with Rig(clock=clock, llm=[brain], answers=kept) as rig:
                await rig.type("go", 1.0)
                await rig.provider.interrupt()
        assert len(brain.prompts) == 2


async def test_what_is_forgotten_is_asked_anew_also_when_it_is_just_being_answered() -> None:
    clock = FakeClock()
    kept = cache(clock)
    brain = Brain("brain", clock, "It is noon.")
    async with Rig(clock=clock, llm=[brain], answers=kept) as rig:
        await rig.type("what time is it")
    source = kept.fetch("key", answer("My secret."))
    assert await anext(source) == TextChunk("My secret.")
    kept.forget()
    assert await written(source) == ""
    assert await written(kept.fetch("key", answer("Another."))) == "Another."
    async with Rig(clock=clock, llm=[brain], answers=kept) as rig:
        await rig.type("what time is it")
    assert len(brain.prompts) == 2


async def answer(text: str) -> AsyncGenerator[AnswerEvent]:
    yield TextChunk(text)
    yield AnswerEnd(Completion("stop"), "scripted")


async def written(source: object) -> str:
    return "".join([event.text async for event in source if isinstance(event, TextChunk)])  # type: ignore[attr-defined]


async def test_the_same_question_at_the_same_time_is_asked_once_and_again_if_it_fails() -> None:
    clock = FakeClock()
    kept = cache(clock)
    asked = []

    async def model(gate: asyncio.Event, fails: bool):  # type: ignore[no-untyped-def]
        asked.append(fails)
        await gate.wait()
        if fails:
            raise ConnectionFailed("gone")
        answer: tuple[AnswerEvent, ...] = (TextChunk("Noon."), AnswerEnd(Completion("stop"), "scripted"))
        for event in answer:
            yield event

    gate = asyncio.Event()
    first = asyncio.create_task(written(kept.fetch("key", model(gate, True))))
    await settle()
    second = asyncio.create_task(written(kept.fetch("key", model(gate, False))))
    await settle()
    assert asked == [True]
    gate.set()
    with pytest.raises(ConnectionFailed):
        await first
    assert await second == "Noon."
    assert asked == [True, False]
    assert await written(kept.fetch("key", model(gate, True))) == "Noon."


async def test_it_forgets_the_oldest() -> None:
    clock = FakeClock()
    kept = cache(clock)

    for number in range(MAX_ANSWERS + 1):
        await written(kept.fetch(str(number), answer("x")))
    assert "0" not in kept._cached
    assert len(kept._cached) == MAX_ANSWERS


def test_a_key_changes_with_everything_that_is_sent() -> None:
    base = Prompt("be brief", (ChatMessage("user", "hello"),))
    others = [
        Prompt("be long", base.messages),
        Prompt("be brief", (ChatMessage("user", "hi"),)),
        Prompt("be brief", base.messages, max_output_tokens=1),
        Prompt("be brief", base.messages, temperature=0.1),
    ]
    keys = {answer_key(base, ["a"]), answer_key(base, ["b"]), *(answer_key(other, ["a"]) for other in others)}
    assert len(keys) == 6
