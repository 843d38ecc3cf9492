"""How loud sound is, in dB relative to full scale (dBFS)."""

import math
from typing import Any

import numpy as np

from voxd.frames import SAMPLE_RATE_HZ

FLOOR_DBFS = -120.0

MIN_SPEECH_DBFS = -60.0
"""Where no 100 ms of a clip is louder than this, it holds no speech. Speech at 3 m is some 20 dB above it."""


def dbfs(pcm: bytes) -> float:
    """Return the RMS level relative to a full-scale square wave; `FLOOR_DBFS` for silence or nothing.

    A full-scale sine is -3.01 dBFS by this measure.
    """
    if not pcm:
        return FLOOR_DBFS
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    rms = math.sqrt(float(np.mean(samples * samples))) / 32_768
    return max(FLOOR_DBFS, 20 * math.log10(rms)) if rms > 0 else FLOOR_DBFS


def loudest_dbfs(samples: "np.ndarray[Any, np.dtype[np.float32]]") -> float:
    """Return the level in dBFS of the loudest 100 ms of ``samples`` (-1 to 1); `FLOOR_DBFS` for none."""
    block = SAMPLE_RATE_HZ // 10
    whole = samples[: samples.size // block * block]
    if whole.size == 0:
        return FLOOR_DBFS
    power = float(np.max(np.mean(np.square(whole.reshape(-1, block)), axis=1)))
    return 10 * math.log10(max(power, 1e-12))
