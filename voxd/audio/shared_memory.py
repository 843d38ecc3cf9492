"""A memory file with a header of counters, shared by the daemon and an audio program."""

import mmap
import os
import sys
from collections.abc import Mapping
from typing import Self

# One page: the data begins at a page border.
HEADER_BYTES = 4096
_FIELD_BYTES = 8


class SharedMemory:
    """Unsigned 64-bit counters, then bytes, in a ``memfd`` of which every process maps the same pages.

    A counter is written by one process only, in one aligned 8-byte store. The wake-up orders the stores
    between two processes: `wake` is a system call after them, and a process that has returned from the
    matching read sees all of them.
    """

    def __init__(self, fd: int, wake_fd: int) -> None:
        self.fd = fd
        self.wake_fd = wake_fd
        self._map = mmap.mmap(fd, os.fstat(fd).st_size)
        whole = memoryview(self._map)
        self.header = whole[:HEADER_BYTES].cast("Q")
        self.body = whole[HEADER_BYTES:]
        whole.release()

    @classmethod
    def allocate(cls, body_bytes: int, fields: Mapping[int, int]) -> Self:
        """Create a zeroed block with ``body_bytes`` of data, these counters and its own eventfd."""
        fd = os.memfd_create("voxd-audio")
        os.ftruncate(fd, HEADER_BYTES + body_bytes)
        for field, value in fields.items():
            os.pwrite(fd, value.to_bytes(_FIELD_BYTES, sys.byteorder), field * _FIELD_BYTES)
        return cls(fd, os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))

    def add(self, field: int, count: int) -> None:
        """Add to a counter; for its one writer only."""
        self.header[field] = self.header[field] + count

    def wake(self) -> None:
        """Wake the waiting reader; pending wake-ups merge into one (eventfd(2) adds them up)."""
        os.eventfd_write(self.wake_fd, 1)

    def clear_wake(self) -> bool:
        """Fetch a pending wake-up; False when there was none."""
        try:
            return os.eventfd_read(self.wake_fd) > 0
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Unmap the memory and close both descriptors; idempotent."""
        if self._map.closed:
            return
        # First the views: a map with exported views cannot be closed.
        self.header.release()
        self.body.release()
        self._map.close()
        os.close(self.fd)
        os.close(self.wake_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
