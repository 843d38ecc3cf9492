"""Measures the rates and times that `VoiceEngine.get_metrics` returns."""

from collections import deque

from voxd.clock import Clock
from voxd.providers.realtime.meter import SessionMetrics

# The time over which the capture rate is counted.
WINDOW_S = 5.0

# Chunks whose time is kept: more than `WINDOW_S` of the shortest chunks, 10 ms.
_CHUNKS = 512

# The weight of the newest value in a running mean.
_WEIGHT = 0.1


class Mean:
    """An exponentially weighted mean; 0.0 before the first value."""

    def __init__(self) -> None:
        self.value = 0.0
        self._has_value = False

    def add(self, value: float) -> None:
        """Add a value."""
        # The first value counts in full, or the mean would climb from zero for dozens of chunks.
        self.value = value if not self._has_value else (1 - _WEIGHT) * self.value + _WEIGHT * value
        self._has_value = True


class EngineMeter:
    """The measurements of one engine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._captured: deque[float] = deque(maxlen=_CHUNKS)
        self.vad_ms = Mean()
        # From the capture of a chunk's last block to the chunk's hand-over to the provider.
        self.sent_ms = Mean()

    def captured(self) -> None:
        """Count a chunk from the microphone."""
        self._captured.append(self._clock.monotonic())

    def timed(self, mean: Mean, since_s: float) -> None:
        """Add to ``mean`` the milliseconds since the CLOCK_MONOTONIC time ``since_s``."""
        # The capture process reads the same clock, but a block may be stamped after this reading of it.
        mean.add(max(0.0, self._clock.monotonic() - since_s) * 1000)

    @property
    def capture_rate(self) -> float:
        """Chunks per second over the last `WINDOW_S`, or since capture began."""
        now_s = self._clock.monotonic()
        # Of the last seconds only: a pause long ago must not lower the rate of now.
        recent = [at_s for at_s in self._captured if now_s - at_s <= WINDOW_S]
        span_s = now_s - recent[0] if len(recent) > 1 else 0.0
        return (len(recent) - 1) / span_s if span_s > 0 else 0.0


def metrics(
    meter: EngineMeter, session: SessionMetrics | None, *, playback_latency_ms: float, buffer_health: float
) -> dict[str, dict[str, float]]:
    """Return the documented dictionary: chunks per second, milliseconds, uptime in seconds.

    ``connection.latency`` is how long the session took to open. ``buffer_health`` is the free share of the
    capture buffer; at 0.0 audio is being lost. Everything that was not measured yet is 0.0 too.
    """
    return {
        "audio": {
            "capture_rate": meter.capture_rate,
            "playback_latency": playback_latency_ms,
            "buffer_health": buffer_health,
        },
        "connection": {
            "latency": (session.latency_ms or 0.0) if session is not None else 0.0,
            "uptime": session.uptime_s if session is not None else 0.0,
        },
        "processing": {"vad_performance": meter.vad_ms.value, "audio_processing": meter.sent_ms.value},
    }
