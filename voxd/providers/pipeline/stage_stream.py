"""Runs what one stage yields in a task of its own: to be waited for with a deadline, and given up at once."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from voxd.clock import Clock
from voxd.errors import ConnectionFailed, ProviderError, VoxdError
from voxd.providers.realtime.connect import translate_errors

T = TypeVar("T")

MAX_WAITING = 256
"""Items of one stream that wait to be taken; its stage then has to wait too."""


class Crew:
    """The tasks of one session: each can be dismissed at once, and all are waited for at its end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Do ``work`` in the background."""
        task = asyncio.create_task(work, name=f"pipeline {name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def close(self) -> None:
        """End everything, and wait until nothing of it is left."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever needs the result asks the task; nobody may


async def run_until(clock: Clock, work: Coroutine[Any, Any, T], until_s: float | None) -> T:
    """Return what ``work`` returns. Raises `TimeoutError` at ``until_s`` (of ``clock``), None for never."""
    if until_s is None:
        return await work
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(max(0.0, until_s - clock.monotonic())))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()
        timer.cancel()
        await asyncio.gather(task, timer, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """A stream is over; ``error`` is why, None when it came to its end."""

    error: VoxdError | None = None


async def pump(source: AsyncGenerator[T], name: str, put: Callable[[T | StreamEnd], Awaitable[None]]) -> None:
    """Give everything ``source`` yields to ``put``, and then why it ended. A fault of it names ``name``."""
    error: VoxdError | None = None
    try:
        with translate_errors(name):
            async with aclosing(source) as items:
                async for item in items:
                    await put(item)
    except VoxdError as raised:
        error = raised
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        error = ProviderError(f"{name} gave up by itself", provider=name)
    await put(StreamEnd(error))


class StageStream(Generic[T]):
    """What ``source`` yields. `give_up` ends it without waiting for its farewell."""

    def __init__(self, source: AsyncGenerator[T], *, name: str, crew: Crew, clock: Clock) -> None:
        self._queue: asyncio.Queue[T | StreamEnd] = asyncio.Queue(MAX_WAITING)
        self._clock = clock
        self._name = name
        self._over: StreamEnd | None = None
        self._task = crew.start(pump(source, name, self._queue.put), name)

    async def next(self, until_s: float | None) -> T:
        """Return the next item.

        Raises `StopAsyncIteration` after the last one, `TimeoutError` at ``until_s``, and the stage's fault.
        """
        if self._over is None:
            item = await self._taken(until_s)
            if not isinstance(item, StreamEnd):
                return item
            self._over = item
        if self._over.error is not None:
            raise self._over.error
        raise StopAsyncIteration

    def give_up(self) -> None:
        """End it; idempotent."""
        self._over = self._over or StreamEnd(ConnectionFailed("given up", provider=self._name))
        self._task.cancel()

    async def _taken(self, until_s: float | None) -> T | StreamEnd:
        try:
            return self._queue.get_nowait()
        except asyncio.QueueEmpty:
            return await run_until(self._clock, self._queue.get(), until_s)


async def drain(stream: StageStream[T]) -> AsyncGenerator[T]:
    """Yield what ``stream`` holds and what still comes. Raises the stage's fault."""
    try:
        while True:
            try:
                item = await stream.next(None)
            except StopAsyncIteration:
                return
            yield item
    finally:
        stream.give_up()
