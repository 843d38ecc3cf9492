"""The contract every voice keeps, on the real engines."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.local.speech import PIPER_VOICE, SILENT_PIPER
from tests.shared import needs_shared
from voxd.clock import SystemClock
from voxd.config.schema import Piper, Tts
from voxd.errors import DeadlineExceeded, LocalEngineError, ModelError
from voxd.frames import Clip
from voxd.local.chain import SpeakingEngine
from voxd.local.engines import EngineResources, piper_synthesizer
from voxd.local.programs import Program, ProgramSynthesizer, espeak, flite

NOWHERE = Path("/nonexistent")


def piper(voice: Path = PIPER_VOICE) -> SpeakingEngine:
    return piper_synthesizer(
        Tts(piper=Piper(voice=str(voice)), timeout_s=60), EngineResources(NOWHERE, SystemClock())
    )


ENGINES = [
    pytest.param(lambda: ProgramSynthesizer(flite("slt"), timeout_s=20), id="flite"),
    pytest.param(lambda: ProgramSynthesizer(espeak("en"), timeout_s=20), id="espeak"),
    pytest.param(piper, id="piper", marks=needs_shared),
]


@pytest.fixture
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[SpeakingEngine]:
    made: SpeakingEngine = request.param()
    yield made
    await made.close()


async def spoken(engine: SpeakingEngine, text: str) -> list[Clip]:
    return [clip async for clip in engine.synthesize(text)]


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
async def test_a_sentence_sounds_and_a_longer_one_sounds_longer(engine: SpeakingEngine) -> None:
    engine.prepare()
    short = await spoken(engine, "It is nine o'clock.")
    long = await spoken(engine, "It is nine o'clock in the morning on the first day of the year.")
    assert 0.5 < sum(clip.duration_s for clip in short) < sum(clip.duration_s for clip in long)
    assert {clip.rate_hz for clip in short + long} == {short[0].rate_hz}
    assert np.abs(np.frombuffer(short[0].pcm, "<i2").astype(int)).max() > 1000


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
@pytest.mark.parametrize("text", ["", "   ", "...", "?! -"])
async def test_text_without_a_word_is_silent(engine: SpeakingEngine, text: str) -> None:
    assert await spoken(engine, text) == []


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
@pytest.mark.parametrize("text", ["-o /tmp/owned --help", "$(reboot); `id` | x", 'say "so" \\ é 中 5%'])
async def test_text_is_never_an_option_or_a_command(engine: SpeakingEngine, text: str) -> None:
    assert sum(clip.duration_s for clip in await spoken(engine, text)) > 0.3


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
async def test_stopping_to_listen_leaves_the_engine_usable(engine: SpeakingEngine) -> None:
    clips = engine.synthesize("The first of these sentences is thrown away.")
    task = asyncio.ensure_future(anext(clips))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await clips.aclose()  # type: ignore[attr-defined]
    assert await spoken(engine, "Here I am.")


@needs_shared
async def test_a_voice_that_makes_no_sound_is_a_model_error() -> None:
    engine = piper(SILENT_PIPER)
    with pytest.raises(ModelError, match="no sound"):
        await spoken(engine, "Hello.")
    await engine.close()


async def test_a_broken_voice_is_a_model_error(tmp_path: Path) -> None:
    voice = tmp_path / "broken.onnx"
    voice.write_bytes(b"junk")
    voice.with_name("broken.onnx.json").write_text("{}")
    engine = piper(voice)
    with pytest.raises(ModelError, match="cannot be loaded"):
        await spoken(engine, "Hello.")
    await engine.close()


def script(tmp_path: Path, body: str) -> Program:
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Program("program", "nothing", lambda text, sound: (str(path), text, sound))


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ("echo out of luck >&2; exit 3", LocalEngineError, "exit status 3.*out of luck"),
        ("kill -SEGV $$", LocalEngineError, "SIGSEGV"),
        ("exit 0", LocalEngineError, "no sound"),
        ("head -c 100 /dev/zero > $2", LocalEngineError, "invalid WAV file"),
        ("exec sleep 60", DeadlineExceeded, "0.5 s"),
    ],
)
async def test_a_program_that_fails_says_why(
    tmp_path: Path, body: str, error: type[Exception], words: str
) -> None:
    engine = ProgramSynthesizer(script(tmp_path, body), timeout_s=0.5 if "sleep" in body else 20)
    with pytest.raises(error, match=words):
        await spoken(engine, "Hello.")


async def test_a_missing_program_names_its_package() -> None:
    program = Program("gone", "flite", lambda text, sound: ("/nonexistent/flite", text, sound))
    with pytest.raises(ModelError) as caught:
        await spoken(ProgramSynthesizer(program, timeout_s=5), "Hello.")
    assert "apt install flite" in caught.value.hint


async def test_the_text_is_not_on_the_command_line(tmp_path: Path) -> None:
    arguments = tmp_path / "arguments"
    program = script(tmp_path, f'echo "$@" > {arguments}; exit 1')
    with pytest.raises(LocalEngineError):
        await spoken(ProgramSynthesizer(program, timeout_s=20), "my secret")
    assert "secret" not in arguments.read_text()


async def test_a_hundred_sentences_leak_no_descriptor() -> None:
    engine = ProgramSynthesizer(flite("kal16"), timeout_s=20)
    await spoken(engine, "one")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        await spoken(engine, "two")
    assert len(os.listdir("/proc/self/fd")) <= before
