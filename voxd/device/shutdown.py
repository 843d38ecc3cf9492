"""Closes the parts of the device in reverse; one that hangs is abandoned, the others still close."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

Close = Callable[[], Awaitable[None] | None]

_log = logging.getLogger(__name__)

# The limit of all parts together; they need 0.1 s. With that of the wake thread a stop stays below 2 s.
TOGETHER_S = 1.5

# The time a part gets when others have used up the limit.
LEAST_S = 0.1


class ShutdownSequence:
    """The functions that close what was opened, called in reverse order."""

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
                # Once the limit is used up every part still gets a moment: most need one step of the loop.
                async with asyncio.timeout_at(max(until_s, loop.time() + LEAST_S)):
                    if ending := close():
                        await ending
            except TimeoutError:
                _log.error("%s hangs and is abandoned", name)
            except Exception:
                # A boundary: a part that fails to close must not keep the others open.
                _log.exception("%s failed", name)
