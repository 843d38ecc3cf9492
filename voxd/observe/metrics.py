"""Metrics for Prometheus: plain numbers, fed by the events through one table, that its library writes."""

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

from voxd import __version__
from voxd.events import Event

if TYPE_CHECKING:
    from prometheus_client.core import Metric

STAGE_BUCKETS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 3, 5, 8)
SCORE_BUCKETS = tuple(tenth / 10 for tenth in range(1, 11))


def _key(values: Iterable[object]) -> tuple[str, ...]:
    # One odd value in an event must not break the text for all the others.
    return tuple(map(str, values))


class _Series:
    """A counter or gauge: one number for each combination of labels seen so far."""

    def __init__(
        self, kind: Literal["counter", "gauge"], name: str, text: str, labels: tuple[str, ...]
    ) -> None:
        self.kind = kind
        self.name = name
        self.text = text
        self.labels = labels
        self.values: dict[tuple[str, ...], float] = {} if labels else {(): 0}

    def inc(self, *values: str, by: float = 1) -> None:
        """Add ``by`` where the labels have these ``values``."""
        key = _key(values)
        self.values[key] = self.values.get(key, 0) + by

    def set(self, number: float, *values: str) -> None:
        """Replace the number where the labels have these ``values``."""
        self.values[_key(values)] = float(number)


class _Histogram:
    """Observations in buckets: how many in each and their sum, for each combination of labels seen so far."""

    def __init__(self, name: str, text: str, bounds: tuple[float, ...], labels: tuple[str, ...]) -> None:
        self.name = name
        self.text = text
        self.bounds = bounds
        self.labels = labels
        self.counts: dict[tuple[str, ...], list[int]] = {}
        self.sums: dict[tuple[str, ...], float] = {}

    def observe(self, number: float, *values: str) -> None:
        """Count ``number`` in the first bucket that reaches it, where the labels have these ``values``."""
        key = _key(values)
        bucket = bisect_left(self.bounds, number)
        self.counts.setdefault(key, [0] * (len(self.bounds) + 1))[bucket] += 1
        self.sums[key] = self.sums.get(key, 0) + number


class _Families:
    """Shows the numbers to prometheus-client: a `Collector` by its shape, as its class is not loaded."""

    def __init__(
        self,
        series: Iterable[_Series],
        histograms: Iterable[_Histogram],
        queues: Mapping[str, Callable[[], int]],
    ) -> None:
        self._series = series
        self._histograms = histograms
        self._queues = queues

    def collect(self) -> Iterator["Metric"]:
        """Yield one family for each name; queues are read at this moment, so that no queue has to tell."""
        # See `Metrics.render`: loaded only when somebody asks.
        from prometheus_client import core

        build = {"version": __version__, "python": platform.python_version()}
        yield core.InfoMetricFamily("voxd_build", "Version of voxd and of Python", build)
        for series in self._series:
            kind = core.CounterMetricFamily if series.kind == "counter" else core.GaugeMetricFamily
            family = kind(series.name, series.text, labels=series.labels)
            for values, number in series.values.items():
                family.add_metric(values, number)
            yield family
        for histogram in self._histograms:
            bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
            spread = core.HistogramMetricFamily(histogram.name, histogram.text, labels=histogram.labels)
            for values, counts in histogram.counts.items():
                buckets = list(zip(bounds, accumulate(counts), strict=True))
                spread.add_metric(values, buckets, histogram.sums[values])
            yield spread
        dropped = core.CounterMetricFamily(
            "voxd_frames_dropped", "What bounded queues dropped", labels=["queue"]
        )
        for queue, count in self._queues.items():
            dropped.add_metric([queue], count())
        yield dropped


class Metrics:
    """The numbers of one daemon. Labels take few values: never a text, a name or an id."""

    def __init__(self) -> None:
        self._series: list[_Series] = []
        self._histograms: list[_Histogram] = []
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
        self._audio_up.set(1)
        self._output_up.set(1)
        self._state.set(1, "idle")
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
            self._stages.observe(ms / 1000, stage)

    def render(self) -> str:
        """Return everything in the Prometheus text format 0.0.4."""
        # Loaded when somebody asks: it brings a web server, 4.3 MB that a daemon nobody asks need not hold.
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_Families(self._series, self._histograms, self._dropped))
        return generate_latest(registry).decode()

    def _feeds(self) -> dict[str, Callable[[Mapping[str, Any]], None]]:
        """The table: which event moves which number."""
        return {
            "state.changed": lambda data: self._show_state(data["from"], data["to"]),
            "turn.ended": lambda data: self._turns.inc(data["outcome"]),
            "turn.interrupted": lambda data: self._interrupted.inc(data["by"]),
            "wake.detected": lambda data: self._wake_seen(data, accepted=True),
            "wake.rejected": lambda data: self._wake_seen(data, accepted=False),
            "audio.overrun": lambda data: self._overruns.inc(by=data["count"]),
            "audio.lost": lambda _: self._audio_seen(works=False),
            "audio.restored": lambda _: self._audio_seen(works=True),
            "output.lost": lambda _: self._output_up.set(0),
            "output.restored": lambda _: self._output_up.set(1),
            "engine.failed": lambda data: self._failures.inc(data["engine"], data["code"]),
            "error": lambda data: self._errors.inc(data["code"]),
            "mute.changed": lambda data: self._muted.set(data["muted"]),
            "volume.changed": lambda data: self._volume.set(data["percent"] / 100),
            "timer.ringing": lambda data: self._rings.inc(data["kind"]),
        }

    def _wake_seen(self, data: Mapping[str, Any], *, accepted: bool) -> None:
        self._wake.inc(data["word"], str(accepted).lower())
        if data["score"] is not None:
            self._scores.observe(data["score"], data["word"])

    def _audio_seen(self, *, works: bool) -> None:
        self._audio_up.set(works)
        if not works:
            self._audio_lost.inc()

    def _show_state(self, before: str, now: str) -> None:
        self._state.set(0, before)
        self._state.set(1, now)

    def _counter(self, name: str, text: str, *labels: str) -> _Series:
        self._series.append(_Series("counter", name, text, labels))
        return self._series[-1]

    def _gauge(self, name: str, text: str, *labels: str) -> _Series:
        self._series.append(_Series("gauge", name, text, labels))
        return self._series[-1]

    def _histogram(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> _Histogram:
        self._histograms.append(_Histogram(name, text, bounds, labels))
        return self._histograms[-1]
