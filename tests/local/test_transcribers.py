"""The contract every speech recogniser keeps, on the real engines."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from tests.listen.speech import needs_flite
from tests.local.speech import (
    BROKEN_WHISPER,
    CLOSED_SET,
    SENTENCES,
    WHISPER_MODEL,
    grammar,
    say,
    say_all,
    words_of,
)
from tests.rig.speech import question
from tests.rig.speech import say as rig_say
from tests.shared import needs_shared
from voxd.audio.files import read_wav
from voxd.clock import SystemClock
from voxd.config.schema import Stt, Whisper
from voxd.errors import InvalidRequest, ModelError
from voxd.frames import Clip
from voxd.local.adapters import WorkerTranscriber
from voxd.local.engines import EngineResources, sphinx_transcriber, whisper_transcriber
from voxd.skills.understanding.jsgf import to_jsgf

Make = Callable[..., WorkerTranscriber]
NOWHERE = Path("/nonexistent")


def whisper(model: Path = WHISPER_MODEL) -> WorkerTranscriber:
    stt = Stt(whisper=Whisper(model=str(model), threads=1), timeout_s=60)
    return whisper_transcriber(stt, EngineResources(NOWHERE, SystemClock()))


def sphinx(jsgf: str | None = None) -> WorkerTranscriber:
    return sphinx_transcriber(
        Stt(timeout_s=60), EngineResources(NOWHERE, SystemClock(), grammar() if jsgf is None else jsgf)
    )


ENGINES = [
    pytest.param(sphinx, id="pocketsphinx"),
    pytest.param(whisper, id="whisper", marks=needs_shared),
]


@pytest.fixture
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[WorkerTranscriber]:
    made: WorkerTranscriber = request.param()
    yield made
    await made.close()


def noise(seconds: float, dbfs: float) -> Clip:
    samples = np.random.default_rng(7).normal(0, 32768 * 10 ** (dbfs / 20), round(seconds * 16_000))
    return Clip(np.clip(samples, -32768, 32767).astype("<i2").tobytes(), 16_000)


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
async def test_a_command_is_recognised_and_signed(engine: WorkerTranscriber) -> None:
    engine.prepare()
    for sentence in ("what time is it", "set a timer for five minutes"):
        heard = await engine.transcribe(await say(sentence))
        assert words_of(heard.text) == sentence
        assert heard.engine == engine.name


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
@pytest.mark.parametrize(
    "clip",
    [
        Clip(b"", 16_000),
        Clip(bytes(100), 16_000),
        Clip(bytes(64_000), 16_000),
        noise(2, -75),
        noise(3, -40),
        noise(3, -25),
    ],
    ids=["nothing", "3 ms", "zeros", "quiet noise", "noise", "loud noise"],
)
async def test_a_clip_without_speech_has_an_empty_transcript(engine: WorkerTranscriber, clip: Clip) -> None:
    assert (await engine.transcribe(clip)).text == ""


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
async def test_another_rate_is_refused(engine: WorkerTranscriber) -> None:
    with pytest.raises(InvalidRequest):
        await engine.transcribe(Clip(bytes(100), 8_000))


@needs_shared
async def test_whisper_recognises_every_command_of_its_set() -> None:
    engine = whisper()
    commands = (CLOSED_SET / "commands.txt").read_text().splitlines()
    clips = await say_all(commands)
    heard = [(await engine.transcribe(clip)).text for clip in clips]
    await engine.close()
    assert heard == commands


@needs_shared
async def test_a_whisper_file_without_weights_is_a_model_error() -> None:
    engine = whisper(BROKEN_WHISPER)
    with pytest.raises(ModelError, match="no weights"):
        await engine.transcribe(await say("stop"))
    await engine.close()


async def test_a_file_that_is_not_a_model_is_a_model_error(tmp_path: Path) -> None:
    path = tmp_path / "ggml-junk.bin"
    path.write_bytes(b"not a model" * 100)
    engine = whisper(path)
    with pytest.raises(ModelError, match="not a Whisper model"):
        await engine.transcribe(noise(1, -20))
    await engine.close()


async def test_a_missing_model_names_the_command_that_fetches_it(tmp_path: Path) -> None:
    engine = whisper_transcriber(Stt(), EngineResources(tmp_path, SystemClock()))
    with pytest.raises(ModelError) as caught:
        await engine.transcribe(noise(1, -20))
    assert "voxctl models pull tiny.en" in caught.value.hint


async def test_pocketsphinx_does_not_make_a_command_of_another_sentence() -> None:
    engine = sphinx()
    others = ["who won the world cup", "read me a story", "how do i get to the station"]
    heard = [(await engine.transcribe(clip)).text for clip in await say_all(others)]
    await engine.close()
    assert heard[0].endswith("won the world cup")
    assert not set(SENTENCES) & set(heard)


@needs_flite
@pytest.mark.parametrize(
    ("voice", "sentence", "word_left_s"),
    [
        # With the end of "jarvis" before it the grammar explains the sound worse than "what they said".
        ("slt", "what day is it", 0.12),
        # The grammar is surer of two minutes.
        ("rms", "set a timer for ten minutes", 0.23),
    ],
)
async def test_pocketsphinx_recognises_a_command_spoken_together_with_the_wake_word(
    tmp_path: Path, voice: str, sentence: str, word_left_s: float
) -> None:
    said = read_wav(question(sentence, tmp_path, gap_s=0.0, voice=voice))
    word_s = rig_say("hey jarvis", tmp_path, voice=voice).duration_s
    command = said.pcm[2 * round((word_s - word_left_s) * 16_000) :]
    engine = sphinx(to_jsgf([], bool))
    heard = await engine.transcribe(Clip(command + bytes(22_400), 16_000))
    await engine.close()
    assert heard.text == sentence


async def test_a_word_without_pronunciation_does_not_break_the_grammar() -> None:
    engine = sphinx("#JSGF V1.0;\ngrammar g;\npublic <c> = turn on the xyzzyplugh | good morning;")
    heard = await engine.transcribe(await say("good morning"))
    await engine.close()
    assert heard.text == "good morning"


@pytest.mark.parametrize("jsgf", ["", "not a grammar", "#JSGF V1.0;\ngrammar g;\npublic <c> = xyzzyplugh;"])
async def test_without_a_usable_grammar_pocketsphinx_uses_open_recognition(jsgf: str) -> None:
    engine = sphinx(jsgf)
    heard = await engine.transcribe(await say("good morning"))
    await engine.close()
    assert heard.text.endswith("ning")
