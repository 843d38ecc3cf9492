"""The capture process: a PortAudio callback that appends to the ring and wakes, and nothing else."""

from typing import Any

from voxd.audio import child_process
from voxd.audio.portaudio import CONTINUE, INPUT_OVERFLOW, Callback, PortAudio
from voxd.audio.ring_writer import OVERRUNS, RingWriter
from voxd.errors import DeviceError

RATE_HZ = 16_000


def main() -> None:
    """Capture ``device`` into the ring until the daemon closes standard input or kills us."""
    arguments = child_process.begin()
    ring = RingWriter(arguments["ring_fd"], arguments["wake_fd"])
    ring.begin()
    try:
        stream = _open(ring, arguments)
    except DeviceError as error:
        child_process.fail(error)
    child_process.wait_for_the_end(stream)


def _open(ring: RingWriter, arguments: dict[str, Any]) -> Any:
    portaudio = PortAudio()
    found = portaudio.find(arguments["device"], "input")
    channels, block_ms = arguments["channels"], arguments["block_ms"]
    if channels > found.inputs:
        raise DeviceError(
            f"{found.name!r} has {found.inputs} channels, not {channels}", hint="lower audio.channels"
        )
    # ALSA hardware devices refuse a rate that the card does not have; sound servers convert by themselves.
    rate_hz = RATE_HZ
    try:
        stream = portaudio.open(
            found,
            "input",
            rate_hz=rate_hz,
            channels=channels,
            block=rate_hz * block_ms // 1000,
            callback=_straight(ring),
        )
    except DeviceError as error:
        if error.code != "rate":
            raise
        rate_hz = int(found.rate_hz)
        stream = portaudio.open(
            found,
            "input",
            rate_hz=rate_hz,
            channels=channels,
            block=rate_hz * block_ms // 1000,
            callback=_resampled(ring, rate_hz, channels),
        )
    child_process.report(device=found.name, raw_name=found.raw_name, rate_hz=rate_hz)
    return stream


def _straight(ring: RingWriter) -> Callback:
    def callback(pcm: bytes | None, _count: int, _times: object, status: int) -> tuple[None, int]:
        if status & INPUT_OVERFLOW:
            ring.add(OVERRUNS, 1)
        if pcm:
            ring.append(pcm)
        return None, CONTINUE

    return callback


def _resampled(ring: RingWriter, rate_hz: int, channels: int) -> Callback:
    # Only a card that cannot do 16 kHz pays for these two libraries.
    import numpy as np
    import soxr

    resampler = soxr.ResampleStream(rate_hz, RATE_HZ, channels, dtype="int16")

    def callback(pcm: bytes | None, _count: int, _times: object, status: int) -> tuple[None, int]:
        if status & INPUT_OVERFLOW:
            ring.add(OVERRUNS, 1)
        if pcm:
            block = np.frombuffer(pcm, np.int16).reshape(-1, channels)
            ring.append(resampler.resample_chunk(block).tobytes())
        return None, CONTINUE

    return callback


if __name__ == "__main__":
    main()
