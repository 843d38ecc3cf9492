"""What happened: one event shape and one table of types, for the daemon and for the library."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

import msgspec


class EventType(StrEnum):
    """Every type of event. Values are dotted lower case, as Standard Webhooks asks for."""

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
    RESPONSE_STARTED = "response.started"
    RESPONSE_COMPLETED = "response.completed"
    RESPONSE_CANCELLED = "response.cancelled"
    FUNCTION_CALL_INVOKED = "function.invoked"
    FUNCTION_CALL_COMPLETED = "function.completed"
    USAGE_UPDATED = "usage.updated"
    RATE_LIMIT_UPDATED = "rate_limit.updated"
    PROVIDER_CHANGED = "provider.changed"
    PROVIDER_FAILED = "provider.failed"
    PROVIDER_RESTORED = "provider.restored"
    HANDLER_FAILED = "handler.failed"


EVENT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        EventType.DAEMON_READY: "The daemon serves: version, audio.",
        EventType.DAEMON_RELOADED: "SIGHUP was obeyed: applied, needs_restart.",
        EventType.DAEMON_STOPPING: "The daemon goes down.",
        EventType.STATE_CHANGED: "The turn machine moved: from, to.",
        EventType.WAKE_CANDIDATE: "The first stage heard a word: word, score.",
        EventType.WAKE_DETECTED: "A wake word was confirmed: word, score, first_score, agent, end_sample.",
        EventType.WAKE_REJECTED: "The second stage said no: word, score, first_score, reason.",
        EventType.SPEECH_STARTED: "The user began to speak: sample.",
        EventType.SPEECH_ENDED: "The user stopped: sample, reason, duration_ms.",
        EventType.TURN_STARTED: "A turn began: source, agent.",
        EventType.TURN_TRANSCRIPT: "What was understood: text, engine. Never logged.",
        EventType.TURN_REPLY: "What is answered: text. Never logged.",
        EventType.TURN_INTERRUPTED: "The reply was cut: by, played_ms.",
        EventType.TURN_ENDED: "The turn is over: outcome, latency_ms (end of speech to first sample), stages_ms.",
        EventType.PLAYBACK_STARTED: "First sample at the device: kind, wav (its file, on a virtual loudspeaker).",
        EventType.PLAYBACK_FINISHED: "Last sample at the device: kind.",
        EventType.AUDIO_LOST: "No sound from the microphone: device, reason, hint.",
        EventType.AUDIO_RESTORED: "The microphone is back: device, after_s.",
        EventType.AUDIO_OVERRUN: "Samples were lost at the device: count.",
        EventType.OUTPUT_LOST: "The loudspeaker cannot be used: device, reason.",
        EventType.OUTPUT_RESTORED: "The loudspeaker is back: device.",
        EventType.ENGINE_FAILED: "A local engine failed: engine, code, reason.",
        EventType.ENGINE_CHANGED: "Another engine answers now: kind, engine, reason.",
        EventType.ENGINE_RESTORED: "The configured engine answers again: kind, engine.",
        EventType.MUTE_CHANGED: "The microphone was opened or closed: muted, source.",
        EventType.VOLUME_CHANGED: "Output volume: percent.",
        EventType.BUTTON_PRESSED: "The button was used: gesture.",
        EventType.TIMER_SET: "A timer, alarm or reminder was set: id, kind, due_s.",
        EventType.TIMER_CANCELLED: "It was cancelled: id.",
        EventType.TIMER_RINGING: "It is due and rings: id, kind, name.",
        EventType.TIMER_STOPPED: "The ringing was stopped: id, by.",
        EventType.ERROR_GENERAL: "Something went wrong: code, message, hint.",
        EventType.CONNECTION_STARTING: "The engine begins to connect: source.",
        EventType.CONNECTION_ESTABLISHED: "A session with a provider is open: provider, connection_id, latency_ms.",
        EventType.CONNECTION_FAILED: "No session could be opened: provider, error, error_message, code, retry_count.",
        EventType.CONNECTION_LOST: "A session broke: provider, code, reason, reconnecting.",
        EventType.CONNECTION_CLOSED: "A session was closed on purpose: provider.",
        EventType.AUDIO_INPUT_STARTED: "Capture began: sample_rate.",
        EventType.AUDIO_INPUT_CHUNK: "Captured sound: audio_data, duration_ms.",
        EventType.AUDIO_INPUT_STOPPED: "Capture ended.",
        EventType.AUDIO_OUTPUT_STARTED: "The reply's sound begins: response_id, item_id, sample_rate.",
        EventType.AUDIO_OUTPUT_CHUNK: "Sound of the reply: audio_data, sample_rate, channels, response_id, item_id.",
        EventType.AUDIO_OUTPUT_STOPPED: "The reply's sound is complete: response_id, item_id, duration_ms.",
        EventType.TEXT_INPUT: "A typed message was sent: text.",
        EventType.TEXT_TRANSCRIPTION: "What the user said: text, is_partial, item_id.",
        EventType.TEXT_OUTPUT: "What the assistant says: text, is_partial, response_id.",
        EventType.CONVERSATION_STARTED: "The first turn of a session began.",
        EventType.CONVERSATION_TURN_DETECTED: "The user began or ended a turn: speaking, at_ms.",
        EventType.CONVERSATION_INTERRUPTED: "The reply was cut: played_ms, response_id.",
        EventType.CONVERSATION_ENDED: "The session's conversation is over: turns.",
        EventType.RESPONSE_STARTED: "The assistant begins to answer: response_id.",
        EventType.RESPONSE_COMPLETED: "The answer is complete: response_id, usage.",
        EventType.RESPONSE_CANCELLED: "The answer was given up: response_id, reason.",
        EventType.FUNCTION_CALL_INVOKED: "The model calls a tool: function_name, arguments, call_id.",
        EventType.FUNCTION_CALL_COMPLETED: "A tool has run: function_name, call_id, ok, duration_ms, output.",
        EventType.USAGE_UPDATED: "What the session has cost so far: provider, usage.",
        EventType.RATE_LIMIT_UPDATED: "What the vendor still allows: name, limit, remaining, reset_s.",
        EventType.PROVIDER_CHANGED: "Another provider answers now: from, to, reason.",
        EventType.PROVIDER_FAILED: "A provider cannot answer: provider, code, reason.",
        EventType.PROVIDER_RESTORED: "A provider answers again: provider.",
        EventType.HANDLER_FAILED: "A handler of events raised, hung or lagged: handler, reason, dropped.",
    }
)
"""What each type means, and what its ``data`` holds."""


class Event(msgspec.Struct, frozen=True):
    """One thing that happened. ``id`` rises with time; ``time`` is seconds since 1970 UTC.

    The entries of ``data`` can also be read as attributes: ``event.text`` is ``event.data["text"]``.
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
