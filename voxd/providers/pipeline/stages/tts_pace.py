"""Detects audio that arrives slower than it is played."""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from voxd.errors import StreamError
from voxd.frames import Clip
from voxd.net import faults

GRACE_S = 2.0
"""How long playback may be interrupted, by default."""

T = TypeVar("T")


class PlaybackLead:
    """How far received audio is ahead of playback, which may be interrupted for ``grace_s`` (None:
    `GRACE_S`).

    The first audio may take ``first_s``; None means no longer than any other.
    """

    # A deadline for the whole would be wrong for a long text and late for a short one, and a deadline for
    # each chunk lets a vendor send a byte at a time. So the duration of the audio received is compared with
    # the time spent waiting for it; time in which the caller was busy with earlier audio does not count.

    def __init__(self, provider: str, *, first_s: float | None = None, grace_s: float | None = None) -> None:
        self._provider = provider
        self._grace_s = GRACE_S if grace_s is None else grace_s
        self._ahead_s = self._grace_s if first_s is None else max(first_s, 0.0)
        self._has_begun = False

    @property
    def allowed_s(self) -> float:
        """How long the next chunk may take, in seconds."""
        return self._ahead_s

    def add(self, clip: Clip) -> None:
        """Count ``clip`` as received."""
        if not self._has_begun:
            self._has_begun = True
            self._ahead_s = self._grace_s
        self._ahead_s += clip.duration_s

    def waited(self, seconds: float) -> None:
        """Count ``seconds`` of waiting."""
        self._ahead_s = max(self._ahead_s - seconds, 0.0)

    async def wait_for(self, piece: Awaitable[T]) -> T:
        """Return the result of ``piece``. Raises `ProviderError` when it takes too long."""
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(self.allowed_s):
                return await piece
        except TimeoutError as error:
            if not self._has_begun:
                raise faults.connect_error(self._provider, error) from None
            msg = "the audio arrives slower than real time"
            raise StreamError(msg, provider=self._provider, code="too_slow") from None
        finally:
            self.waited(time.monotonic() - began_s)
