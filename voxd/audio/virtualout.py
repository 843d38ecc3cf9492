"""The virtual loudspeaker's process: empties the queue at the pace a real device would."""

import time

from voxd.audio import child_process
from voxd.audio.output_ring import OutputRing

RATE_HZ = 48_000
_BLOCK_S = 0.01


def main() -> None:
    """Consume the queue in real time on absolute deadlines; the parent's death ends us."""
    arguments = child_process.begin()
    ring = OutputRing(arguments["ring_fd"], arguments["wake_fd"])
    child_process.report(device="virtual", rate_hz=RATE_HZ, latency_s=_BLOCK_S)
    due = time.monotonic()
    while True:
        ring.pull(round(RATE_HZ * _BLOCK_S))
        due += _BLOCK_S
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
