"""Callbacks: one function for each attribute of an engine, called in addition to the event handlers."""

from collections.abc import Callable
from typing import Any, Protocol, overload

from voxd.bus.bus import Bus
from voxd.events import Event
from voxd.events import EventType as E

Function = Callable[..., Any]


class HasEvents(Protocol):
    """An object with events that stores the handler ids of its callbacks."""

    callback_handlers: dict[str, tuple[Function, str]]

    @property
    def events(self) -> Bus:
        """The bus of its events."""
        ...


class Callback:
    """An attribute that takes a function, sync or async, and calls it for every event of one type.

    ``arguments`` turns an event into the arguments of the function, None for an event to skip. Setting the
    attribute to None removes the function.
    """

    def __init__(self, type: str, arguments: Callable[[Event], tuple[Any, ...] | None]) -> None:
        self._type = type
        self._arguments = arguments
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, engine: None, owner: type) -> "Callback": ...

    @overload
    def __get__(self, engine: HasEvents, owner: type) -> Function | None: ...

    def __get__(self, engine: HasEvents | None, owner: type) -> "Function | Callback | None":
        """Return the function that was set, or None."""
        # Python documentation, descriptor guide: None for an access through the class, as help() does.
        if engine is None:
            return self
        return engine.callback_handlers.get(self._name, (None, ""))[0]

    def __set__(self, engine: HasEvents, function: Function | None) -> None:
        """Call ``function`` from now on, instead of the one before."""
        before = engine.callback_handlers.pop(self._name, None)
        if before is not None:
            engine.events.off(before[1])
        if function is not None:
            handler_id = engine.events.on(self._type, self._handler(function))
            engine.callback_handlers[self._name] = (function, handler_id)

    def _handler(self, function: Function) -> Function:
        def call(event: Event) -> Any:
            arguments = self._arguments(event)
            return None if arguments is None else function(*arguments)

        # The report of a failed handler names the attribute, which the user set, and not this wrapper.
        call.__name__ = call.__qualname__ = self._name
        return call


class Callbacks:
    """The callbacks of an engine; set one to None to remove it."""

    on_audio_response = Callback(E.AUDIO_OUTPUT_CHUNK, lambda event: (event.audio_data,))
    """Called with each piece of the reply's audio, PCM at ``config.sample_rate``."""
    on_text_response = Callback(E.TEXT_OUTPUT, lambda event: None if event.is_partial else (event.text,))
    """Called with the whole text of each reply."""
    on_error = Callback(E.ERROR_GENERAL, lambda event: (event.error,))
    """Called with an exception for every error outside of a method call."""
    on_function_call = Callback(E.FUNCTION_CALL_INVOKED, lambda event: (event,))
    """Called with the event of each tool call: function_name, arguments, call_id."""
    on_response_done = Callback(E.RESPONSE_COMPLETED, lambda event: ())
    """Called without arguments when a reply is complete."""
    on_rate_limit = Callback(E.RATE_LIMITED, lambda event: (event,))
    """Called with the event when a request is delayed or refused by a rate limit: provider, limit, wait_s."""
