"""The virtual devices: a microphone that plays a recording, and a silent loudspeaker.

Both run in real time without a sound card. Before and after the recording the microphone delivers a noise of
a few units, like a real one in a quiet room: exact zeros would mean a fault. Every new process, for example
after a mute, plays the recording from its beginning.
"""

import mmap
import os
import time
from array import array
from typing import Any

from voxd.audio import child_process
from voxd.audio.output_ring import OutputRing
from voxd.audio.ring_writer import BYTES_PER_SAMPLE, FLAG_ENDED, FLAGS, RingWriter

INPUT_RATE_HZ = 16_000
OUTPUT_RATE_HZ = 48_000
_OUTPUT_BLOCK_S = 0.01
# A little over a second, and relatively prime to every block length, so that the blocks differ.
_NOISE_SAMPLES = 16_001


def main() -> None:
    """Run the device in the argument ``role``, "microphone" or "loudspeaker", until the parent ends."""
    arguments = child_process.begin()
    run = _run_microphone if arguments["role"] == "microphone" else _run_loudspeaker
    run(arguments)


def _run_loudspeaker(arguments: dict[str, Any]) -> None:
    """Consume the queue at the rate of a real device."""
    ring = OutputRing(arguments["ring_fd"], arguments["wake_fd"])
    child_process.report(device="virtual", rate_hz=OUTPUT_RATE_HZ, latency_s=_OUTPUT_BLOCK_S)
    due = time.monotonic()
    while True:
        ring.pull(round(OUTPUT_RATE_HZ * _OUTPUT_BLOCK_S))
        due += _OUTPUT_BLOCK_S
        time.sleep(max(0.0, due - time.monotonic()))


def _clip(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    if not size:
        return b""
    with mmap.mmap(fd, size, prot=mmap.PROT_READ) as mapped:
        return mapped[:]


def _run_microphone(arguments: dict[str, Any]) -> None:
    """Play ``clip_fd`` (mono PCM at 16 kHz) into the ring after ``lead_s`` of noise."""
    ring = RingWriter(arguments["ring_fd"], arguments["wake_fd"])
    ring.begin()
    child_process.report(device="virtual", raw_name="virtual", rate_hz=INPUT_RATE_HZ)
    clip = _clip(arguments["clip_fd"])
    channels, block = arguments["channels"], INPUT_RATE_HZ * arguments["block_ms"] // 1000
    lead = round(arguments["lead_s"] * INPUT_RATE_HZ)
    end = lead + len(clip) // BYTES_PER_SAMPLE
    noise = array("h", (byte % 5 - 2 for byte in os.urandom(_NOISE_SAMPLES))).tobytes() * 2
    started, position = time.monotonic(), 0
    while True:
        position += block
        # Absolute deadlines: a late block does not make all later ones late.
        time.sleep(max(0.0, started + position / INPUT_RATE_HZ - time.monotonic()))
        ring.append(_repeat_for_channels(_mix_window(clip, noise, position - block - lead, block), channels))
        if position >= end:
            # The noise goes on: a wake word at the very end must still be confirmed.
            ring.header[FLAGS] = FLAG_ENDED


def _mix_window(clip: bytes, noise: bytes, start: int, count: int) -> bytes:
    """Return ``count`` samples of the clip from ``start`` on, noise before its begin and after its end."""
    at = start % _NOISE_SAMPLES * BYTES_PER_SAMPLE
    first = min(max(0, -start), count)
    recorded = clip[max(0, start) * BYTES_PER_SAMPLE : max(0, start + count) * BYTES_PER_SAMPLE]
    quiet = noise[at : at + count * BYTES_PER_SAMPLE]
    before = quiet[: first * BYTES_PER_SAMPLE]
    return before + recorded + quiet[len(before) + len(recorded) :]


def _repeat_for_channels(pcm: bytes, channels: int) -> bytes:
    if channels == 1:
        return pcm
    mono = array("h", pcm)
    out = array("h", bytes(len(pcm) * channels))
    for channel in range(channels):
        out[channel::channels] = mono
    return out.tobytes()


if __name__ == "__main__":
    main()
