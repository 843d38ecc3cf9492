"""Takes the parts of the device down in reverse; one that hangs is left behind, the others still end well."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

Close = Callable[[], Awaitable[None] | None]

_log = logging.getLogger(__name__)

TOGETHER_S = 1.5
"""What all parts have together; they need 0.1 s. With the ears' own limit a stop stays below 2 s."""

LEAST_S = 0.1
"""What a part still gets when the time is over, because another one hangs."""


class Shutdown:
    """Remembers how to close what was opened."""

    def __init__(self) -> None:
        self._closers: list[Close] = []

    def add(self, close: Close) -> None:
        """Call ``close`` in `run`, before everything that was added before."""
        self._closers.append(close)

    async def run(self) -> None:
        """Close everything; what fails or hangs is logged. Idempotent."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + TOGETHER_S
        while self._closers:
            close = self._closers.pop()
            name = getattr(close, "__qualname__", repr(close))
            try:
                async with asyncio.timeout_at(max(until_s, loop.time() + LEAST_S)):
                    if ending := close():
                        await ending
            except TimeoutError:
                _log.error("%s hangs and is left behind", name)
            except Exception:
                _log.exception("%s failed", name)
