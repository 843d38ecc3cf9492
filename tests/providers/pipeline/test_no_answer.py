"""An answer without words is none: the next model is asked, and at last the user is told why."""

from typing import Any

import pytest

from tests.fakes import FakeClock
from tests.providers.pipeline.rig import Rig
from tests.providers.pipeline.stage_fakes import Board, Brain
from tests.providers.pipeline.test_turns import answer, live, real
from voxd.errors import NoAnswer
from voxd.events import EventType as E
from voxd.providers.contract import ReplyText, Request
from voxd.providers.pipeline.middleware import MiddlewareMessage, Next
from voxd.providers.pipeline.stages.contract import Completion, ToolCall
from voxd.providers.settings import SessionConfig, ToolSpec
from voxd.providers.tools import MAX_SAME_CALLS, MAX_TOOL_ROUNDS, NOT_RUN, tool

ENDS: list[tuple[Completion, str]] = [
    (Completion("stop"), "empty_answer"),
    (Completion("tool_calls"), "empty_answer"),
    (Completion("length"), "answer_cut_off"),
    (Completion("refusal"), "answer_filtered"),
]
TEXT = SessionConfig(modalities=("text",))


@pytest.mark.parametrize(("end", "code"), ENDS, ids=lambda each: getattr(each, "reason", each))
@pytest.mark.parametrize("said", ["", " \n", "```\n```", "* * *"])
async def test_the_next_model_answers_for_one_that_has_nothing_to_say(
    end: Completion, code: str, said: str
) -> None:
    clock, board = FakeClock(), Board()
    silent, other = Brain("silent", clock, (said, end)), Brain("other", clock, "It is noon.")
    async with Rig(clock=clock, llm=[silent, other], board=board) as rig:
        await rig.type("what time is it")
        assert (rig.said, rig.errors) == (["It is noon."], [])
        assert board.failures == [], "the service of the vendor is in order"
    async with Rig(clock=clock, llm=[Brain("silent", clock, (said, end))], board=board) as rig:
        await rig.type("what time is it")
        assert (rig.said, rig.errors) == ([], [code])
        assert rig.of(E.RESPONSE_COMPLETED) == []
        assert board.failures == []


async def test_the_tokens_of_an_answer_without_words_are_counted() -> None:
    clock = FakeClock()
    async with Rig(clock=clock, llm=[Brain("silent", clock, ""), Brain("other", clock, "Noon.")]) as rig:
        await rig.type("what time is it")
        usage = await rig.provider.get_usage()
        assert usage is not None
        assert usage.input_text_tokens == 200


@pytest.mark.parametrize("said", ["Yes.", "\N{THUMBS UP SIGN}"])
async def test_a_reader_is_content_with_what_cannot_be_spoken(said: str) -> None:
    clock = FakeClock()
    async with Rig(clock=clock, llm=[Brain("brain", clock, said)], session=TEXT) as rig:
        await rig.type("is it noon")
        assert ("".join(rig.said), rig.errors) == (said, [])


async def test_words_before_a_limit_or_a_filter_are_an_answer() -> None:
    clock = FakeClock()
    brain = Brain(
        "brain", clock, ("I may not say.", Completion("refusal")), ("One two", Completion("length"))
    )
    async with Rig(clock=clock, llm=[brain, Brain("other", clock, "Never.")]) as rig:
        await rig.type("one")
        await rig.type("two")
        assert (rig.said, rig.errors) == (["I may not say.", "One two"], [])


async def test_an_answer_that_the_middleware_stops_as_a_whole_is_told() -> None:
    async def silence(message: MiddlewareMessage, next: Next) -> MiddlewareMessage | None:
        return await next(message) if message.role == "user" else None

    async with Rig(middleware=(silence,)) as rig:
        await rig.type("what time is it")
        assert (rig.said, rig.errors) == ([], ["message_stopped"])


async def test_silence_behind_a_tool_is_no_answer() -> None:
    clock = FakeClock()
    call = ToolCall("c1", "get_time", "{}")
    silent, other = Brain("silent", clock, (call,), ""), Brain("other", clock, "It is noon.")
    async with Rig(clock=clock, llm=[silent, other]) as rig:
        await rig.type("what time is it")
        assert rig.errors == []
        await rig.provider.send_tool_result("c1", "12:00")
        await rig.provider.request_response()
        await rig.pass_time()
        assert (rig.said, rig.errors) == (["It is noon."], [])
        assert other.prompts[-1].messages[-1].text == "12:00"


async def test_a_model_that_calls_a_tool_instead_of_answering_is_left_for_the_next() -> None:
    clock = FakeClock()
    session = SessionConfig(tools=(ToolSpec("get_time", "", {"type": "object"}),))
    call = ToolCall("c1", "get_time", "{}")
    looping, other = Brain("looping", clock, (call,)), Brain("other", clock, "It is noon.")
    async with Rig(clock=clock, llm=[looping, other], session=session) as rig:
        await rig.type("what time is it")
        await rig.provider.send_tool_result("c1", NOT_RUN)
        await rig.provider.request_answer()
        await rig.pass_time()
        assert [prompt.may_call for prompt in looping.prompts] == [True, False]
        assert (rig.said, rig.errors) == (["It is noon."], [])
    async with Rig(clock=clock, llm=[looping], session=session) as rig:
        await rig.provider.request_answer()
        await rig.pass_time()
        assert rig.errors == ["tool_loop"]
        assert rig.of(E.FUNCTION_CALL_INVOKED) == []


async def test_calls_beside_a_last_answer_are_left_out() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, ("It is noon.", ToolCall("c1", "get_time", "{}")))
    async with Rig(clock=clock, llm=[brain]) as rig:
        await rig.provider.request_answer()
        await rig.pass_time()
        assert rig.said == ["It is noon."]
        assert rig.of(E.FUNCTION_CALL_INVOKED) == []


@pytest.mark.parametrize(
    ("arguments", "most"), [("different", MAX_TOOL_ROUNDS), ("the same", MAX_SAME_CALLS)], ids=str
)
async def test_a_model_that_calls_on_and_on_has_to_answer(arguments: str, most: int) -> None:
    brains: list[Brain] = []
    runs: list[int] = []

    def look(day: int) -> str:
        runs.append(day)
        return "nothing"

    def calls(day: int) -> Any:
        return (ToolCall("call_0", "look", f'{{"day": {day if arguments == "different" else 0}}}'),)

    def make(clock: Any) -> list[Brain]:
        brains.append(Brain("brain", clock, *map(calls, range(most + 1)), "I found nothing."))
        return brains

    rig = real(llm=make)
    provider = live(rig, tool(look))
    items = await answer(provider, Request("t1", "default", text="look"))
    assert [item.text for item in items if isinstance(item, ReplyText)] == ["I found nothing."]
    assert len(runs) == most
    last = brains[0].prompts[-1]
    assert (last.may_call, last.messages[-1].text) == (False, NOT_RUN)
    assert [data["rounds"] for type, data in rig.emit.events if type == "function.stopped"] == [most]
    await provider.close()


async def test_one_that_only_calls_tools_ends_with_a_reason() -> None:
    call = (ToolCall("call_0", "look", "{}"),)
    provider = live(real(llm=lambda clock: [Brain("brain", clock, call)]), tool(lambda: "x", name="look"))
    with pytest.raises(NoAnswer) as caught:
        await answer(provider, Request("t1", "default", text="look"))
    assert caught.value.code == "tool_loop"
    await provider.close()
