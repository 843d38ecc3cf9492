"""Voice activity detection by energy: no model to load, and little to compute."""

import math
from array import array
from collections.abc import Iterator
from enum import StrEnum
from operator import mul

from voxd.frames import BYTES_PER_SAMPLE

# The length of audio over which one level is measured.
FRAME_MS = 10

# Speech continues while the level is above this share of the threshold.
HYSTERESIS = 0.5

# A pause this long before speech has started discards the loud frames so far: they were noise.
GAP_MS = 100

_FULL_SCALE = 32_768


class SpeechChange(StrEnum):
    """A change that the detector reports."""

    STARTED = "started"
    ENDED = "ended"


def level(pcm: bytes | memoryview) -> float:
    """Return the RMS of s16le samples, 1.0 being full scale; 0.0 without samples."""
    # Not numpy: this module is loaded by an engine that may never capture audio (see `voxd.engine.audio`).
    samples = array("h", bytes(pcm))
    return math.sqrt(sum(map(mul, samples, samples)) / len(samples)) / _FULL_SCALE if samples else 0.0


class EnergyVad:
    """Takes mono s16le PCM at ``rate_hz`` in pieces of any length; time is counted in samples."""

    def __init__(self, rate_hz: int, *, threshold: float, start_ms: float, end_ms: float) -> None:
        self._frame_bytes = max(1, rate_hz * FRAME_MS // 1000) * BYTES_PER_SAMPLE
        self._threshold = threshold
        self._start_frames = max(1, math.ceil(start_ms / FRAME_MS))
        self._end_frames = max(1, math.ceil(end_ms / FRAME_MS))
        self.reset()

    def reset(self) -> None:
        """Return to the initial state."""
        self._rest = b""
        self._loud = 0
        self._quiet = 0
        self.speaking = False

    def feed(self, pcm: bytes) -> list[SpeechChange]:
        """Take the next samples and return the changes in them, in order."""
        return [change for loudness in self._levels(pcm) if (change := self._step(loudness)) is not None]

    def _levels(self, pcm: bytes) -> Iterator[float]:
        # Frames do not depend on the length of the pieces: feeding byte by byte gives the same changes.
        data = self._rest + pcm
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        with memoryview(data) as view:
            for at in range(0, whole, self._frame_bytes):
                yield level(view[at : at + self._frame_bytes])

    def _step(self, loudness: float) -> SpeechChange | None:
        if loudness >= self._threshold * (HYSTERESIS if self.speaking else 1.0):
            self._loud += 1
            self._quiet = 0
        else:
            self._quiet += 1
        if self.speaking:
            if self._quiet < self._end_frames:
                return None
            self.speaking, self._loud = False, 0
            return SpeechChange.ENDED
        if self._quiet * FRAME_MS >= GAP_MS:
            self._loud = 0
        if self._loud < self._start_frames:
            return None
        self.speaking = True
        return SpeechChange.STARTED
