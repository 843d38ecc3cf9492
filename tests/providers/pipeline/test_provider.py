"""The pipeline holds the contract of every provider, and keeps what was heard."""

import pytest

from tests.fakes import FakeClock, settle
from tests.providers.contract import LONG, SHORT, Make, ProviderContract
from tests.providers.pipeline.rig import QUESTION, Rig
from tests.providers.pipeline.stage_fakes import HANG, Board, Brain, Ears, Voice
from voxd.clock import SystemClock
from voxd.errors import AudioError, AuthenticationError, ConnectionFailed, NotConnected
from voxd.events import EventType as E
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stages.contract import Prompt, ToolCall, Transcription
from voxd.providers.settings import SessionConfig

STORY = "Once upon a time there was a king. " * 20


class Teller(Brain):
    """Answers `LONG` with a story that stops in its second sentence until it is cut."""

    async def reply(self, prompt: Prompt):  # type: ignore[no-untyped-def]
        self.answers = (
            [("Once upon a time. There was ", HANG)] if prompt.messages[-1].text == LONG else ["Hi."]
        )
        async for item in super().reply(prompt):
            yield item


class TestContract(ProviderContract):
    @pytest.fixture
    def make(self) -> Make:
        def make() -> PipelineProvider:
            clock = SystemClock()
            rig = Rig(
                clock=clock,
                stt=[Ears("ears", clock, SHORT)],
                llm=[Teller("brain", clock)],
                tts=[Voice("voice", clock)],
            )  # type: ignore[arg-type]
            return PipelineProvider({"parts": rig.parts})

        return make

    @pytest.fixture
    def make_refused(self) -> Make:
        return lambda: PipelineProvider({"parts": Rig(board=Board(barred=("brain",))).parts})


async def test_a_spoken_question_is_understood_written_and_spoken() -> None:
    async with Rig(stt=[Ears("ears", FakeClock(), partials=("what", "what time"))]) as rig:
        await rig.ask()
        assert [(data["text"], data["is_partial"]) for data in rig.of(E.TEXT_TRANSCRIPTION)] == [
            ("what", True),
            ("what time", True),
            ("what time is it", False),
        ]
        assert rig.said == ["It is noon."]
        assert rig.of(E.TEXT_OUTPUT)[-1]["text"] == "It is noon."
        assert rig.sound_ms == pytest.approx(len("It is noon.") * 10, abs=2)
        assert rig.types()[-1] is E.RESPONSE_COMPLETED
        assert rig.errors == []


async def test_the_first_clause_is_heard_while_the_model_still_writes() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, ("In that case, ", 1.0, "I would stay here. ", 1.0, "Really."))
    async with Rig(clock=clock, llm=[brain]) as rig:
        await rig.type("shall I go", 0.0)
        assert rig.said == ["In that case,"]
        await clock.advance(1.0)
        assert rig.said == ["In that case,", "I would stay here."]
        await clock.advance(1.0)
        assert rig.said[-1] == "Really."
        assert rig.of(E.TEXT_OUTPUT)[-1]["text"] == "In that case, I would stay here. Really."


async def test_an_interruption_cancels_every_stage_and_keeps_what_was_heard() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, ("One two three four. Five six seven. ", HANG), "Well.")
    voice = Voice("voice", clock, between={"Five six seven.": HANG})
    async with Rig(clock=clock, llm=[brain], tts=[voice]) as rig:
        await rig.type("count")
        await rig.provider.interrupt(200.0 + 60.0)
        await settle()
        assert (brain.gone, voice.gone) == (1, 2)
        assert [data["reason"] for data in rig.of(E.RESPONSE_CANCELLED)] == ["client_cancelled"]
        seen = len(rig.events)
        await clock.advance(10)
        assert len(rig.events) == seen
        await rig.type("go on")
        assert [(line.role, line.text) for line in brain.prompts[-1].messages] == [
            ("user", "count"),
            ("assistant", "One two three four. Five"),
            ("user", "go on"),
        ]


async def test_a_reply_that_is_cut_after_it_was_complete_is_remembered_as_heard() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, "One two three four. Five six seven.", "Well.")
    async with Rig(clock=clock, llm=[brain]) as rig:
        await rig.type("count")
        await rig.provider.interrupt(100.0)
        await rig.type("go on")
        assert [line.text for line in brain.prompts[-1].messages] == ["count", "One two", "go on"]


async def test_a_question_that_was_interrupted_before_its_answer_leaves_nothing() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, (HANG,), "Well.")
    async with Rig(clock=clock, llm=[brain]) as rig:
        await rig.type("first")
        await rig.provider.interrupt(0.0)
        await rig.type("second")
        assert [line.text for line in brain.prompts[-1].messages] == ["first", "second"]
        assert rig.said == ["Well."]


