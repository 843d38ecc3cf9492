"""One opened loudspeaker: the daemon's side of the playback process and its queue."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack

from voxd.audio import output_ring
from voxd.audio.output_ring import BYTES_PER_SAMPLE, OutputRing
from voxd.audio.process import AudioProcess
from voxd.errors import DeviceError

_OPEN_TIMEOUT_S = 3.0
# A callback runs every 10 ms; none for this long means that the device is gone.
_HANG_S = 1.0
_CUT_TIMEOUT_S = 0.5
_QUEUE_SAMPLES = 96_000
# How far samples are written ahead of the device: longer than any pause of the event loop.
_AHEAD_S = 0.75


class Output:
    """Owns one playback process. After any error its user closes it and opens another."""

    def __init__(self, ring: OutputRing, child: AudioProcess) -> None:
        self._ring = ring
        self._child = child
        self._changed = asyncio.Event()
        self._opened_s = time.monotonic()
        self._stamps_seen = 0
        self._closed = False
        self.device = ""
        self.rate_hz = 0
        self.latency_s = 0.0
        self.stamps: deque[tuple[int, float]] = deque(maxlen=output_ring.STAMP_SLOTS)
        """The newest blocks: index after the block, CLOCK_MONOTONIC s when the device took it."""
        self.on_progress: Callable[[], None] = lambda: None
        """Called on the loop whenever the device took samples."""
        asyncio.get_running_loop().add_reader(ring.wake_fd, self._on_wake)

    @classmethod
    async def open(cls, device: str, *, virtual: bool, gain: int) -> "Output":
        """Start the process and open ``device``. Raises `DeviceError`, code ``no_device`` without one."""
        try:
            ring = OutputRing.create(_QUEUE_SAMPLES)
        except OSError as error:
            raise DeviceError(f"cannot allocate the queue of the loudspeaker: {error}") from error
        ring.header[output_ring.GAIN] = gain
        async with AsyncExitStack() as stack:
            stack.callback(ring.close)
            child = await AudioProcess.spawn(
                "voxd.audio.virtual_process" if virtual else "voxd.audio.playback_process",
                {"role": "loudspeaker", "ring_fd": ring.fd, "wake_fd": ring.wake_fd, "device": device},
                (ring.fd, ring.wake_fd),
            )
            stack.pop_all()  # the output closes the ring from now on
            output = cls(ring, child)
            stack.push_async_callback(output.close)
            opened = await child.report(_OPEN_TIMEOUT_S)
            stack.pop_all()
        output.device, output.rate_hz = opened["device"], opened["rate_hz"]
        output.latency_s = min(0.5, opened["latency_s"])
        return output

    @property
    def pid(self) -> int:
        """The playback process."""
        return self._child.pid

    @property
    def written(self) -> int:
        """Samples written so far."""
        return self._ring.header[output_ring.WRITTEN]

    @property
    def consumed(self) -> int:
        """Samples the device took so far."""
        return self._ring.header[output_ring.CONSUMED]

    def set_gain(self, gain: int) -> None:
        """Change the volume of everything not yet handed to the device."""
        self._ring.header[output_ring.GAIN] = gain

    def write(self, pcm: memoryview) -> int:
        """Queue as much of ``pcm`` as may be ahead of the device; returns the bytes taken."""
        limit = min(_QUEUE_SAMPLES, round(self.rate_hz * _AHEAD_S))
        room = limit - (self.written - self.consumed)
        taken = min(len(pcm), max(0, room) * BYTES_PER_SAMPLE)
        if taken:
            self._ring.write(pcm[:taken])
        return taken

    def check(self) -> None:
        """Raise `DeviceError` when the process ended or its device stopped taking samples."""
        if not self._child.alive:
            raise DeviceError(f"playback on {self.device!r} ended", code="output_exited")
        # Before the first callback the time of the opening counts.
        served_s = max(self._opened_s, self._ring.header[output_ring.HEARTBEAT_NS] / 1e9)
        if time.monotonic() - served_s > _HANG_S:
            raise DeviceError(f"{self.device!r} stopped taking samples", code="output_stalled")

    async def progress(self) -> None:
        """Wait until the device took samples, at most 0.25 s. Raises as `check` does."""
        self._changed.clear()
        try:
            async with asyncio.timeout(0.25):
                await self._changed.wait()
        except TimeoutError:
            self.check()

    async def cut(self) -> int:
        """Discard the queue; return the index at which the device stopped. Raises as `check` does."""
        ring = self._ring
        end = self.written
        if self.consumed >= end:
            return end
        ring.header[output_ring.FLUSH] = end
        try:
            async with asyncio.timeout(_CUT_TIMEOUT_S):
                while self.consumed < end:
                    await self.progress()
        except TimeoutError:
            raise DeviceError(f"{self.device!r} does not stop", code="output_stalled") from None
        return ring.header[output_ring.CUT]

    async def close(self) -> None:
        """Kill the process and free the memory; idempotent."""
        if not self._closed:
            self._closed = True
            asyncio.get_running_loop().remove_reader(self._ring.wake_fd)
            self._ring.close()
        await self._child.kill()

    def _on_wake(self) -> None:
        self._ring.clear_wake()
        total = self._ring.header[output_ring.STAMPS]
        for number in range(max(self._stamps_seen, total - output_ring.STAMP_SLOTS), total):
            self.stamps.append(self._ring.stamp(number))
        self._stamps_seen = total
        self.on_progress()
        self._changed.set()
