"""Fallback between engines, which is reported once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock, RecordingEmit
from tests.local.speech import BROKEN_WHISPER, PIPER_VOICE, WHISPER_MODEL, grammar, say, words_of
from tests.properties import examples
from tests.shared import needs_shared
from voxd.clock import SystemClock
from voxd.config.schema import Piper, Stt, Tts, Whisper
from voxd.errors import LocalEngineError
from voxd.frames import Clip
from voxd.local.chain import RETRY_S, EngineOrder, SynthesizerChain, TranscriberChain
from voxd.local.contract import LocalTranscript
from voxd.local.engines import build_synthesizer, build_transcriber

CLIP = Clip(bytes(320), 16_000)


class FakeTranscriber:
    loaded = True

    def __init__(self, name: str, *, works: bool = True) -> None:
        self.name = name
        self.works = works
        self.reason = "no luck"
        self.asked = 0
        self.prepared = 0

    def prepare(self) -> None:
        self.prepared += 1

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        self.asked += 1
        if not self.works:
            raise LocalEngineError(self.reason)
        return LocalTranscript("yes", self.name)

    async def close(self) -> None:
        self.loaded = False


class FakeSynthesizer(FakeTranscriber):
    def __init__(self, name: str, rate_hz: int, *, fails_at: str = "never", after_clip: bool = False) -> None:
        super().__init__(name)
        self.rate_hz = rate_hz
        self.fails_at = fails_at
        self.after_clip = after_clip
        self.said: list[str] = []

    async def synthesize(self, text: str) -> AsyncIterator[Clip]:
        if self.fails_at in text and not self.after_clip:
            raise LocalEngineError("no voice")
        self.said.append(text)
        yield Clip(bytes(2 * self.rate_hz), self.rate_hz)
        if self.fails_at in text:
            raise LocalEngineError("no voice")


def chain_of(*engines: FakeTranscriber) -> tuple[TranscriberChain, RecordingEmit, FakeClock]:
    emit, clock = RecordingEmit(), FakeClock()
    return TranscriberChain(engines, emit, clock), emit, clock


async def test_the_first_engine_answers_and_nothing_is_reported() -> None:
    first, second = FakeTranscriber("first"), FakeTranscriber("second")
    chain, emit, _ = chain_of(first, second)
    assert (await chain.transcribe(CLIP)).engine == "first"
    assert emit.events == []
    assert second.asked == 0


async def test_the_next_engine_answers_the_same_request_and_the_change_is_reported_once() -> None:
    first, second = FakeTranscriber("first", works=False), FakeTranscriber("second")
    chain, emit, clock = chain_of(first, second)
    for _ in range(3):
        assert (await chain.transcribe(CLIP)).engine == "second"
        await clock.advance(RETRY_S[0])
    assert emit.types() == ["engine.failed", "engine.changed"]
    assert emit.events[1][1] == {"kind": "stt", "engine": "second", "reason": "no luck"}
    status = chain.status()
    assert (status.configured, status.active, status.problem) == ("first", "second", "no luck")


async def test_a_failed_engine_rests_before_it_is_asked_again() -> None:
    first, second = FakeTranscriber("first", works=False), FakeTranscriber("second")
    chain, _, clock = chain_of(first, second)
    await chain.transcribe(CLIP)
    await chain.transcribe(CLIP)
    assert first.asked == 1
    await clock.advance(RETRY_S[0])
    await chain.transcribe(CLIP)
    assert first.asked == 2
    await clock.advance(RETRY_S[0])
    await chain.transcribe(CLIP)
    assert first.asked == 2


async def test_the_configured_engine_comes_back() -> None:
    first, second = FakeTranscriber("first", works=False), FakeTranscriber("second")
    chain, emit, clock = chain_of(first, second)
    await chain.transcribe(CLIP)
    first.works = True
    await clock.advance(RETRY_S[0])
    assert (await chain.transcribe(CLIP)).engine == "first"
    assert emit.events[-1] == ("engine.restored", {"kind": "stt", "engine": "first"})
    assert chain.status().problem == ""


async def test_another_reason_is_reported_again() -> None:
    first, second = FakeTranscriber("first", works=False), FakeTranscriber("second")
    chain, emit, clock = chain_of(first, second)
    await chain.transcribe(CLIP)
    first.reason = "worse luck"
    await clock.advance(RETRY_S[0])
    await chain.transcribe(CLIP)
    assert emit.types() == ["engine.failed", "engine.changed", "engine.failed"]
    assert chain.status().problem == "worse luck"


async def test_when_all_fail_the_error_is_raised_and_all_are_asked_again() -> None:
    first, second = FakeTranscriber("first", works=False), FakeTranscriber("second", works=False)
    chain, _, _ = chain_of(first, second)
    for _ in range(2):
        with pytest.raises(LocalEngineError):
            await chain.transcribe(CLIP)
    assert (first.asked, second.asked) == (2, 2)


async def test_prepare_warms_the_engine_that_will_be_asked() -> None:
    first, second = FakeTranscriber("first", works=False), FakeTranscriber("second")
    chain, _, _ = chain_of(first, second)
    await chain.transcribe(CLIP)
    chain.prepare()
    assert (first.prepared, second.prepared) == (0, 1)


def speakers(*engines: FakeSynthesizer) -> SynthesizerChain:
    return SynthesizerChain(engines, RecordingEmit(), FakeClock())


async def test_the_next_voice_goes_on_at_the_sentence_that_failed_at_the_same_rate() -> None:
    first, second = FakeSynthesizer("first", 22_050, fails_at="Two"), FakeSynthesizer("second", 16_000)
    clips = [clip async for clip in speakers(first, second).synthesize("One. Two. Three.")]
    assert (first.said, second.said) == (["One."], ["Two.", "Three."])
    assert {clip.rate_hz for clip in clips} == {22_050}
    assert [round(clip.duration_s, 2) for clip in clips] == [1.0, 1.0, 1.0]


async def test_a_sentence_that_was_begun_is_not_said_twice() -> None:
    first = FakeSynthesizer("first", 16_000, fails_at="Two", after_clip=True)
    second = FakeSynthesizer("second", 16_000)
    clips = [clip async for clip in speakers(first, second).synthesize("One. Two. Three.")]
    assert (first.said, second.said) == (["One.", "Two."], ["Three."])
    assert len(clips) == 3


RULES = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 1000)), max_size=30)


@examples(50)
@given(RULES)
def test_every_engine_is_always_tried_and_the_configured_one_is_never_forgotten(
    steps: list[tuple[str, bool, float]],
) -> None:
    order, now_s = EngineOrder(("a", "b", "c")), 0.0
    for name, works, wait_s in steps:
        order.note_success(name) if works else order.note_failure(name, "reason", now_s)
        now_s += wait_s
        assert sorted(order.to_try(now_s)) == ["a", "b", "c"]
        assert order.active in order.names
    assert order.to_try(now_s + max(RETRY_S)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("tts", "configured"),
    [
        (Tts(), "flite"),
        (Tts(language="de"), "espeak"),
        (Tts(engine="espeak"), "espeak"),
        (Tts(engine="piper"), "piper"),
        (Tts(engine="flite"), "flite"),
    ],
)
async def test_the_configuration_decides_which_engine_is_tried_first(
    tts: Tts, configured: str, tmp_path: Path
) -> None:
    chain = build_synthesizer(tts, models_dir=tmp_path, emit=RecordingEmit(), clock=SystemClock())
    assert chain.status().configured == configured
    assert sum([clip.duration_s async for clip in chain.synthesize("Hello there.")]) > 0.3
    await chain.close()


@needs_shared
async def test_auto_prefers_the_models_that_are_there(tmp_path: Path) -> None:
    clock, emit = SystemClock(), RecordingEmit()
    stt = build_transcriber(
        Stt(whisper=Whisper(model=str(WHISPER_MODEL))),
        models_dir=tmp_path,
        grammar=grammar(),
        emit=emit,
        clock=clock,
    )
    tts = build_synthesizer(
        Tts(piper=Piper(voice=str(PIPER_VOICE))), models_dir=tmp_path, emit=emit, clock=clock
    )
    assert (stt.status().configured, tts.status().configured) == ("whisper", "piper")


@needs_shared
async def test_pocketsphinx_answers_when_the_whisper_model_is_broken(tmp_path: Path) -> None:
    emit = RecordingEmit()
    chain = build_transcriber(
        Stt(engine="whisper", whisper=Whisper(model=str(BROKEN_WHISPER)), timeout_s=60),
        models_dir=tmp_path,
        grammar=grammar(),
        emit=emit,
        clock=SystemClock(),
    )
    heard = await chain.transcribe(await say("what time is it"))
    await chain.close()
    assert (words_of(heard.text), heard.engine) == ("what time is it", "pocketsphinx")
    assert emit.types() == ["engine.failed", "engine.changed"]
    assert "voxctl models" in chain.status().problem


async def test_a_missing_model_is_reported_before_the_first_request(tmp_path: Path) -> None:
    emit, clock = RecordingEmit(), SystemClock()
    stt = build_transcriber(Stt(engine="whisper"), models_dir=tmp_path, grammar="", emit=emit, clock=clock)
    tts = build_synthesizer(Tts(engine="piper"), models_dir=tmp_path, emit=emit, clock=clock)
    assert (stt.status().active, tts.status().active) == ("pocketsphinx", "flite")
    assert "voxctl models pull tiny.en" in stt.status().problem
    assert emit.types() == ["engine.failed", "engine.changed"] * 2


@needs_shared
@pytest.mark.parametrize("engine", ["auto", "piper"])
async def test_a_speaker_that_the_voice_does_not_have_is_reported_before_the_first_request(
    tmp_path: Path, engine: str
) -> None:
    piper = Piper(voice=str(PIPER_VOICE), speaker="anna")
    tts = build_synthesizer(
        Tts(engine=engine, piper=piper), models_dir=tmp_path, emit=RecordingEmit(), clock=SystemClock()
    )
    assert tts.status().active == "flite"
    assert "no speaker 'anna'" in tts.status().problem
    assert [clip async for clip in tts.synthesize("hello")]
    await tts.close()
