"""What every asynchronous method of an engine does around its work: the log level, and short tracebacks."""

import functools
import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from voxd.config.mistakes.words import did_you_mean
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
                work = method(self, *args, **kwargs)
            except TypeError as error:
                # The body of a coroutine does not run before it is awaited: the arguments do not fit.
                _suggest(error, method, kwargs)
                raise
            try:
                return await work
            except VoxdError as error:
                # The frames of retries, tasks and the vendor's protocol do not help the caller; a search for
                # a bug does with log_level="DEBUG".
                _log.debug("%s failed", method.__name__, exc_info=error)
                raise shorten(error) from error.__cause__

    functools.update_wrapper(call, method)
    return call


def _suggest(error: TypeError, method: Callable[..., object], named: Mapping[str, object]) -> None:
    known = [name for name in inspect.signature(method).parameters if name != "self"]
    for name in named:
        if name not in known and (hint := did_you_mean(name, known)):
            error.add_note(f"hint: {hint}")


def shorten(error: VoxdError) -> VoxdError:
    """Remove the frames below the caller from the traceback of ``error`` and of its causes; returns it."""
    each: BaseException | None = error
    while each is not None:
        each.__traceback__ = None
        # "During handling of the above exception" repeats what the message says.
        each.__suppress_context__ = True
        each = each.__cause__
    return error
