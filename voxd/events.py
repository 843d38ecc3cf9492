"""What happened: one event shape, and one table of types and what each holds, for daemon and library."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import msgspec


class EventType(StrEnum):
    """Every type of event; `EVENT_TYPES` below says what each means and holds.

    Values are dotted lower case, as Standard Webhooks asks for.
    """

    # Stable: configurations, webhooks and metrics name events by these values.
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
    TIMER_CHANGED = "timer.changed"
    PROBLEM_FOUND = "problem.found"
    PROBLEM_SOLVED = "problem.solved"
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
    FUNCTION_CALLS_STOPPED = "function.stopped"
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
    ``event.text`` is ``event.data["text"]``, and so is ``event.content``.
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

    # Only called for a name that is not a field, so a field always wins.
    def __getattr__(self, name: str) -> Any:
        # What other libraries call the text of a message.
        if name == "content" and name not in self.data:
            name = "text"
        try:
            return self.data[name]
        except KeyError:
            msg = f"an event of type {self.type} has no {name}"
            raise AttributeError(msg) from None


class Emit(Protocol):
    """Publishes an event. Call it on the event loop only."""

    def __call__(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        """Publish an event of ``type``, one of `EventType` (or a name of the caller's own)."""


# In a union: the entry may be missing.
Absent = msgspec.UnsetType


class Payload(NamedTuple):
    """What a type of event means, and the name and type of every entry of its ``data``."""

    meaning: str
    fields: Mapping[str, Any]


def _says(meaning: str, **fields: Any) -> Payload:
    return Payload(meaning, MappingProxyType(fields))


# What each type of event means and what its `data` holds: the one list of both, checked against the code by the
# tests.
EVENT_TYPES: Mapping[EventType, Payload] = MappingProxyType(
    {
        EventType.DAEMON_READY: _says("The daemon serves.", version=str, audio=str),
        EventType.DAEMON_RELOADED: _says(
            "The configuration was reloaded: dotted keys.",
            applied=tuple[str, ...],
            needs_restart=tuple[str, ...],
        ),
        EventType.DAEMON_STOPPING: _says("The daemon shuts down."),
        EventType.STATE_CHANGED: _says("The turn machine moved.", **{"from": str, "to": str}),
        EventType.WAKE_CANDIDATE: _says(
            "The first stage detected a possible wake word.", word=str, score=float
        ),
        EventType.WAKE_DETECTED: _says(
            "A wake word was confirmed.",
            word=str,
            score=float | None,
            first_score=float,
            agent=str,
            end_sample=int,
        ),
        EventType.WAKE_REJECTED: _says(
            "The second stage rejected it.", word=str, score=float | None, first_score=float, reason=str
        ),
        EventType.SPEECH_STARTED: _says("The user began to speak.", sample=int),
        EventType.SPEECH_ENDED: _says("The user stopped.", sample=int, reason=str, duration_ms=int),
        EventType.TURN_STARTED: _says("A turn began.", source=str, agent=str),
        EventType.TURN_TRANSCRIPT: _says("The transcript. Never logged.", text=str, engine=str),
        EventType.TURN_REPLY: _says("The reply. Never logged.", text=str),
        EventType.TURN_INTERRUPTED: _says("The reply was cut.", by=str, played_ms=int),
        EventType.TURN_ENDED: _says(
            "The turn is over; the latency is from the end of speech to the first sample.",
            outcome=str,
            latency_ms=float | None,
            stages_ms=dict[str, float],
        ),
        EventType.PLAYBACK_STARTED: _says(
            "First sample at the device; wav: its file, on a virtual loudspeaker.", kind=str, wav=str | None
        ),
        EventType.PLAYBACK_FINISHED: _says("Last sample at the device.", kind=str),
        EventType.AUDIO_LOST: _says("No sound from the microphone.", device=str, reason=str, hint=str),
        EventType.AUDIO_RESTORED: _says("The microphone is back.", device=str, after_s=float),
        EventType.AUDIO_OVERRUN: _says("Samples were lost at the device.", count=int),
        EventType.OUTPUT_LOST: _says("The loudspeaker cannot be used.", device=str, reason=str),
        EventType.OUTPUT_RESTORED: _says("The loudspeaker is back.", device=str),
        EventType.ENGINE_FAILED: _says("A local engine failed.", engine=str, code=str, reason=str),
        EventType.ENGINE_CHANGED: _says("Another engine answers now.", kind=str, engine=str, reason=str),
        EventType.ENGINE_RESTORED: _says("The configured engine answers again.", kind=str, engine=str),
        EventType.MUTE_CHANGED: _says("The microphone was opened or closed.", muted=bool, source=str),
        EventType.VOLUME_CHANGED: _says("Output volume.", percent=int),
        EventType.BUTTON_PRESSED: _says("The button was used.", gesture=str),
        EventType.TIMER_SET: _says("A timer, alarm or reminder was set.", id=int, kind=str, due_s=float),
        EventType.TIMER_CANCELLED: _says("It was cancelled.", id=int),
        EventType.TIMER_RINGING: _says("It is due and rings.", id=int, kind=str, name=str),
        EventType.TIMER_STOPPED: _says("The ringing was stopped.", id=int, by=str),
        EventType.TIMER_CHANGED: _says(
            "It was extended, paused, resumed, renamed, moved, snoozed or restored; while paused, due_s is what is left.",
            id=int,
            kind=str,
            what=str,
            due_s=float,
        ),
        EventType.PROBLEM_FOUND: _says(
            "A part of the device has a problem: it is in the status from now on.", part=str, message=str
        ),
        EventType.PROBLEM_SOLVED: _says("That problem is gone.", part=str),
        EventType.ERROR_GENERAL: _says(
            "Something went wrong; the library adds the exception, its text and whether to go on.",
            code=str,
            message=str,
            hint=str,
            error=Exception | Absent,
            error_message=str | Absent,
            recoverable=bool | Absent,
            retry_after_s=float | Absent,
        ),
        EventType.CONNECTION_STARTING: _says("The engine begins to connect.", source=str),
        EventType.CONNECTION_ESTABLISHED: _says(
            "A session with a provider is open.",
            provider=str,
            connection_id=str | None,
            latency_ms=float | None,
        ),
        EventType.CONNECTION_FAILED: _says(
            "No session could be opened.",
            provider=str,
            error=Exception,
            error_message=str,
            code=str,
            retry_count=int,
        ),
        EventType.CONNECTION_LOST: _says(
            "A session broke.", provider=str, code=str, reason=str, reconnecting=bool
        ),
        EventType.CONNECTION_CLOSED: _says(
            "A session was closed on purpose.", provider=str, reason=str | Absent
        ),
        EventType.AUDIO_INPUT_STARTED: _says("Capture began.", sample_rate=int),
        EventType.AUDIO_INPUT_CHUNK: _says(
            "Captured sound, mono s16le.", audio_data=bytes, duration_ms=float
        ),
        EventType.AUDIO_INPUT_STOPPED: _says("Capture ended."),
        EventType.AUDIO_OUTPUT_STARTED: _says(
            "The reply's sound begins.", response_id=str | None, item_id=str | None, sample_rate=int
        ),
        EventType.AUDIO_OUTPUT_CHUNK: _says(
            "Sound of the reply, s16le.",
            audio_data=bytes,
            sample_rate=int,
            channels=int,
            response_id=str | None,
            item_id=str | None,
        ),
        EventType.AUDIO_OUTPUT_STOPPED: _says(
            "The reply's sound is complete.", response_id=str | None, item_id=str | None, duration_ms=float
        ),
        EventType.TEXT_INPUT: _says("A typed message was sent.", text=str),
        EventType.TEXT_TRANSCRIPTION: _says(
            "What the user said; who said which part, where the vendor tells speakers apart.",
            text=str,
            is_partial=bool,
            item_id=str | None,
            speakers=tuple[Any, ...],
        ),
        EventType.TEXT_OUTPUT: _says(
            "What the assistant says.", text=str, is_partial=bool, response_id=str | None
        ),
        EventType.CONVERSATION_STARTED: _says("The first turn of a session began."),
        EventType.CONVERSATION_TURN_DETECTED: _says(
            "The user began or ended a turn.", speaking=bool, at_ms=float | None
        ),
        EventType.CONVERSATION_INTERRUPTED: _says(
            "The reply was cut.", played_ms=float | None, response_id=str | None
        ),
        EventType.CONVERSATION_ENDED: _says("The session's conversation is over.", turns=int),
        EventType.CONVERSATION_CLEARED: _says("The conversation so far was deleted.", turns=int),
        EventType.RESPONSE_STARTED: _says("The assistant begins to answer.", response_id=str | None),
        EventType.RESPONSE_COMPLETED: _says(
            "The answer is complete; reason: why before its end, or tool_calls when another one follows.",
            response_id=str | None,
            usage=Any,
            reason=str,
        ),
        EventType.RESPONSE_CANCELLED: _says("The answer was cancelled.", response_id=str | None, reason=str),
        EventType.FUNCTION_CALL_INVOKED: _says(
            "The model calls a tool.", function_name=str, arguments=dict[str, Any], call_id=str | None
        ),
        EventType.FUNCTION_CALL_COMPLETED: _says(
            "A tool has run.", function_name=str, call_id=str | None, ok=bool, duration_ms=float, output=str
        ),
        EventType.FUNCTION_CALLS_STOPPED: _says(
            "A model called tools again and again: it has to answer without them, or the turn ends.",
            provider=str,
            rounds=int,
            next=str,
        ),
        EventType.SETTINGS_CHANGED: _says(
            "Settings of the running session, or of the device, were changed: their names.",
            changed=tuple[str, ...],
        ),
        EventType.USAGE_UPDATED: _says("What the session has used so far.", provider=str, usage=Any),
        EventType.RATE_LIMIT_UPDATED: _says(
            "What the vendor still allows.",
            name=str,
            limit=int | None,
            remaining=int | None,
            reset_s=float | None,
        ),
        EventType.PROVIDER_CHANGED: _says(
            "Another provider answers now.", **{"from": str, "to": str, "reason": str}
        ),
        EventType.PROVIDER_FAILED: _says("A provider cannot answer.", provider=str, code=str, reason=str),
        EventType.PROVIDER_RESTORED: _says("A provider answers again.", provider=str),
        EventType.PROVIDER_CALL: _says(
            "A request to a vendor is over, or a socket closed: code ok or an error's; key is a number, never the key.",
            provider=str,
            stage=str,
            kind=str,
            endpoint=str,
            key=int,
            attempt=int,
            code=str,
            first_byte_ms=float | None,
            duration_ms=float,
            sent_bytes=int,
            received_bytes=int,
        ),
        EventType.PROVIDER_NOTE: _says(
            "Something happened on the connection to a vendor, such as a reconnect.",
            provider=str,
            stage=str,
            kind=str,
            details=dict[str, Any],
        ),
        EventType.PROVIDER_USED: _says(
            "What one request used, and its price where that is known, by the list of that date.",
            provider=str,
            stage=str,
            key=int,
            usage=Any,
            cost_usd=float | None,
            prices_of=str | Absent,
            model=str | Absent,
            is_upper_estimate=bool | Absent,
        ),
        EventType.KEY_CHANGED: _says(
            "Another key of a provider is used now: their numbers.",
            **{"provider": str, "from": int, "to": int, "reason": str},
        ),
        EventType.RATE_LIMITED: _says(
            "A request has to wait, or is refused: a limit of ours or the vendor's.",
            provider=str,
            limit=str,
            wait_s=float | None,
        ),
        EventType.SPEND_WARNING: _says(
            'Four fifths of the daily limit are spent; provider "" is all together.',
            provider=str,
            spent_usd=float,
            limit_usd=float,
        ),
        EventType.SPEND_STOPPED: _says(
            "The daily spending limit is reached: not used again before midnight.",
            provider=str,
            spent_usd=float,
            limit_usd=float,
        ),
        EventType.SPEND_RESUMED: _says("A new day, or a new limit: it may be used again.", provider=str),
        EventType.CACHE_USED: _says("A cache was consulted.", cache=str, hit=bool),
        EventType.QUEUE_ADDED: _says(
            "An utterance that could not be answered is saved on disk.", id=str, agent=str, duration_ms=int
        ),
        EventType.QUEUE_ANSWERED: _says(
            "It was answered; the id identifies repetitions. Never logged.",
            id=str,
            agent=str,
            provider=str,
            transcript=str,
            reply=str,
            age_s=float,
        ),
        EventType.QUEUE_DROPPED: _says("It was dropped.", id=str, agent=str, reason=str),
        EventType.AUDIO_QUALITY: _says(
            "The sound quality of an utterance.",
            level_dbfs=float,
            peak_dbfs=float,
            clipped_percent=float,
            snr_db=float | None,
            dropouts=int,
        ),
        EventType.HANDLER_FAILED: _says(
            "A handler of events misbehaved, as `voxd.bus.handler_stats.HandlerFault` says; counts since it was registered.",
            handler=str,
            handler_id=str,
            event=str,
            reason=str,
            error=str,
            failures=int,
            dropped=int,
        ),
    }
)
