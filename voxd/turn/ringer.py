"""Sounds the ring of a due timer, with pauses in which the device can hear the user."""

import asyncio
import contextlib

from voxd.audio.earcons import render
from voxd.audio.sound import Playback
from voxd.audio.speaker import Speaker
from voxd.clock import Clock
from voxd.errors import VoxdError
from voxd.frames import SAMPLE_RATE_HZ
from voxd.signals import Earcon
from voxd.turn.streams import once

PAUSE_S = 1.5
"""Silence between two rings: long enough for a wake word."""


class Ringer:
    """Rings until it is told to stop."""

    def __init__(self, speaker: Speaker, clock: Clock) -> None:
        self._speaker = speaker
        self._clock = clock
        self._clip = render(Earcon.RING, SAMPLE_RATE_HZ)
        self._task: asyncio.Task[None] | None = None
        self._playback: Playback | None = None
        self._silencing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to ring; idempotent."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._ring(), name="ringer")

    def pause(self) -> None:
        """Be silent at once, so that the next `start` begins a ring of its own; idempotent."""
        task, self._task = self._task, None
        playback, self._playback = self._playback, None
        if task:
            task.cancel()
        if playback:
            silencing = asyncio.create_task(_silence(playback))
            self._silencing.add(silencing)
            silencing.add_done_callback(self._silencing.discard)

    async def close(self) -> None:
        """Pause, and return once nothing is heard."""
        self.pause()
        await asyncio.gather(*self._silencing)

    async def _ring(self) -> None:
        while True:
            # The speaker reports its own loss; the next ring tries again.
            with contextlib.suppress(VoxdError):
                self._playback = self._speaker.play(once(self._clip), kind="ring")
                await self._playback.finished()
            await self._clock.sleep(PAUSE_S)


async def _silence(playback: Playback) -> None:
    await playback.stop()
