"""Reads a reply ahead of who hears it, so that whoever answers works while something else is being said."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Self

from voxd.providers.contract import ReplyEnd, ReplyItem

AHEAD = 32
"""Items that may wait: some seconds of sound. A reply that is further ahead than that waits here."""


class Relay:
    """Runs ``replies`` inside ``async with``, and closes them at its end."""

    def __init__(self, replies: AsyncGenerator[ReplyItem]) -> None:
        self._replies = replies
        self._items: deque[ReplyItem] = deque()
        self._over = False
        self._error: Exception | None = None
        self._changed = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._reading = asyncio.create_task(self._read(), name="relay")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def ready(self) -> None:
        """Return when `next` need not wait."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._items or self._over)

    async def next(self) -> ReplyItem | None:
        """Return the next item, None where the reply breaks off; raises what the reply raised.

        After `ReplyEnd` there is none.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._items or self._over)
            if self._items:
                self._changed.notify_all()
                return self._items.popleft()
        if self._error is not None:
            raise self._error
        return None

    async def _read(self) -> None:
        try:
            async with aclosing(self._replies) as replies:
                async for item in replies:
                    async with self._changed:
                        await self._changed.wait_for(lambda: len(self._items) < AHEAD)
                        self._items.append(item)
                        self._changed.notify_all()
                    if isinstance(item, ReplyEnd):
                        # Whoever answers learns from the closing what of it was heard: that is yet to come.
                        await asyncio.Event().wait()
        except Exception as error:
            # Whatever it is belongs to the one who waits for the reply.
            self._error = error
        finally:
            self._over = True
            async with self._changed:
                self._changed.notify_all()
