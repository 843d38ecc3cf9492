"""Carries events from whoever emits them to whoever listens, without ever waiting for a listener."""

import asyncio
import fnmatch
import itertools
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Self

from voxd.clock import Clock
from voxd.events import Event

_log = logging.getLogger(__name__)


class Subscription:
    """A bounded queue of events for one listener; the oldest is dropped, and counted, when it lags."""

    def __init__(self, bus: "Bus", patterns: tuple[str, ...], limit: int) -> None:
        self._bus = bus
        self._patterns = patterns
        self._queue: deque[Event] = deque(maxlen=limit)
        self._ready = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def offer(self, event: Event) -> None:
        """Queue ``event`` if it matches; called by the bus."""
        if not any(fnmatch.fnmatchcase(event.type, pattern) for pattern in self._patterns):
            return
        if len(self._queue) == self._queue.maxlen:
            self.dropped += 1
        self._queue.append(event)
        self._ready.set()

    def close(self) -> None:
        """End the iteration; idempotent."""
        self._closed = True
        self._bus.remove(self)
        self._ready.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            while self._queue:
                yield self._queue.popleft()
            if self._closed:
                return
            self._ready.clear()
            await self._ready.wait()


class Bus:
    """Carries events from whoever emits them to whoever listens, without ever waiting for a listener."""

    def __init__(self, clock: Clock, *, history: int = 256) -> None:
        self._clock = clock
        self._ids = itertools.count(1)
        self._subscriptions: set[Subscription] = set()
        self._handlers: list[Callable[[Event], None]] = []
        self.history: deque[Event] = deque(maxlen=history)

    def emit(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        """Publish one event to every handler and subscription.

        A handler that raises is logged and does not stop the others.
        """
        event = Event(next(self._ids), type, self._clock.wall(), turn, data)
        self.history.append(event)
        for handler in self._handlers:
            try:
                handler(event)
            except Exception:
                _log.exception("a handler of event %s failed", type)
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)

    def handle(self, handler: Callable[[Event], None]) -> None:
        """Call ``handler`` with every event, on the loop, at once; it must not block."""
        self._handlers.append(handler)

    def subscribe(self, patterns: Iterable[str] = ("*",), *, limit: int = 256) -> Subscription:
        """Return a queue of the events whose type matches one of the glob ``patterns``."""
        subscription = Subscription(self, tuple(patterns), limit)
        self._subscriptions.add(subscription)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Forget ``subscription``; called by its own `close`."""
        self._subscriptions.discard(subscription)
