"""A connection that was opened before anybody asked: the first request of a turn need not wait for one."""

import asyncio
import logging
import socket
import time
from collections.abc import Coroutine

import httpcore

from voxd.errors import ProviderError

_log = logging.getLogger(__name__)

OPEN_S = 6.0
"""The name, TCP and TLS together may take so long: as long as they may for a request."""

GRACE_S = 0.25
"""What is on its way when it is no longer wanted may take so long before it is called off."""

_ESTABLISHED = 1
"""A TCP connection that neither side has closed (linux/tcp_states.h)."""


class Spare:
    """What ``opening`` returns, kept for the first who needs it. It never raises: who asks then sees why."""

    def __init__(self, opening: Coroutine[None, None, httpcore.AsyncNetworkStream]) -> None:
        self.since_s = time.monotonic()
        self._task = asyncio.create_task(_opened(opening), name="connect ahead")

    @property
    def is_usable(self) -> bool:
        """Whether it is on its way, or there and not closed by the other side."""
        if not self._task.done():
            return True
        stream = None if self._task.cancelled() else self._task.result()
        return stream is not None and _is_established(stream)

    async def taken(self) -> httpcore.AsyncNetworkStream | None:
        """Return the connection, None when there is none; who takes it owns it. Only one may."""
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            await self.close()
            raise
        if self.is_usable:
            return self._task.result()
        await self.close()
        return None

    async def close(self) -> None:
        """Close it if nobody has taken it; idempotent."""
        # anyio forgets a connection that is made in the moment it is given up: what is nearly there may come.
        await asyncio.wait([self._task], timeout=GRACE_S)
        self._task.cancel()
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, httpcore.AsyncNetworkStream):
            await outcome.aclose()


async def _opened(
    opening: Coroutine[None, None, httpcore.AsyncNetworkStream],
) -> httpcore.AsyncNetworkStream | None:
    try:
        async with asyncio.timeout(OPEN_S):
            return await opening
    except (OSError, ProviderError, UnicodeError, httpcore.NetworkError, httpcore.TimeoutException) as error:
        _log.debug("no connection was opened ahead: %s", type(error).__name__)
        return None


def _is_established(stream: httpcore.AsyncNetworkStream) -> bool:
    """Return whether nobody has hung up; that something waits to be read says nothing: TLS has tickets."""
    raw = stream.get_extra_info("socket")
    try:
        return bool(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED)
    except OSError:
        return False
