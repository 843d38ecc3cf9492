"""Keeps an utterance while it is spoken, so that a second listener hears it from its beginning too."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from voxd.errors import DeviceError
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame

MAX_TAPE_S = 120.0
"""Longer than any utterance may be; what is said after it is not kept and ends the utterance."""


class Tape:
    """Records ``source`` inside ``async with``; `play` may be called again and again, also meanwhile.

    It takes the frames at once, so that a slow listener cannot make the microphone's ring overrun.
    """

    def __init__(self, source: AsyncIterator[Frame]) -> None:
        self._source = source
        self._frames: list[Frame] = []
        self._length_s = 0.0
        self._over = asyncio.Event()
        self._error: DeviceError | None = None
        self._changed = asyncio.Condition()
        self._recording: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._recording = asyncio.create_task(self._record(), name="tape")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._recording is not None:
            self._recording.cancel()
            await asyncio.gather(self._recording, return_exceptions=True)

    def play(self) -> AsyncIterator[Frame]:
        """Return an iterator over the utterance from its beginning to its end.

        It raises `DeviceError` where the sound was lost, and needs no closing.
        """
        return _Listener(self)

    async def ended(self) -> None:
        """Return when the user has finished, however that came."""
        await self._over.wait()

    async def whole(self) -> Clip:
        """Return all of the utterance, once the user has finished. Raises `DeviceError`."""
        await self.ended()
        if self._error is not None:
            raise self._error
        return Clip(b"".join(frame.pcm for frame in self._frames), SAMPLE_RATE_HZ)

    async def frame(self, position: int) -> Frame | None:
        """Return frame number ``position`` as soon as it is there, None after the last one."""
        async with self._changed:
            while position >= len(self._frames) and not self._over.is_set():
                await self._changed.wait()
        if position < len(self._frames):
            return self._frames[position]
        if self._error is not None:
            raise self._error
        return None

    async def _record(self) -> None:
        try:
            async for frame in self._source:
                self._length_s += frame.samples / SAMPLE_RATE_HZ
                await self._add(frame)
                if self._length_s >= MAX_TAPE_S:
                    break
        except DeviceError as error:
            self._error = error
        finally:
            self._over.set()
            async with self._changed:
                self._changed.notify_all()

    async def _add(self, frame: Frame) -> None:
        self._frames.append(frame)
        async with self._changed:
            self._changed.notify_all()


class _Listener:
    """One pass over a tape."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._position = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        frame = await self._tape.frame(self._position)
        if frame is None:
            raise StopAsyncIteration
        self._position += 1
        return frame
