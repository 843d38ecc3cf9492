"""The state of one question while providers are tried in turn: what failed, and how long the user waits."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Self

from voxd.clock import Clock
from voxd.errors import ProviderError, VoxdError
from voxd.providers.audio_buffer import AudioBuffer
from voxd.providers.contract import Request
from voxd.providers.routing.health import NEUTRAL_CODES
from voxd.tasks import TaskScope, cancel_and_wait

# Our own reasons not to answer. The question itself is fine, and is queued until they are gone.
_OUR_CODES = frozenset({"spend_limit", "middleware_failed"})


class FailoverTurn:
    """Use it inside ``async with``.

    ``failures`` are names of providers with their errors, in the order of preference. ``said_before_ms`` is
    the duration of the announcements played before the reply; ``is_announced``: one reason was announced.
    """

    def __init__(self, request: Request, recording: AudioBuffer | None, clock: Clock) -> None:
        self.request = request
        self.recording = recording
        self.failures: list[tuple[str, VoxdError]] = []
        self.said_before_ms = 0.0
        self.is_announced = False
        self._clock = clock
        # A typed question is complete at once; a spoken one when its recording ends.
        self._ended_s = clock.monotonic() if recording is None else None
        self._tasks = TaskScope("failover")
        self._late: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self.recording is not None:
            self._tasks.start(self._wait_for_end(self.recording))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.close()

    @property
    def waited_s(self) -> float:
        """How long ago the user finished speaking, 0 before that."""
        return 0.0 if self._ended_s is None else self._clock.monotonic() - self._ended_s

    @property
    def has_failed(self) -> bool:
        """Whether a provider failed for another reason than that there was nothing to answer."""
        return any(error.code not in NEUTRAL_CODES or error.code in _OUR_CODES for _, error in self.failures)

    @property
    def reason(self) -> tuple[str, VoxdError]:
        """The preferred provider among those that failed, and its error."""
        return self.failures[0] if self.failures else ("", ProviderError("no provider can be tried"))

    def played_ms(self) -> float | None:
        """Return how much of the reply itself was played; None while nothing has cut it."""
        # The loudspeaker counts the announcement too, which is not part of the provider's reply.
        played_ms = self.request.playback.played_ms
        return None if played_ms is None else max(0.0, played_ms - self.said_before_ms)

    async def is_late(self, wait_ready: Callable[[], Coroutine[Any, Any, None]], after_s: float) -> bool:
        """Wait for ``wait_ready``, but not beyond ``after_s`` after the question: then return True.

        The time counts from the end of the user's speech.
        """
        if self._late is None:
            # One timer for the whole turn, however many providers are tried.
            self._late = self._tasks.start(self._pass(after_s))
        waiting = self._tasks.start(wait_ready(), is_awaited=True)
        try:
            await asyncio.wait({waiting, self._late}, return_when=asyncio.FIRST_COMPLETED)
            return not waiting.done()
        finally:
            await cancel_and_wait(waiting)

    async def _pass(self, after_s: float) -> None:
        if self.recording is not None:
            await self.recording.ended.wait()
        await self._clock.sleep(max(0.0, after_s - self.waited_s))

    async def _wait_for_end(self, recording: AudioBuffer) -> None:
        await recording.ended.wait()
        self._ended_s = self._clock.monotonic()
