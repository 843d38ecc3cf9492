"""The program that plays the queue on a sound card, started by `voxd.audio.output`.

The stream runs as long as the process and plays silence while the queue is empty. So the first sample does
not wait until the device is open, and the last is not lost at its close (PortAudio drops up to 240 ms then).
"""

from voxd.audio import child_process
from voxd.audio.output_ring import OutputRing
from voxd.audio.portaudio import CONTINUE, PortAudio
from voxd.errors import DeviceError

_BLOCK_S = 0.01


def main() -> None:
    """Play the queue on ``device`` until the daemon closes standard input or kills this process."""
    arguments = child_process.begin()
    ring = OutputRing(arguments["ring_fd"], arguments["wake_fd"])

    def callback(_pcm: bytes | None, count: int, _times: object, _status: int) -> tuple[bytes, int]:
        return ring.pull(count), CONTINUE

    try:
        portaudio = PortAudio()
        found = portaudio.find(arguments["device"], "output")
        # The native rate of the card: the daemon resamples once, and ALSA hardware devices accept no other.
        rate_hz = int(found.rate_hz)
        block = round(rate_hz * _BLOCK_S)
        stream = portaudio.open(found, "output", rate_hz=rate_hz, channels=1, block=block, callback=callback)
    except DeviceError as error:
        child_process.fail(error)
    child_process.report(device=found.name, rate_hz=rate_hz, latency_s=stream.get_output_latency() + _BLOCK_S)
    child_process.wait_for_the_end(stream)


if __name__ == "__main__":
    main()
