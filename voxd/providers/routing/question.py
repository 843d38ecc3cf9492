"""One question on its way from one provider to the next: who failed, and since when the user waits."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Self

from voxd.clock import Clock
from voxd.errors import ProviderError, VoxdError
from voxd.providers.audio_buffer import Tape
from voxd.providers.contract import Request
from voxd.providers.routing.health import NEUTRAL_CODES

OURS = frozenset({"spend_limit", "middleware_failed"})
"""Reasons of ours: the question is as good as any, and is asked again when they are gone."""


class Question:
    """The state of one turn of a failover; use it inside ``async with``.

    ``failures`` are the names that did not answer, with their reasons, in the order in which they were to be
    asked. ``said_before_ms`` is the sound that came before the reply; ``is_told``: one reason was said.
    """

    def __init__(self, request: Request, tape: Tape | None, clock: Clock) -> None:
        self.request = request
        self.tape = tape
        self.failures: list[tuple[str, VoxdError]] = []
        self.said_before_ms = 0.0
        self.is_told = False
        self._clock = clock
        self._ended_s = clock.monotonic() if tape is None else None
        self._tasks: list[asyncio.Task[None]] = []
        self._late: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self.tape is not None:
            self._spawn(self._wait_for_end(self.tape))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def waited_s(self) -> float:
        """How long ago the user has finished, 0 while he speaks."""
        return 0.0 if self._ended_s is None else self._clock.monotonic() - self._ended_s

    @property
    def is_anybodys_fault(self) -> bool:
        """Whether somebody failed for a reason other than that there was nothing to answer."""
        return any(error.code not in NEUTRAL_CODES or error.code in OURS for _, error in self.failures)

    @property
    def reason(self) -> tuple[str, VoxdError]:
        """Who should have answered, and why he did not."""
        return self.failures[0] if self.failures else ("", ProviderError("nobody is there to answer"))

    def played_ms(self) -> float | None:
        """Return how much of the reply itself was heard; None while nothing has cut it."""
        played_ms = self.request.heard.played_ms
        return None if played_ms is None else max(0.0, played_ms - self.said_before_ms)

    async def is_late(self, ready: Callable[[], Coroutine[Any, Any, None]], after_s: float) -> bool:
        """Wait until ``ready`` returns, or ``after_s`` have passed since the question: then return True.

        While the user still speaks they do not pass.
        """
        if self._late is None:
            self._late = self._spawn(self._pass(after_s))
        waiting = asyncio.create_task(ready())
        try:
            await asyncio.wait({waiting, self._late}, return_when=asyncio.FIRST_COMPLETED)
            return not waiting.done()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _pass(self, after_s: float) -> None:
        if self.tape is not None:
            await self.tape.ended()
        await self._clock.sleep(max(0.0, after_s - self.waited_s))

    async def _wait_for_end(self, tape: Tape) -> None:
        await tape.ended()
        self._ended_s = self._clock.monotonic()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task
