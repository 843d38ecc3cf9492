"""Sounds for tests: speech is a tone, silence is zeros."""

import math
import struct


def tone(duration_ms: float, *, rate_hz: int = 24_000, peak: int = 9000, hz: float = 440.0) -> bytes:
    count = round(duration_ms * rate_hz / 1000)
    return struct.pack(
        f"<{count}h", *(int(peak * math.sin(math.tau * hz * n / rate_hz)) for n in range(count))
    )


def silence(duration_ms: float, *, rate_hz: int = 24_000) -> bytes:
    return bytes(round(duration_ms * rate_hz / 1000) * 2)


def pieces(pcm: bytes, size_ms: float = 20, *, rate_hz: int = 24_000) -> list[bytes]:
    size = round(size_ms * rate_hz / 1000) * 2
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


def duration_ms(pcm: bytes, rate_hz: int = 24_000) -> float:
    return len(pcm) / 2 / rate_hz * 1000
