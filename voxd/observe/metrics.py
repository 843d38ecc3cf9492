"""Metrics for Prometheus: a registry of our own, fed by the events through one table."""

import platform
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from voxd import __version__
from voxd.events import Event

STAGE_BUCKETS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 3, 5, 8)
SCORE_BUCKETS = tuple(tenth / 10 for tenth in range(1, 11))


class _Dropped(Collector):
    """Reads the queues' own counts at the moment somebody asks, so that no queue has to tell."""

    def __init__(self, queues: Mapping[str, Callable[[], int]]) -> None:
        self._queues = queues

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the one family."""
        family = CounterMetricFamily("voxd_frames_dropped", "What bounded queues dropped", labels=["queue"])
        for queue, dropped in self._queues.items():
            family.add_metric([queue], dropped())
        yield family


class Metrics:
    """The numbers of one daemon. Labels take few values: never a text, a name or an id."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        build = Info("voxd_build", "Version of voxd and of Python", registry=self._registry)
        build.info({"version": __version__, "python": platform.python_version()})
        self._turns = self._counter("voxd_turns", "Turns by how they ended", "outcome")
        self._stages = self._histogram(
            "voxd_turn_stage_seconds", "Length of each stage of a turn", STAGE_BUCKETS_S, "stage"
        )
        self._wake = self._counter("voxd_wake_detections", "Wake words suspected", "word", "accepted")
        self._scores = self._histogram("voxd_wake_score", "Scores of the second stage", SCORE_BUCKETS, "word")
        self._overruns = self._counter("voxd_audio_overruns", "Samples lost at the microphone")
        self._audio_lost = self._counter("voxd_audio_lost", "Times the microphone was lost")
        self._audio_up = self._gauge("voxd_audio_up", "Whether the microphone works")
        self._output_up = self._gauge("voxd_output_up", "Whether the loudspeaker works")
        self._failures = self._counter("voxd_engine_failures", "Failures of local engines", "engine", "code")
        self._errors = self._counter("voxd_errors", "Faults announced", "code")
        self._interrupted = self._counter("voxd_replies_interrupted", "Replies cut short", "by")
        self._rings = self._counter("voxd_timer_rings", "Timers, alarms and reminders that rang", "kind")
        self._muted = self._gauge("voxd_muted", "Whether the microphone is closed")
        self._volume = self._gauge("voxd_volume_ratio", "Output volume")
        self._state = self._gauge(
            "voxd_state", "What the device does: 1 for one state, 0 for others", "state"
        )
        self._dropped: dict[str, Callable[[], int]] = {}
        self._registry.register(_Dropped(self._dropped))
        self._audio_up.set(1)
        self._output_up.set(1)
        self._state.labels("idle").set(1)
        self._table = self._feeds()

    def handle(self, event: Event) -> None:
        """Count ``event``; a handler of the bus."""
        feed = self._table.get(event.type)
        if feed is not None:
            feed(event.data)

    def watch_queue(self, queue: str, dropped: Callable[[], int]) -> None:
        """Show what ``queue`` has dropped so far, read when somebody asks."""
        self._dropped[queue] = dropped

    def stages(self, stages_ms: Mapping[str, float]) -> None:
        """Count the stages of a finished turn, as `voxd.observe.ledger.stages_ms` gives them."""
        for stage, ms in stages_ms.items():
            self._stages.labels(stage).observe(ms / 1000)

    def render(self) -> str:
        """Return everything in the Prometheus text format 0.0.4."""
        return generate_latest(self._registry).decode()

    def _feeds(self) -> dict[str, Callable[[Mapping[str, Any]], None]]:
        """The table: which event moves which number."""
        return {
            "state.changed": lambda data: self._show_state(data["from"], data["to"]),
            "turn.ended": lambda data: self._turns.labels(data["outcome"]).inc(),
            "turn.interrupted": lambda data: self._interrupted.labels(data["by"]).inc(),
            "wake.detected": lambda data: self._wake_seen(data, accepted=True),
            "wake.rejected": lambda data: self._wake_seen(data, accepted=False),
            "audio.overrun": lambda data: self._overruns.inc(data["count"]),
            "audio.lost": lambda _: self._audio_seen(works=False),
            "audio.restored": lambda _: self._audio_seen(works=True),
            "output.lost": lambda _: self._output_up.set(0),
            "output.restored": lambda _: self._output_up.set(1),
            "engine.failed": lambda data: self._failures.labels(data["engine"], data["code"]).inc(),
            "error": lambda data: self._errors.labels(data["code"]).inc(),
            "mute.changed": lambda data: self._muted.set(data["muted"]),
            "volume.changed": lambda data: self._volume.set(data["percent"] / 100),
            "timer.ringing": lambda data: self._rings.labels(data["kind"]).inc(),
        }

    def _wake_seen(self, data: Mapping[str, Any], *, accepted: bool) -> None:
        self._wake.labels(data["word"], str(accepted).lower()).inc()
        if data["score"] is not None:
            self._scores.labels(data["word"]).observe(data["score"])

    def _audio_seen(self, *, works: bool) -> None:
        self._audio_up.set(works)
        if not works:
            self._audio_lost.inc()

    def _show_state(self, before: str, now: str) -> None:
        self._state.labels(before).set(0)
        self._state.labels(now).set(1)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self._registry)
