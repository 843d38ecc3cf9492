"""Makes and judges sound for the mock provider: a voice-like tone as long as its text, and loudness."""

import array
import functools
import math
from collections.abc import Iterator

RATE_HZ = 24_000
"""The rate of the mock's sound in both directions, as OpenAI's."""

CHUNK_MS = 100
MS_PER_CHAR = 65.0
"""People speak about 15 letters a second."""

_SAMPLES_PER_MS = RATE_HZ // 1000
_PITCH_HZ = 150
_PEAK = 6000


def spoken(text: str) -> Iterator[bytes]:
    """Yield mono s16le chunks of at most `CHUNK_MS`: a buzz in syllables, 65 ms for every letter."""
    left_bytes = round(len(text) * MS_PER_CHAR) * _SAMPLES_PER_MS * 2
    while left_bytes > 0:
        chunk = _chunk()[:left_bytes]
        yield chunk
        left_bytes -= len(chunk)


@functools.cache
def _chunk() -> bytes:
    """Return one syllable; it ends as it begins, so that chunks join without a click."""
    count = CHUNK_MS * _SAMPLES_PER_MS
    return array.array("h", [_sample(index, count) for index in range(count)]).tobytes()


def _sample(index: int, count: int) -> int:
    loudness = math.sin(math.pi * index / count)
    return round(_PEAK * loudness * math.sin(2 * math.pi * _PITCH_HZ * index / RATE_HZ))


def rms(pcm: bytes) -> float:
    """Return the loudness of mono s16le ``pcm`` on the scale of its samples; 0 for none."""
    samples = array.array("h", pcm[: len(pcm) & ~1])
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples)) if samples else 0.0


class Loudness:
    """Tells speech from silence by loudness alone; time is counted in samples."""

    def __init__(self, threshold: float, silence_ms: float) -> None:
        self.speaking = False
        self.at_ms = 0.0
        self._threshold = threshold
        self._silence_ms = silence_ms
        self._quiet_ms = 0.0

    def feed(self, pcm: bytes) -> bool | None:
        """Take a block; returns True when speech begins, False when it ends, None when nothing changes."""
        block_ms = len(pcm) / 2 / _SAMPLES_PER_MS
        self.at_ms += block_ms
        if rms(pcm) >= self._threshold:
            self._quiet_ms = 0.0
            if not self.speaking:
                self.speaking = True
                return True
        elif self.speaking:
            self._quiet_ms += block_ms
            if self._quiet_ms >= self._silence_ms:
                self.speaking, self._quiet_ms = False, 0.0
                return False
        return None
