"""The contract of every wake engine, and what becomes of words that cannot be detected."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.listen.speech import needs_flite, quiet, say
from tests.shared import MODELS, needs_shared
from voxd.config.schema import WakeWord
from voxd.errors import ModelError
from voxd.frames import Frame
from voxd.listen import openwakeword_onnx, tflite
from voxd.listen.microwakeword import MicroWakeWordEngine
from voxd.listen.openwakeword import OpenWakeWordEngine
from voxd.listen.openwakeword_onnx import OnnxWakeWordEngine
from voxd.listen.wake_engine import WakeEngine
from voxd.listen.wake_words import build, engines

ONNX = MODELS / "openwakeword"
needs_openwakeword = pytest.mark.skipif(
    not openwakeword_onnx.available(), reason="the extra `openwakeword` is not installed"
)


def onnx() -> WakeEngine:
    return OnnxWakeWordEngine({"hey_jarvis": str(ONNX / "hey_jarvis_v0.1.onnx")}, ONNX)


STAGES = [
    pytest.param(lambda: MicroWakeWordEngine(("alexa", "hey_jarvis")), id="micro"),
    pytest.param(lambda: OpenWakeWordEngine({"alexa": "", "hey_jarvis": ""}), id="open"),
    pytest.param(onnx, id="onnx", marks=[needs_openwakeword, needs_shared]),
]


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[WakeEngine]:
    made: WakeEngine = request.param()
    yield made
    made.close()


def sound() -> np.ndarray:
    return np.concatenate([quiet(2.0), say("hey jarvis"), quiet(1.0)])


def best(stage: WakeEngine, pcm: bytes, word: str = "hey_jarvis") -> float:
    stage.reset()
    return max(score.score for score in stage.feed(Frame(0, pcm)) if score.word == word)


@needs_flite
@pytest.mark.parametrize("stage", STAGES, indirect=True)
class TestEveryStage:
    def test_hears_its_word_and_not_the_room(self, stage: WakeEngine) -> None:
        assert best(stage, sound().tobytes()) > 0.5
        assert best(stage, quiet(4.0).tobytes()) < 0.1

    def test_does_not_take_one_phrase_for_another(self, stage: WakeEngine) -> None:
        other = np.concatenate([quiet(2.0), say("what time is it"), quiet(1.0)])
        assert best(stage, other.tobytes()) < 0.3

    def test_gives_the_same_scores_whatever_the_length_of_the_frames(self, stage: WakeEngine) -> None:
        samples = sound()
        # The openwakeword package fills its buffers with random numbers at every reset.
        np.random.seed(1)
        stage.reset()
        at_once = stage.feed(Frame(500, samples.tobytes()))
        np.random.seed(1)
        stage.reset()
        pieces = [
            score
            for start in range(0, len(samples), 700)
            for score in stage.feed(Frame(500 + start, samples[start : start + 700].tobytes()))
        ]
        assert [(s.word, s.sample) for s in pieces] == [(s.word, s.sample) for s in at_once]
        assert [s.score for s in pieces] == pytest.approx([s.score for s in at_once], abs=1e-3)

    def test_counts_samples_from_the_first_frame_after_a_reset(self, stage: WakeEngine) -> None:
        samples = sound()
        stage.reset()
        scores = stage.feed(Frame(1_000_000, samples.tobytes()))
        ends = [score.sample for score in scores]
        assert ends == sorted(ends)
        assert ends[0] > 1_000_000
        assert 1_000_000 + len(samples) - 1_280 <= ends[-1] <= 1_000_000 + len(samples)

    def test_scores_every_word_in_every_step(self, stage: WakeEngine) -> None:
        stage.reset()
        scores = stage.feed(Frame(0, sound().tobytes()))
        by_word = {word: [s.sample for s in scores if s.word == word] for word in stage.words}
        assert len({tuple(samples) for samples in by_word.values()}) == 1

    def test_trusts_its_score_after_its_context(self, stage: WakeEngine) -> None:
        samples = sound()
        stage.reset()
        last = samples[-stage.context_samples - 4_000 :]
        assert max(score.score for score in stage.feed(Frame(0, last.tobytes()))) > 0.3

    def test_may_be_closed_twice(self, stage: WakeEngine) -> None:
        stage.close()
        stage.close()


@needs_flite
def test_a_tflite_file_of_ones_own_is_heard_by_the_second_stage_alone() -> None:
    import pyopen_wakeword

    model = Path(pyopen_wakeword.__file__).parent / "models" / "hey_jarvis.tflite"
    word = WakeWord(name="computer", model=str(model))
    stages, problems = build((word,), Path("/nowhere"))
    assert (problems, stages.first) == ([], None)
    (alone,) = stages.alone
    assert best(alone, sound().tobytes(), "computer") > 0.5
    alone.close()


def test_the_engines_of_each_word() -> None:
    assert engines(WakeWord(name="alexa")).first == "microwakeword"
    assert engines(WakeWord(name="hey_rhasspy")).first == ""
    assert engines(WakeWord(name="mine", model="/any/file.onnx")).second == "openwakeword (onnx)"


def test_a_word_that_cannot_be_heard_is_reported_and_the_others_work(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"not a model")
    import pymicro_wakeword

    foreign = Path(pymicro_wakeword.__file__).parent / "models" / "alexa.tflite"
    words = (
        WakeWord(name="alexa"),
        WakeWord(name="hey_rhasspy"),
        WakeWord(name="unknown"),
        WakeWord(name="gone", model=str(tmp_path / "gone.tflite")),
        WakeWord(name="broken", model=str(broken)),
        WakeWord(name="foreign", model=str(foreign)),
        WakeWord(name="text", model="/etc/hostname"),
        WakeWord(name="off", model="/nowhere.tflite", enabled=False),
    )
    stages, problems = build(words, tmp_path)
    assert stages.first is not None
    assert (stages.first.words, [stage.words for stage in stages.alone]) == (
        ("alexa",),
        [("hey_rhasspy",)],
    )
    assert {problem.word for problem in problems} == {"unknown", "gone", "broken", "foreign", "text"}
    assert all(problem.error.hint for problem in problems)
    for stage in (stages.first, *stages.alone):
        stage.close()


def test_an_onnx_word_without_its_package_or_front_end_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        OnnxWakeWordEngine({"computer": str(tmp_path / "computer.onnx")}, tmp_path)
    expected = "voxctl models pull" if openwakeword_onnx.available() else "pip install"
    assert expected in caught.value.hint


def test_the_second_stage_is_read_ahead_but_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("os.posix_fadvise", lambda fd, *_: asked.append(os.fstat(fd).st_size))
    stages, _ = build((WakeWord(name="alexa"),), Path("/nowhere"))
    assert len(asked) == 3
    assert min(asked) > 100_000
    assert stages.first is not None
    stages.first.close()


def test_nothing_is_told_to_the_terminal_when_the_second_stage_is_made() -> None:
    """In a process of its own: the library says it once."""
    script = (
        "from voxd.listen.openwakeword import OpenWakeWordEngine; OpenWakeWordEngine({'alexa': ''}).close()"
    )
    made = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)
    assert made.stderr == b""


def test_the_front_end_runs_on_one_thread_and_as_before() -> None:
    from pyopen_wakeword import OpenWakeWordFeatures

    samples = np.random.default_rng(3).normal(0, 800, 32_000).astype(np.int16).tobytes()
    plain = OpenWakeWordFeatures.from_builtin(libtensorflowlite_c_path=tflite.library_path())
    plain.new_audio_samples = 0
    fast = OpenWakeWordEngine({"alexa": ""})
    expected = [np.array(embedding) for embedding in plain.process_streaming(samples)]
    got = [np.array(embedding) for embedding in fast._features.process_streaming(samples)]
    assert len(got) == len(expected) > 10
    assert max(float(np.abs(a - b).max()) for a, b in zip(got, expected, strict=True)) < 1e-2
    plain.close()
    fast.close()