async def test_tools_are_called_answered_and_told() -> None:
    clock = FakeClock()
    call = ToolCall("call_1", "get_time", '{"zone": "UTC"}')
    brain = Brain("brain", clock, ("Let me look. ", call), "It is noon.", raw={"thought": "signed"})
    other = Brain("other", clock, "Nothing.", kind="another")
    async with Rig(clock=clock, llm=[brain, other]) as rig:
        await rig.type("what time is it")
        assert rig.of(E.FUNCTION_CALL_INVOKED) == [
            {"function_name": "get_time", "arguments": {"zone": "UTC"}, "call_id": "call_1"}
        ]
        assert rig.said == ["Let me look."]
        await rig.provider.send_tool_result("call_1", "12:00")
        await rig.provider.request_response()
        await settle()
        assert rig.said == ["Let me look.", "It is noon."]
        _, called, result = brain.prompts[-1].messages
        assert (called.calls, called.raw, called.raw_of) == ((call,), {"thought": "signed"}, "brain")
        assert (result.role, result.text, result.call_id, result.tool) == (
            "tool",
            "12:00",
            "call_1",
            "get_time",
        )
        brain.answers = [NotConnected("gone")]
        await rig.type("and now")
        assert other.prompts[-1].messages[1].raw is None, "what one vendor signed is not for another"


async def test_arguments_that_are_not_an_object_are_reported_as_text() -> None:
    clock = FakeClock()
    async with Rig(clock=clock, llm=[Brain("brain", clock, (ToolCall("c", "f", "[1"),))]) as rig:
        rig.provider.on_event = rig.events.append
        await rig.type("go")
        assert rig.of(E.FUNCTION_CALL_INVOKED)[0]["arguments"] == "[1"


async def test_a_call_without_a_result_is_sent_as_not_run() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, (ToolCall("c", "f", "{}"),), "Well.")
    async with Rig(clock=clock, llm=[brain]) as rig:
        await rig.type("go")
        await rig.provider.interrupt()
        await rig.type("never mind")
        roles = [(line.role, line.ok) for line in brain.prompts[-1].messages]
        assert roles == [("user", True), ("assistant", True), ("tool", False), ("user", True)]


async def test_text_only_is_reported_as_the_model_writes_it() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, "**One** `two`.")
    voice = Voice("voice", clock)
    session = SessionConfig(modalities=("text",))
    async with Rig(clock=clock, llm=[brain], tts=[voice], session=session) as rig:
        await rig.type("go")
        assert "".join(rig.said[:1]) == "**One**"
        assert rig.of(E.TEXT_OUTPUT)[-1]["text"] == "**One** `two`. "
        assert voice.spoken == []
        assert rig.of(E.AUDIO_OUTPUT_STARTED, E.AUDIO_OUTPUT_STOPPED) == []


async def test_incomplete_text_is_reported_with_the_reason() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, ("One two", 0.1, ConnectionFailed("gone")))
    async with Rig(clock=clock, llm=[brain], session=SessionConfig(modalities=("text",))) as rig:
        await rig.type("go", 0.2)
        assert rig.said == ["One", "two"]
        assert rig.errors == ["network_error"]


async def test_too_little_sound_and_no_words_are_no_questions() -> None:
    async with Rig(stt=[Ears("ears", FakeClock(), "")]) as rig:
        with pytest.raises(AudioError):
            await rig.provider.commit()
        await rig.provider.send_audio(QUESTION[:1000])
        with pytest.raises(AudioError):
            await rig.provider.commit()
        await rig.ask()
        assert rig.errors == ["audio_too_short"]
        assert rig.of(E.RESPONSE_STARTED) == []


async def test_sound_that_is_cleared_is_forgotten() -> None:
    ears = Ears("ears", FakeClock())
    async with Rig(stt=[ears]) as rig:
        await rig.speak()
        await rig.provider.clear_audio()
        await settle()
        assert ears.gone == 1
        await rig.ask()
        assert [len(pcm) for pcm in ears.heard] == [len(QUESTION)]


async def test_a_new_question_ends_the_reply_under_way() -> None:
    clock = FakeClock()
    async with Rig(clock=clock, llm=[Brain("brain", clock, ("One two. Three", HANG), "Well.")]) as rig:
        await rig.type("first")
        await rig.type("second")
        assert [data["reason"] for data in rig.of(E.RESPONSE_CANCELLED)] == ["superseded"]
        assert rig.said == ["One two.", "Well."]


