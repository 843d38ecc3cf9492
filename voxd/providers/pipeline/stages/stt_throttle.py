"""How fast a vendor of live transcription takes sound that was spoken before: pure arithmetic."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Throttle:
    """``burst_s`` seconds of sound at once, and then ``speed`` times as fast as it was spoken.

    Sound that comes from the microphone never waits: it is not faster than it was spoken.
    """

    burst_s: float
    speed: float

    def pause_s(self, sent_s: float, passed_s: float) -> float:
        """Return how long the next piece has to wait, ``passed_s`` after the first of ``sent_s`` was sent."""
        return max((sent_s - self.burst_s) / self.speed - passed_s, 0.0)
