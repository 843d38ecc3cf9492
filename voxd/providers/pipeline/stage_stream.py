"""Runs a stage's generator in a task of its own, so that its reader has deadlines and can cancel at once."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from voxd.clock import Clock
from voxd.errors import ConnectionFailed, ProviderError, VoxdError
from voxd.net.transport import Budget
from voxd.providers.realtime.connect import translate_errors
from voxd.tasks import TaskScope

T = TypeVar("T")

MAX_WAITING = 256
"""Items of one stream that wait for the reader; with more of them the stage has to wait."""

QUEUE_LOOK_S = 0.05
"""The shortest time between two looks at a deadline that moves on."""


async def run_until(
    clock: Clock, work: Coroutine[Any, Any, T], until_s: float | None, budget: Budget | None = None
) -> T:
    """Return what ``work`` returns. Raises `TimeoutError` at ``until_s`` of ``clock``, None for never.

    The time that requests of ``budget`` spend in a queue of ours does not count.
    """
    if until_s is None:
        return await work
    # asyncio.timeout_at reads the loop's clock; tests of deadlines set `Clock` instead.
    tasks = TaskScope("deadline")
    task = tasks.start(work, is_awaited=True)
    queued_s = budget.queued_s if budget is not None else 0.0
    wait_s = until_s - clock.monotonic()
    try:
        while True:
            timer = tasks.start(clock.sleep(max(0.0, wait_s)))
            await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            moved_s = budget.queued_s - queued_s if budget is not None else 0.0
            if moved_s <= 0:
                raise TimeoutError
            queued_s += moved_s
            # Not shorter: while a request queues the deadline moves on with every look at it.
            wait_s = max(moved_s, QUEUE_LOOK_S)
    finally:
        await tasks.close()


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The end of a stream; ``error`` is its cause, None for a normal end."""

    error: VoxdError | None = None


async def pump(source: AsyncGenerator[T], name: str, put: Callable[[T | StreamEnd], Awaitable[None]]) -> None:
    """Pass the items of ``source`` to ``put``, then its `StreamEnd`. Errors get the provider ``name``."""
    error: VoxdError | None = None
    try:
        with translate_errors(name):
            async with aclosing(source) as items:
                async for item in items:
                    await put(item)
    except VoxdError as raised:
        error = raised
    except asyncio.CancelledError:
        # A stage that cancels its own inner task must not look like a cancelled pump: the reader would
        # wait for ever.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        error = ProviderError(f"{name} cancelled its own request", provider=name)
    await put(StreamEnd(error))


class StageStream(Generic[T]):
    """The items of ``source``, read with deadlines; the task runs in ``tasks``.

    Time in a queue of ours, by the request's ``budget``, counts against no deadline.
    """

    def __init__(
        self,
        source: AsyncGenerator[T],
        *,
        name: str,
        tasks: TaskScope,
        clock: Clock,
        budget: Budget | None = None,
    ) -> None:
        self._queue: asyncio.Queue[T | StreamEnd] = asyncio.Queue(MAX_WAITING)
        self._clock = clock
        self._budget = budget
        self._name = name
        self._end: StreamEnd | None = None
        self._task = tasks.start(pump(source, name, self._queue.put), name=name)

    async def next(self, until_s: float | None) -> T:
        """Return the next item.

        Raises `StopAsyncIteration` after the last one, `TimeoutError` at ``until_s``, and the stage's error.
        """
        if self._end is None:
            try:
                # `run_until` starts two tasks: not needed for an item that is there already.
                item = self._queue.get_nowait()
            except asyncio.QueueEmpty:
                item = await run_until(self._clock, self._queue.get(), until_s, self._budget)
            if not isinstance(item, StreamEnd):
                return item
            self._end = item
        if self._end.error is not None:
            raise self._end.error
        raise StopAsyncIteration

    def cancel(self) -> None:
        """End the stream at once, without waiting until the stage has closed its connection. Idempotent."""
        self._end = self._end or StreamEnd(ConnectionFailed("the request was cancelled", provider=self._name))
        self._task.cancel()


async def drain(stream: StageStream[T]) -> AsyncGenerator[T]:
    """Yield the items of ``stream``, those already received first. Raises the stage's error."""
    try:
        while True:
            try:
                item = await stream.next(None)
            except StopAsyncIteration:
                return
            yield item
    finally:
        stream.cancel()
