"""The board of users' handlers: who is called for which event, in which order, and what that may lead to."""

import asyncio
import itertools
from collections import deque

from voxd.bus.handler import Filter, Handler, Listener, Selector
from voxd.bus.handler_stats import REPORTS_PER_MINUTE, Conduct, Fault, Record, name_of
from voxd.bus.loop_affinity import HomeLoop
from voxd.clock import Clock
from voxd.errors import InvalidRequest
from voxd.events import Event, EventType

MAX_FOLLOWING = 256
"""How many events handlers may emit in consequence of one event; more is taken for a circle and cut."""

ROUTES_KEPT = 512
"""Types whose handlers are remembered, so that an event finds them by one look-up."""


class Board:
    """Keeps the registrations and calls them."""

    def __init__(self, conduct: Conduct, clock: Clock, home: HomeLoop) -> None:
        self._conduct = conduct
        self._clock = clock
        self._home = home
        self._ids = itertools.count(1)
        self._listeners: list[Listener] = []
        self._routes: dict[str, tuple[Listener, ...]] = {}
        self._following: deque[Event] = deque()
        self._running: Listener | None = None
        # What was registered for one event only may still have a task that runs.
        self._spent: set[Listener] = set()

    @property
    def count(self) -> int:
        """How many handlers are registered."""
        return len(self._listeners)

    def add(self, type: str, handler: Handler, *, priority: int, filter: Filter | None, once: bool) -> str:
        """Register; returns the id. Raises `InvalidRequest`."""
        if not isinstance(type, str) or not type:
            raise InvalidRequest(f"{type!r} is not a type of events", hint="use an EventType, a name or `*`")
        if not callable(handler) or (filter is not None and not callable(filter)):
            raise InvalidRequest("a handler of events, and its filter, must be callable")
        record = Record(f"h{next(self._ids)}", name_of(handler))
        listener = Listener(
            record,
            Selector.named(type),
            handler,
            priority=priority,
            filter=filter,
            on_spent=self._spend if once else None,
            conduct=self._conduct,
            clock=self._clock,
            home=self._home,
        )
        self._listeners.append(listener)
        # Stable: equal priorities stay in the order of registration.
        self._listeners.sort(key=lambda each: -each.priority)
        self._routes.clear()
        return record.id

    def remove(self, which: str, handler: Handler | str | None) -> bool:
        """Forget by id, by type and id, or by type and handler; says whether there was one."""
        found = [each for each in self._listeners if _is_meant(each, which, handler)]
        for listener in found:
            self._forget(listener)
            listener.close()
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
                self._conduct.dropped(self._running.record, event, Fault.LOOP)
            return
        try:
            self._call(route, event)
            self._follow()
        finally:
            self._running = None
            self._following.clear()

    async def close(self, timeout_s: float) -> None:
        """Let async handlers end, for ``timeout_s``; then give them up and end the threads."""
        listeners = [*self._listeners, *self._spent]
        tasks = {each.tasks.task for each in listeners if each.tasks.task}
        running = {task for task in tasks if not task.done()} - {asyncio.current_task()}
        if running:
            await asyncio.wait(running, timeout=timeout_s)
        for listener in listeners:
            listener.give_up()
        if running:
            await asyncio.wait(running, timeout=0)
        self._spent.clear()

    def _call(self, route: tuple[Listener, ...], event: Event) -> None:
        for listener in route:
            if listener.registered:
                self._running = listener
                listener.deliver(event)

    def _follow(self) -> None:
        followed = 0
        while self._following and self._running:
            event = self._following.popleft()
            if _may_follow(event, followed):
                followed += 1
                self._call(self._route(event.type), event)
            else:
                self._conduct.dropped(self._running.record, event, Fault.LOOP)

    def _route(self, type: str) -> tuple[Listener, ...]:
        route = self._routes.get(type)
        if route is None:
            if len(self._routes) >= ROUTES_KEPT:
                self._routes.clear()
            route = tuple(each for each in self._listeners if each.selector.takes(type))
            self._routes[type] = route
        return route

    def _forget(self, listener: Listener) -> None:
        listener.registered = False
        self._listeners.remove(listener)
        self._routes.clear()

    def _spend(self, listener: Listener) -> None:
        self._forget(listener)
        self._spent = {each for each in self._spent if each.tasks.is_busy} | {listener}


def _may_follow(event: Event, before: int) -> bool:
    """Say whether one more may follow; the news that no more may is let through."""
    is_report = event.type == EventType.HANDLER_FAILED
    return before < MAX_FOLLOWING + (REPORTS_PER_MINUTE if is_report else 0)


def _is_meant(listener: Listener, which: str, handler: Handler | str | None) -> bool:
    if handler is None:
        return listener.record.id == which
    return listener.selector == Selector.named(which) and (
        listener.record.id == handler or listener.handler == handler
    )
