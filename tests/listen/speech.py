"""Spoken test material: flite where it is installed, joined so that the end of the wake word is known."""

import functools
import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soxr

from voxd.frames import SAMPLE_RATE_HZ, samples_from_s

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")

VOICES = ("slt", "rms", "awb", "kal16")


@functools.cache
def say(text: str, voice: str = "slt") -> np.ndarray:
    """Return ``text`` as 16 kHz samples, cut to where anything can be heard."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, timeout=30)
        with wave.open(str(path)) as wav:
            samples = np.frombuffer(wav.readframes(wav.getnframes()), np.int16)
            rate_hz = wav.getframerate()
    if rate_hz != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples.astype(np.float32), rate_hz, SAMPLE_RATE_HZ).astype(np.int16)
    return _audible(samples)


def _audible(samples: np.ndarray) -> np.ndarray:
    step = 160
    whole = samples[: len(samples) // step * step].reshape(-1, step).astype(np.float64)
    level = np.sqrt((whole**2).mean(axis=1))
    heard = np.nonzero(level > level.max() * 10 ** (-35 / 20))[0]
    return samples[heard[0] * step : (heard[-1] + 1) * step]


def quiet(seconds: float, seed: int = 0) -> np.ndarray:
    """Return the noise of a quiet room (about -68 dBFS)."""
    noise = np.random.default_rng(seed).normal(0, 12, samples_from_s(seconds))
    return noise.round().astype(np.int16)


@dataclass(frozen=True)
class Spoken:
    """Room, wake word, gap, command, room: with the samples where the word ends and the command begins."""

    samples: np.ndarray
    word_end: int
    command_start: int
    command_end: int

    @property
    def pcm(self) -> bytes:
        return self.samples.tobytes()


def spoken(word: str, command: str, gap_s: float, voice: str = "slt", after_s: float = 1.6) -> Spoken:
    """Say ``word`` and, after ``gap_s`` of silence, ``command``."""
    said, asked, gap = say(word, voice), say(command, voice), samples_from_s(gap_s)
    before = samples_from_s(1.6)
    end = before + len(said)
    parts = (np.zeros(before), said, np.zeros(gap), asked, np.zeros(samples_from_s(after_s)))
    joined = np.concatenate(parts)
    joined = joined + np.random.default_rng(1).normal(0, 12, len(joined))
    samples = np.clip(joined.round(), -32768, 32767).astype(np.int16)
    return Spoken(samples, end, end + gap, end + gap + len(asked))
