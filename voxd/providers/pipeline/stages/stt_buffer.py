"""Keeps the sound of an utterance until it is known to be understood, so that it can be sent again."""

import asyncio
from collections.abc import AsyncIterator

from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Frame
from voxd.providers.audio_buffer import MAX_TAPE_S

_MAX_SAMPLES = round(MAX_TAPE_S * SAMPLE_RATE_HZ)


class Kept:
    """The sound from sample `start` on; sample 0 is the first of the utterance.

    At most `MAX_TAPE_S` of an utterance is taken (3.8 MB), and what follows ends it.
    """

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._more = asyncio.Event()
        self._error: Exception | None = None
        self.start = 0
        self.over = asyncio.Event()
        """Set when the user has finished."""

    @property
    def end(self) -> int:
        """The number of the sample after the last."""
        return self.start + len(self._pcm) // BYTES_PER_SAMPLE

    @property
    def understood(self) -> bool:
        """Whether the user has finished, and nothing of what he said is left."""
        return self.over.is_set() and self._error is None and self.start == self.end

    async def fill(self, audio: AsyncIterator[Frame]) -> None:
        """Take all of ``audio``; what it raises is raised where the sound ends."""
        try:
            async for frame in audio:
                self._pcm += frame.pcm
                self._more.set()
                if self.end >= _MAX_SAMPLES:
                    break
        except Exception as error:  # a task's boundary: it is raised in `piece`
            self._error = error
        finally:
            self.over.set()
            self._more.set()

    async def begun(self) -> bool:
        """Wait for the first sound; False when there is none."""
        return bool(await self.piece(self.start, 1))

    async def piece(self, at: int, samples: int) -> bytes:
        """Return ``samples`` from sample ``at`` on as soon as they are there, fewer or none at the end."""
        first = (at - self.start) * BYTES_PER_SAMPLE
        size = samples * BYTES_PER_SAMPLE
        while len(self._pcm) < first + size and not self.over.is_set():
            self._more.clear()
            await self._more.wait()
            first = (at - self.start) * BYTES_PER_SAMPLE
        found = bytes(self._pcm[first : first + size])
        if not found and self._error is not None:
            raise self._error
        return found

    def forget(self, before: int) -> None:
        """Drop what lies before sample ``before``: it is understood."""
        count = min(max(before - self.start, 0), len(self._pcm) // BYTES_PER_SAMPLE)
        del self._pcm[: count * BYTES_PER_SAMPLE]
        self.start += count
