"""The playback queue in shared memory: the daemon fills it, the playback process empties it."""

import time
from array import array
from typing import Self

from voxd.audio.shared_memory import SharedMemory

BYTES_PER_SAMPLE = 2
# Unity, the maximum: gain is fixed point with 15 fraction bits.
GAIN_ONE = 1 << 15

# Samples written by the daemon.
WRITTEN = 0
# Samples handed to the device or discarded.
CONSUMED = 1
# CLOCK_MONOTONIC of the last callback.
HEARTBEAT_NS = 2
GAIN = 3
# Samples before this index are not to be played any more.
FLUSH = 4
# The index at which the callback stopped playing for the last flush.
CUT = 5
CAPACITY = 6
# How many stamps were written; each is the index after a block and the time at which the device took it.
STAMPS = 7

_STAMP_BASE = 16
# 1.28 s of blocks: longer than the daemon leaves a wake-up unread.
STAMP_SLOTS = 128
# Steps of 1 ms in a block of 10 ms: none is loud enough to click.
_RAMP_STEPS = 10


class OutputRing(SharedMemory):
    """A bounded queue of mono 16-bit samples. The volume acts at its end, so a change is audible at once."""

    @classmethod
    def create(cls, samples: int) -> Self:
        """Make a queue for ``samples``."""
        return cls.allocate(samples * BYTES_PER_SAMPLE, {CAPACITY: samples, GAIN: GAIN_ONE})

    def __init__(self, fd: int, wake_fd: int) -> None:
        super().__init__(fd, wake_fd)
        self._size_bytes = self.header[CAPACITY] * BYTES_PER_SAMPLE
        self._gain = self.header[GAIN]

    def write(self, pcm: bytes | memoryview) -> None:
        """Append ``pcm``, which must fit: the daemon's side."""
        at = self.header[WRITTEN] * BYTES_PER_SAMPLE % self._size_bytes
        first = min(len(pcm), self._size_bytes - at)
        self.body[at : at + first] = pcm[:first]
        if first < len(pcm):
            self.body[: len(pcm) - first] = pcm[first:]
        self.add(WRITTEN, len(pcm) // BYTES_PER_SAMPLE)

    def pull(self, count: int) -> bytes:
        """Return the next ``count`` samples at the current volume, padded with zeros: the child's side."""
        header = self.header
        now_ns = time.monotonic_ns()
        # Read once per block: the daemon may change them meanwhile.
        consumed, flush, target = header[CONSUMED], header[FLUSH], header[GAIN]
        cutting = flush > consumed
        take = min(count, (flush if cutting else header[WRITTEN]) - consumed)
        if not take:
            self._gain = target
            header[HEARTBEAT_NS] = now_ns
            return bytes(count * BYTES_PER_SAMPLE)
        # A cut fades out over this one block: an abrupt end would click.
        pcm = ramp(self._copy(consumed, take), self._gain, 0 if cutting else target)
        self._gain = target
        self._stamp(consumed + take, now_ns)
        if cutting:
            header[CUT] = consumed + take
        header[CONSUMED] = flush if cutting else consumed + take
        header[HEARTBEAT_NS] = now_ns
        self.wake()
        return pcm + bytes((count - take) * BYTES_PER_SAMPLE)

    def stamp(self, number: int) -> tuple[int, float]:
        """Return stamp ``number``: the index after a block, and when the device took it (monotonic s)."""
        slot = _STAMP_BASE + 2 * (number % STAMP_SLOTS)
        return self.header[slot], self.header[slot + 1] / 1e9

    def _stamp(self, end: int, now_ns: int) -> None:
        number = self.header[STAMPS]
        slot = _STAMP_BASE + 2 * (number % STAMP_SLOTS)
        self.header[slot], self.header[slot + 1] = end, now_ns
        self.header[STAMPS] = number + 1

    def _copy(self, start: int, count: int) -> bytes:
        at = start * BYTES_PER_SAMPLE % self._size_bytes
        size = count * BYTES_PER_SAMPLE
        pcm = bytes(self.body[at : at + size])
        return pcm + bytes(self.body[: size - len(pcm)])


def ramp(pcm: bytes, start: int, end: int) -> bytes:
    """Scale ``pcm`` by a gain that goes from ``start`` to ``end`` (`GAIN_ONE` is unity) in small steps."""
    # Plain Python, because this process must not load numpy: 10 ms at 48 kHz take 40 microseconds.
    if start == end == GAIN_ONE:
        return pcm
    samples = array("h", pcm)
    if start == end:
        return array("h", [sample * end >> 15 for sample in samples]).tobytes()
    out = array("h")
    for step in range(_RAMP_STEPS):
        gain = start + (end - start) * (step + 1) // _RAMP_STEPS
        piece = samples[len(samples) * step // _RAMP_STEPS : len(samples) * (step + 1) // _RAMP_STEPS]
        out.extend([sample * gain >> 15 for sample in piece])
    return out.tobytes()
