"""The playback process: a PortAudio callback that empties the queue, silence when there is nothing in it.

The stream runs for as long as the process does. So the first sample need not wait for the device to be
opened, and the last is not lost when it is closed (PortAudio drops up to 240 ms then).
"""

from voxd.audio import child_process
from voxd.audio.output_ring import OutputRing
from voxd.audio.portaudio import CONTINUE, PortAudio
from voxd.errors import DeviceError

_BLOCK_S = 0.01


def main() -> None:
    """Play the queue on ``device`` until the daemon closes standard input or kills us."""
    arguments = child_process.begin()
    ring = OutputRing(arguments["ring_fd"], arguments["wake_fd"])

    def callback(_pcm: bytes | None, count: int, _times: object, _status: int) -> tuple[bytes, int]:
        return ring.pull(count), CONTINUE

    try:
        portaudio = PortAudio()
        found = portaudio.find(arguments["device"], "output")
        # The card's own rate: the daemon resamples once, and ALSA hardware devices take no other.
        rate_hz = int(found.rate_hz)
        block = round(rate_hz * _BLOCK_S)
        stream = portaudio.open(found, "output", rate_hz=rate_hz, channels=1, block=block, callback=callback)
    except DeviceError as error:
        child_process.fail(error)
    child_process.report(device=found.name, rate_hz=rate_hz, latency_s=stream.get_output_latency() + _BLOCK_S)
    child_process.wait_for_the_end(stream)


if __name__ == "__main__":
    main()
