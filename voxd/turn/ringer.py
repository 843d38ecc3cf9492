"""Sounds the ring of a due timer, with pauses in which the device can hear the user."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from voxd.audio.earcons import render
from voxd.audio.sound import Playback
from voxd.audio.speaker import Speaker
from voxd.clock import Clock
from voxd.errors import VoxdError
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.signals import Earcon

PAUSE_S = 1.5
"""Silence between two rings: long enough for a wake word."""


async def once(clip: Clip) -> AsyncIterator[Clip]:
    """Yield ``clip``, for players that take a stream."""
    yield clip


class Ringer:
    """Rings until it is told to stop."""

    def __init__(self, speaker: Speaker, clock: Clock) -> None:
        self._speaker = speaker
        self._clock = clock
        self._clip = render(Earcon.RING, SAMPLE_RATE_HZ)
        self._task: asyncio.Task[None] | None = None
        self._playback: Playback | None = None

    def start(self) -> None:
        """Begin to ring; idempotent."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._ring(), name="ringer")

    async def stop(self) -> None:
        """Be silent at once; idempotent."""
        task, self._task = self._task, None
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        playback, self._playback = self._playback, None
        if playback:
            await playback.stop()

    async def _ring(self) -> None:
        while True:
            self._playback = self._speaker.play(once(self._clip), kind="ring")
            with contextlib.suppress(
                VoxdError
            ):  # the speaker reports its own loss; the next ring tries again
                await self._playback.finished()
            await self._clock.sleep(PAUSE_S)
