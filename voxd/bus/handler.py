"""One registered handler: which events it selects, and how it is called without blocking the event loop."""

import fnmatch
import inspect
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from voxd.bus.aliases import EVENT_ALIASES
from voxd.bus.handler_stats import HandlerFault, HandlerRecord, HandlerStats
from voxd.bus.workers import LoopAffinity, TaskWorker, ThreadWorker
from voxd.clock import Clock
from voxd.events import Event

Handler = Callable[[Event], Any]
"""Takes an event. What it returns is awaited if that can be awaited, and else ignored."""

Filter = Callable[[Event], object]
"""Takes an event, says whether the handler wants it; runs where a sync handler runs, so it must be quick."""

# A sync handler that takes longer holds up the loop noticeably.
SLOW_S = 0.05

SLOW_CALLS = 3
# After so many slow calls in that time a sync handler has to run in a thread of its own.
SLOW_WITHIN_S = 60.0

# Longest call of an async handler.
CALL_TIMEOUT_S = 10.0

# How many events wait for an async handler, or for one in a thread.
QUEUE_EVENTS = 256


@dataclass(frozen=True, slots=True)
class Selector:
    """Which events are meant: those of ``type``, which may be a glob, whose data says what ``where`` says."""

    type: str
    where: Mapping[str, Any]

    @classmethod
    def from_name(cls, name: str) -> Self:
        """Return what ``name`` means: one of our types, an alias, a custom type, or a glob."""
        alias = EVENT_ALIASES.get(name)
        return cls(alias.type, alias.where) if alias else cls(name, {})

    def takes(self, type: str) -> bool:
        """Say whether events of ``type`` may be meant."""
        return type == self.type or fnmatch.fnmatchcase(type, self.type)

    def accepts(self, event: Event) -> bool:
        """Say whether ``event``, of a type it takes, is meant."""
        return all(event.data.get(key) == value for key, value in self.where.items())


class Registration:
    """A handler with its priority and filter. `deliver` never raises and never waits."""

    def __init__(
        self,
        record: HandlerRecord,
        selector: Selector,
        handler: Handler,
        *,
        priority: int,
        filter: Filter | None,
        on_once: Callable[["Registration"], None] | None,
        stats: HandlerStats,
        clock: Clock,
        affinity: LoopAffinity,
    ) -> None:
        self.record = record
        self.selector = selector
        self.handler = handler
        self.priority = priority
        self.registered = True
        self._filter = filter
        self._on_spent = on_once
        self._stats = stats
        self._clock = clock
        self._affinity = affinity
        self._slow_calls_s: deque[float] = deque(maxlen=SLOW_CALLS)
        self.tasks = TaskWorker(handler, record, stats, clock, limit=QUEUE_EVENTS, timeout_s=CALL_TIMEOUT_S)
        self.thread: ThreadWorker | None = None
        self._is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
            getattr(handler, "__call__", None)  # noqa: B004 (an object with an async __call__)
        )

    def deliver(self, event: Event) -> None:
        """Call the handler with ``event`` if it wants it, at once or where it has to run."""
        if not self.selector.accepts(event):
            return
        if self.thread:
            self.thread.offer(event)
            return
        began_s = self._clock.monotonic()
        try:
            self._call(event)
        except Exception as error:
            # A handler may be third-party code: it must not stop the other handlers.
            self._stats.failed(self.record, event, error)
        ended_s = self._clock.monotonic()
        if ended_s - began_s > SLOW_S:
            self._note_slow(event, ended_s)

    def give_up(self) -> None:
        """Cancel the call that runs, forget what waits; a handler that had to move comes back to the loop."""
        self.tasks.close()
        self.close()

    def close(self) -> None:
        """Forget what waits; a call that runs is left to end."""
        self._slow_calls_s.clear()
        self.tasks.clear()
        if self.thread:
            self.thread.close()
            self.thread = None

    def _wants(self, event: Event) -> object:
        return self._filter is None or self._filter(event)

    def _call(self, event: Event) -> None:
        if not self._wants(event):
            return
        # Before the call: what the handler emits must not reach it a second time.
        if self._on_spent:
            self._on_spent(self)
        if self._is_async:
            self.tasks.offer(event)
            return
        result = self.handler(event)
        if result is not None and inspect.isawaitable(result):
            # A plain function that returns an awaitable is an async handler from now on: it is timed as one.
            self._is_async = True
            self.tasks.offer(event, result)
        else:
            self._stats.handled()

    def _note_slow(self, event: Event, now_s: float) -> None:
        calls_s = self._slow_calls_s
        calls_s.append(now_s)
        if len(calls_s) < SLOW_CALLS or now_s - calls_s[0] > SLOW_WITHIN_S or self._is_async:
            return
        try:
            loop = self._affinity.bind()
        except RuntimeError:
            return  # nothing can be held up where no loop runs
        self.thread = ThreadWorker(
            self.handler, self.record, self._stats, loop, wants=self._wants, limit=QUEUE_EVENTS
        )
        self._stats.report_fault(self.record, event, HandlerFault.SLOW)
