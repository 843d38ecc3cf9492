"""The event bus: publishes every event to all subscribers and never waits for one of them."""

import asyncio
import fnmatch
import itertools
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Self, TypeVar, overload

from voxd.bus.aliases import EVENT_ALIASES
from voxd.bus.dispatcher import Dispatcher
from voxd.bus.handler import Filter, Handler, Selector
from voxd.bus.handler_stats import HandlerRecord, HandlerStats, handler_name
from voxd.bus.workers import LoopAffinity
from voxd.clock import Clock
from voxd.errors import InvalidRequest
from voxd.events import Event, EventType

# The types that carry sound, many times a second.
CHUNKS = frozenset({EventType.AUDIO_INPUT_CHUNK, EventType.AUDIO_OUTPUT_CHUNK})

# How many chunks are remembered, by their sizes.
CHUNKS_KEPT = 64

# Event types with a counter of their own; further custom types share the counter `(other)`.
TYPES_COUNTED = 512

H = TypeVar("H", bound=Handler)


def _decorates(event: Event) -> None:
    """Stand for a handler that is not passed: then `Bus.on` is a decorator. An explicit None is refused."""


_SOUND = (bytes, bytearray, memoryview)
# What would hold much memory: sound, and an exception with all the frames of its traceback.
_HEAVY = (*_SOUND, BaseException)

_MEMBERS = {member.value: member for member in EventType}


