"""Run handlers that must not hold up the loop, each in a task or thread of its own, with a bounded queue."""

import asyncio
import contextlib
import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from voxd.bus.handler_stats import HandlerFault, HandlerRecord, HandlerStats
from voxd.clock import Clock
from voxd.events import Event

# Calls from other threads that wait for the loop; more are refused.
MAX_PENDING = 256


class LoopAffinity:
    """The event loop a bus belongs to, and the bounded way there for handlers that run in a thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._pending = 0
        self._lock = threading.Lock()
        self.refused = 0
        """Calls that were not made because `MAX_PENDING` were waiting."""

    def bind(self) -> asyncio.AbstractEventLoop:
        """Remember, and return, the running loop. Raises `RuntimeError` when there is none."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # A new loop (`asyncio.run` again): calls that waited for the old one are gone.
            self._loop, self._pending = loop, 0
        self._thread = threading.get_ident()
        return loop

    @property
    def is_here(self) -> bool:
        """Whether the caller runs in the loop's own thread; also True before `bind`."""
        loop = self._loop
        return loop is None or threading.get_ident() == self._thread or loop.is_closed()

    def send(self, call: Callable[[], None]) -> None:
        """Make ``call`` on the loop soon; refused, and counted, when too many are pending."""
        loop = self._loop
        with self._lock:
            if loop is None or self._pending >= MAX_PENDING:
                self.refused += 1
                return
            self._pending += 1

        def arrive() -> None:
            with self._lock:
                self._pending -= 1
            call()

        with contextlib.suppress(RuntimeError):  # the loop is closed, the call is not needed
            loop.call_soon_threadsafe(arrive)


class TaskWorker:
    """Calls one async handler, one event after the other, in a task that lives while there is work.

    A call that takes longer than ``timeout_s`` is cancelled and reported. While calls lag, the oldest of more
    than ``limit`` waiting events is dropped and counted.
    """

    def __init__(
        self,
        handler: Callable[[Event], Any],
        record: HandlerRecord,
        stats: HandlerStats,
        clock: Clock,
        *,
        limit: int,
        timeout_s: float,
    ) -> None:
        self._handler = handler
        self._record = record
        self._stats = stats
        self._clock = clock
        self._limit = limit
        self._timeout_s = timeout_s
        self._queue: deque[tuple[Event, Awaitable[Any] | None]] = deque()
        self._began_s = 0.0
        self._current: Event | None = None
        self._timeouts = 0
        self.task: asyncio.Task[None] | None = None

    def offer(self, event: Event, begun: Awaitable[Any] | None = None) -> None:
        """Queue a call with ``event``, or what a call has returned to be awaited.

        Raises `RuntimeError` where no loop runs.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            _discard(begun)
            raise
        if len(self._queue) == self._limit:
            oldest, never_begun = self._queue.popleft()
            _discard(never_begun)
            self._stats.dropped(self._record, oldest)
        # The newest is kept: a handler that lags is more interested in the present.
        self._queue.append((event, begun))
        if not self.is_busy:
            # Not a TaskScope: the dispatcher waits for this task, and a handler's failure is reported by its
            # stats.
            self.task = loop.create_task(self._drain())

    @property
    def is_busy(self) -> bool:
        """Whether a call runs or waits."""
        return self.task is not None and not self.task.done()

    def clear(self) -> None:
        """Forget what waits; a call that runs is left to end."""
        while self._queue:
            _discard(self._queue.popleft()[1])

    def close(self) -> None:
        """Forget what waits and give up the call that runs, unless that call is who asks."""
        self.clear()
        if self.task and self.task is not asyncio.current_task():
            self.task.cancel()

    async def _drain(self) -> None:
        watch = asyncio.create_task(self._watch(asyncio.current_task()))
        try:
            while self._queue:
                await self._call(*self._queue.popleft())
        finally:
            watch.cancel()

    async def _call(self, event: Event, begun: Awaitable[Any] | None) -> None:
        self._current, self._began_s = event, self._clock.monotonic()
        try:
            result = begun if begun is not None else self._handler(event)
            if inspect.isawaitable(result):
                await result
            self._stats.handled()
            # A handler that never waits for anything must not keep the loop until its queue is empty.
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            self._cancelled(event, error)
        except Exception as error:
            # A handler may be third-party code: the worker goes on with the next event.
            self._stats.failed(self._record, event, error)
        task = asyncio.current_task()
        while task and self._timeouts:
            task.uncancel()
            self._timeouts -= 1

    def _cancelled(self, event: Event, error: asyncio.CancelledError) -> None:
        """Continue after a timeout or a call that cancelled itself; re-raise when the worker is cancelled."""
        task = asyncio.current_task()
        if task is None or task.cancelling() > self._timeouts:
            raise error
        if not self._timeouts:
            self._stats.failed(self._record, event, error)

    async def _watch(self, calls: asyncio.Task[None] | None) -> None:
        while calls is not None:
            left_s = self._began_s + self._timeout_s - self._clock.monotonic()
            if left_s > 0:
                await self._clock.sleep(left_s)
            # Cancelled by hand instead of asyncio.timeout, whose clock tests could not move.
            elif self._current is not None:
                self._began_s = self._clock.monotonic()
                self._timeouts += 1
                calls.cancel()
                self._stats.report_fault(self._record, self._current, HandlerFault.TIMEOUT)


class ThreadWorker:
    """Calls one sync handler that has shown to be slow, in a thread of its own.

    A call cannot be given up: a handler that hangs holds its thread, its queue fills, and the oldest of more
    than ``limit`` waiting events is dropped and counted.
    """

    def __init__(
        self,
        handler: Callable[[Event], Any],
        record: HandlerRecord,
        stats: HandlerStats,
        loop: asyncio.AbstractEventLoop,
        *,
        wants: Callable[[Event], object],
        limit: int,
    ) -> None:
        self._handler = handler
        self._wants = wants
        self._record = record
        self._stats = stats
        self._loop = loop
        self._limit = limit
        self._queue: deque[Event] = deque()
        self._wake = threading.Condition()
        self._closed = False
        # A daemon thread: a handler that hangs for ever must not keep the program from ending.
        self.thread = threading.Thread(target=self._run, name=f"voxd-handler-{record.id}", daemon=True)
        self.thread.start()

    def offer(self, event: Event) -> None:
        """Queue a call with ``event``."""
        oldest = None
        with self._wake:
            if len(self._queue) == self._limit:
                oldest = self._queue.popleft()
            self._queue.append(event)
            self._wake.notify()
        if oldest is not None:
            self._stats.dropped(self._record, oldest)

    def close(self) -> None:
        """Forget what waits; the thread ends after the call that runs."""
        with self._wake:
            self._queue.clear()
            self._closed = True
            self._wake.notify()

    def _run(self) -> None:
        while (event := self._next()) is not None:
            try:
                if self._wants(event):
                    self._handler(event)
                    self._post(self._stats.handled)
            except Exception as error:
                # As above, in a thread of its own.
                self._post(self._stats.failed, self._record, event, error)

    def _next(self) -> Event | None:
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._closed)
            return self._queue.popleft() if self._queue else None

    def _post(self, what: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, the call is not needed
            self._loop.call_soon_threadsafe(what, *arguments)


def _discard(result: Awaitable[Any] | None) -> None:
    if inspect.iscoroutine(result):
        result.close()
