"""Notices a voice that comes slower than one can listen, however long the text is.

A deadline for the whole would be wrong for a long text and late for a short one, and a deadline for each
piece lets a vendor drip (reference/reliability.md, N14). So the sound that came is held against the time that
was spent waiting for it; time in which the listener was busy with what he had does not count.
"""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from voxd.errors import StreamError
from voxd.frames import Clip
from voxd.net import faults
from voxd.net.transport import Budget

GRACE_S = 2.0
"""A listener may run dry for so long, unless somebody knows better."""

T = TypeVar("T")


def remaining_s(budget: Budget, limit_s: float) -> float:
    """Return ``limit_s``, or less where the turn has less time."""
    if budget.until_s is None:
        return limit_s
    return max(min(limit_s, budget.until_s - time.monotonic()), 0.0)


class PlaybackLead:
    """How far a voice is ahead of its listener, who may run dry for ``grace_s`` (None: `GRACE_S`).

    The first piece may take ``first_s``, None for no longer than any other.
    """

    def __init__(self, provider: str, *, first_s: float | None = None, grace_s: float | None = None) -> None:
        self._provider = provider
        self._grace_s = GRACE_S if grace_s is None else grace_s
        self._ahead_s = self._grace_s if first_s is None else max(first_s, 0.0)
        self._has_begun = False

    @property
    def patience_s(self) -> float:
        """How long the next piece may take."""
        return self._ahead_s

    def heard(self, clip: Clip) -> None:
        """Some sound came."""
        if not self._has_begun:
            self._has_begun = True
            self._ahead_s = self._grace_s
        self._ahead_s += clip.duration_s

    def waited(self, seconds: float) -> None:
        """Somebody waited for the next piece."""
        self._ahead_s = max(self._ahead_s - seconds, 0.0)

    async def keeps(self, piece: Awaitable[T]) -> T:
        """Return ``piece``. Raises `ProviderError` when it takes too long."""
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(self.patience_s):
                return await piece
        except TimeoutError as error:
            if not self._has_begun:
                raise faults.connect_error(self._provider, error) from None
            msg = "the sound comes slower than one can listen"
            raise StreamError(msg, provider=self._provider, code="too_slow") from None
        finally:
            self.waited(time.monotonic() - began_s)
