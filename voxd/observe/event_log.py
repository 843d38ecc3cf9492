"""One line of the log per event, built from a whitelist of fields, so that no transcript gets in."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any

from voxd.events import Event
from voxd.observe.log import CALL_FIELDS

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogLine:
    """How an event is logged: at which level, and which of its data in which words."""

    level: int
    text: str


_DEBUG, _INFO, _WARNING = logging.DEBUG, logging.INFO, logging.WARNING

LINES: Mapping[str, LogLine | None] = MappingProxyType(
    {
        "daemon.ready": LogLine(_INFO, "ready: voxd {version}, audio {audio}"),
        "daemon.reloaded": LogLine(_INFO, "reloaded: applied {applied}, restart needed for {needs_restart}"),
        "daemon.stopping": LogLine(_INFO, "stopping"),
        "state.changed": LogLine(_DEBUG, "state {from} -> {to}"),
        "wake.candidate": LogLine(_DEBUG, "wake word candidate {word}, score {score}"),
        "wake.detected": LogLine(_INFO, "wake word {word}, score {score}"),
        "wake.rejected": LogLine(_INFO, "wake word {word} rejected: {reason}, score {score}"),
        "speech.started": LogLine(_DEBUG, "speech started"),
        "speech.ended": LogLine(_DEBUG, "speech ended: {reason}, {duration_ms} ms"),
        "turn.started": LogLine(_INFO, "turn started: {source}"),
        "turn.transcript": LogLine(_INFO, "transcript by {engine}"),
        "turn.reply": LogLine(_DEBUG, "reply"),
        "turn.interrupted": LogLine(_INFO, "reply interrupted by {by} after {played_ms} ms"),
        "turn.ended": LogLine(_INFO, "turn ended: {outcome}, {latency_ms} ms"),
        "playback.started": None,
        "playback.finished": None,
        "audio.lost": LogLine(_WARNING, "microphone lost: {device}: {reason}"),
        "audio.restored": LogLine(_INFO, "microphone restored: {device}, after {after_s} s"),
        "audio.overrun": LogLine(_WARNING, "samples lost at the device: {count}"),
        "output.lost": LogLine(_WARNING, "loudspeaker lost: {device}: {reason}"),
        "output.restored": LogLine(_INFO, "loudspeaker restored: {device}"),
        "engine.failed": LogLine(_WARNING, "engine {engine} failed: {code}: {reason}"),
        "engine.changed": LogLine(_WARNING, "{kind} now uses engine {engine}: {reason}"),
        "engine.restored": LogLine(_INFO, "{kind} uses engine {engine} again"),
        "mute.changed": LogLine(_INFO, "muted: {muted}, by {source}"),
        "volume.changed": LogLine(_INFO, "volume {percent} %"),
        "button.pressed": LogLine(_INFO, "button: {gesture}"),
        "timer.set": LogLine(_INFO, "{kind} {id} set, due in {due_s} s"),
        "timer.cancelled": LogLine(_INFO, "timer {id} cancelled"),
        "timer.ringing": LogLine(_INFO, "{kind} {id} rings"),
        "timer.stopped": LogLine(_INFO, "timer {id} stopped by {by}"),
        "connection.established": LogLine(_INFO, "session with {provider} open after {latency_ms} ms"),
        "connection.lost": LogLine(_WARNING, "session with {provider} lost: {code}: {reason}"),
        "connection.closed": LogLine(_INFO, "session with {provider} closed: {reason}"),
        "provider.failed": LogLine(_WARNING, "provider {provider} unavailable: {code}: {reason}"),
        "provider.changed": LogLine(_WARNING, "failover from {from} to {to}: {reason}"),
        "provider.restored": LogLine(_INFO, "provider {provider} recovered"),
        "provider.call": LogLine(
            _INFO, "{provider} {stage} {kind}: {code}, first byte {first_byte_ms} ms, in all {duration_ms} ms"
        ),
        "provider.note": LogLine(_INFO, "{provider} {stage}: {kind}"),
        "provider.key_changed": LogLine(_WARNING, "{provider}: key {to} instead of key {from}: {reason}"),
        "rate_limit.reached": LogLine(
            _WARNING, "{provider}: rate limit reached ({limit}), requests may wait"
        ),
        "spend.warning": LogLine(
            _WARNING, "{provider}: {spent_usd} of the daily limit of {limit_usd} US dollars spent"
        ),
        "spend.stopped": LogLine(
            _WARNING, "{provider}: daily spending limit reached, {spent_usd} US dollars spent"
        ),
        "spend.resumed": LogLine(_INFO, "{provider}: below the daily spending limit again"),
        "queue.added": LogLine(_INFO, "queued for later: {id}, {duration_ms} ms"),
        "queue.answered": LogLine(_INFO, "deferred answer to {id}, by {provider}, after {age_s} s"),
        "queue.dropped": LogLine(_WARNING, "dropped from the queue: {id}: {reason}"),
        "audio.quality": LogLine(
            _DEBUG, "sound: {level_dbfs} dBFS, clipped {clipped_percent} %, SNR {snr_db} dB, {dropouts} gaps"
        ),
        "error": LogLine(_WARNING, "{code}: {message}"),
    }
)
"""Every event type that is logged; None, or not listed: not logged.

The name of a reminder is the user's speech, so it is not logged.
"""


REPEATED_S = 600.0
"""A lasting error is logged again after this time, so that a recent part of the log still shows it."""

KNOWN_ERRORS = 64

_CALLS = frozenset(
    {
        "provider.call",
        "provider.note",
        "provider.failed",
        "provider.restored",
        "connection.established",
        "connection.lost",
        "connection.closed",
    }
)
"""Events about requests to vendors; in other events "kind" may be text of the user."""


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
        if line is None or not _log.isEnabledFor(line.level) or self._is_repeated(event):
            return
        _write(event, line)

    def _is_repeated(self, event: Event) -> bool:
        if event.type != "error":
            return False
        recent = {text: at_s for text, at_s in self._errors.items() if 0 <= event.time - at_s < REPEATED_S}
        text = f"{event.data.get('code')}: {event.data.get('message')}"
        self._errors = dict(islice({text: event.time, **recent}.items(), KNOWN_ERRORS))
        return text in recent


def _write(event: Event, line: LogLine) -> None:
    fields = {
        "event": event.type,
        **{name: event.data[name] for name in CALL_FIELDS if event.type in _CALLS and name in event.data},
        "turn": event.turn,
        "state": event.data.get("to") if event.type == "state.changed" else None,
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
