"""How long `voxctl status` takes, as a person waits for it."""

import os
import statistics
import subprocess
import time

from scripts.benchmarks import sounds
from scripts.benchmarks.daemon import VIRTUAL, running
from scripts.benchmarks.options import ROOT, Options
from scripts.benchmarks.rows import Row

BENCH = "status"
BUDGET_MS = 150


def measure(options: Options) -> list[Row]:
    """Run the command a few times against an idle daemon; the first run only warms the page cache."""
    directory = options.directory(BENCH)
    wav = sounds.write(directory / "room.wav", sounds.noise(1.0))
    with running(directory, (*VIRTUAL, f'audio.virtual_input="{wav}"')) as daemon:
        environment = {**os.environ, "VOXD_SOCKET": str(daemon.socket)}
        taken_ms = []
        for _ in range(4 if options.quick else 21):
            began_s = time.perf_counter()
            subprocess.run(
                [ROOT / ".venv" / "bin" / "voxctl", "status"],
                env=environment,
                check=True,
                capture_output=True,
            )
            taken_ms.append((time.perf_counter() - began_s) * 1000)
    taken_ms = taken_ms[1:]
    return [
        Row(
            bench=BENCH,
            what="voxctl status, median",
            unit="ms",
            value=statistics.median(taken_ms),
            budget=BUDGET_MS,
            note=f"{len(taken_ms)} runs, {min(taken_ms):.0f} to {max(taken_ms):.0f}",
        )
    ]
