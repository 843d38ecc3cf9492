"""Whenever the user interrupts, all is silent at once and the next turn is whole."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock, settle
from tests.properties import examples
from tests.providers.pipeline.rig import Rig
from tests.providers.pipeline.stage_fakes import Brain, Ears, Voice
from voxd.events import EventType as E
from voxd.providers.pipeline.stages.contract import ToolCall

FIRST = ("One two three four. ", 0.4, "Five six ", 0.4, "seven. Eight nine ten. ", 0.3)
CALL = ToolCall("c1", "look", "{}")


@examples(40, deadline=None)
@given(
    st.floats(0.0, 3.0),
    st.one_of(st.none(), st.floats(0.0, 1000.0)),
    st.booleans(),
    st.booleans(),
)
async def test_whenever_it_happens_the_old_reply_is_over_and_the_next_is_whole(
    after_s: float, played_ms: float | None, early: bool, calls: bool
) -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, (*FIRST, CALL) if calls else FIRST, "All is well. Good night.")
    ears = Ears("ears", clock, partials=("what time is it",), steps=(0.3,))
    voice = Voice("voice", clock, before={"*": 0.2}, between={"*": 0.1})
    async with Rig(clock=clock, stt=[ears], llm=[brain], tts=[voice], early_start=early) as rig:
        await rig.ask(after_s)
        await rig.provider.interrupt(played_ms)
        seen = len(rig.events)
        await settle()
        await clock.advance(5.0)
        late = {event.type for event in rig.events[seen:]}
        assert not late & {E.TEXT_OUTPUT, E.AUDIO_OUTPUT_CHUNK, E.RESPONSE_STARTED, E.ERROR_GENERAL}
        assert voice.gone == len(voice.spoken), "no TTS request goes on"
        brain.answers = ["All is well. Good night."]
        await rig.type("go on", 5.0)
        assert rig.said[-2:] == ["All is well.", "Good night."]
        assert rig.types()[-1] is E.RESPONSE_COMPLETED
        messages = brain.prompts[-1].messages
        assert messages[-1].text == "go on"
        assert [line.role for line in messages].count("tool") == sum(len(line.calls) for line in messages)
        heard = next((line.text for line in messages if line.role == "assistant"), "")
        assert "One two three four. Five six seven. Eight nine ten.".startswith(heard)
        started, ended = rig.of(E.RESPONSE_STARTED), rig.of(E.RESPONSE_COMPLETED, E.RESPONSE_CANCELLED)
        assert [data["response_id"] for data in started] == [data["response_id"] for data in ended]
