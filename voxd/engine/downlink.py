"""Publishes a provider's events on the engine's bus, with audio converted to the caller's rate."""

from collections.abc import Callable

from msgspec.structs import replace

from voxd.bus.bus import Bus
from voxd.engine.audio import Converter, converter
from voxd.errors import (
    NO_ANSWER_CODES,
    AudioError,
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    ContextTooLong,
    DeadlineExceeded,
    NoAnswer,
    NotConnected,
    ProviderError,
    RateLimited,
    SpendLimitReached,
    StreamError,
    VoxdError,
)
from voxd.frames import Clip
from voxd.net.rate_limits import QUEUE_FULL, QUEUE_TOO_LONG
from voxd.providers.events import (
    AudioOutputChunk,
    AudioOutputStarted,
    AudioOutputStopped,
    ErrorOccurred,
    OnEvent,
    ProviderEvent,
    ResponseCancelled,
    ResponseCompleted,
)

# The exceptions that an error event without one stands for, by their codes; `VoxdError` for any other code.
ERROR_TYPES: tuple[type[VoxdError], ...] = (
    AudioError,
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    ContextTooLong,
    DeadlineExceeded,
    NotConnected,
    ProviderError,
    RateLimited,
    SpendLimitReached,
    StreamError,
)


class Downlink:
    """The events of a session, completed and published on the engine's bus.

    ``on_audio(response_id, clip)`` gets the reply's audio at the caller's rate and ``watchers`` get every
    event, both before any handler of the bus.
    """

    def __init__(self, bus: Bus, *, rate_hz: int, on_audio: Callable[[str, Clip], None]) -> None:
        self._bus = bus
        self._rate_hz = rate_hz
        self._on_audio = on_audio
        self._converter: Converter | None = None
        # The response and the rate that the converter is for.
        self._converting = ("", 0)
        self.watchers: list[OnEvent] = []

    def publish(self, event: ProviderEvent) -> None:
        """Publish ``event``, and before it what it completes."""
        match event:
            case AudioOutputChunk():
                self._convert(event)
                return
            # Handlers are promised the caller's rate, whatever the vendor sends.
            case AudioOutputStarted():
                event = replace(event, sample_rate=self._rate_hz)
            case AudioOutputStopped():
                if self._converter is not None:
                    rest, self._converter = self._converter.feed(b"", last=True), None
                    self._publish_audio(rest, event)
            case ErrorOccurred():
                event = complete_error(event)
            case ResponseCancelled() | ResponseCompleted():
                # A cut reply has no `AudioOutputStopped`: its last samples must not begin the next reply.
                self._converter = None
        self._publish(event)

    def _publish(self, event: ProviderEvent) -> None:
        # A copy: a watcher may remove itself.
        for watcher in tuple(self.watchers):
            watcher(event)
        self._bus.emit(event.type, **event.data)

    def _convert(self, chunk: AudioOutputChunk) -> None:
        # A resampler has a state, so every stream of samples has its own.
        stream = (chunk.response_id or "", chunk.sample_rate)
        if self._converter is None or self._converting != stream:
            self._converter, self._converting = converter(chunk.sample_rate, self._rate_hz), stream
        self._publish_audio(self._converter.feed(chunk.audio_data), chunk)

    def _publish_audio(self, pcm: bytes, source: AudioOutputChunk | AudioOutputStopped) -> None:
        # A resampler gives nothing for the first few samples of a stream.
        if pcm:
            self._on_audio(source.response_id or "", Clip(pcm, self._rate_hz))
            self._publish(AudioOutputChunk(pcm, self._rate_hz, 1, source.response_id, source.item_id))


def complete_error(event: ErrorOccurred) -> ErrorOccurred:
    """Return ``event`` with every entry that handlers are promised.

    ``error`` is an exception, ``error_message`` its text; ``recoverable`` is whether a retry may help.
    """
    given = event.error if isinstance(event.error, Exception) else None
    text = event.error_message if isinstance(event.error_message, str) else ""
    message = text or event.message or str(given or "something went wrong")
    # An error from the wire has a code only; handlers can match the type of its exception all the same.
    error = given or _error_type(event.code)(message, code=event.code, hint=event.hint)
    if isinstance(error, ProviderError) and isinstance(event.retry_after_s, int | float):
        error.retry_after_s = event.retry_after_s
    # An exception of a third party has no code, hint or retryable.
    recoverable = event.recoverable
    return ErrorOccurred(
        code=event.code or getattr(error, "code", VoxdError.code),
        message=message,
        hint=event.hint or getattr(error, "hint", ""),
        error=error,
        error_message=message,
        recoverable=recoverable if isinstance(recoverable, bool) else getattr(error, "retryable", False),
        retry_after_s=event.retry_after_s,
    )


def _error_type(code: str) -> type[VoxdError]:
    if code in NO_ANSWER_CODES:
        return NoAnswer
    if code in (QUEUE_FULL, QUEUE_TOO_LONG):
        return RateLimited
    # Compared and not looked up: a vendor's own name of a code is equal to ours.
    return next((kind for kind in ERROR_TYPES if kind.code == code), VoxdError)
