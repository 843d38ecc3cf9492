"""Keeps what the user says while he says it, so that every listener can hear it from its beginning."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from voxd.frames import SAMPLE_RATE_HZ, Frame
from voxd.providers.audio_buffer import MAX_TAPE_S

SHORTEST_S = 0.1
"""Less sound than this is no question; vendors draw the line there (reference/providers.md, section 1)."""


class Utterance:
    """Fed while the user speaks; `play` gives what is there at once, then goes on in real time.

    What is said after `MAX_TAPE_S` is not kept.
    """

    def __init__(self) -> None:
        self.ended_s: float | None = None
        """When the user had finished (of the session's clock), None while he speaks."""
        self.ended = asyncio.Event()
        self._frames: list[Frame] = []
        self._samples = 0
        self._changed = asyncio.Event()

    @property
    def length_s(self) -> float:
        """How long it is so far."""
        return self._samples / SAMPLE_RATE_HZ

    def feed(self, pcm: bytes) -> None:
        """Add mono s16le at 16 kHz."""
        if self.ended_s is None and pcm and self.length_s < MAX_TAPE_S:
            frame = Frame(self._samples, pcm)
            self._frames.append(frame)
            self._samples = frame.end
            self._tell()

    def end(self, now_s: float) -> None:
        """The user has finished."""
        if self.ended_s is None:
            self.ended_s = now_s
            self.ended.set()
            self._tell()

    def play(self) -> AsyncIterator[Frame]:
        """Return an iterator from the beginning to the end; there may be several. It needs no closing."""
        return _Listener(self)

    async def frame(self, position: int) -> Frame | None:
        """Return frame number ``position`` as soon as it is there, None after the last one."""
        while position >= len(self._frames) and self.ended_s is None:
            await self._changed.wait()
        return self._frames[position] if position < len(self._frames) else None

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class _Listener:
    """One pass over an utterance."""

    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance
        self._position = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        frame = await self._utterance.frame(self._position)
        if frame is None:
            raise StopAsyncIteration
        self._position += 1
        return frame
