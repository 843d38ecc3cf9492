"""The audio of one utterance in memory: several readers, each from the beginning, while it still grows.

Failover and the STT chain read it once for each provider they try. An STT connection reads it by sample
number, discards what the vendor has acknowledged, and replays the rest after a reconnect.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Clip, Frame
from voxd.tasks import TaskScope

MAX_UTTERANCE_S = 120.0
"""The limit of one buffer (3.8 MB at 16 kHz), longer than any utterance may be; later audio is dropped."""

_MAX_SAMPLES = round(MAX_UTTERANCE_S * SAMPLE_RATE_HZ)


class AudioBuffer:
    """Mono s16le at 16 kHz; sample 0 is the first of the utterance."""

    def __init__(self) -> None:
        self.start = 0
        """The first sample that was not discarded."""
        self.end = 0
        """The sample after the last."""
        self.ended = asyncio.Event()
        """Set at the end of speech, or when the microphone failed."""
        self.ended_s: float | None = None
        """The time of that by the clock of the caller of `close`; None before it."""
        # Frames are never joined: the buffers of one utterance in several layers share their bytes, and a
        # reader that starts late sends frames of the usual size rather than one large message.
        self._frames: list[Frame] = []
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    @property
    def length_s(self) -> float:
        """The length of the utterance so far, including discarded audio."""
        return self.end / SAMPLE_RATE_HZ

    @property
    def is_full(self) -> bool:
        """Whether `MAX_UTTERANCE_S` is reached: more audio is dropped."""
        return self.end >= _MAX_SAMPLES

    @property
    def is_acknowledged(self) -> bool:
        """Whether the utterance has ended and all of it was acknowledged and discarded."""
        return self.ended.is_set() and self._error is None and self.start == self.end

    def append(self, pcm: bytes) -> None:
        """Append audio; after the end, or when the buffer is full, it is dropped."""
        if pcm and not self.ended.is_set() and not self.is_full:
            self._frames.append(Frame(self.end, pcm))
            self.end = self._frames[-1].end
            self._notify()

    def close(self, error: Exception | None = None, *, now_s: float | None = None) -> None:
        """End the utterance; readers raise ``error`` at the end of the audio. Idempotent."""
        if not self.ended.is_set():
            self._error, self.ended_s = error, now_s
            self.ended.set()
            self._notify()

    async def fill(self, source: AsyncIterator[Frame]) -> None:
        """Append all of ``source`` and close. An exception of it is raised in the readers."""
        error: Exception | None = None
        try:
            async for frame in source:
                self.append(frame.pcm)
                if self.is_full:
                    break
        except Exception as raised:
            # Third-party audio sources may raise anything; the readers handle it as their own.
            error = raised
        finally:
            # Also when the task is cancelled: a reader would wait for ever.
            self.close(error)

    def play(self) -> AsyncIterator[Frame]:
        """Return an iterator over the frames, from the beginning to the end; it needs no closing.

        It raises `DeviceError` where the microphone failed.
        """
        return _Reader(self)

    async def whole(self) -> Clip:
        """Return all of the utterance, once the user has finished. Raises `DeviceError`."""
        await self.ended.wait()
        if self._error is not None:
            raise self._error
        return Clip(b"".join(frame.pcm for frame in self._frames), SAMPLE_RATE_HZ)

    async def frame(self, at: int) -> Frame | None:
        """Wait for the frame that contains sample ``at`` and return it, None after the last one."""
        await self._wait_for(at + 1)
        if at < self.end:
            return self._frames[self._find(at)]
        if self._error is not None:
            raise self._error
        return None

    async def read(self, at: int, samples: int) -> bytes:
        """Wait for ``samples`` from sample ``at`` on and return them, fewer or none at the end."""
        await self._wait_for(at + samples)
        if at >= self.end:
            if self._error is not None:
                raise self._error
            return b""
        first = self._find(at)
        found = bytearray()
        size = samples * BYTES_PER_SAMPLE
        # The first frame may begin before the sample that is wanted.
        skip = (at - self._frames[first].start) * BYTES_PER_SAMPLE
        for frame in self._frames[first:]:
            found += frame.pcm[skip : skip + size - len(found)]
            skip = 0
            if len(found) >= size:
                break
        return bytes(found)

    def discard(self, before: int) -> None:
        """Discard the audio before sample ``before``, which the vendor has acknowledged."""
        self.start = min(max(before, self.start), self.end)
        # A frame stays while any of it is not acknowledged: frames are not split.
        del self._frames[: bisect_right(self._frames, self.start, key=lambda frame: frame.end)]

    def _find(self, at: int) -> int:
        """Return the index of the frame that holds sample ``at``."""
        return bisect_right(self._frames, at, key=lambda frame: frame.end)

    async def _wait_for(self, end: int) -> None:
        while self.end < end and not self.ended.is_set():
            await self._changed.wait()

    def _notify(self) -> None:
        # Waiting readers hold this event; a reader that waits later gets the next one.
        self._changed.set()
        self._changed = asyncio.Event()


class _Reader:
    """One pass over a buffer."""

    def __init__(self, buffer: AudioBuffer) -> None:
        self._buffer = buffer
        self._at = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        frame = await self._buffer.frame(self._at)
        if frame is None:
            raise StopAsyncIteration
        self._at = frame.end
        return frame


@asynccontextmanager
async def record(source: AsyncIterator[Frame]) -> AsyncIterator[AudioBuffer]:
    """Yield a buffer that is filled from ``source`` in the background."""
    # Without it a slow reader, such as a provider that is still connecting, overruns the microphone's ring.
    buffer, tasks = AudioBuffer(), TaskScope("audio buffer")
    tasks.start(buffer.fill(source))
    try:
        yield buffer
    finally:
        await tasks.close()
