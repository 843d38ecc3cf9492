"""The quality of a sound: known sounds give known numbers, and each fault its own advice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.properties import examples
from voxd.audio.sound import FLOOR_DBFS, dbfs
from voxd.frames import SAMPLE_RATE_HZ
from voxd.listen.quality import Quality, find_problems, measure

CHANCE = np.random.default_rng(7)


def noise(level_dbfs: float, seconds: float) -> NDArray[np.float64]:
    return CHANCE.normal(0, 32_768 * 10 ** (level_dbfs / 20), round(seconds * SAMPLE_RATE_HZ))


def tone(level_dbfs: float, seconds: float, hz: float = 437.0) -> NDArray[np.float64]:
    at = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return np.sqrt(2) * 32_768 * 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hz * at)


def utterance(speech_dbfs: float, noise_dbfs: float) -> NDArray[np.float64]:
    """Half a second of room, a second of voice, 0.7 s of room."""
    sound = noise(noise_dbfs, 2.2)
    sound[8000:24_000] += tone(speech_dbfs, 1.0)
    return sound


def pcm(sound: NDArray[np.float64]) -> bytes:
    return np.clip(np.round(sound), -32_768, 32_767).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("speech_dbfs", "noise_dbfs"), [(-20, -60), (-12, -40), (-30, -45), (-35, -70), (-26, -36)]
)
def test_speech_and_noise_are_told_apart(speech_dbfs: float, noise_dbfs: float) -> None:
    quality = measure(pcm(utterance(speech_dbfs, noise_dbfs)))
    assert quality.level_dbfs == pytest.approx(speech_dbfs, abs=1.0)
    assert quality.noise_dbfs == pytest.approx(noise_dbfs, abs=1.0)
    assert quality.snr_db == pytest.approx(speech_dbfs - noise_dbfs, abs=1.5)
    assert (quality.clipped_percent, quality.dropouts) == (0.0, 0)


@examples(50)
@given(down_db=st.floats(0, 12))
def test_who_speaks_more_softly_into_less_noise_has_the_same_ratio(down_db: float) -> None:
    sound = utterance(-15, -45)
    loud, soft = measure(pcm(sound)), measure(pcm(sound * 10 ** (-down_db / 20)))
    assert loud.snr_db is not None
    assert soft.snr_db == pytest.approx(loud.snr_db, abs=0.3)
    assert loud.level_dbfs - soft.level_dbfs == pytest.approx(down_db, abs=0.2)
    assert loud.peak_dbfs - soft.peak_dbfs == pytest.approx(down_db, abs=0.2)


def test_the_level_of_a_steady_sound_is_that_of_the_meter() -> None:
    sound = pcm(tone(-20, 1.0))
    assert measure(sound).level_dbfs == pytest.approx(dbfs(sound), abs=0.05)


def test_noise_alone_is_no_speech() -> None:
    quality = measure(pcm(noise(-50, 2.0)))
    assert quality.snr_db is not None
    assert quality.snr_db < 3.0


@pytest.mark.parametrize("samples", [0, 1, 100, 320, 321, 7000])
def test_short_and_silent_sounds_have_a_quality_too(samples: int) -> None:
    quality = measure(bytes(2 * samples))
    assert quality == Quality(FLOOR_DBFS, FLOOR_DBFS, FLOOR_DBFS, 0.0, None, 0)


def test_a_short_sound_has_no_ratio() -> None:
    assert measure(pcm(noise(-40, 0.4))).snr_db is None


# --- clipping -------------------------------------------------------------------------------------


def test_a_wave_that_is_cut_off_is_clipped() -> None:
    quality = measure(pcm(tone(3, 1.0)))
    assert quality.peak_dbfs == pytest.approx(0.0, abs=0.01)
    # A sine 6 dB too loud is beyond 1/2 of its peak for 2/3 of the time; the threshold is a little lower.
    assert quality.clipped_percent == pytest.approx(66.8, abs=0.7)


def test_a_single_peak_is_not_clipped() -> None:
    sound = noise(-40, 1.0)
    sound[5000], sound[9000] = 32_767, -32_768
    assert measure(pcm(sound)).clipped_percent == 0.0


# --- dropouts -------------------------------------------------------------------------------------


def test_a_hole_in_the_middle_of_a_wave_is_a_dropout() -> None:
    sound = utterance(-20, -60)
    for at in (9000, 15_000):
        at += int(np.argmax(np.abs(sound[at : at + 40])))
        sound[at + 1 : at + 200] = 0
        sound[at + 200] = 1000
    assert measure(pcm(sound)).dropouts == 2
    assert measure(pcm(sound), lost=3).dropouts == 5


def test_silence_between_words_is_none() -> None:
    sound = tone(-20, 1.0)
    fade = np.linspace(1, 0, 800)
    sound[4000:4800] *= fade
    sound[4800:6000] = 0
    sound[6000:6800] *= fade[::-1]
    assert measure(pcm(sound)).dropouts == 0


# --- what to do -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (utterance(-25, -65), []),
        (noise(-60, 2.0), []),
        (np.zeros(32_000), ["silent"]),
        (noise(-30, 2.0), ["much noise"]),
        (utterance(-52, -70), ["quiet"]),
        (utterance(-34, -42), ["only 8 dB above"]),
        (utterance(4, -50), ["cut off"]),
    ],
)
def test_each_fault_has_its_own_advice(sound: NDArray[np.float64], words: list[str]) -> None:
    found = find_problems(measure(pcm(sound)))
    assert len(found) == len(words)
    for (what, hint), word in zip(found, words, strict=True):
        assert word in what
        assert hint


def test_missing_sound_comes_first() -> None:
    found = find_problems(measure(pcm(np.zeros(32_000)), lost=2))
    assert ["missing in 2 places" in found[0][0], "silent" in found[1][0]] == [True, True]
