"""Handlers for the events of all engines of a process: the functions ``on``, ``once``, ``off``, ``emit``."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from voxd.bus.bus import Bus
from voxd.bus.handler import Filter, Handler
from voxd.clock import SystemClock
from voxd.errors import VoxdError
from voxd.events import Event, EventType

_ERRORS = frozenset({EventType.ERROR_GENERAL, EventType.CONNECTION_FAILED})

# Of errors that belong to no engine: the event of an error has no entry for it.
_CONTEXTS: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """Where an error comes from: ``type`` is "message" for `voxd.send_message`, else the event's type."""

    type: str
    provider: str = ""
    code: str = ""
    recoverable: bool = False


# Process-wide because the documented functions belong to no engine. Created with the first handler, so that
# engines of a program without one publish their events once only.
@functools.cache
def _bus() -> Bus:
    return Bus(SystemClock())


def on(type: str, handler: Handler, *, priority: int = 0, filter: Filter | None = None) -> str:
    """Call ``handler`` with such events of every engine; returns the handler's id, see `voxd.bus.bus.Bus`."""
    return _bus().on(type, handler, priority=priority, filter=filter)


def once(type: str, handler: Handler, *, priority: int = 0, filter: Filter | None = None) -> str:
    """Like `on`, for the first such event only."""
    return _bus().once(type, handler, priority=priority, filter=filter)


def off(which: str, handler: Handler | str | None = None) -> bool:
    """Forget a handler, by its id, or by type and handler (or id); returns whether there was one."""
    return _bus().off(which, handler)


def emit(type: str, data: Mapping[str, Any] | None = None, /, **more: Any) -> None:
    """Publish an event to these handlers, of `EventType` or of a name of the program's own."""
    _bus().emit(type, **{**(data or {}), **more})


def on_error(handler: Callable[[Any, ErrorContext], Any]) -> str:
    """Call ``handler(error, context)`` for every error of an engine or a message; returns the handler's id.

    An error that a call raises is reported too.
    """

    def report(event: Event) -> Any:
        error = event.data.get("error")
        context = ErrorContext(
            _CONTEXTS.get(error, event.type) if isinstance(error, VoxdError) else event.type,
            str(event.data.get("provider") or getattr(error, "provider", "")),
            event.data.get("code") or "",
            bool(event.data.get("recoverable", False)),
        )
        return handler(error, context)

    return _bus().on("*", report, filter=lambda event: event.type in _ERRORS)


def on_rate_limit(handler: Handler) -> str:
    """Call ``handler`` with the event of every rate limit (provider, limit, wait_s); returns its id."""
    return _bus().on(EventType.RATE_LIMITED, handler)


def forward(event: Event) -> None:
    """Publish an event of an engine to these handlers."""
    if _bus.cache_info().currsize:
        _bus().emit(event.type, turn=event.turn, **event.data)


def report(error: VoxdError, context: str) -> None:
    """Publish an error that belongs to no engine; ``context`` is the type of its `ErrorContext`."""
    _CONTEXTS[error] = context
    if _bus.cache_info().currsize:
        _bus().emit(
            EventType.ERROR_GENERAL,
            code=error.code,
            message=str(error),
            hint=error.hint,
            error=error,
            error_message=str(error),
            recoverable=error.retryable,
        )
