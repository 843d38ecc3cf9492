"""The writing half of the ring and its memory layout, without imports that the capture process can avoid."""

import time

from voxd.audio.deafness import FlatRun, is_flat
from voxd.audio.shared_memory import SharedMemory

BYTES_PER_SAMPLE = 2

# Samples per channel written since the ring was created; never decreases.
HEAD = 0
# `HEAD` plus the block being written: samples more than a capacity before it may be torn.
RESERVED = 1
# CLOCK_MONOTONIC of the last block.
HEARTBEAT_NS = 2
# How often the device reported lost samples.
OVERRUNS = 3
# Samples since the last block with a signal on the channel that is listened to.
FLAT_RUN = 4
FLAGS = 5
CHANNELS = 6
# Samples per channel that the ring holds.
CAPACITY = 7
# The channel that is listened to, from 0.
LISTENED = 8

_PROBE_SAMPLES = 16

# The virtual microphone has played its file.
FLAG_ENDED = 1


class RingWriter(SharedMemory):
    """Appends interleaved 16-bit blocks; one process at a time may write."""

    def __init__(self, fd: int, wake_fd: int) -> None:
        super().__init__(fd, wake_fd)
        self._frame_bytes = BYTES_PER_SAMPLE * max(1, self.header[CHANNELS])
        self._size_bytes = self.header[CAPACITY] * self._frame_bytes
        self._flat = FlatRun()

    def append(self, pcm: bytes, captured: bytes | None = None) -> None:
        """Write one block of at most the ring's capacity, stamp the heartbeat and wake the reader.

        ``captured`` is the block as the device delivered it, where ``pcm`` was made from it.
        """
        header, size = self.header, self._size_bytes
        samples = len(pcm) // self._frame_bytes
        head = header[HEAD]
        # Before the copy: from this a reader that still sees the old HEAD finds which samples may be torn.
        header[RESERVED] = head + samples
        at = head * self._frame_bytes % size
        first = min(len(pcm), size - at)
        self.body[at : at + first] = pcm[:first]
        if first < len(pcm):
            self.body[: len(pcm) - first] = pcm[first:]
        # As it was captured: the resampler dithers, so its output of zeros is noise.
        channel = memoryview(captured or pcm).cast("h")[header[LISTENED] :: max(1, header[CHANNELS])]
        values = set(channel[:_PROBE_SAMPLES])
        # A signal shows in the first samples: the set of a whole block takes twenty times as long.
        if is_flat(values):
            values = set(channel)
        header[FLAT_RUN] = self._flat.feed(values, samples)
        header[HEARTBEAT_NS] = time.monotonic_ns()
        # Last, so that a reader never sees samples that are not written yet.
        header[HEAD] = head + samples
        self.wake()

    def begin(self) -> None:
        """Start a new stream at the current head; clear the flat run and the flags of the last one."""
        self.header[FLAT_RUN] = 0
        self._flat = FlatRun()
        self.header[FLAGS] = 0
