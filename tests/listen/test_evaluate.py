"""How recordings are sorted, and that the evaluation finds what is there to find."""

import shutil
import wave
from pathlib import Path

import numpy as np
import pytest

from tests.listen.speech import needs_flite, quiet, say
from tests.shared import AUDIO, needs_shared
from voxd.config.schema import WakeWord
from voxd.errors import ModelError, NotFound
from voxd.listen.evaluate import evaluate
from voxd.listen.recordings import UnreadableRecording, find, load

NOWHERE = Path("/nowhere")


def write(path: Path, samples: np.ndarray, rate_hz: int = 16_000, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(channels)
        wav.setsampwidth(2)
        wav.setframerate(rate_hz)
        wav.writeframes(np.repeat(samples.astype(np.int16), channels).tobytes())


@pytest.mark.parametrize(
    ("name", "positive", "negative"),
    [
        ("pv_alexa/17.flac", {"alexa"}, {"hey_jarvis"}),
        ("alexa/any name.wav", {"alexa"}, {"hey_jarvis"}),
        ("oww/alexa_test.wav", {"alexa"}, {"hey_jarvis"}),
        ("synth/hey_jarvis__flite_slt.wav", {"hey_jarvis"}, {"alexa"}),
        ("synth/Hey-Jarvis.WAV", {"hey_jarvis"}, {"alexa"}),
        ("asr/alexa_turn_off_dining_room.wav", set(), {"hey_jarvis"}),
        ("asr/what_time_is_it.wav", set(), {"alexa", "hey_jarvis"}),
        ("hey_marvin.wav", set(), {"alexa", "hey_jarvis"}),
    ],
)
def test_recordings_are_sorted_by_name(
    tmp_path: Path, name: str, positive: set[str], negative: set[str]
) -> None:
    write(tmp_path / name, np.zeros(160))
    (recording,) = find(tmp_path, ("alexa", "hey_jarvis"), {})
    assert (set(recording.positive), set(recording.negative)) == (positive, negative)


def test_a_glob_names_the_positives_instead(tmp_path: Path) -> None:
    for name in ("a/1.wav", "b/alexa.wav", "c/1.wav"):
        write(tmp_path / name, np.zeros(160))
    named, left_out, other = find(tmp_path, ("alexa",), {"alexa": ("a/*",)})
    assert (set(named.positive), set(named.negative)) == ({"alexa"}, set())
    assert (set(left_out.positive), set(left_out.negative)) == (set(), set())
    assert (set(other.positive), set(other.negative)) == (set(), {"alexa"})


def test_other_files_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to hear")
    assert list(find(tmp_path, ("alexa",), {})) == []
    with pytest.raises(NotFound):
        evaluate(tmp_path, (WakeWord(name="alexa"),), models_dir=NOWHERE)


def test_other_rates_and_channels_are_converted(tmp_path: Path) -> None:
    write(tmp_path / "wide.wav", np.full(48_000, 1_000), 48_000, channels=2)
    pcm = np.frombuffer(load(tmp_path / "wide.wav"), np.int16)
    assert len(pcm) == 16_000
    assert abs(int(pcm[8_000]) - 1_000) < 10


def test_a_broken_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFFnothing")
    with pytest.raises(UnreadableRecording):
        load(tmp_path / "broken.wav")


@needs_flite
def test_every_engine_is_judged_by_recall_and_false_accepts(tmp_path: Path) -> None:
    write(tmp_path / "hey_jarvis" / "1.wav", say("hey jarvis"))
    write(tmp_path / "hey_jarvis" / "not really.wav", say("good morning"))
    write(tmp_path / "other" / "speech.wav", np.concatenate([say("what time is it"), quiet(1.0)]))
    write(tmp_path / "other" / "trap.wav", say("hey jarvis"))
    (tmp_path / "other" / "broken.wav").write_bytes(b"RIFF")
    seen: list[tuple[int, int]] = []
    report = evaluate(
        tmp_path,
        (WakeWord(name="hey_jarvis"), WakeWord(name="hey_rhasspy")),
        models_dir=NOWHERE,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [path for path, _ in report.unreadable] == ["other/broken.wav"]
    assert seen[-1] == (5, 5)
    jarvis, rhasspy = report.words
    assert (jarvis.positives, jarvis.negatives) == (2, 2)
    assert len(jarvis.engines) == 3
    for engine in jarvis.engines:
        assert (engine.recalled, engine.false_accepts) == (1, 1), engine.engine
        assert (engine.missed, engine.wrong) == (("hey_jarvis/not really.wav",), ("other/trap.wav",))
        assert engine.cpu_percent > 0
    assert (rhasspy.positives, rhasspy.negatives, len(rhasspy.engines)) == (0, 4, 2)


def test_a_word_that_cannot_be_loaded_ends_the_evaluation(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.zeros(16_000))
    with pytest.raises(ModelError):
        evaluate(tmp_path, (WakeWord(name="unheard_of"),), models_dir=NOWHERE)


@needs_shared
def test_real_voices_are_recalled_and_real_speech_is_not_taken_for_the_word(tmp_path: Path) -> None:
    for number in range(2, 32, 2):
        (tmp_path / "alexa").mkdir(exist_ok=True)
        shutil.copy(AUDIO / "pv_alexa" / f"{number}.flac", tmp_path / "alexa")
    for path in (AUDIO / "asr" / "pocketsphinx_librivox").glob("*.wav"):
        shutil.copy(path, tmp_path)
    report = evaluate(tmp_path, (WakeWord(name="alexa"),), models_dir=NOWHERE)
    ours = report.words[0].engines[-1]
    assert ours.engine == "two stages at 0.3/0.3"
    assert (ours.recalled, ours.false_accepts) == (report.words[0].positives, 0)
    assert report.words[0].positives >= 14
    assert report.words[0].negative_minutes > 0.3
