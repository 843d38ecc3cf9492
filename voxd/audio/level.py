"""How loud a block is."""

import math

import numpy as np

FLOOR_DBFS = -120.0


def dbfs(pcm: bytes) -> float:
    """Return the RMS level relative to a full-scale square wave; `FLOOR_DBFS` for silence or nothing.

    A full-scale sine is -3.01 dBFS by this measure.
    """
    if not pcm:
        return FLOOR_DBFS
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    rms = math.sqrt(float(np.mean(samples * samples))) / 32_768
    return max(FLOOR_DBFS, 20 * math.log10(rms)) if rms > 0 else FLOOR_DBFS
