"""From exec to READY=1."""

import statistics

from scripts.benchmarks import sounds
from scripts.benchmarks.daemon import VIRTUAL, running
from scripts.benchmarks.options import Options
from scripts.benchmarks.rows import Row

BENCH = "ready"
BUDGET_S = 1.0


def measure(options: Options) -> list[Row]:
    """Start the daemon a few times, each time in an empty state directory."""
    taken_s = []
    for attempt in range(2 if options.quick else 7):
        directory = options.directory(f"{BENCH}-{attempt}")
        wav = sounds.write(directory / "room.wav", sounds.noise(1.0))
        with running(directory, (*VIRTUAL, f'audio.virtual_input="{wav}"')) as daemon:
            taken_s.append(daemon.ready_s)
    return [
        Row(
            bench=BENCH,
            what="exec to READY=1, median",
            unit="s",
            value=statistics.median(taken_s),
            budget=BUDGET_S,
            note=f"{len(taken_s)} starts, {min(taken_s):.2f} to {max(taken_s):.2f}; page cache not dropped",
        )
    ]
