"""What a pipeline counts: speech as far as it came, and each answer once, whoever gave it."""

from typing import Any

import pytest

from tests.fakes import FakeClock, RecordingEmit
from tests.providers.pipeline.rig import Rig
from tests.providers.pipeline.stage_fakes import HANG, Brain, Voice
from voxd.errors import ConnectionFailed
from voxd.events import EventType as E
from voxd.providers.costs import Prices
from voxd.providers.pipeline.answer_cache import AnswerCache
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stages.contract import ToolCall
from voxd.providers.pipeline.tts_chain import spoken_part

SENTENCE = "It is noon."
BROKEN = ConnectionFailed("gone", code="network_error")


def counted(rig: Rig, stage: str) -> list[tuple[str, int]]:
    """Return the provider and the amount, characters or tokens, of each request that was counted."""
    used = [data for type, data in rig.emit.events if type == E.PROVIDER_USED and data["stage"] == stage]
    return [(data["provider"], data["usage"].characters or data["usage"].output_text_tokens) for data in used]


async def test_speech_that_was_delivered_counts_whole() -> None:
    async with Rig() as rig:
        await rig.type("what time is it")
        assert counted(rig, "tts") == [("voice", len(SENTENCE))]


@pytest.mark.parametrize("fault", [BROKEN, HANG])
async def test_speech_that_never_came_counts_nothing_and_that_of_the_next_voice_once(fault: Any) -> None:
    clock = FakeClock()
    voices = [Voice("first", clock, before={"*": fault}), Voice("second", clock)]
    async with Rig(clock=clock, tts=voices) as rig:
        await rig.type("what time is it", 2.0)
        assert rig.said == [SENTENCE]
        assert counted(rig, "tts") == [("second", len(SENTENCE))]


async def test_speech_that_was_cancelled_before_it_came_counts_nothing() -> None:
    clock = FakeClock()
    async with Rig(clock=clock, tts=[Voice("voice", clock, before={"*": HANG})]) as rig:
        await rig.type("what time is it")
        await rig.provider.interrupt()
        await rig.pass_time()
        assert counted(rig, "tts") == []


@pytest.mark.parametrize("fault", [BROKEN, HANG])
async def test_of_speech_that_breaks_off_only_what_came_counts(fault: Any) -> None:
    clock = FakeClock()
    text = "This is a long sentence of which only the first half is ever going to be delivered."
    voice = Voice("voice", clock, between={"*": fault})
    async with Rig(clock=clock, llm=[Brain("brain", clock, text)], tts=[voice]) as rig:
        await rig.type("tell me")
        if fault is HANG:
            await rig.provider.interrupt()
            await rig.pass_time()
        ((name, characters),) = counted(rig, "tts")
        assert name == "voice"
        # Half of it, at 10 ms a character, is as long as a real voice needs for a few.
        assert 0 < characters < len(text) / 2


@pytest.mark.parametrize(("seconds", "part"), [(0.001, "H"), (0.2, "Hel"), (60.0, "Hello there.")])
def test_the_part_of_a_text_that_was_spoken(seconds: float, part: str) -> None:
    assert spoken_part("Hello there.", seconds) == part


async def test_the_models_of_a_failover_both_count() -> None:
    clock = FakeClock()
    first = Brain("first", clock, ("Once upon a", BROKEN))
    async with Rig(clock=clock, llm=[first, Brain("second", clock)]) as rig:
        await rig.type("what time is it")
        assert rig.said == [SENTENCE]
        (broken, whole) = counted(rig, "llm")
        assert broken[0] == "first"
        assert broken[1] > 0
        assert whole == ("second", 10)


async def test_a_model_that_never_answered_counts_nothing() -> None:
    clock = FakeClock()
    async with Rig(clock=clock, llm=[Brain("first", clock, (BROKEN,)), Brain("second", clock)]) as rig:
        await rig.type("what time is it")
        assert counted(rig, "llm") == [("second", 10)]


async def test_an_answer_that_is_interrupted_counts() -> None:
    clock = FakeClock()
    async with Rig(clock=clock, llm=[Brain("brain", clock, ("It is noon, and", HANG))]) as rig:
        await rig.type("what time is it")
        await rig.provider.interrupt()
        await rig.pass_time()
        ((name, tokens),) = counted(rig, "llm")
        assert (name, tokens > 0) == ("brain", True)


async def test_every_round_of_tools_counts() -> None:
    clock = FakeClock()
    call = ToolCall("1", "get_time", "{}")
    async with Rig(clock=clock, llm=[Brain("brain", clock, (call,), SENTENCE)]) as rig:
        await rig.type("what time is it")
        await rig.provider.send_tool_result("1", "noon")
        await rig.provider.request_response()
        await rig.pass_time()
        assert counted(rig, "llm") == [("brain", 10), ("brain", 10)]


async def test_a_cached_answer_costs_nothing() -> None:
    clock, emit = FakeClock(), RecordingEmit()
    answers = AnswerCache(60.0, emit=emit, clock=clock)
    for count in (1, 0):
        async with Rig(clock=clock, answers=answers) as rig:
            await rig.type("what time is it")
            assert rig.said == [SENTENCE]
            assert len(counted(rig, "llm")) == count


async def test_each_provider_has_prices_of_its_own() -> None:
    clock = FakeClock()
    rig = Rig(clock=clock)
    rig.provider = PipelineProvider(
        {"parts": rig.parts, "prices": lambda name: Prices(counts_unknown=name == "brain")}
    )
    async with rig:
        await rig.type("what time is it")
        used = [data for type, data in rig.emit.events if type == E.PROVIDER_USED]
        by_stage = {data["stage"]: data for data in used}
        assert by_stage["llm"]["is_upper_estimate"]
        assert by_stage["llm"]["cost_usd"] > 0
        assert by_stage["llm"]["model"] == "brain-model"
        assert by_stage["tts"]["cost_usd"] is None
