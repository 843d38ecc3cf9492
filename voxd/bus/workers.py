"""Run handlers that must not hold up the loop, each in a task or thread of its own, with a bounded queue."""

import asyncio
import contextlib
import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from voxd.bus.handler_stats import Conduct, Fault, Record
from voxd.clock import Clock
from voxd.events import Event


class TaskWorker:
    """Calls one async handler, one event after the other, in a task that lives while there is work.

    A call that takes longer than ``timeout_s`` is cancelled and reported. While calls lag, the oldest of more
    than ``limit`` waiting events is dropped and counted.
    """

    def __init__(
        self,
        handler: Callable[[Event], Any],
        record: Record,
        conduct: Conduct,
        clock: Clock,
        *,
        limit: int,
        timeout_s: float,
    ) -> None:
        self._handler = handler
        self._record = record
        self._conduct = conduct
        self._clock = clock
        self._limit = limit
        self._timeout_s = timeout_s
        self._queue: deque[tuple[Event, Awaitable[Any] | None]] = deque()
        self._began_s = 0.0
        self._current: Event | None = None
        self._given_up = 0
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
            self._conduct.dropped(self._record, oldest)
        self._queue.append((event, begun))
        if not self.is_busy:
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
            self._conduct.handled()
            # A handler that never waits for anything must not keep the loop until its queue is empty.
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            self._cancelled(event, error)
        except Exception as error:
            self._conduct.failed(self._record, event, error)
        self._take_back()

    def _cancelled(self, event: Event, error: asyncio.CancelledError) -> None:
        """Go on if the call was given up or cancelled itself; whoever cancels the worker means it."""
        task = asyncio.current_task()
        if task is None or task.cancelling() > self._given_up:
            raise error
        if not self._given_up:
            self._conduct.failed(self._record, event, error)

    def _take_back(self) -> None:
        task = asyncio.current_task()
        while task and self._given_up:
            task.uncancel()
            self._given_up -= 1

    async def _watch(self, calls: asyncio.Task[None] | None) -> None:
        while calls is not None:
            left_s = self._began_s + self._timeout_s - self._clock.monotonic()
            if left_s > 0:
                await self._clock.sleep(left_s)
            elif self._current is not None:
                self._began_s = self._clock.monotonic()
                self._given_up += 1
                calls.cancel()
                self._conduct.reproach(self._record, self._current, Fault.TIMEOUT)


class ThreadWorker:
    """Calls one sync handler that has shown to be slow, in a thread of its own.

    A call cannot be given up: a handler that hangs holds its thread, its queue fills, and the oldest of more
    than ``limit`` waiting events is dropped and counted.
    """

    def __init__(
        self,
        handler: Callable[[Event], Any],
        record: Record,
        conduct: Conduct,
        loop: asyncio.AbstractEventLoop,
        *,
        wants: Callable[[Event], object],
        limit: int,
    ) -> None:
        self._handler = handler
        self._wants = wants
        self._record = record
        self._conduct = conduct
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
            self._conduct.dropped(self._record, oldest)

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
                    self._tell(self._conduct.handled)
            except Exception as error:
                self._tell(self._conduct.failed, self._record, event, error)

    def _next(self) -> Event | None:
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._closed)
            return self._queue.popleft() if self._queue else None

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(what, *arguments)


def _discard(result: Awaitable[Any] | None) -> None:
    if inspect.iscoroutine(result):
        result.close()
