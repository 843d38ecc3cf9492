"""The path of a provider's events to the caller, with audio converted to the caller's rate."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from voxd.bus.bus import Bus
from voxd.engine.sound import Converter, converter
from voxd.errors import (
    AuthenticationError,
    ConnectionFailed,
    ContextTooLong,
    NotConnected,
    ProviderError,
    RateLimited,
    StreamError,
    VoxdError,
)
from voxd.events import EventType as E
from voxd.frames import Clip

KINDS: Mapping[str, type[VoxdError]] = MappingProxyType(
    {
        kind.code: kind
        for kind in (
            AuthenticationError,
            ConnectionFailed,
            ContextTooLong,
            NotConnected,
            ProviderError,
            RateLimited,
            StreamError,
        )
    }
)
"""Which exception an error event stands for, by its code; else `VoxdError`."""

Watcher = Callable[[E | str, dict[str, Any]], None]


class Downlink:
    """An `voxd.events.Emit` for a session: completes each event's data and emits it on the engine's bus.

    ``on_sound(response_id, clip)`` gets the reply's sound at the caller's rate and ``watchers`` every event,
    both at once and before any handler.
    """

    def __init__(self, bus: Bus, *, rate_hz: int, on_sound: Callable[[str, Clip], None]) -> None:
        self._bus = bus
        self._rate_hz = rate_hz
        self._on_sound = on_sound
        self._converter: Converter | None = None
        self._converting = ("", 0)
        self.watchers: list[Watcher] = []

    def __call__(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        """Emit ``type``."""
        match type:
            case E.AUDIO_OUTPUT_CHUNK:
                self._sound(data, turn)
                return
            case E.AUDIO_OUTPUT_STARTED:
                data["sample_rate"] = self._rate_hz
            case E.AUDIO_OUTPUT_STOPPED:
                self._end_sound(data, turn)
            case E.ERROR_GENERAL:
                data = error_data(data)
            case E.RESPONSE_CANCELLED | E.RESPONSE_COMPLETED:
                self._converter = None
        self._tell(type, data, turn)

    def _tell(self, type: str, data: dict[str, Any], turn: str | None) -> None:
        for watcher in tuple(self.watchers):
            watcher(type, data)
        self._bus.emit(type, turn=turn, **data)

    def _sound(self, data: dict[str, Any], turn: str | None) -> None:
        response_id, from_hz = str(data.get("response_id") or ""), int(data["sample_rate"])
        if self._converter is None or self._converting != (response_id, from_hz):
            self._converter, self._converting = converter(from_hz, self._rate_hz), (response_id, from_hz)
        self._give(self._converter.feed(data["audio_data"]), data, turn)

    def _end_sound(self, data: dict[str, Any], turn: str | None) -> None:
        if self._converter is None:
            return
        rest = self._converter.feed(b"", last=True)
        self._converter = None
        chunk = {"response_id": data.get("response_id"), "item_id": data.get("item_id")}
        self._give(rest, chunk, turn)

    def _give(self, pcm: bytes, data: dict[str, Any], turn: str | None) -> None:
        if not pcm:
            return
        self._on_sound(str(data.get("response_id") or ""), Clip(pcm, self._rate_hz))
        chunk = {**data, "audio_data": pcm, "sample_rate": self._rate_hz, "channels": 1}
        self._tell(E.AUDIO_OUTPUT_CHUNK, chunk, turn)


def error_data(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of an error event with every key that handlers are promised.

    ``error`` is an exception, ``error_message`` its text; ``recoverable`` is whether trying again may help.
    """
    error = data.get("error")
    message = str(data.get("error_message") or data.get("message") or error or "something went wrong")
    code, hint = str(data.get("code", "")), str(data.get("hint", ""))
    if not isinstance(error, BaseException):
        error = KINDS.get(code, VoxdError)(message, code=code, hint=hint)
    return {
        "code": code or getattr(error, "code", VoxdError.code),
        "hint": hint or getattr(error, "hint", ""),
        "recoverable": bool(data.get("recoverable", getattr(error, "retryable", False))),
        "error": error,
        "message": message,
        "error_message": message,
    }
