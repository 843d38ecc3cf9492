"""Captures a microphone for the engine: reads the capture process's ring in chunks at the caller's rate."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from voxd.audio.microphone import VIRTUAL, Microphone
from voxd.audio.ring import Ring, RingOverrun
from voxd.audio.sound import Resampler
from voxd.clock import Clock
from voxd.config.schema import Audio
from voxd.engine.devices import AUTO, recording_of, stable_name
from voxd.errors import AudioError, DeviceError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.frames import SAMPLE_RATE_HZ, samples_from_ms
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

# Audio that can wait while the provider's socket is slow; older audio is lost and counted.
RING_S = 10.0

# The limit of ``audio.block_ms``, which the capture process was made for.
MAX_BLOCK_MS = 100

# Takes one chunk of PCM, and the CLOCK_MONOTONIC second at which its last block was captured.
OnChunk = Callable[[bytes, float], Awaitable[None]]


def block_ms(chunk_ms: int) -> int:
    """Return the length of the device's blocks: the chunk's, or an equal part of a long one."""
    # Rounded up. Equal parts, so that a chunk is complete with a block and not in the middle of one.
    parts = -(-chunk_ms // MAX_BLOCK_MS)
    return round(chunk_ms / parts)


class MicrophoneStream:
    """One microphone from `start` to `stop`. ``on_chunk`` is awaited for every chunk, in order."""

    def __init__(
        self, device: int | str | None, *, rate_hz: int, chunk_ms: int, clock: Clock, emit: Emit
    ) -> None:
        self._device = device
        self._chunk_ms = chunk_ms
        self._chunk_samples = samples_from_ms(chunk_ms)
        self._clock = clock
        self._emit = emit
        self._microphone: Microphone | None = None
        self._ring: Ring | None = None
        self._tasks = TaskScope("voice engine microphone")
        self._fresh = asyncio.Event()
        self._cursor = 0
        self._resampler = Resampler(SAMPLE_RATE_HZ, rate_hz)
        # Samples that were overwritten before they could be sent.
        self.lost_samples = 0

    @property
    def is_fallback(self) -> bool:
        """Whether the virtual microphone is used because the machine has no other."""
        return self._device is None and self._microphone is not None and self._microphone.virtual

    @property
    def free_share(self) -> float:
        """The free share of the ring: 1.0 when it is empty, below 0.0 when audio was lost."""
        if self._ring is None:
            return 1.0
        return 1.0 - (self._ring.head - self._cursor) / self._ring.capacity

    async def start(self, on_chunk: OnChunk) -> None:
        """Open the microphone; returns when audio arrives. Raises `AudioError` when none does."""
        try:
            name = await stable_name(self._device, "input")
        except DeviceError as error:
            raise AudioError(str(error), hint=error.hint, code=error.code) from error
        file = recording_of(name)
        audio = Audio(input=VIRTUAL if file else name, virtual_input=file, block_ms=block_ms(self._chunk_ms))
        self._ring = Ring.create(1, RING_S)
        self._microphone = Microphone(audio, self._ring, self._clock, self._emit)
        # A microphone that gives no sound leaves neither its process nor its shared memory behind.
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.stop)
            await self._microphone.start()
            if not self._microphone.ok:
                problem = self._microphone.problem
                raise AudioError(f"no audio from the microphone: {problem}", code=DeviceError.code)
            stack.pop_all()
        if name == AUTO and self._microphone.virtual:
            _log.warning("no microphone: the virtual one is used, set input_device to change that")
        # The capture process wakes the loop through a descriptor, so nothing polls the ring.
        asyncio.get_running_loop().add_reader(self._ring.wake_fd, self._on_wake)
        self._tasks.start(self._read_chunks(self._ring, on_chunk))

    async def stop(self) -> None:
        """Close the microphone; ``on_chunk`` first gets what was captured until now. Idempotent."""
        microphone, self._microphone = self._microphone, None
        if microphone is None or self._ring is None:
            return
        await microphone.close()
        ring, self._ring = self._ring, None
        asyncio.get_running_loop().remove_reader(ring.wake_fd)
        # Wakes the reader, which finds the ring gone from here and sends what is left.
        self._fresh.set()
        try:
            await self._tasks.join()
        finally:
            # A cancelled caller does not wait for the last chunks; a closed ring must not be read.
            await self._tasks.close()
            ring.close()

    async def _read_chunks(self, ring: Ring, on_chunk: OnChunk) -> None:
        while True:
            stopping = self._ring is None
            while ring.head - self._cursor >= (1 if stopping else self._chunk_samples):
                pcm = self._next(ring, last=stopping)
                try:
                    await on_chunk(pcm, ring.heartbeat_s)
                except Exception:
                    # The boundary of this task: a fault of one chunk must not end the capture.
                    _log.exception("a chunk of audio was lost")
            if stopping:
                return
            # No await between the check of the ring and `clear`: a block in between would be missed.
            self._fresh.clear()
            await self._fresh.wait()

    def _next(self, ring: Ring, *, last: bool) -> bytes:
        try:
            frame = ring.read(self._cursor, self._chunk_samples)
        except RingOverrun:
            # The newest chunk, not the oldest that is left: the writer would overwrite that next.
            lost = ring.head - self._chunk_samples - self._cursor
            self.lost_samples += lost
            self._emit(E.AUDIO_OVERRUN, count=lost)
            frame = ring.read(self._cursor + lost, self._chunk_samples)
        self._cursor = frame.end
        return self._resampler.feed(frame.pcm, last=last and self._cursor >= ring.head)

    def _on_wake(self) -> None:
        if self._ring is not None:
            self._ring.clear_wake()
            self._fresh.set()
