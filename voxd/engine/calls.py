"""What every asynchronous method of an engine does around its work: the log level, and short tracebacks."""

import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from voxd.engine.log_level import LogLevel
from voxd.errors import VoxdError

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class HasLogLevel(Protocol):
    """An engine: it has a log level of its own."""

    log_level: LogLevel


S = TypeVar("S", bound=HasLogLevel)


def engine_call(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Run ``method`` with the log level of its engine; a `VoxdError` it raises has a short traceback."""

    async def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.log_level.in_force():
            try:
                return await method(self, *args, **kwargs)
            except VoxdError as error:
                # The frames of retries, tasks and the vendor's protocol do not help the caller; a search for
                # a bug does with log_level="DEBUG".
                _log.debug("%s failed", method.__name__, exc_info=error)
                raise shorten(error) from error.__cause__

    functools.update_wrapper(call, method)
    return call


def shorten(error: VoxdError) -> VoxdError:
    """Remove the frames below the caller from the traceback of ``error`` and of its causes; returns it."""
    each: BaseException | None = error
    while each is not None:
        each.__traceback__ = None
        # "During handling of the above exception" repeats what the message says.
        each.__suppress_context__ = True
        each = each.__cause__
    return error
