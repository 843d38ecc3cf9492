"""The program that captures a sound card into the ring, started by `voxd.audio.microphone`.

Its PortAudio callback appends to the ring and wakes the reader, nothing else: a late callback loses samples.
"""

from collections.abc import Callable
from typing import Any

from voxd.audio import child_process
from voxd.audio.portaudio import CONTINUE, INPUT_OVERFLOW, Callback, PortAudio
from voxd.audio.ring_writer import OVERRUNS, RingWriter
from voxd.errors import DeviceError

RATE_HZ = 16_000


def main() -> None:
    """Capture ``device`` into the ring until the daemon closes standard input or kills this process."""
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

    def open_at(rate_hz: int, append: Callable[[bytes], None]) -> Any:
        block = rate_hz * block_ms // 1000
        callback = _make_callback(ring, append)
        return portaudio.open(
            found, "input", rate_hz=rate_hz, channels=channels, block=block, callback=callback
        )

    # Sound servers convert to 16 kHz themselves; ALSA hardware devices refuse a rate the card does not have.
    rate_hz = RATE_HZ
    try:
        stream = open_at(rate_hz, ring.append)
    except DeviceError as error:
        if error.code != "rate":
            raise
        rate_hz = int(found.rate_hz)
        stream = open_at(rate_hz, _make_resampling_append(ring, rate_hz, channels))
    child_process.report(device=found.name, raw_name=found.raw_name, rate_hz=rate_hz)
    return stream


def _make_callback(ring: RingWriter, append: Callable[[bytes], None]) -> Callback:
    def callback(pcm: bytes | None, _count: int, _times: object, status: int) -> tuple[None, int]:
        # PortAudio sets the flag when the device dropped input before this block: the daemon counts and logs.
        if status & INPUT_OVERFLOW:
            ring.add(OVERRUNS, 1)
        if pcm:
            append(pcm)
        return None, CONTINUE

    return callback


def _make_resampling_append(ring: RingWriter, rate_hz: int, channels: int) -> Callable[[bytes], None]:
    # Imported here: with a card that supports 16 kHz this process stays without numpy (see child_process).
    import numpy as np
    import soxr

    resampler = soxr.ResampleStream(rate_hz, RATE_HZ, channels, dtype="int16")

    def append(pcm: bytes) -> None:
        block = np.frombuffer(pcm, np.int16).reshape(-1, channels)
        ring.append(resampler.resample_chunk(block).tobytes(), pcm)

    return append


if __name__ == "__main__":
    main()
