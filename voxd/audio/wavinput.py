"""The virtual microphone's process: plays a recording into the ring in real time, no card needed.

Before and after it comes a noise of a few units, as from a real microphone in a quiet room: exact zeros
would mean a fault. Every new process, as after a mute, plays the recording again from its beginning.
"""

import mmap
import os
import time
from array import array
from typing import Any

from voxd.audio import child_process
from voxd.audio.ring_writer import BYTES_PER_SAMPLE, FLAG_ENDED, FLAGS, RingWriter

RATE_HZ = 16_000
_NOISE_SAMPLES = 16_001
"""A little over a second, prime to every block length, so that the blocks differ."""


def main() -> None:
    """Play ``clip_fd`` (mono PCM at 16 kHz) after ``lead_s`` of noise; the parent's death ends us."""
    arguments = child_process.begin()
    ring = RingWriter(arguments["ring_fd"], arguments["wake_fd"])
    ring.begin()
    child_process.report(device="virtual", raw_name="virtual", rate_hz=RATE_HZ)
    _play(ring, _clip(arguments["clip_fd"]), arguments)


def _clip(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    if not size:
        return b""
    with mmap.mmap(fd, size, prot=mmap.PROT_READ) as mapped:
        return mapped[:]


def _play(ring: RingWriter, clip: bytes, arguments: dict[str, Any]) -> None:
    channels, block = arguments["channels"], RATE_HZ * arguments["block_ms"] // 1000
    lead = round(arguments["lead_s"] * RATE_HZ)
    end = lead + len(clip) // BYTES_PER_SAMPLE
    noise = array("h", (byte % 5 - 2 for byte in os.urandom(_NOISE_SAMPLES))).tobytes() * 2
    started, position = time.monotonic(), 0
    while True:
        position += block
        # Absolute deadlines: a late block does not make all later ones late.
        time.sleep(max(0.0, started + position / RATE_HZ - time.monotonic()))
        ring.append(_wide(_window(clip, noise, position - block - lead, block), channels))
        if position >= end:
            ring.header[FLAGS] = FLAG_ENDED


def _window(clip: bytes, noise: bytes, start: int, count: int) -> bytes:
    """Return ``count`` samples from ``start`` of the clip on, noise where it has none."""
    at = start % _NOISE_SAMPLES * BYTES_PER_SAMPLE
    first = min(max(0, -start), count)
    said = clip[max(0, start) * BYTES_PER_SAMPLE : max(0, start + count) * BYTES_PER_SAMPLE]
    quiet = noise[at : at + count * BYTES_PER_SAMPLE]
    before = quiet[: first * BYTES_PER_SAMPLE]
    return before + said + quiet[len(before) + len(said) :]


def _wide(pcm: bytes, channels: int) -> bytes:
    if channels == 1:
        return pcm
    mono = array("h", pcm)
    out = array("h", bytes(len(pcm) * channels))
    for channel in range(channels):
        out[channel::channels] = mono
    return out.tobytes()


if __name__ == "__main__":
    main()
