"""Makes a provider with the six methods of the reference text usable as one with the whole contract.

Such a class may have synchronous methods, an `interrupt` without arguments, usage as a dictionary, a cost as
a number, and report neither whether it is connected nor where a response begins and ends.
"""

import asyncio
import inspect
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from voxd.errors import isolate
from voxd.providers.base import BaseProvider, close_connection, settings_of
from voxd.providers.events import (
    AudioOutputChunk,
    AudioOutputStarted,
    AudioOutputStopped,
    ConnectionClosed,
    ConnectionEstablished,
    ConnectionLost,
    ErrorOccurred,
    ProviderEvent,
    ResponseCancelled,
    ResponseCompleted,
    ResponseStarted,
    TextOutput,
    TextTranscription,
    ToolCallInvoked,
    TurnDetected,
)
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage

T = TypeVar("T")

_log = logging.getLogger(__name__)

# A response is taken for complete when nothing more of it has come for so long: after its audio was declared
# complete, after audio, and after text, because synthesis may still be under way then.
STOPPED_S = 0.2
AUDIO_S = 1.0
TEXT_S = 2.0

_OVERRIDDEN = ("disconnect", "interrupt", "configure_session")
_METHODS = (
    *_OVERRIDDEN,
    "connect",
    "send_audio",
    "send_text",
    "commit",
    "clear_audio",
    "add_history",
    "send_tool_result",
    "request_response",
    "get_usage",
    "estimate_cost",
)

# Other names of fields of `Usage`: those of the reference texts.
_USAGE_NAMES = {
    "text_tokens": "input_text_tokens",
    "input_tokens": "input_text_tokens",
    "inputTokens": "input_text_tokens",
    "output_tokens": "output_text_tokens",
    "outputTokens": "output_text_tokens",
}


def adapt(provider: BaseProvider) -> BaseProvider:
    """Return ``provider`` itself when its class has the whole contract, else one that completes it."""
    return provider if _is_complete(type(provider)) else ProviderAdapter(provider)


def _is_complete(cls: type[BaseProvider]) -> bool:
    return (
        all(inspect.iscoroutinefunction(getattr(cls, name)) for name in _METHODS)
        and all(getattr(cls, name) is not getattr(BaseProvider, name) for name in _OVERRIDDEN)
        and _has_own_state(cls)
        and _takes_played_ms(cls.interrupt, bound=False)
    )


def _takes_played_ms(interrupt: Callable[..., Any], *, bound: bool) -> bool:
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    parameters = inspect.signature(interrupt).parameters.values()
    return len([each for each in parameters if each.kind in positional]) > (0 if bound else 1)


class SessionSettings(dict[str, Any]):
    """The settings of a session that are set, as a dictionary; as attributes, all of them."""

    def __init__(self, config: SessionConfig) -> None:
        super().__init__(settings_of(config))
        self._config = config

    def __getattr__(self, name: str) -> Any:
        # A copy is created without `__init__`, and would look for `_config` here for ever.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._config, name)


