"""Calls what may block, in threads that delay nobody but the caller.

asyncio's own pool has few threads: stuck calls (a name look-up takes up to 10 s, a stranger's tool may hang
for ever) hold up every other user of it, and the end of the program too (reference/reliability.md, fact 11).
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], *, name: str, on_end: Callable[[], None] = lambda: None) -> T:
    """Return what ``work`` returns, or raise what it raises; a caller who gives up leaves it to itself.

    ``on_end`` is called in that thread when ``work`` has ended after all.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Callable[[], T]] = loop.create_future()

    def settle(outcome: Callable[[], T]) -> None:
        if not answer.done():
            answer.set_result(outcome)

    def run() -> None:
        outcome = _outcome(work)
        on_end()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(settle, outcome)

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
