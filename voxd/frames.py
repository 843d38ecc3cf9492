"""Audio values every room shares: samples on one absolute clock."""

from dataclasses import dataclass

# The rate of the ring and of every frame; the engines were all trained on it.
SAMPLE_RATE_HZ = 16_000

# Signed 16-bit little endian, the only sample format inside voxd.
BYTES_PER_SAMPLE = 2


def samples_from_ms(ms: float) -> int:
    """Return the number of samples in ``ms`` milliseconds at `SAMPLE_RATE_HZ`."""
    # Rounded: 0.1 s is not exact in binary, and truncation would lose a sample.
    return round(ms * SAMPLE_RATE_HZ / 1000)


def samples_from_s(seconds: float) -> int:
    """Return the number of samples in ``seconds`` at `SAMPLE_RATE_HZ`."""
    return round(seconds * SAMPLE_RATE_HZ)


def ms_from_samples(samples: int) -> float:
    """Return the length of ``samples`` at `SAMPLE_RATE_HZ` in milliseconds."""
    return samples * 1000 / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Frame:
    """A block of mono samples with the absolute index of its first.

    Index 0 is the first sample the ring ever held; it never goes back, whatever the device does.
    """

    start: int
    pcm: bytes

    @property
    def samples(self) -> int:
        """The number of samples in the block."""
        return len(self.pcm) // BYTES_PER_SAMPLE

    @property
    def end(self) -> int:
        """The index of the sample after the last."""
        return self.start + self.samples


@dataclass(frozen=True, slots=True)
class Clip:
    """Mono sound off the sample clock, at a rate of its own: a reply, an earcon, a file."""

    pcm: bytes
    rate_hz: int

    @property
    def duration_s(self) -> float:
        """The length in seconds."""
        return len(self.pcm) / BYTES_PER_SAMPLE / self.rate_hz
