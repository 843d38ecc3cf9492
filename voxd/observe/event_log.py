"""One line of the log per event, built from a whitelist of fields, so that no transcript gets in."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any

from voxd.events import Event, EventType
from voxd.observe.log import CALL_FIELDS

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogLine:
    """How an event is logged: at which level, and which of its data in which words."""

    level: int
    text: str


_DEBUG, _INFO, _WARNING = logging.DEBUG, logging.INFO, logging.WARNING

# Every event type that is logged; None, or not listed: not logged.
#
# The name of a reminder is the user's speech, so it is not logged.
LINES: Mapping[str, LogLine | None] = MappingProxyType(
    {
        EventType.DAEMON_READY: LogLine(_INFO, "ready: voxd {version}, audio {audio}"),
        EventType.DAEMON_RELOADED: LogLine(
            _INFO, "reloaded: applied {applied}, restart needed for {needs_restart}"
        ),
        EventType.DAEMON_STOPPING: LogLine(_INFO, "stopping"),
        EventType.STATE_CHANGED: LogLine(_DEBUG, "state {from} -> {to}"),
        EventType.WAKE_CANDIDATE: LogLine(_DEBUG, "wake word candidate {word}, score {score}"),
        EventType.WAKE_DETECTED: LogLine(_INFO, "wake word {word}, score {score}"),
        EventType.WAKE_REJECTED: LogLine(_INFO, "wake word {word} rejected: {reason}, score {score}"),
        EventType.SPEECH_STARTED: LogLine(_DEBUG, "speech started"),
        EventType.SPEECH_ENDED: LogLine(_DEBUG, "speech ended: {reason}, {duration_ms} ms"),
        EventType.TURN_STARTED: LogLine(_INFO, "turn started: {source}"),
        EventType.TURN_TRANSCRIPT: LogLine(_INFO, "transcript by {engine}"),
        EventType.TURN_REPLY: LogLine(_DEBUG, "reply"),
        EventType.TURN_INTERRUPTED: LogLine(_INFO, "reply interrupted by {by} after {played_ms} ms"),
        EventType.TURN_ENDED: LogLine(_INFO, "turn ended: {outcome}, {latency_ms} ms"),
        EventType.PLAYBACK_STARTED: None,
        EventType.PLAYBACK_FINISHED: None,
        EventType.AUDIO_LOST: LogLine(_WARNING, "microphone lost: {device}: {reason}"),
        EventType.AUDIO_RESTORED: LogLine(_INFO, "microphone restored: {device}, after {after_s} s"),
        EventType.AUDIO_OVERRUN: LogLine(_WARNING, "samples lost at the device: {count}"),
        EventType.OUTPUT_LOST: LogLine(_WARNING, "loudspeaker lost: {device}: {reason}"),
        EventType.OUTPUT_RESTORED: LogLine(_INFO, "loudspeaker restored: {device}"),
        EventType.ENGINE_FAILED: LogLine(_WARNING, "engine {engine} failed: {code}: {reason}"),
        EventType.ENGINE_CHANGED: LogLine(_WARNING, "{kind} now uses engine {engine}: {reason}"),
        EventType.ENGINE_RESTORED: LogLine(_INFO, "{kind} uses engine {engine} again"),
        EventType.MUTE_CHANGED: LogLine(_INFO, "muted: {muted}, by {source}"),
        EventType.VOLUME_CHANGED: LogLine(_INFO, "volume {percent} %"),
        EventType.BUTTON_PRESSED: LogLine(_INFO, "button: {gesture}"),
        EventType.TIMER_SET: LogLine(_INFO, "{kind} {id} set, due in {due_s} s"),
        EventType.TIMER_CANCELLED: LogLine(_INFO, "timer {id} cancelled"),
        EventType.TIMER_RINGING: LogLine(_INFO, "{kind} {id} rings"),
        EventType.TIMER_STOPPED: LogLine(_INFO, "timer {id} stopped by {by}"),
        EventType.TIMER_CHANGED: LogLine(_INFO, "{kind} {id} {what}, due in {due_s} s"),
        EventType.CONNECTION_ESTABLISHED: LogLine(
            _INFO, "session with {provider} open after {latency_ms} ms"
        ),
        EventType.CONNECTION_LOST: LogLine(_WARNING, "session with {provider} lost: {code}: {reason}"),
        EventType.CONNECTION_CLOSED: LogLine(_INFO, "session with {provider} closed: {reason}"),
        EventType.PROVIDER_FAILED: LogLine(_WARNING, "provider {provider} unavailable: {code}: {reason}"),
        EventType.PROVIDER_CHANGED: LogLine(_WARNING, "failover from {from} to {to}: {reason}"),
        EventType.PROVIDER_RESTORED: LogLine(_INFO, "provider {provider} recovered"),
        EventType.PROVIDER_CALL: LogLine(
            _INFO, "{provider} {stage} {kind}: {code}, first byte {first_byte_ms} ms, in all {duration_ms} ms"
        ),
        EventType.PROVIDER_NOTE: LogLine(_INFO, "{provider} {stage}: {kind}"),
        EventType.KEY_CHANGED: LogLine(_WARNING, "{provider}: key {to} instead of key {from}: {reason}"),
        EventType.RATE_LIMITED: LogLine(
            _WARNING, "{provider}: rate limit reached ({limit}), requests may wait"
        ),
        EventType.SPEND_WARNING: LogLine(
            _WARNING, "{provider}: {spent_usd} of the daily limit of {limit_usd} US dollars spent"
        ),
        EventType.SPEND_STOPPED: LogLine(
            _WARNING, "{provider}: daily spending limit reached, {spent_usd} US dollars spent"
        ),
        EventType.SPEND_RESUMED: LogLine(_INFO, "{provider}: below the daily spending limit again"),
        EventType.QUEUE_ADDED: LogLine(_INFO, "queued for later: {id}, {duration_ms} ms"),
        EventType.QUEUE_ANSWERED: LogLine(_INFO, "deferred answer to {id}, by {provider}, after {age_s} s"),
        EventType.QUEUE_DROPPED: LogLine(_WARNING, "dropped from the queue: {id}: {reason}"),
        EventType.AUDIO_QUALITY: LogLine(
            _DEBUG, "sound: {level_dbfs} dBFS, clipped {clipped_percent} %, SNR {snr_db} dB, {dropouts} gaps"
        ),
        EventType.ERROR_GENERAL: LogLine(_WARNING, "{code}: {message}"),
    }
)


# A lasting error is logged again after this time, so that a recent part of the log still shows it.
REPEATED_S = 600.0

KNOWN_ERRORS = 64

# Events about requests to vendors; in other events "kind" may be text of the user.
_CALLS = frozenset(
    {
        EventType.PROVIDER_CALL,
        EventType.PROVIDER_NOTE,
        EventType.PROVIDER_FAILED,
        EventType.PROVIDER_RESTORED,
        EventType.CONNECTION_ESTABLISHED,
        EventType.CONNECTION_LOST,
        EventType.CONNECTION_CLOSED,
    }
)


class EventLog:
    """Logs events that matter; a handler of the bus.

    An error with the same code and message, as from every question of an outage, is logged once in
    `REPEATED_S`.
    """

    def __init__(self) -> None:
        self._errors: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Log ``event`` if it matters."""
        line = LINES.get(event.type)
        # The level first: an event that is not logged must not count as a repetition either.
        if line is None or not _log.isEnabledFor(line.level) or self._is_repeated(event):
            return
        _write(event, line)

    def _is_repeated(self, event: Event) -> bool:
        if event.type != EventType.ERROR_GENERAL:
            return False
        recent = {text: at_s for text, at_s in self._errors.items() if 0 <= event.time - at_s < REPEATED_S}
        text = f"{event.data.get('code')}: {event.data.get('message')}"
        # The newest first, so that the oldest of too many is forgotten.
        self._errors = dict(islice({text: event.time, **recent}.items(), KNOWN_ERRORS))
        return text in recent


def _write(event: Event, line: LogLine) -> None:
    fields = {
        "event": event.type,
        # Nothing but the listed fields: an event may hold transcripts, names and sound.
        **{name: event.data[name] for name in CALL_FIELDS if event.type in _CALLS and name in event.data},
        "turn": event.turn,
        "state": event.data.get("to") if event.type == EventType.STATE_CHANGED else None,
        "code": event.data.get("code"),
        "hint": event.data.get("hint"),
        "ms": event.data.get("latency_ms"),
    }
    _log.log(line.level, "%s", line.text.format_map(_Shown(event.data)), extra={"voxd": fields})


class _Shown(dict[str, str]):
    """The data of an event as text; what is missing is a question mark, not a failure."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__({key: _text(value) for key, value in data.items()})
        if data.get("provider") == "":
            # The spending limit of the whole device has no provider.
            self["provider"] = "all providers together"

    def __missing__(self, key: str) -> str:
        return "?"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value) or "nothing"
    return str(value)
