"""Counters, gauges and histograms as plain numbers, which prometheus-client writes on request."""

import platform
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from voxd import __version__

if TYPE_CHECKING:
    from prometheus_client.core import Metric


# Combinations of labels of one number; some labels come from outside, such as a vendor's error codes.
MOST_KEYS = 1000

# In the place of every label beyond that.
OTHER = "other"


def _key(values: Iterable[object], known: Container[tuple[str, ...]], count: int) -> tuple[str, ...]:
    # One odd value in an event must not break the text for all the others.
    key = tuple(map(str, values))
    return key if key in known or count < MOST_KEYS else (OTHER,) * len(key)


class Series:
    """A counter or gauge: one number for each combination of labels seen so far."""

    def __init__(
        self, kind: Literal["counter", "gauge"], name: str, text: str, labels: tuple[str, ...]
    ) -> None:
        self.kind = kind
        self.name = name
        self.text = text
        self.labels = labels
        # Without labels the number is shown as 0 from the start, as Prometheus recommends.
        self.values: dict[tuple[str, ...], float] = {} if labels else {(): 0}

    def inc(self, *values: str, by: float = 1) -> None:
        """Add ``by`` where the labels have these ``values``."""
        key = _key(values, self.values, len(self.values))
        self.values[key] = self.values.get(key, 0) + by

    def set(self, number: float, *values: str) -> None:
        """Replace the number where the labels have these ``values``."""
        self.values[_key(values, self.values, len(self.values))] = float(number)


class Histogram:
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
        key = _key(values, self.counts, len(self.counts))
        bucket = bisect_left(self.bounds, number)
        self.counts.setdefault(key, [0] * (len(self.bounds) + 1))[bucket] += 1
        self.sums[key] = self.sums.get(key, 0) + number


class _Families:
    """Shows the numbers to prometheus-client: a `Collector` by its shape, as its class is not loaded."""

    def __init__(
        self,
        series: Iterable[Series],
        histograms: Iterable[Histogram],
        queues: Mapping[str, Callable[[], int]],
    ) -> None:
        self._series = series
        self._histograms = histograms
        self._queues = queues

    def collect(self) -> Iterator["Metric"]:
        """Yield one family for each name; queues are read at this moment."""
        # See `MetricSet.render`: loaded on the first request.
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


class MetricSet:
    """All the numbers of one daemon. Labels take few values: never a text or an id."""

    def __init__(self) -> None:
        self._series: list[Series] = []
        self._histograms: list[Histogram] = []
        self._dropped: dict[str, Callable[[], int]] = {}

    def counter(self, name: str, text: str, *labels: str) -> Series:
        """Return a new number that only grows."""
        self._series.append(Series("counter", name, text, labels))
        return self._series[-1]

    def gauge(self, name: str, text: str, *labels: str, absent: bool = False) -> Series:
        """Return a new number that moves; ``absent``: not shown before it is set, as 0 would be a lie."""
        series = Series("gauge", name, text, labels)
        if absent:
            series.values.clear()
        self._series.append(series)
        return series

    def histogram(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Histogram:
        """Return a new spread of observations over buckets with these upper ``bounds``."""
        self._histograms.append(Histogram(name, text, bounds, labels))
        return self._histograms[-1]

    def watch_queue(self, queue: str, dropped: Callable[[], int]) -> None:
        """Show what ``queue`` has dropped so far, read when the metrics are requested."""
        self._dropped[queue] = dropped

    def render(self) -> str:
        """Return everything in the Prometheus text format 0.0.4."""
        # Loaded on the first request: it brings a web server and costs 4.3 MB.
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_Families(self._series, self._histograms, self._dropped))
        return generate_latest(registry).decode()
