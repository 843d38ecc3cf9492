"""Measures the rates and times that `VoiceEngine.get_metrics` returns."""

from collections import deque

from voxd.clock import Clock
from voxd.providers.realtime.meter import SessionMetrics

WINDOW_S = 5.0
"""What the capture rate is counted over."""

_KEPT = 512
"""Chunks remembered: 5 s of 10 ms chunks."""

_SHARE = 0.1
"""How much of a running mean the newest value is."""


class Mean:
    """A running mean in which old values fade; 0.0 before the first."""

    def __init__(self) -> None:
        self.value = 0.0
        self._any = False

    def add(self, value: float) -> None:
        """Take one more value."""
        self.value = value if not self._any else (1 - _SHARE) * self.value + _SHARE * value
        self._any = True


class EngineMeter:
    """Collects; every method is a few microseconds and on the event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._captured: deque[float] = deque(maxlen=_KEPT)
        self.vad_ms = Mean()
        self.sent_ms = Mean()
        """From a chunk's last block captured to the chunk handed to the provider."""

    def captured(self) -> None:
        """A chunk came from the microphone."""
        self._captured.append(self._clock.monotonic())

    def timed(self, mean: Mean, since_s: float) -> None:
        """Note in ``mean`` the milliseconds since the CLOCK_MONOTONIC time ``since_s``."""
        mean.add(max(0.0, self._clock.monotonic() - since_s) * 1000)

    @property
    def capture_rate(self) -> float:
        """Chunks per second over the last `WINDOW_S`, or over as long as there has been capture."""
        now_s = self._clock.monotonic()
        recent = [at_s for at_s in self._captured if now_s - at_s <= WINDOW_S]
        span_s = now_s - recent[0] if len(recent) > 1 else 0.0
        return (len(recent) - 1) / span_s if span_s > 0 else 0.0


def metrics(
    meter: EngineMeter,
    session: SessionMetrics | None,
    *,
    playback_latency_ms: float,
    buffer_health: float,
) -> dict[str, dict[str, float]]:
    """Return the documented dictionary: chunks per second, milliseconds, uptime in seconds.

    ``connection.latency`` is how long the session took to open; ``buffer_health`` is the free share of the
    capture buffer, 0.0 meaning that sound is being lost. 0.0 also stands where nothing was measured yet.
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
