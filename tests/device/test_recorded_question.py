"""Recorded questions with and without a wake word before them."""

import asyncio
from pathlib import Path

import pytest

from tests.device.conftest import DeviceRig
from tests.listen.speech import needs_flite
from tests.rig.speech import question, say
from voxd.audio.files import read_wav
from voxd.config.schema import WakeWord
from voxd.device.recorded_question import without_wake_word
from voxd.frames import SAMPLE_RATE_HZ, Clip

WORDS = (WakeWord(name="hey_jarvis"), WakeWord(name="unknown_word"))
NOWHERE = Path("/nowhere")


@needs_flite
@pytest.mark.parametrize("gap_s", [0.0, 0.3, 1.0])
def test_only_the_wake_word_is_cut_off(tmp_path: Path, gap_s: float) -> None:
    recorded = read_wav(question("what time is it", tmp_path, gap_s=gap_s))
    asked = without_wake_word(recorded, WORDS, NOWHERE)
    command = say("what time is it", tmp_path)
    assert recorded.pcm.endswith(asked.pcm)
    assert 0 < asked.duration_s - command.duration_s - gap_s < 0.3


@needs_flite
@pytest.mark.parametrize("words", [WORDS, (), (WakeWord(name="hey_jarvis", enabled=False),)])
def test_a_recording_without_a_wake_word_is_unchanged(tmp_path: Path, words: tuple[WakeWord, ...]) -> None:
    asked = say("what time is it", tmp_path)
    assert without_wake_word(asked, words, NOWHERE) == asked


@needs_flite
def test_a_wake_word_said_later_belongs_to_the_question(tmp_path: Path) -> None:
    later = say("please set a timer for ten minutes and then tell me all about hey jarvis", tmp_path)
    assert later.duration_s > 4
    assert without_wake_word(later, WORDS, NOWHERE) == later


@pytest.mark.parametrize("samples", [0, 1, SAMPLE_RATE_HZ])
def test_silence_is_not_a_wake_word(samples: int) -> None:
    clip = Clip(bytes(2 * samples), SAMPLE_RATE_HZ)
    assert without_wake_word(clip, WORDS, NOWHERE) == clip


@needs_flite
async def test_a_recorded_question_with_a_wake_word_is_answered(rig: DeviceRig, tmp_path: Path) -> None:
    daemon = await rig.start()
    recorded = await asyncio.to_thread(question, "what time is it", tmp_path, gap_s=0.0)
    answered = await daemon.appliance.ask_audio(recorded.read_bytes(), speak=False)
    assert (answered.transcript, answered.outcome) == ("what time is it", "answered")
    assert set(answered.stages_ms) == {"transcribe", "think"}
