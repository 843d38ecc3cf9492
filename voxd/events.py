"""What happened: one event shape and one list of types, for the daemon and for the library."""

from enum import StrEnum
from typing import Any, Protocol

import msgspec


class EventType(StrEnum):
    """Every type of event; `voxd.eventtable` says what each means and holds.

    Values are dotted lower case, as Standard Webhooks asks for.
    """

    DAEMON_READY = "daemon.ready"
    DAEMON_RELOADED = "daemon.reloaded"
    DAEMON_STOPPING = "daemon.stopping"
    STATE_CHANGED = "state.changed"
    WAKE_CANDIDATE = "wake.candidate"
    WAKE_DETECTED = "wake.detected"
    WAKE_REJECTED = "wake.rejected"
    SPEECH_STARTED = "speech.started"
    SPEECH_ENDED = "speech.ended"
    TURN_STARTED = "turn.started"
    TURN_TRANSCRIPT = "turn.transcript"
    TURN_REPLY = "turn.reply"
    TURN_INTERRUPTED = "turn.interrupted"
    TURN_ENDED = "turn.ended"
    PLAYBACK_STARTED = "playback.started"
    PLAYBACK_FINISHED = "playback.finished"
    AUDIO_LOST = "audio.lost"
    AUDIO_RESTORED = "audio.restored"
    AUDIO_OVERRUN = "audio.overrun"
    OUTPUT_LOST = "output.lost"
    OUTPUT_RESTORED = "output.restored"
    ENGINE_FAILED = "engine.failed"
    ENGINE_CHANGED = "engine.changed"
    ENGINE_RESTORED = "engine.restored"
    MUTE_CHANGED = "mute.changed"
    VOLUME_CHANGED = "volume.changed"
    BUTTON_PRESSED = "button.pressed"
    TIMER_SET = "timer.set"
    TIMER_CANCELLED = "timer.cancelled"
    TIMER_RINGING = "timer.ringing"
    TIMER_STOPPED = "timer.stopped"
    ERROR_GENERAL = "error"
    CONNECTION_STARTING = "connection.starting"
    CONNECTION_ESTABLISHED = "connection.established"
    CONNECTION_FAILED = "connection.failed"
    CONNECTION_LOST = "connection.lost"
    CONNECTION_CLOSED = "connection.closed"
    AUDIO_INPUT_STARTED = "audio.input_started"
    AUDIO_INPUT_CHUNK = "audio.input_chunk"
    AUDIO_INPUT_STOPPED = "audio.input_stopped"
    AUDIO_OUTPUT_STARTED = "audio.output_started"
    AUDIO_OUTPUT_CHUNK = "audio.output_chunk"
    AUDIO_OUTPUT_STOPPED = "audio.output_stopped"
    TEXT_INPUT = "text.input"
    TEXT_TRANSCRIPTION = "text.transcription"
    TEXT_OUTPUT = "text.output"
    CONVERSATION_STARTED = "conversation.started"
    CONVERSATION_TURN_DETECTED = "conversation.turn_detected"
    CONVERSATION_INTERRUPTED = "conversation.interrupted"
    CONVERSATION_ENDED = "conversation.ended"
    CONVERSATION_CLEARED = "conversation.cleared"
    RESPONSE_STARTED = "response.started"
    RESPONSE_COMPLETED = "response.completed"
    RESPONSE_CANCELLED = "response.cancelled"
    FUNCTION_CALL_INVOKED = "function.invoked"
    FUNCTION_CALL_COMPLETED = "function.completed"
    SETTINGS_CHANGED = "settings.changed"
    USAGE_UPDATED = "usage.updated"
    RATE_LIMIT_UPDATED = "rate_limit.updated"
    PROVIDER_CHANGED = "provider.changed"
    PROVIDER_FAILED = "provider.failed"
    PROVIDER_RESTORED = "provider.restored"
    PROVIDER_CALL = "provider.call"
    PROVIDER_NOTE = "provider.note"
    PROVIDER_USED = "provider.used"
    KEY_CHANGED = "provider.key_changed"
    RATE_LIMITED = "rate_limit.reached"
    SPEND_WARNING = "spend.warning"
    SPEND_STOPPED = "spend.stopped"
    SPEND_RESUMED = "spend.resumed"
    CACHE_USED = "cache.used"
    QUEUE_ADDED = "queue.added"
    QUEUE_ANSWERED = "queue.answered"
    QUEUE_DROPPED = "queue.dropped"
    AUDIO_QUALITY = "audio.quality"
    HANDLER_FAILED = "handler.failed"


class Event(msgspec.Struct, frozen=True):
    """One thing that happened. ``id`` rises with time; ``time`` is seconds since 1970 UTC.

    ``type`` is a member of `EventType`, or a name of the user's own. Chunks of sound are numbered apart from
    all other events, so that the numbers of what is remembered have no gaps.

    The entries of ``data`` can also be read as attributes, but for those named like a field of the event:
    ``event.text`` is ``event.data["text"]``.
    """

    id: int
    type: str
    time: float
    turn: str | None = None
    data: dict[str, Any] = {}

    @property
    def timestamp(self) -> float:
        """Seconds since 1970 UTC."""
        return self.time

    def __getattr__(self, name: str) -> Any:
        try:
            return self.data[name]
        except KeyError:
            msg = f"an event of type {self.type} has no {name}"
            raise AttributeError(msg) from None


class Emit(Protocol):
    """How a room tells the house that something happened. Call it on the event loop only."""

    def __call__(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        """Publish an event of ``type``, one of `EventType` (or a name of the caller's own)."""
        ...
