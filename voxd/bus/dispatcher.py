"""Calls the registered handlers of each event by priority, and cuts loops of events they emit."""

import asyncio
import itertools
from collections import deque

from voxd.bus.handler import Filter, Handler, Registration, Selector
from voxd.bus.handler_stats import REPORTS_PER_MINUTE, HandlerFault, HandlerRecord, HandlerStats, handler_name
from voxd.bus.workers import LoopAffinity
from voxd.clock import Clock
from voxd.errors import InvalidRequest
from voxd.events import Event, EventType

# How many events handlers may emit in consequence of one event; more is taken for a circle and cut.
MAX_FOLLOWING = 256

# Types whose handlers are remembered, so that an event finds them by one look-up.
ROUTES_KEPT = 512


class Dispatcher:
    """Keeps the registrations and calls them."""

    def __init__(self, stats: HandlerStats, clock: Clock, affinity: LoopAffinity) -> None:
        self._stats = stats
        self._clock = clock
        self._affinity = affinity
        self._ids = itertools.count(1)
        self._registrations: list[Registration] = []
        self._routes: dict[str, tuple[Registration, ...]] = {}
        self._following: deque[Event] = deque()
        self._running: Registration | None = None
        # What was registered for one event only may still have a task that runs.
        self._once_done: set[Registration] = set()

    @property
    def count(self) -> int:
        """How many handlers are registered."""
        return len(self._registrations)

    def has_handler(self, types: tuple[str, ...]) -> bool:
        """Whether a handler is registered for one of ``types``, not counting globs."""
        return any(each.selector.type in types for each in self._registrations)

    def add(self, type: str, handler: Handler, *, priority: int, filter: Filter | None, once: bool) -> str:
        """Register; returns the id. Raises `InvalidRequest`."""
        if not isinstance(type, str) or not type:
            raise InvalidRequest(f"{type!r} is not a type of events", hint="use an EventType, a name or `*`")
        if not callable(handler) or (filter is not None and not callable(filter)):
            raise InvalidRequest("a handler of events, and its filter, must be callable")
        record = HandlerRecord(f"h{next(self._ids)}", handler_name(handler))
        registration = Registration(
            record,
            Selector.from_name(type),
            handler,
            priority=priority,
            filter=filter,
            on_once=self._retire if once else None,
            stats=self._stats,
            clock=self._clock,
            affinity=self._affinity,
        )
        self._registrations.append(registration)
        # Stable: equal priorities stay in the order of registration.
        self._registrations.sort(key=lambda each: -each.priority)
        self._routes.clear()
        return record.id

    def remove(self, which: str, handler: Handler | str | None) -> bool:
        """Forget by id, by type and id, or by type and handler; says whether there was one."""
        found = [each for each in self._registrations if _is_meant(each, which, handler)]
        for registration in found:
            self._forget(registration)
            registration.close()
        return bool(found)

    def deliver(self, event: Event) -> None:
        """Call every handler of ``event``. What they emit meanwhile is delivered after it, in order."""
        route = self._route(event.type)
        if not route:
            return
        if self._running:
            if _may_follow(event, len(self._following)):
                self._following.append(event)
            else:
                self._stats.dropped(self._running.record, event, HandlerFault.LOOP)
            return
        try:
            self._call(route, event)
            followed = 0
            while self._following and self._running:
                event = self._following.popleft()
                if _may_follow(event, followed):
                    followed += 1
                    self._call(self._route(event.type), event)
                else:
                    self._stats.dropped(self._running.record, event, HandlerFault.LOOP)
        finally:
            self._running = None
            self._following.clear()

    async def close(self, timeout_s: float) -> None:
        """Let async handlers end, for ``timeout_s``; then give them up and end the threads."""
        registrations = [*self._registrations, *self._once_done]
        tasks = {each.tasks.task for each in registrations if each.tasks.task}
        # Not the caller's own: a handler may close the bus, and would wait for itself.
        running = {task for task in tasks if not task.done()} - {asyncio.current_task()}
        if running:
            await asyncio.wait(running, timeout=timeout_s)
        for registration in registrations:
            registration.give_up()
        if running:
            await asyncio.wait(running, timeout=0)
        self._once_done.clear()

    def _call(self, route: tuple[Registration, ...], event: Event) -> None:
        for registration in route:
            # An earlier handler of this event may have removed it.
            if registration.registered:
                self._running = registration
                registration.deliver(event)

    def _route(self, type: str) -> tuple[Registration, ...]:
        route = self._routes.get(type)
        if route is None:
            if len(self._routes) >= ROUTES_KEPT:
                self._routes.clear()
            route = tuple(each for each in self._registrations if each.selector.takes(type))
            self._routes[type] = route
        return route

    def _forget(self, registration: Registration) -> None:
        # Seen by a delivery that is under way, which works on a copy of the route.
        registration.registered = False
        self._registrations.remove(registration)
        self._routes.clear()

    def _retire(self, registration: Registration) -> None:
        self._forget(registration)
        self._once_done = {each for each in self._once_done if each.tasks.is_busy} | {registration}


def _may_follow(event: Event, before: int) -> bool:
    """Say whether one more may follow; the news that no more may is let through."""
    is_report = event.type == EventType.HANDLER_FAILED
    return before < MAX_FOLLOWING + (REPORTS_PER_MINUTE if is_report else 0)


def _is_meant(registration: Registration, which: str, handler: Handler | str | None) -> bool:
    if handler is None:
        return registration.record.id == which
    return registration.selector == Selector.from_name(which) and (
        registration.record.id == handler or registration.handler == handler
    )
