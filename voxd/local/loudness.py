"""Whether a clip holds anything a recogniser could take for speech."""

import math
from typing import Any

import numpy as np

from voxd.frames import SAMPLE_RATE_HZ

MIN_SPEECH_DBFS = -60.0
"""No 100 ms of the clip is louder than this: nobody spoke. Speech at 3 m is some 20 dB above it."""


def loudest_dbfs(samples: "np.ndarray[Any, np.dtype[np.float32]]") -> float:
    """Return the level in dBFS of the loudest 100 ms of ``samples`` (-1 to 1); -120 for none."""
    block = SAMPLE_RATE_HZ // 10
    whole = samples[: samples.size // block * block]
    if whole.size == 0:
        return -120.0
    power = float(np.max(np.mean(np.square(whole.reshape(-1, block)), axis=1)))
    return 10 * math.log10(max(power, 1e-12))
