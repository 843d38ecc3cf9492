"""The model may start before the end of speech; an answer to words that changed is never spoken."""

from tests.fakes import FakeClock, settle
from tests.providers.pipeline.rig import Rig
from tests.providers.pipeline.stage_fakes import Brain, Ears, Voice
from voxd.errors import ConnectionFailed
from voxd.events import EventType as E
from voxd.providers.pipeline.stages.contract import Transcription
from voxd.providers.pipeline.stt_chain import normalize


def heard(clock: FakeClock, *partials: object, text: str = "what time is it") -> Ears:
    return Ears("ears", clock, text, partials=partials)


async def test_words_that_stay_are_asked_before_the_end() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, (1.2, "It is noon."))
    ears = heard(clock, "what", "what time", "what time is it", text="What time is it?")
    async with Rig(clock=clock, stt=[ears], llm=[brain], early_start=True) as rig:
        await rig.speak()
        assert len(brain.prompts) == 1
        assert rig.of(E.RESPONSE_STARTED) == []
        await rig.provider.commit()
        committed = clock.now
        await clock.advance(1.0)
        assert rig.said == ["It is noon."]
        assert rig.at(E.AUDIO_OUTPUT_CHUNK) - committed < 1.0, "it was asked earlier"
        assert len(brain.prompts) == 1
        await rig.type("and now")
        assert brain.prompts[-1].messages[0].text == "What time is it?"


async def test_words_that_change_drop_the_answer_unheard() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, "Wrong answer.", "Right answer.")
    ears = heard(clock, "what time", *["what time"] * 20, text="what time is it in Rome")
    async with Rig(clock=clock, stt=[ears], llm=[brain], early_start=True) as rig:
        await rig.ask(1.0)
        assert len(brain.prompts) == 2
        assert rig.said == ["Right answer."]
        assert brain.gone == 2


async def test_a_later_partial_drops_what_was_begun_at_once() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, (5.0, "Wrong."), "Right.")
    ears = heard(clock, *["what time"] * 12, "what time is it")
    async with Rig(clock=clock, stt=[ears], llm=[brain], early_start=True) as rig:
        await rig.ask(1.0)
        assert brain.gone == 2
        assert rig.said == ["Right."]


async def test_a_vendors_stable_words_are_asked_at_once() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock)
    async with Rig(
        clock=clock,
        stt=[heard(clock, Transcription("what time is it", stable=True))],
        llm=[brain],
        early_start=True,
    ) as rig:
        await rig.speak(seconds=0.05)
        assert len(brain.prompts) == 1
        await rig.provider.commit()
        await rig.pass_time()
        assert rig.said == ["It is noon."]


async def test_an_early_answer_that_failed_is_asked_again_by_the_next_model() -> None:
    clock = FakeClock()
    first = Brain("first", clock, (ConnectionFailed("gone"),))
    ears = heard(clock, Transcription("what time is it", stable=True))
    async with Rig(clock=clock, stt=[ears], llm=[first, Brain("second", clock)], early_start=True) as rig:
        await rig.ask(0.1)
        assert rig.said == ["It is noon."]


async def test_it_is_off_unless_asked_for_and_with_middleware() -> None:
    async def same(message, next):  # type: ignore[no-untyped-def]
        return await next(message)

    for middleware, early in (((), False), ((same,), True)):
        clock = FakeClock()
        brain = Brain("brain", clock)
        ears = heard(clock, Transcription("what time is it", stable=True))
        async with Rig(clock=clock, stt=[ears], llm=[brain], middleware=middleware, early_start=early) as rig:
            await rig.speak()
            assert brain.prompts == []


async def test_sound_that_is_forgotten_takes_its_early_answer_along() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, (5.0, "Never."))
    ears = heard(clock, Transcription("what time is it", stable=True))
    async with Rig(clock=clock, stt=[ears], llm=[brain], early_start=True) as rig:
        await rig.speak()
        await rig.provider.clear_audio()
        await settle()
        assert brain.gone == 1
        await clock.advance(10)
        assert rig.said == []


async def test_words_that_came_to_nothing_take_their_early_answer_along() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, (5.0, "Never."))
    ears = heard(clock, Transcription("hm", stable=True), text="")
    async with Rig(clock=clock, stt=[ears], llm=[brain], early_start=True) as rig:
        await rig.ask()
        assert rig.errors == ["audio_too_short"]
        assert brain.gone == 1


async def test_the_voice_says_nothing_of_a_dropped_start() -> None:
    clock = FakeClock()
    voice = Voice("voice", clock)
    brain = Brain("brain", clock, "Wrong answer.", "Right answer.")
    ears = heard(clock, Transcription("what", stable=True))
    async with Rig(clock=clock, stt=[ears], llm=[brain], tts=[voice], early_start=True) as rig:
        await rig.ask(1.0)
        assert voice.spoken == ["Right answer."]


def test_only_words_count() -> None:
    assert normalize("What time is it?") == normalize(" what  time, is it") == "what time is it"
    assert normalize("It's 5 %") != normalize("It's 5 €")
