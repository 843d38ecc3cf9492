"""The end of the wake word, on speech where it is known, and what a recogniser makes of what follows."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pocketsphinx import Decoder

from tests.listen.speech import VOICES, Spoken, needs_flite, spoken
from tests.shared import MODELS, needs_shared
from voxd.config.schema import WakeWord
from voxd.frames import Frame, ms_from_samples, samples_from_ms
from voxd.listen.gate import ScoredCandidate, WakeDecision, WakeGate
from voxd.listen.utterance import LEAD_IN_SAMPLES
from voxd.listen.wake_detector import WakeDetector
from voxd.listen.wake_end import MARGIN_SAMPLES, NEEDED_SAMPLES, wake_end
from voxd.listen.wake_words import build, rule

GAPS_S = (0.0, 0.1, 0.3, 1.0)
COMMANDS = ("What time is it?", "Stop.", "Turn on the kitchen light.", "Yes.")


class Listener:
    """The two stages over a clip, in blocks of 40 ms."""

    def __init__(self, name: str) -> None:
        word = WakeWord(name=name)
        stages, _ = build((word,), Path("/nowhere"))
        gate = WakeGate()
        gate.configure({name: rule(word)})
        self._detector = WakeDetector(stages, gate, self._history)
        self._pcm = b""

    def wake_end(self, clip: Spoken) -> int:
        self._pcm = clip.pcm
        self._detector.reset()
        for start in range(0, len(clip.samples), 640):
            frame = Frame(start, self._pcm[2 * start : 2 * start + 1280])
            for decision in self._detector.feed(frame)[1]:
                if decision.accepted:
                    return wake_end(decision, self._history(decision.sample - NEEDED_SAMPLES, NEEDED_SAMPLES))
        pytest.fail("the wake word was not detected")

    def _history(self, start: int, count: int) -> Frame:
        missing = max(0, -start)
        return Frame(start, bytes(2 * missing) + self._pcm[2 * (start + missing) : 2 * (start + count)])

    def close(self) -> None:
        self._detector.close()


def captured(command: str) -> Iterator[np.ndarray]:
    """Yield, for every gap, what a turn would hand to the recogniser."""
    listener = Listener("hey_jarvis")
    for gap_s in GAPS_S:
        clip = spoken("hey jarvis", command, gap_s)
        start = max(listener.wake_end(clip), clip.command_start - LEAD_IN_SAMPLES)
        yield clip.samples[start : clip.command_end + samples_from_ms(700)]
    listener.close()


@needs_flite
@pytest.mark.parametrize("voice", VOICES)
def test_the_end_is_found_whatever_the_gap(voice: str) -> None:
    listener = Listener("hey_jarvis")
    late, early = [], []
    for command in COMMANDS[:3]:
        for gap_s in GAPS_S:
            clip = spoken("hey jarvis", command, gap_s, voice)
            end = listener.wake_end(clip)
            late.append(ms_from_samples(end - clip.command_start))
            early.append(ms_from_samples(clip.word_end - end))
    listener.close()
    assert sorted(late)[-2] <= 0, "the command is cut"
    assert max(late) <= 30, "the command is cut"
    assert max(early) <= 120, "the wake word is left in"


def test_without_any_dip_the_expected_place_is_taken() -> None:
    tone = (3_000 * np.sin(np.arange(NEEDED_SAMPLES) * 0.3)).astype(np.int16)
    decision = WakeDecision(ScoredCandidate("hey_jarvis", 14_000, 0.9, 0.9, 15_000), 16_000)
    assert abs(wake_end(decision, Frame(0, tone.tobytes())) - (14_000 - 800 - MARGIN_SAMPLES)) <= 160


def test_a_dip_near_the_expected_place_is_taken() -> None:
    tone = (3_000 * np.sin(np.arange(NEEDED_SAMPLES) * 0.3)).astype(np.int16)
    tone[12_400:12_900] = 0
    decision = WakeDecision(ScoredCandidate("hey_jarvis", 14_000, 0.9, 0.9, 15_000), 16_000)
    assert 12_400 <= wake_end(decision, Frame(0, tone.tobytes())) + MARGIN_SAMPLES <= 12_900


def test_with_hardly_any_sound_it_does_not_fail() -> None:
    decision = WakeDecision(ScoredCandidate("mine", 14_000, 0.9, 0.9, 14_000), 14_080)
    assert 12_000 < wake_end(decision, Frame(13_920, bytes(320))) <= 14_080


@needs_shared
@needs_flite
@pytest.mark.parametrize("command", COMMANDS)
def test_whisper_hears_the_same_command_for_every_gap_and_no_wake_word(command: str) -> None:
    from pywhispercpp.model import Model

    model = Model(
        str(MODELS / "whisper_closed_set/ggml-closed-set.en.bin"),
        print_progress=False,
        print_realtime=False,
        n_threads=1,
    )
    heard = []
    for samples in captured(command):
        parts = model.transcribe(samples.astype(np.float32) / 32768, audio_ctx=512)
        heard.append("".join(part.text for part in parts).strip())
    assert heard == [command] * len(GAPS_S)


@needs_flite
def test_pocketsphinx_hears_the_same_commands_for_every_gap_and_no_wake_word(tmp_path: Path) -> None:
    commands = ("what time is it", "turn on the kitchen light", "set a timer for five minutes")
    grammar = tmp_path / "commands.gram"
    grammar.write_text(
        "#JSGF V1.0;\ngrammar commands;\n"
        f"public <command> = [hey jarvis | jarvis] ({' | '.join(commands)});\n"
    )
    decoder = Decoder(loglevel="FATAL", lm=None)
    decoder.add_jsgf_file("commands", str(grammar))
    decoder.activate_search("commands")
    for command in commands:
        heard = []
        for samples in captured(command):
            decoder.start_utt()
            decoder.process_raw(samples.tobytes(), full_utt=True)
            decoder.end_utt()
            hypothesis = decoder.hyp()
            heard.append(hypothesis.hypstr if hypothesis else "")
        assert heard == [command] * len(GAPS_S)
