"""One line of the log per event that matters, built from a whitelist: nobody's words can get in."""

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
        "wake.candidate": LogLine(_DEBUG, "wake word {word} suspected, score {score}"),
        "wake.detected": LogLine(_INFO, "wake word {word}, score {score}"),
        "wake.rejected": LogLine(_INFO, "wake word {word} rejected: {reason}, score {score}"),
        "speech.started": LogLine(_DEBUG, "speech begins"),
        "speech.ended": LogLine(_DEBUG, "speech ends: {reason}, {duration_ms} ms"),
        "turn.started": LogLine(_INFO, "turn begins: {source}"),
        "turn.transcript": LogLine(_INFO, "transcript by {engine}"),
        "turn.reply": LogLine(_DEBUG, "reply"),
        "turn.interrupted": LogLine(_INFO, "reply interrupted by {by} after {played_ms} ms"),
        "turn.ended": LogLine(_INFO, "turn ends: {outcome}, {latency_ms} ms"),
        "playback.started": None,
        "playback.finished": None,
        "audio.lost": LogLine(_WARNING, "microphone lost: {device}: {reason}"),
        "audio.restored": LogLine(_INFO, "microphone back: {device}, after {after_s} s"),
        "audio.overrun": LogLine(_WARNING, "samples lost at the device: {count}"),
        "output.lost": LogLine(_WARNING, "loudspeaker lost: {device}: {reason}"),
        "output.restored": LogLine(_INFO, "loudspeaker back: {device}"),
        "engine.failed": LogLine(_WARNING, "engine {engine} failed: {code}: {reason}"),
        "engine.changed": LogLine(_WARNING, "{kind} is done by {engine} now: {reason}"),
        "engine.restored": LogLine(_INFO, "{kind} is done by {engine} again"),
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
        "provider.failed": LogLine(_WARNING, "provider {provider} does not answer: {code}: {reason}"),
        "provider.changed": LogLine(_WARNING, "{to} answers now instead of {from}: {reason}"),
        "provider.restored": LogLine(_INFO, "provider {provider} answers again"),
        "provider.call": LogLine(
            _INFO, "{provider} {stage} {kind}: {code}, first byte {first_byte_ms} ms, in all {duration_ms} ms"
        ),
        "provider.note": LogLine(_INFO, "{provider} {stage}: {kind}"),
        "provider.key_changed": LogLine(_WARNING, "{provider}: key {to} instead of key {from}: {reason}"),
        "rate_limit.reached": LogLine(
            _WARNING, "{provider}: its limit is reached ({limit}), who asks now may have to wait"
        ),
        "spend.warning": LogLine(
            _WARNING, "{provider}: {spent_usd} of the {limit_usd} US dollars of today are spent"
        ),
        "spend.stopped": LogLine(_WARNING, "{provider}: {spent_usd} US dollars are spent, no more today"),
        "spend.resumed": LogLine(_INFO, "{provider}: money may be spent again"),
        "queue.added": LogLine(_INFO, "kept for later: {id}, {duration_ms} ms"),
        "queue.answered": LogLine(_INFO, "answered late: {id}, by {provider}, after {age_s} s"),
        "queue.dropped": LogLine(_WARNING, "given up: {id}: {reason}"),
        "audio.quality": LogLine(
            _DEBUG, "sound: {level_dbfs} dBFS, clipped {clipped_percent} %, SNR {snr_db} dB, {dropouts} gaps"
        ),
        "error": LogLine(_WARNING, "{code}: {message}"),
    }
)
"""Every event type that is logged; None, or not here: not worth a line.

A reminder's name is what its owner said: it is not here.
"""


REPEATED_S = 600.0
"""Who looks into the log sees that it still lasts, and what else happened meanwhile."""

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
"""The log of what was asked of vendors; elsewhere "kind" may be somebody's own word."""


class EventLog:
    """Logs events that matter; a handler of the bus.

    An error that is told again in the same words, as by every question of an outage, is logged once in
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
