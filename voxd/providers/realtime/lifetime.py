"""Watches the age of a session: replaced before the vendor's limit, closed when nobody uses it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from voxd.clock import Clock
from voxd.errors import VoxdError
from voxd.net.backoff import hold_s

_log = logging.getLogger(__name__)

QUIET_S = 2.0
"""A session is only replaced when nothing has happened for this long: a reply may be about to begin."""

CHECK_S = 5.0
"""What is due but must wait for quiet is tried again after this."""

FAILED_S = 60.0
"""After a new session could not be had the old one, which still works, is kept for so long or longer."""


class SessionLifetime:
    """Calls ``rotate`` when a session is near its limit and ``rest`` when it has been idle, both in quiet.

    ``rest`` returns False when the session was used before it could be closed.
    """

    def __init__(
        self,
        clock: Clock,
        idle_close_s: float | None,
        *,
        rotate: Callable[[], Awaitable[None]],
        rest: Callable[[], Awaitable[bool]],
        is_quiet: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._idle_close_s = idle_close_s
        self._rotate = rotate
        self._rest = rest
        self._is_quiet = is_quiet
        self._task: asyncio.Task[None] | None = None
        self._used_s = 0.0
        self._rotate_at_s: float | None = None

    def start(self, limit_s: float | None) -> None:
        """A session was opened now; it is to be replaced at the age of ``limit_s`` seconds."""
        self.touch()
        self._rotate_at_s = None if limit_s is None else self._clock.monotonic() + limit_s
        due = self._rotate_at_s is not None or self._idle_close_s is not None
        if due and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="session keeper")

    def forget_limit(self) -> None:
        """The session is lost for good: there is nothing to replace."""
        self._rotate_at_s = None

    def touch(self) -> None:
        """The session is used."""
        self._used_s = self._clock.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether nobody has used the session for so long that it is to be closed."""
        return self._idle_at_s() <= self._clock.monotonic()

    async def stop(self) -> None:
        """Stop watching; idempotent, and also right from within ``rotate`` and ``rest``."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while (due_s := self._due_s()) is not None:
            now_s = self._clock.monotonic()
            if due_s > now_s:
                await self._clock.sleep(due_s - now_s)
            elif not self._is_quiet() or now_s - self._used_s < QUIET_S:
                await self._clock.sleep(CHECK_S)
            elif self.is_idle:
                if await self._rest():
                    return
            else:
                await self._replace()

    async def _replace(self) -> None:
        try:
            await self._rotate()
        except VoxdError as error:
            _log.info("the session could not be replaced yet: %s", error)
            self._rotate_at_s = self._clock.monotonic() + max(FAILED_S, hold_s(error))

    def _due_s(self) -> float | None:
        dues = [self._rotate_at_s] if self._rotate_at_s is not None else []
        if self._idle_close_s is not None:
            dues.append(self._idle_at_s())
        return min(dues) if dues else None

    def _idle_at_s(self) -> float:
        return float("inf") if self._idle_close_s is None else self._used_s + self._idle_close_s
