"""Background work with one owner: tasks, logged when they fail and joined at shutdown, and threads."""

import asyncio
import contextlib
import contextvars
import logging
import threading
from collections.abc import Callable, Coroutine
from traceback import format_tb
from typing import Any, TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)


class TaskScope:
    """The background tasks of one owner.

    A task that raises is logged and forgotten; the others go on. `close` cancels what still runs and waits
    for it. The owner closes its scope when it is closed itself, so no task outlives the object it works for.
    """

    def __init__(self, name: str) -> None:
        """``name`` is for the log: what the tasks work for."""
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(
        self, work: Coroutine[Any, Any, T], *, name: str = "", is_awaited: bool = False
    ) -> asyncio.Task[T]:
        """Run ``work`` in the background, on the running loop.

        ``is_awaited``: the caller awaits the task and so handles its exception; it is not logged here.
        """
        # The set keeps a reference: the event loop itself holds tasks only weakly.
        task = asyncio.create_task(work, name=name or self._name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Without this, asyncio would report an unretrieved exception only when the task is collected, or
        # never.
        if not is_awaited:
            task.add_done_callback(self._log_failure)
        return task

    async def join(self) -> None:
        """Wait until the tasks that run now have ended; none is cancelled."""
        # A task of the scope that joins it would wait for itself.
        running = self._tasks - {asyncio.current_task()}
        if running:
            await asyncio.wait(running)

    async def close(self) -> None:
        """Cancel every task and wait until all have ended. Idempotent; a task of the scope may call it."""
        await cancel_and_wait(*self._tasks)

    def _log_failure(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        # The type and the place, but not the message: it may hold the user's words.
        trace = "".join(format_tb(error.__traceback__))
        _log.error("%s: %s failed: %s\n%s", self._name, task.get_name(), type(error).__name__, trace)


async def cancel_and_wait(*tasks: "asyncio.Task[Any] | None") -> None:
    """Cancel ``tasks`` and wait until they have ended; None, ended tasks and the caller's own are skipped."""
    running = {task for task in tasks if task and not task.done()} - {asyncio.current_task()}
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
        for task in running:
            # Retrieved, so that asyncio does not report it a second time.
            task.cancelled() or task.exception()


async def in_thread(work: Callable[[], T], *, name: str, on_end: Callable[[], None] = lambda: None) -> T:
    """Return what ``work`` returns, or raise what it raises; a cancelled caller leaves the thread running.

    ``on_end`` is called in that thread when ``work`` has ended after all.
    """
    # asyncio's own pool has few threads: stuck calls (a name look-up takes up to 10 s, a third party's tool
    # may hang for ever) hold up every other user of the pool, and the end of the program too.
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Callable[[], T]] = loop.create_future()

    def settle(outcome: Callable[[], T]) -> None:
        if not answer.done():
            answer.set_result(outcome)

    def run() -> None:
        outcome = _outcome(work)
        on_end()
        with contextlib.suppress(RuntimeError):  # the loop is closed, the answer is not needed
            loop.call_soon_threadsafe(settle, outcome)

    # As asyncio.to_thread does: `work` sees the context of the caller.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name=name, daemon=True).start()
    return (await answer)()


def _outcome(work: Callable[[], T]) -> Callable[[], T]:
    """Return a function that returns or raises what ``work`` did."""
    try:
        result = work()
    except BaseException as error:
        # An exit would end the loop's thread, and `StopIteration` the coroutine that waits.
        is_plain = isinstance(error, Exception) and not isinstance(error, StopIteration)
        failure = error if is_plain else RuntimeError(f"{type(error).__name__}: {error}")

        def fail() -> T:
            raise failure

        return fail
    return lambda: result