class Subscription:
    """A bounded queue of events for one subscriber; the oldest is dropped, and counted, when it lags."""

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
        # deque drops from the other end by itself; it is only counted here.
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
    """Publishes every event to all handlers and subscriptions and never waits for one of them.

    Internal code uses `handle` and `subscribe`; users of the library `on`, `once` and `off`, which isolate
    the bus from slow and failing handlers. A type is an `EventType`, an alias of `voxd.bus.aliases`, a custom
    name, or a glob.

    The last ``history`` events are kept, with the size instead of the audio and the text instead of an
    exception. Chunks are kept in a deque of their own (`CHUNKS_KEPT`), so that they do not push other
    events out; a subscription does not get them.
    """

    def __init__(self, clock: Clock, *, history: int = 256) -> None:
        self._clock = clock
        self._ids = itertools.count(1)
        self._chunk_ids = itertools.count(1)
        self._subscriptions: set[Subscription] = set()
        self._internal: list[tuple[Callable[[Event], None], HandlerRecord]] = []
        self._stats = HandlerStats(clock, self.emit)
        self._affinity = LoopAffinity()
        self._dispatcher = Dispatcher(self._stats, clock, self._affinity)
        self._counts: Counter[str] = Counter()
        self.history: deque[Event] = deque(maxlen=history)
        self._chunks: deque[Event] = deque(maxlen=CHUNKS_KEPT)

    def emit(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        """Publish one event to every handler and subscription. Call it on the event loop only.

        A handler that raises is logged and does not stop the others. Only a handler that the bus itself has
        moved to a thread may call it there; then it happens on the loop soon.
        """
        if not self._affinity.is_here:
            # Events are ordered by the loop; a second thread would interleave ids and queues.
            self._affinity.send(lambda: self.emit(type, turn=turn, **data))
            return
        name: str | None = _MEMBERS.get(type)
        if name is None:
            alias = EVENT_ALIASES.get(type)
            name, data = (alias.type, {**alias.where, **data}) if alias else (type, data)
        is_chunk = name in CHUNKS
        event = Event(next(self._chunk_ids if is_chunk else self._ids), name, self._clock.wall(), turn, data)
        # The number of counters is bounded: custom types are the user's, and may be made up without end.
        is_counted = name in self._counts or len(self._counts) < TYPES_COUNTED
        self._counts[name if is_counted else "(other)"] += 1
        summary = _summary(event)
        (self._chunks if is_chunk else self.history).append(summary)
        # The queues first: what a handler emits in turn comes after its cause.
        if not is_chunk:
            for subscription in tuple(self._subscriptions):
                subscription.offer(summary)
        for handler, record in self._internal:
            try:
                handler(event)
            except Exception as error:
                # A bug in one internal handler must not keep the event from the others.
                self._stats.failed(record, event, error)
        self._dispatcher.deliver(event)

    def handle(self, handler: Callable[[Event], None]) -> None:
        """Call ``handler`` with every event, on the loop, at once; it must not block."""
        self._internal.append((handler, HandlerRecord("", handler_name(handler))))

    def subscribe(self, patterns: Iterable[str] = ("*",), *, limit: int = 256) -> Subscription:
        """Return a queue of the events whose type matches one of the glob ``patterns``, as remembered."""
        subscription = Subscription(self, tuple(patterns), limit)
        self._subscriptions.add(subscription)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Forget ``subscription``; called by its own `close`."""
        self._subscriptions.discard(subscription)

    # --- for users of the library -----------------------------------------------------------------

    @overload
    def on(self, type: str, handler: Handler, *, priority: int = 0, filter: Filter | None = None) -> str: ...

    @overload
    def on(self, type: str, *, priority: int = 0, filter: Filter | None = None) -> Callable[[H], H]: ...

    def on(
        self, type: str, handler: Handler = _decorates, *, priority: int = 0, filter: Filter | None = None
    ) -> str | Callable[[H], H]:
        """Call ``handler`` with every event of ``type`` that ``filter`` lets pass; returns the handler's id.

        Without a handler it is a decorator, ``@events.on(EventType.TEXT_OUTPUT)``. Higher ``priority`` first,
        then in order of registration. A plain function is called at once and must be quick: after three calls
        of more than 50 ms it moves to a thread of its own. A coroutine function runs in a task of its own,
        one event after the other, at most 10 s each. Raises `InvalidRequest`.
        """
        return self._register(type, handler, priority=priority, filter=filter, once=False)

    @overload
    def once(
        self, type: str, handler: Handler, *, priority: int = 0, filter: Filter | None = None
    ) -> str: ...

    @overload
    def once(self, type: str, *, priority: int = 0, filter: Filter | None = None) -> Callable[[H], H]: ...

    def once(
        self, type: str, handler: Handler = _decorates, *, priority: int = 0, filter: Filter | None = None
    ) -> str | Callable[[H], H]:
        """Like `on`, for the first such event only."""
        return self._register(type, handler, priority=priority, filter=filter, once=True)

    def _register(
        self, type: str, handler: Handler, *, priority: int, filter: Filter | None, once: bool
    ) -> str | Callable[[H], H]:
        if handler is not _decorates:
            return self._dispatcher.add(type, handler, priority=priority, filter=filter, once=once)

        def decorate(function: H) -> H:
            self._dispatcher.add(type, function, priority=priority, filter=filter, once=once)
            return function

        return decorate

    def has_handler(self, *types: str) -> bool:
        """Whether a handler is registered for one of ``types`` by that very type, and not by a glob."""
        return self._dispatcher.has_handler(types)

    def off(self, which: str, handler: Handler | str | None = None) -> bool:
        """Forget a handler, by its id, or by type and handler (or id); says whether there was one."""
        return self._dispatcher.remove(which, handler)

    def get_history(self, event_type: str | None = None, limit: int | None = None) -> list[Event]:
        """Return the newest ``limit`` remembered events of ``event_type``, the oldest of them first.

        Chunks of sound are found by their own type only, not by a glob. Raises `InvalidRequest`.
        """
        if limit is not None and limit < 0:
            raise InvalidRequest(f"{limit} is not a number of events", hint="use 0 or more")
        selector = Selector.from_name("*" if event_type is None else event_type)
        remembered = self._chunks if selector.type in CHUNKS else self.history
        found = [event for event in remembered if selector.takes(event.type) and selector.accepts(event)]
        return found if limit is None else found[len(found) - min(limit, len(found)) :]

    def clear_history(self) -> None:
        """Forget every remembered event."""
        self.history.clear()
        self._chunks.clear()

    def get_metrics(self) -> dict[str, Any]:
        """Return counts since the start; ``events_handled`` are calls of handlers that succeeded."""
        return {
            "events_emitted": self._counts.total(),
            "events_handled": self._stats.events_handled,
            "events_dropped": self._stats.events_dropped + self._affinity.refused,
            "handler_count": self._dispatcher.count,
            "handler_errors": self._stats.handler_errors,
            "events_by_type": dict(self._counts),
        }

    async def close(self, timeout_s: float = 1.0) -> None:
        """Wait up to ``timeout_s`` for running async handlers, then cancel them. Idempotent."""
        await self._dispatcher.close(timeout_s)


def _summary(event: Event) -> Event:
    """Return ``event`` as it is remembered: the size of sound, the text of an exception."""
    if not any(isinstance(value, _HEAVY) for value in event.data.values()):
        return event
    data: dict[str, Any] = {}
    for key, value in event.data.items():
        if isinstance(value, BaseException):
            data[key] = f"{type(value).__name__}: {value}"
        elif isinstance(value, _SOUND):
            data[f"{key}_bytes"] = len(value)
        else:
            data[key] = value
    return Event(event.id, event.type, event.time, event.turn, data)
