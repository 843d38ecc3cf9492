"""Faults of every stage at every point: an answer or a reason in time, and no word twice."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock, settle
from tests.properties import examples
from tests.providers.pipeline.rig import Rig
from tests.providers.pipeline.stage_fakes import HANG, Brain, Ears, Voice
from voxd.errors import AuthenticationError, ConnectionFailed, ContextTooLong, LocalEngineError, RateLimited
from voxd.events import EventType as E
from voxd.frames import Clip
from voxd.net.transport import Budget
from voxd.providers.pipeline.reply import BROKEN_OFF
from voxd.providers.pipeline.stages.contract import StageKind

TURN_S = 3.0
ANSWER = "One two three four. Five six seven. Eight nine."
WORDS = ["One two three four.", "Five six seven.", "Eight nine."]

Make = Callable[[FakeClock], Any]


def lost() -> ConnectionFailed:
    return ConnectionFailed("the line broke")


EARS: dict[str, Make] = {
    "refuses": lambda clock: Ears("first", clock, early=(AuthenticationError("wrong key"),)),
    "fails while the user speaks": lambda clock: Ears("first", clock, early=(0.2, lost())),
    "hangs while the user speaks": lambda clock: Ears("first", clock, early=(HANG,)),
    "fails at the end": lambda clock: Ears("first", clock, steps=(lost(),)),
    "hangs at the end": lambda clock: Ears("first", clock, steps=(HANG,)),
    "has a third party's mistake": lambda clock: Ears("first", clock, steps=(KeyError("x"),)),
    "is slow": lambda clock: Ears("first", clock, steps=(20.0,)),
}

BRAINS: dict[str, Make] = {
    "refuses": lambda clock: Brain("first", clock, (RateLimited("busy"),)),
    "hangs": lambda clock: Brain("first", clock, (HANG,)),
    "fails after a word": lambda clock: Brain("first", clock, ("Perhaps", lost())),
    "hangs after a word": lambda clock: Brain("first", clock, ("Perhaps", HANG)),
    "has a third party's mistake": lambda clock: Brain("first", clock, (ValueError("x"),)),
    "is too small": lambda clock: Brain("first", clock, (ContextTooLong("too long"),)),
}

VOICES: dict[str, Make] = {
    "refuses": lambda clock: Voice("first", clock, before={"*": lost()}),
    "hangs": lambda clock: Voice("first", clock, before={"*": HANG}),
    "has a third party's mistake": lambda clock: Voice("first", clock, before={"*": TypeError("x")}),
    "fails in a clause": lambda clock: Voice("first", clock, between={WORDS[1]: lost()}),
    "hangs in a clause": lambda clock: Voice("first", clock, between={WORDS[1]: HANG}),
    "fails before a clause": lambda clock: Voice("first", clock, before={WORDS[1]: lost()}),
    "hangs before a clause": lambda clock: Voice("first", clock, before={WORDS[1]: HANG}),
    "fails in the last clause": lambda clock: Voice("first", clock, between={WORDS[2]: lost()}),
}


async def turn(rig: Rig, *, until_s: float = 12.0) -> float:
    """Ask, let everything come that comes; return when the first sound or the reason was there."""
    await rig.speak()
    asked_s = rig.clock.now
    await rig.provider.commit()
    for _ in range(round(until_s / 0.05)):
        await rig.clock.advance(0.05)
        await settle()
    found = [
        at
        for event, at in zip(rig.events, rig.times, strict=True)
        if event.type in (E.AUDIO_OUTPUT_CHUNK, E.ERROR_GENERAL)
    ]
    assert found, "neither an answer nor a reason"
    return found[0] - asked_s


def stages(clock: FakeClock, stt: list[Any], llm: list[Any], tts: list[Any]) -> dict[str, list[Any]]:
    return {
        "stt": stt or [Ears("ears", clock)],
        "llm": llm or [Brain("brain", clock, ANSWER)],
        "tts": tts or [Voice("voice", clock)],
    }


@pytest.mark.parametrize("fault", EARS)
async def test_whoever_listens_fails_and_the_next_hears_it_all(fault: str) -> None:
    clock = FakeClock()
    first, second = EARS[fault](clock), Ears("second", clock)
    async with Rig(clock=clock, **stages(clock, [first, second], [], [])) as rig:
        assert await turn(rig) <= TURN_S
        assert rig.said == WORDS
        assert rig.errors == []
        assert [len(pcm) for pcm in second.heard] == [32_000]
        assert [name for name, _ in rig.board.failures] == ["first"]
        assert first.gone == 1


@pytest.mark.parametrize("fault", EARS)
async def test_without_another_stt_provider_the_reason_comes_in_time(fault: str) -> None:
    clock = FakeClock()
    async with Rig(clock=clock, **stages(clock, [EARS[fault](clock)], [], [])) as rig:
        assert await turn(rig) <= TURN_S + 0.05
        assert len(rig.errors) == 1
        assert rig.said == []


@pytest.mark.parametrize("fault", BRAINS)
async def test_a_model_fails_before_it_was_heard_and_the_next_is_asked(fault: str) -> None:
    clock = FakeClock()
    first, second = BRAINS[fault](clock), Brain("second", clock, ANSWER)
    async with Rig(clock=clock, **stages(clock, [], [first, second], [])) as rig:
        waited_s = await turn(rig)
        assert rig.errors == []
        assert waited_s <= TURN_S
        assert rig.said == WORDS
        assert first.gone >= 1


@pytest.mark.parametrize("fault", BRAINS)
async def test_there_is_no_other_model_and_the_reason_comes_in_time(fault: str) -> None:
    clock = FakeClock()
    async with Rig(clock=clock, **stages(clock, [], [BRAINS[fault](clock)], [])) as rig:
        assert await turn(rig) <= TURN_S + 0.05
        assert len(rig.errors) == 1
        assert rig.said == []
        assert len(rig.of(E.RESPONSE_CANCELLED)) == 1


@pytest.mark.parametrize(("how", "code"), [(lost(), "network_error"), (HANG, "timeout")])
async def test_a_model_that_breaks_off_in_mid_sentence_says_so_once(how: Any, code: str) -> None:
    clock = FakeClock()
    first = Brain("first", clock, ("One two three four. Five six", 0.1, how))
    second = Brain("second", clock, ANSWER)
    async with Rig(clock=clock, **stages(clock, [], [first, second], [])) as rig:
        await turn(rig)
        assert rig.said == ["One two three four.", BROKEN_OFF]
        assert second.prompts == [], "nothing that was heard begins again"
        assert rig.types()[-1] is E.RESPONSE_COMPLETED
        assert rig.board.failures == [("first", code)], "asked again as soon as the network may be back"


async def test_a_model_that_breaks_off_between_sentences_ends_the_turn_with_its_reason() -> None:
    clock = FakeClock()
    first = Brain("first", clock, ("One two three four. ", 0.1, lost()))
    async with Rig(clock=clock, **stages(clock, [], [first, Brain("second", clock)], [])) as rig:
        await turn(rig)
        assert rig.said == ["One two three four."]
        assert rig.errors == ["network_error"]
        assert [data["reason"] for data in rig.of(E.RESPONSE_CANCELLED)] == ["network_error"]


@pytest.mark.parametrize("fault", VOICES)
async def test_a_voice_fails_and_the_next_goes_on_without_a_word_twice(fault: str) -> None:
    clock = FakeClock()
    first, second = VOICES[fault](clock), Voice("second", clock, rate_hz=22_050)
    async with Rig(clock=clock, **stages(clock, [], [], [first, second])) as rig:
        assert await turn(rig) <= TURN_S
        assert rig.said == WORDS
        assert rig.errors == []
        assert {data["sample_rate"] for data in rig.of(E.AUDIO_OUTPUT_CHUNK)} == {24_000}
        if "in " in fault:
            assert WORDS[1 if "last" not in fault else 2] not in second.spoken
        assert rig.board.failures[0][0] == "first"
        assert rig.types()[-1] is E.RESPONSE_COMPLETED


@pytest.mark.parametrize("fault", VOICES)
async def test_there_is_no_other_voice_and_the_reason_comes_in_time(fault: str) -> None:
    clock = FakeClock()
    async with Rig(clock=clock, **stages(clock, [], [], [VOICES[fault](clock)])) as rig:
        assert await turn(rig) <= TURN_S + 0.05
        assert len(rig.said) == len(set(rig.said))
        assert rig.types()[-1] in (E.RESPONSE_CANCELLED, E.RESPONSE_COMPLETED)
        assert rig.errors or "last" in fault


class Silent(Voice):
    async def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        self.spoken.append(text)
        for _ in range(3):
            yield Clip(bytes(4800), self.rate_hz)


async def test_words_of_nothing_but_zeros_are_spoken_by_the_next_voice() -> None:
    clock = FakeClock()
    first, second = Silent("first", clock), Voice("second", clock)
    async with Rig(clock=clock, **stages(clock, [], [], [first, second])) as rig:
        assert await turn(rig) <= TURN_S
        assert (rig.said, first.spoken, second.spoken) == (WORDS, WORDS[:1], WORDS)
        assert rig.board.failures == [("first", "no_sound")]


async def test_a_fault_of_the_local_tts_is_reported_like_any_other() -> None:
    clock = FakeClock()
    voice = Voice("local", clock, kind="local", before={"*": LocalEngineError("crashed")})
    async with Rig(clock=clock, **stages(clock, [], [], [voice])) as rig:
        await turn(rig)
        assert rig.errors == ["engine_failed"]
        assert rig.board.failures == [], "it has a chain of its own"


async def test_a_conversation_that_is_too_long_is_shortened_once_and_asked_again() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, (ContextTooLong("too long"),), "Well.")
    async with Rig(clock=clock, llm=[brain]) as rig:
        for number in range(20):
            await rig.provider.add_history("user", f"question {number}")
            await rig.provider.add_history("assistant", f"answer {number}")
        await rig.type("and now")
        before, after = (len(prompt.messages) for prompt in brain.prompts)
        assert 1 <= after <= before * 0.6
        assert brain.prompts[1].messages[-1].text == "and now"
        assert rig.said == ["Well."]
        assert rig.board.failures == []


async def test_one_that_was_quick_and_hangs_is_soon_given_up_and_told() -> None:
    clock = FakeClock()
    first, second = Brain("first", clock, (HANG,)), Brain("second", clock, ANSWER)
    async with Rig(clock=clock, llm=[first, second]) as rig:
        for _ in range(5):
            rig.latencies.record(StageKind.LLM, "first", 0.2)
        assert await turn(rig) == pytest.approx(0.8, abs=0.06)
        assert rig.board.failures == [("first", "timeout")]


async def test_a_model_that_had_no_time_left_is_not_to_blame() -> None:
    clock = FakeClock()
    ears = Ears("ears", clock, steps=(1.9,))
    first, second = Brain("first", clock, (HANG,)), Brain("second", clock, (HANG,))
    async with Rig(clock=clock, stt=[ears], llm=[first, second]) as rig:
        assert await turn(rig) <= TURN_S + 0.05
        assert rig.errors == ["timeout"]
        assert [name for name, _ in rig.board.failures] == []


async def test_unhealthy_providers_are_tried_only_as_a_last_resort() -> None:
    clock = FakeClock()
    first, second = Brain("first", clock), Brain("second", clock)
    async with Rig(clock=clock, llm=[first, second]) as rig:
        rig.board.unhealthy = {"first"}
        await rig.type("hello")
        assert (len(first.prompts), len(second.prompts)) == (0, 1)
        rig.board.unhealthy = {"first", "second"}
        await rig.type("hello")
        assert (len(first.prompts), len(second.prompts)) == (1, 1)


STEP = st.sampled_from([None, 0.1, 0.7, 1.5, 5.0, "fail", "hang"])


def step(choice: Any) -> tuple[Any, ...]:
    return {None: (), "fail": (lost(),), "hang": (HANG,)}.get(choice, (choice,))


@examples(40, deadline=None)
@given(
    st.lists(STEP, min_size=2, max_size=2),
    st.lists(STEP, min_size=4, max_size=4),
    st.lists(STEP, min_size=4, max_size=4),
)
async def test_whatever_fails_there_is_an_answer_or_a_reason_in_time_and_no_word_twice(
    heard: list[Any], thought: list[Any], spoken: list[Any]
) -> None:
    clock = FakeClock()
    ears = [Ears(f"ears{n}", clock, steps=step(choice)) for n, choice in enumerate(heard)]
    brains = [
        Brain(
            f"brain{n}",
            clock,
            (*step(thought[2 * n]), "One two three four. ", *step(thought[2 * n + 1]), "Five six seven."),
        )
        for n in range(2)
    ]
    voices = [
        Voice(
            f"voice{n}",
            clock,
            before={WORDS[1]: step(spoken[2 * n])[0]} if step(spoken[2 * n]) else {},
            between={"*": step(spoken[2 * n + 1])[0]} if step(spoken[2 * n + 1]) else {},
        )
        for n in range(2)
    ]
    async with Rig(clock=clock, stt=ears, llm=brains, tts=voices) as rig:
        assert await turn(rig, until_s=30.0) <= TURN_S + 0.05
        assert len(rig.said) == len(set(rig.said)), "nothing is said twice"
        assert rig.types()[-1] in (E.RESPONSE_COMPLETED, E.RESPONSE_CANCELLED, E.ERROR_GENERAL), "it ends"
