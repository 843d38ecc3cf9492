"""One utterance as a stream of frames from the ring, available while the user still speaks."""

import asyncio
from typing import Self

from voxd.audio.ring import Ring, RingOverrun
from voxd.errors import DeviceError, VoxdError
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame, samples_from_ms, samples_from_s

# Deepgram Flux requires chunks of 80 ms, and other streaming recognisers accept them.
CHUNK_SAMPLES = samples_from_ms(80)

# Sound before the onset of speech that belongs to the utterance; an earlier earcon does not.
LEAD_IN_SAMPLES = samples_from_s(0.5)


class Utterance:
    """An asynchronous iterator of `Frame`, for one consumer on the loop it was made on.

    The listening thread calls `open`, `advance` and `finish`. The ring is the buffer: nothing is copied
    before the consumer reads it, and a consumer slower than the length of the ring loses the utterance.
    """

    def __init__(self, ring: Ring, channel: int, from_sample: int) -> None:
        self._ring = ring
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._armed = False
        self._first: int | None = None
        self._position: int | None = None
        self._available = from_sample
        self._finished = False
        self._error: VoxdError | None = None
        self.from_sample = from_sample
        """The first sample of the capture."""
        self.end_sample: int | None = None
        """The sample after the last, once the utterance is complete."""

    @property
    def start_sample(self) -> int | None:
        """The first sample of the stream; None before speech started."""
        return self._first

    def open(self, onset: int) -> None:
        """Speech began at ``onset``: the stream starts just before it."""
        if self._first is None:
            self._first = max(self.from_sample, onset - LEAD_IN_SAMPLES)
            self._wake()

    def advance(self, until: int) -> None:
        """The sound up to ``until`` is in the ring."""
        self._available = until
        first = self._first
        if first is not None and until - (self._position or first) >= CHUNK_SAMPLES:
            self._wake()

    def finish(self, end: int) -> None:
        """The utterance is complete and ends at ``end``; idempotent."""
        if not self._finished:
            self.end_sample = end
            self._finished = True
            self._wake()

    def fail(self, error: VoxdError) -> None:
        """The sound is lost: the iterator raises ``error``."""
        self._error = error
        self._finished = True
        self._wake()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        """Return the next frame of 80 ms, the last one shorter.

        Raises `DeviceError` when sound is lost: gone from the ring, or never captured.
        """
        while True:
            # Armed before the look, so that a chunk that arrives in between sets the event.
            self._ready.clear()
            self._armed = True
            frame = self._next()
            if frame:
                self._armed = False
                return frame
            if self._error:
                raise self._error
            if self._finished:
                raise StopAsyncIteration
            await self._ready.wait()

    async def clip(self) -> Clip:
        """Return the whole utterance when it is complete. Raises `DeviceError`."""
        return Clip(b"".join([frame.pcm async for frame in self]), SAMPLE_RATE_HZ)

    def _next(self) -> Frame | None:
        finished = self._finished  # read before the end: `finish` writes them in the other order
        if self._first is None:
            return None
        position = self._position or self._first
        until = self._available
        if finished and self.end_sample is not None:
            until = self.end_sample
        count = min(CHUNK_SAMPLES, until - position)
        if count <= 0 or (count < CHUNK_SAMPLES and not finished):
            return None
        try:
            frame = self._ring.read(position, count, self._channel)
        except RingOverrun as error:
            message = "the sound of this utterance is lost: it was read too late"
            raise DeviceError(message, hint="raise audio.ring_s") from error
        self._position = frame.end
        return frame

    def _wake(self) -> None:
        # A wake-up of the loop costs more than a block of VAD, so there is one only where the consumer waits
        # for it.
        if self._armed:
            self._armed = False
            try:
                self._loop.call_soon_threadsafe(self._ready.set)
            except RuntimeError:
                return  # the loop is closed, and its consumer with it