async def test_history_and_limits_reach_the_model() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock)
    session = SessionConfig(instructions="be a pirate", max_output_tokens=50)
    async with Rig(clock=clock, llm=[brain], session=session, temperature=0.5) as rig:
        await rig.provider.add_history("user", "I am Ada.")
        await rig.provider.add_history("assistant", "Hello Ada.")
        await rig.type("who am I")
        (prompt,) = brain.prompts
        assert (prompt.instructions, prompt.max_output_tokens, prompt.temperature) == ("be a pirate", 50, 0.5)
        assert [line.text for line in prompt.messages] == ["I am Ada.", "Hello Ada.", "who am I"]


async def test_the_usage_of_every_stage_is_reported_and_summed() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, kind="anthropic")
    brain.config = type(brain.config)("brain", "anthropic", model="claude-haiku-5-5")
    brain.key = 2
    async with Rig(clock=clock, stt=[Ears("ears", clock, kind="local")], llm=[brain]) as rig:
        await rig.ask()
        used = [data for type, data in rig.emit.events if type == E.PROVIDER_USED]
        assert {(data["provider"], data["stage"]) for data in used} == {
            ("ears", "stt"),
            ("brain", "llm"),
            ("voice", "tts"),
        }
        assert {data["stage"]: data["key"] for data in used} == {"stt": 0, "llm": 2, "tts": 0}
        costs = {data["stage"]: data["cost_usd"] for data in used}
        assert costs["stt"] == 0
        assert costs["llm"] == pytest.approx((100 * 0.10 + 10 * 0.50) / 1e6)
        assert costs["tts"] is None
        usage, cost = await rig.provider.get_usage(), await rig.provider.estimate_cost()
        assert usage is not None
        assert (usage.transcribed_seconds, usage.characters, usage.responses) == (1.0, 11, 1)
        assert cost is not None
        assert cost.total == pytest.approx(costs["llm"])
        assert cost.prices_of == "", "one price is not known"


async def test_nothing_runs_on_after_a_session_is_closed_in_mid_turn() -> None:
    clock = FakeClock()
    stages = Ears("ears", clock, steps=(HANG,)), Brain("brain", clock), Voice("voice", clock)
    async with Rig(clock=clock, stt=[stages[0]], llm=[stages[1]], tts=[stages[2]]) as rig:
        await rig.ask()
        await rig.provider.disconnect()
        assert stages[0].gone == 1
        with pytest.raises(NotConnected):
            await rig.provider.send_text("hello")


async def test_middleware_changes_what_is_said_and_answered_and_stops_it() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, "The secret is out. It is 42.")

    async def shout(message, next):  # type: ignore[no-untyped-def]
        return await next(type(message)(message.role, message.text.replace("42", "a number")))

    async def hush(message, next):  # type: ignore[no-untyped-def]
        return None if "secret" in message.text else await next(message)

    async with Rig(clock=clock, llm=[brain], middleware=(shout, hush)) as rig:
        await rig.type("is it 42")
        assert brain.prompts[0].messages[-1].text == "is it a number"
        assert rig.said == ["It is a number."]
        await rig.type("tell me the secret")
        assert rig.errors == ["message_stopped"]
        assert len(brain.prompts) == 1


async def test_middleware_that_fails_ends_the_turn_with_a_reason() -> None:
    async def broken(message, next):  # type: ignore[no-untyped-def]
        raise KeyError("x")

    async with Rig(middleware=(broken,)) as rig:
        await rig.type("hello")
        assert rig.errors == ["middleware_failed"]


async def test_a_vendors_stable_words_are_passed_on() -> None:
    async with Rig(stt=[Ears("ears", FakeClock(), partials=(Transcription("what", stable=True),))]) as rig:
        await rig.ask()
        assert rig.of(E.TEXT_TRANSCRIPTION)[0]["text"] == "what"


async def test_without_transcription_no_words_of_the_user_are_told() -> None:
    async with Rig(session=SessionConfig(transcription=False)) as rig:
        await rig.ask()
        assert rig.of(E.TEXT_TRANSCRIPTION) == []
        assert rig.said == ["It is noon."]


async def test_an_error_names_whose_it_is() -> None:
    clock = FakeClock()
    wrong = AuthenticationError("no such key", provider="brain")
    async with Rig(clock=clock, llm=[Brain("brain", clock, (wrong,))]) as rig:
        await rig.type("hello")
        (error,) = rig.of(E.ERROR_GENERAL)
        assert (error["code"], error["message"]) == ("invalid_api_key", "brain: no such key")
