"""Metrics for Prometheus: plain numbers, fed by the events through one table."""

from collections.abc import Callable, Mapping
from typing import Any

from voxd.events import Event, EventType
from voxd.observe.series import MetricSet
from voxd.observe.vendor_metrics import vendor_feeds

STAGE_BUCKETS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 3, 5, 8)
SCORE_BUCKETS = tuple(tenth / 10 for tenth in range(1, 11))


class Metrics:
    """The numbers of one daemon. Labels take few values: never a text, a name or an id."""

    def __init__(self) -> None:
        self._numbers = numbers = MetricSet()
        self._turns = numbers.counter("voxd_turns", "Turns by how they ended", "outcome")
        self._stages = numbers.histogram(
            "voxd_turn_stage_seconds", "Length of each stage of a turn", STAGE_BUCKETS_S, "stage"
        )
        self._wake = numbers.counter("voxd_wake_detections", "Wake words suspected", "word", "accepted")
        self._scores = numbers.histogram(
            "voxd_wake_score", "Scores of the second stage", SCORE_BUCKETS, "word"
        )
        self._overruns = numbers.counter("voxd_audio_overruns", "Samples lost at the microphone")
        self._audio_lost = numbers.counter("voxd_audio_lost", "Times the microphone was lost")
        self._audio_up = numbers.gauge("voxd_audio_up", "Whether the microphone works")
        self._output_up = numbers.gauge("voxd_output_up", "Whether the loudspeaker works")
        self._failures = numbers.counter(
            "voxd_engine_failures", "Failures of local engines", "engine", "code"
        )
        self._errors = numbers.counter("voxd_errors", "Faults announced", "code")
        self._interrupted = numbers.counter("voxd_replies_interrupted", "Replies cut short", "by")
        self._rings = numbers.counter("voxd_timer_rings", "Timers, alarms and reminders that rang", "kind")
        self._muted = numbers.gauge("voxd_muted", "Whether the microphone is closed")
        self._volume = numbers.gauge("voxd_volume_ratio", "Output volume")
        self._state = numbers.gauge(
            "voxd_state", "What the device does: 1 for one state, 0 for others", "state"
        )
        # Until the first loss: a gauge that is 0 before the start would raise an alarm at every boot.
        self._audio_up.set(1)
        self._output_up.set(1)
        self._state.set(1, "idle")
        self._table = {**self._feeds(), **vendor_feeds(numbers)}

    def handle(self, event: Event) -> None:
        """Count ``event``; a handler of the bus."""
        feed = self._table.get(event.type)
        if feed is not None:
            feed(event.data)

    def watch_queue(self, queue: str, dropped: Callable[[], int]) -> None:
        """Show what ``queue`` has dropped so far, read when the metrics are requested."""
        self._numbers.watch_queue(queue, dropped)

    def stages(self, stages_ms: Mapping[str, float]) -> None:
        """Count the stages of a finished turn, as `voxd.observe.ledger.stages_ms` gives them."""
        for stage, ms in stages_ms.items():
            self._stages.observe(ms / 1000, stage)

    def render(self) -> str:
        """Return everything in the Prometheus text format 0.0.4."""
        return self._numbers.render()

    def _feeds(self) -> dict[str, Callable[[Mapping[str, Any]], None]]:
        """Return the table: which event changes which number."""
        return {
            EventType.STATE_CHANGED: self._show_state,
            EventType.TURN_ENDED: lambda data: self._turns.inc(data["outcome"]),
            EventType.TURN_INTERRUPTED: lambda data: self._interrupted.inc(data["by"]),
            EventType.WAKE_DETECTED: lambda data: self._wake_seen(data, accepted=True),
            EventType.WAKE_REJECTED: lambda data: self._wake_seen(data, accepted=False),
            EventType.AUDIO_OVERRUN: lambda data: self._overruns.inc(by=data["count"]),
            EventType.AUDIO_LOST: lambda _: self._audio_seen(works=False),
            EventType.AUDIO_RESTORED: lambda _: self._audio_seen(works=True),
            EventType.OUTPUT_LOST: lambda _: self._output_up.set(0),
            EventType.OUTPUT_RESTORED: lambda _: self._output_up.set(1),
            EventType.ENGINE_FAILED: lambda data: self._failures.inc(data["engine"], data["code"]),
            EventType.ERROR_GENERAL: lambda data: self._errors.inc(data["code"]),
            EventType.MUTE_CHANGED: lambda data: self._muted.set(data["muted"]),
            EventType.VOLUME_CHANGED: lambda data: self._volume.set(data["percent"] / 100),
            EventType.TIMER_RINGING: lambda data: self._rings.inc(data["kind"]),
        }

    def _wake_seen(self, data: Mapping[str, Any], *, accepted: bool) -> None:
        self._wake.inc(data["word"], str(accepted).lower())
        if data["score"] is not None:
            self._scores.observe(data["score"], data["word"])

    def _audio_seen(self, *, works: bool) -> None:
        self._audio_up.set(works)
        if not works:
            self._audio_lost.inc()

    def _show_state(self, data: Mapping[str, Any]) -> None:
        self._state.set(0, data["from"])
        self._state.set(1, data["to"])
