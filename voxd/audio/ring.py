"""The capture ring as the daemon reads it: the last seconds of sound, addressed by absolute sample index."""

import select
from typing import Self

from voxd.audio import ring_writer as layout
from voxd.audio.ring_writer import BYTES_PER_SAMPLE, RingWriter
from voxd.errors import VoxdError
from voxd.frames import SAMPLE_RATE_HZ, Frame


class RingOverrun(VoxdError):
    """The requested samples are already overwritten: the reader was too slow."""

    code = "ring_overrun"
    hint = "raise audio.ring_s, or find out what delays the reader"


class Ring(RingWriter):
    """Shared memory that the capture process appends to and the daemon reads.

    Sample indices count from the first block ever appended and go on across new capture processes.
    One reader blocks in `wait`; any number may `read`.
    """

    _poll: "select.poll | None" = None

    @classmethod
    def create(cls, channels: int, seconds: float, listened: int = 0) -> Self:
        """Make a ring of ``seconds`` at 16 kHz with ``channels`` interleaved ones; ``listened`` is in use."""
        # At least one sample, so that a modulo by the capacity is always defined.
        capacity = max(1, round(seconds * SAMPLE_RATE_HZ))
        return cls.allocate(
            capacity * channels * BYTES_PER_SAMPLE,
            {layout.CHANNELS: channels, layout.CAPACITY: capacity, layout.LISTENED: listened},
        )

    @property
    def channels(self) -> int:
        """Interleaved channels."""
        return self.header[layout.CHANNELS]

    @property
    def capacity(self) -> int:
        """Samples per channel that the ring holds."""
        return self.header[layout.CAPACITY]

    @property
    def head(self) -> int:
        """The index of the next sample to come."""
        return self.header[layout.HEAD]

    @property
    def tail(self) -> int:
        """The index of the oldest sample that can still be read."""
        return max(0, self.header[layout.RESERVED] - self.capacity)

    @property
    def heartbeat_s(self) -> float:
        """CLOCK_MONOTONIC of the last block, 0 before the first."""
        return self.header[layout.HEARTBEAT_NS] / 1e9

    @property
    def flat_run(self) -> int:
        """Samples since the last block with a signal, however faint, on the channel that is listened to."""
        return self.header[layout.FLAT_RUN]

    @property
    def overruns(self) -> int:
        """How often the device lost samples."""
        return self.header[layout.OVERRUNS]

    @property
    def ended(self) -> bool:
        """Whether the virtual microphone has played its file."""
        return bool(self.header[layout.FLAGS] & layout.FLAG_ENDED)

    def read(self, start: int, count: int, channel: int = 0) -> Frame:
        """Return ``count`` samples of one channel from index ``start`` on, fewer at the head.

        Raises `RingOverrun` when ``start`` is overwritten, or becomes so while it is copied.
        """
        # Read once: the other process moves it meanwhile.
        end = min(start + count, self.head)
        if end <= start:
            return Frame(start, b"")
        self._check(start)
        wide, capacity = self.channels, self.capacity
        at, until = start % capacity, (end - 1) % capacity + 1
        if at < until:
            interleaved = bytes(self.body[at * self._frame_bytes : until * self._frame_bytes])
        else:
            interleaved = bytes(self.body[at * self._frame_bytes :])
            interleaved += self.body[: until * self._frame_bytes]
        # The second check: the writer may have overwritten them while they were copied.
        self._check(start)
        if wide == 1:
            return Frame(start, interleaved)
        return Frame(start, memoryview(interleaved).cast("h")[channel::wide].tobytes())

    def wait(self, timeout_s: float) -> bool:
        """Block until the next block arrives; False after ``timeout_s``. For one thread only."""
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.wake_fd, select.POLLIN)
        return bool(self._poll.poll(timeout_s * 1000)) and self.clear_wake()

    def _check(self, start: int) -> None:
        if start < self.tail:
            raise RingOverrun(f"sample {start} is overwritten, the oldest is {self.tail}")