class ProviderAdapter(BaseProvider):
    """The whole contract over ``inner``.

    The session is configured after `connect`: the reference text's classes send their settings at once.
    """

    def __init__(self, inner: BaseProvider) -> None:
        super().__init__(inner.config)
        self.capabilities = inner.capabilities  # type: ignore[misc]
        self._inner = inner
        self._settings: SessionSettings | None = None
        self._is_open = False
        self._responses = ResponseBounds()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._timer: asyncio.TimerHandle | None = None
        inner.on_event = self._take

    @property
    def is_connected(self) -> bool:
        """What the class itself says, else whether `connect` has succeeded and nothing broke."""
        inner = self._inner
        if not _has_own_state(type(inner)) and inner._assigned_connected is None:
            return self._is_open
        value: Any = inner.is_connected
        return bool(value() if callable(value) else value)

    async def connect(self) -> None:
        """Open the session, then configure it."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        for name, value in (self._settings or {}).items():
            self._inner.config.setdefault(name, value)
        await _call(self._inner.connect)
        self._is_open = True
        self.session_id = self._inner.session_id
        if self._settings is not None:
            await _call(self._inner.configure_session, self._settings)

    async def disconnect(self) -> None:
        """Close the session, and its ``connection`` also when the class fails to."""
        self._is_open = False
        self._set_timer(None)
        inner = self._inner
        try:
            await _call(inner.disconnect)
        finally:
            connection, inner.connection = inner.connection, None
            await close_connection(connection)

    async def send_audio(self, audio_data: bytes) -> None:
        """Send audio."""
        await _call(self._inner.send_audio, audio_data)

    async def send_text(self, text: str) -> None:
        """Send a user's message."""
        self._forward(self._responses.ask())
        await _call(self._inner.send_text, text)

    async def speak_text(self, text: str) -> None:
        """Say ``text`` word for word."""
        self._forward(self._responses.ask())
        await _call(self._inner.speak_text, text)

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Cancel the response; what still comes of it is dropped."""
        takes_it = _takes_played_ms(self._inner.interrupt, bound=True)
        self._forward(self._responses.cut())
        await _call(self._inner.interrupt, *([played_ms] if takes_it else []))

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Apply ``config``, now or after `connect`."""
        if not isinstance(config, SessionConfig):
            config = msgspec.convert(dict(config), SessionConfig)
        self._settings = SessionSettings(config)
        if self._is_open:
            await _call(self._inner.configure_session, self._settings)

    async def commit(self) -> None:
        """End the user's turn."""
        self._forward(self._responses.ask())
        await _call(self._inner.commit)

    async def clear_audio(self) -> None:
        """Discard audio that was sent and not committed."""
        await _call(self._inner.clear_audio)

    async def add_history(self, role: str, text: str) -> None:
        """Add an earlier message."""
        await _call(self._inner.add_history, role, text)

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Send the result of a tool."""
        await _call(self._inner.send_tool_result, call_id, output)

    async def request_response(self) -> None:
        """Request a response."""
        self._forward(self._responses.ask())
        await _call(self._inner.request_response)

    async def request_answer(self) -> None:
        """Request a response without tools."""
        self._forward(self._responses.ask())
        await _call(self._inner.request_answer)

    async def abandon_response(self) -> None:
        """Regard the response as over: what still comes of it is dropped."""
        self._responses.cut()
        self._set_timer(None)
        await _call(self._inner.abandon_response)

    async def get_usage(self) -> Usage | None:
        """Return what the class reports, None when it reports nothing that is usable."""
        return await self._figure(self._inner.get_usage, usage_of)

    async def estimate_cost(self) -> Cost | None:
        """Return what the class reports, None when it reports nothing that is usable."""
        return await self._figure(self._inner.estimate_cost, cost_of)

    async def _figure(self, read: Callable[[], Any], convert: Callable[[Any], T | None]) -> T | None:
        name, figure = type(self._inner).__name__, None
        # Third-party code: a broken figure must not keep the session from going on, or from closing.
        with isolate(lambda error: _log.warning("%s reports an unusable figure: %s", name, error)):
            figure = convert(await _call(read))
        return figure  # noqa: RET504 (the block may have been left before)

    def _take(self, event: ProviderEvent) -> None:
        if self._loop is not None and threading.get_ident() != self._thread:
            # A class with synchronous methods may receive in a thread of its own.
            self._loop.call_soon_threadsafe(self._take, event)
            return
        match event:
            case ConnectionEstablished():
                self._is_open = True
            case ConnectionLost() | ConnectionClosed():
                self._is_open = False
        self._forward(self._responses.take(event))

    def _forward(self, events: list[ProviderEvent]) -> None:
        for event in events:
            self.on_event(event)
        self._set_timer(self._responses.wait_s)

    def _set_timer(self, wait_s: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wait_s is not None and self._loop is not None:
            self._timer = self._loop.call_later(wait_s, lambda: self._forward(self._responses.complete()))


class ResponseBounds:
    """Adds the beginning and the end of responses to the events of a provider, unless it reports them."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._open = ""
        self._asked = False
        self._is_cut = False
        self._reports_ends = False
        self._last = ""
        # Of the open response: milliseconds of audio, and which of its parts are complete.
        self._audio_ms = 0.0
        self._sounds = self._stopped = False

    @property
    def wait_s(self) -> float | None:
        """After how much silence the open response is complete; None when none is to be completed."""
        if not self._open or self._reports_ends:
            return None
        return STOPPED_S if self._stopped else AUDIO_S if self._sounds else TEXT_S

    def ask(self) -> list[ProviderEvent]:
        """Note a question; an open response is complete."""
        self._asked, self._is_cut = True, False
        return self.complete()

    def cut(self) -> list[ProviderEvent]:
        """Note an interruption: what still comes belongs to the response before it."""
        self._asked, self._is_cut = False, True
        return [ResponseCancelled(self._close(), "client_cancelled")] if self._open else []

    def complete(self) -> list[ProviderEvent]:
        """Complete the open response, if any."""
        return [*self._stop_audio(), ResponseCompleted(self._close())] if self._open else []

    def take(self, event: ProviderEvent) -> list[ProviderEvent]:
        """Return ``event`` with the beginning or the end that it implies."""
        match event:
            case ResponseStarted():
                return [*self.complete(), *self._begin(event.response_id)]
            case ResponseCompleted() | ResponseCancelled():
                return self._end(event)
            case TextOutput() | AudioOutputStarted() | AudioOutputChunk() | AudioOutputStopped():
                return self._output(event)
            case ToolCallInvoked():
                return [*self._begin(None), event]
            case ErrorOccurred() if event.recoverable is False:
                cancelled = [ResponseCancelled(self._close(), "failed")] if self._open else []
                self._asked = False
                return [event, *cancelled]
            case TurnDetected() | TextTranscription():
                self._is_cut = False
            case ConnectionLost():
                self._close()
        return [event]

    def _output(
        self, event: TextOutput | AudioOutputStarted | AudioOutputChunk | AudioOutputStopped
    ) -> list[ProviderEvent]:
        if self._is_cut:
            return [msgspec.structs.replace(event, response_id=self._last)]
        begun = self._begin(event.response_id)
        match event:
            case AudioOutputStarted():
                self._sounds, self._stopped = True, False
            case AudioOutputChunk():
                if not self._sounds:
                    begun = [*begun, AudioOutputStarted(event.sample_rate, self._open)]
                self._sounds, self._stopped = True, False
                self._audio_ms += event.duration_ms
            case AudioOutputStopped():
                self._stopped = True
                event = msgspec.structs.replace(event, duration_ms=event.duration_ms or self._audio_ms)
        return [*begun, msgspec.structs.replace(event, response_id=self._open)]

    def _begin(self, response_id: str | None) -> list[ProviderEvent]:
        if self._open:
            return []
        self._open = self._last = response_id or f"response_{next(self._ids)}"
        self._asked = self._is_cut = self._sounds = self._stopped = False
        self._audio_ms = 0.0
        return [ResponseStarted(self._open)]

    def _end(self, event: ResponseCompleted | ResponseCancelled) -> list[ProviderEvent]:
        self._reports_ends = True
        # A question without any output: the empty response tells whatever waits for it.
        begun = self._begin(event.response_id) if self._asked else []
        if not self._open:
            return []
        stop = self._stop_audio() if isinstance(event, ResponseCompleted) else []
        return [*begun, *stop, msgspec.structs.replace(event, response_id=self._close())]

    def _stop_audio(self) -> list[ProviderEvent]:
        needs_it = self._sounds and not self._stopped
        return [AudioOutputStopped(self._audio_ms, self._open)] if needs_it else []

    def _close(self) -> str:
        closed, self._open = self._open, ""
        return closed


def _has_own_state(cls: type[BaseProvider]) -> bool:
    own, base = (inspect.getattr_static(each, "is_connected") for each in (cls, BaseProvider))
    return own is not base


async def _call(method: Callable[..., Any], *arguments: Any) -> Any:
    """Return what ``method`` returns, awaited if it can be."""
    result = method(*arguments)
    return await result if inspect.isawaitable(result) else result


def usage_of(value: Any) -> Usage | None:
    """Return a provider's usage, a `Usage` or a dictionary; unknown entries are ignored.

    Raises `msgspec.ValidationError` for an entry that is not a number.
    """
    if value is None or isinstance(value, Usage):
        return value
    fields = {_USAGE_NAMES.get(name, name): number for name, number in dict(value).items()}
    return msgspec.convert(fields, Usage, strict=False)


def cost_of(value: Any) -> Cost | None:
    """Return a provider's cost in US dollars, a `Cost` or a number. Raises `TypeError`, `ValueError`."""
    if value is None or isinstance(value, Cost):
        return value
    # The provider's own figure, so it is of today.
    return Cost(audio_cost=float(value), prices_of=time.strftime("%Y-%m-%d", time.gmtime()))
