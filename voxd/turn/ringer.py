"""Plays the ring of a due timer, with pauses in which a wake word can be detected."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from voxd.audio.earcons import render
from voxd.audio.playback import Playback
from voxd.audio.speaker import Speaker
from voxd.clock import Clock
from voxd.errors import VoxdError
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.tasks import TaskScope
from voxd.turn.inputs import Earcon

# Silence between two rings: long enough for a wake word.
PAUSE_S = 1.5

# One ring in this many also says what it is for.
WORDS_EVERY = 5


class Ringer:
    """Rings until it is stopped; every few rings it says what for, with the speech of ``words``."""

    def __init__(self, speaker: Speaker, clock: Clock, words: Callable[[], AsyncGenerator[Clip]]) -> None:
        self._speaker = speaker
        self._clock = clock
        self._words = words
        # Rendered once: a ring repeats it every few seconds.
        self._clip = render(Earcon.RING, SAMPLE_RATE_HZ)
        self._task: asyncio.Task[None] | None = None
        self._playback: Playback | None = None
        self._tasks = TaskScope("ringer")

    def start(self) -> None:
        """Begin to ring; idempotent."""
        if self._task is None or self._task.done():
            self._task = self._tasks.start(self._ring())

    def pause(self) -> None:
        """Be silent at once, so that the next `start` begins a ring of its own; idempotent."""
        task, self._task = self._task, None
        playback, self._playback = self._playback, None
        if task:
            task.cancel()
        if playback:
            self._tasks.start(playback.stop())

    async def close(self) -> None:
        """Pause, and return once the loudspeaker is silent."""
        self.pause()
        await self._tasks.join()

    async def _ring(self) -> None:
        # No end here: the timer itself stops its ring after ``skills.ring_s``.
        for number in itertools.count():
            # The speaker reports its own loss; the next ring tries again.
            with contextlib.suppress(VoxdError):
                sound = self._sound(aloud=number % WORDS_EVERY == 0)
                self._playback = self._speaker.play(sound, kind="ring")
                await self._playback.finished()
            await self._clock.sleep(PAUSE_S)

    async def _sound(self, *, aloud: bool) -> AsyncGenerator[Clip]:
        yield self._clip
        # After the tone, which is there at once; synthesis takes a moment.
        if aloud:
            async with aclosing(self._words()) as words:
                async for clip in words:
                    yield clip
