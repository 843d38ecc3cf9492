"""What the library costs: its import, a session in both directions at once, and a thousand of them."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scripts.benchmarks import sounds
from scripts.benchmarks.options import ROOT, Options
from scripts.benchmarks.processes import Usage, usage
from scripts.benchmarks.rows import Row
from scripts.benchmarks.vendor import vendor

BENCH = "talking"
PSS_SEED = "< 50 MB"
CPU_SEED = "< 5 %"
PSS_BUDGET_MB = 5
_DELTA_MS = 40
_SETTLE_S = 3.0


class Talker:
    """One `scripts.benchmarks.talker`."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def says(self) -> dict[str, Any]:
        """Wait for what it says next."""
        assert self._process.stdout is not None
        return dict(json.loads(self._process.stdout.readline()))

    def go_on(self) -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()


@contextmanager
def talker(*words: str) -> Iterator[Talker]:
    """Run one and end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.benchmarks.talker", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            yield Talker(process)
        finally:
            process.terminate()


def measure(options: Options) -> list[Row]:
    """Measure processes that use the library and nothing else."""
    return [*_imported(3 if options.quick else 11), *_streaming(options), *_sessions(options)]


def _imported(rounds: int) -> list[Row]:
    told = []
    for _ in range(rounds + 1):
        with talker("import") as one:
            told.append(one.says())
    told = told[1:]  # the first only warms the page cache
    times_ms = {key: [each[key] for each in told] for key in ("import_ms", "made_ms")}
    grown_mb = [each["pss_mb"] - each["bare_mb"] for each in told]
    heavy = ", ".join(told[0]["heavy"]) or "nothing heavy"
    return [
        Row(
            bench=BENCH,
            what=what,
            unit=unit,
            value=statistics.median(values),
            note=f"{rounds} processes, {min(values):.1f} to {max(values):.1f}{more}",
        )
        for what, unit, values, more in (
            ("import voxd", "ms", times_ms["import_ms"], ""),
            ("import voxd and VoiceEngine(...)", "ms", times_ms["made_ms"], f"; loaded: {heavy}"),
            ("memory (PSS) of import and VoiceEngine(...)", "MB", grown_mb, ", beyond a bare Python"),
        )
    ]


def _streaming(options: Options) -> list[Row]:
    window_s = 6.0 if options.quick else 30.0
    seconds = window_s + _SETTLE_S + 10
    wav = sounds.write(options.directory(BENCH) / "room.wav", sounds.noise(seconds))
    pace_s = _DELTA_MS / 1000
    with (
        vendor(sound_ms=round(seconds * 1000), delta_ms=_DELTA_MS, pace_s=pace_s) as fake,
        talker("stream", fake.url, str(wav)) as one,
    ):
        one.says()
        time.sleep(_SETTLE_S)
        fake.seen()
        before, began_s = usage(one.pid), time.monotonic()
        time.sleep(window_s)
        after, took_s = usage(one.pid), time.monotonic() - began_s
        seen = fake.seen()
    flow = f"{len(seen.arrived_s) / took_s:.0f} frames/s up, {len(seen.left_s) / took_s:.0f}/s down"
    return [
        Row(
            bench=BENCH,
            what="memory (PSS), streaming both ways",
            unit="MB",
            value=after.pss_mb,
            seed=PSS_SEED,
            note=f"engine, capture and playback processes: {after.children + 1}; {flow}",
        ),
        Row(
            bench=BENCH,
            what="CPU of one core, streaming both ways",
            unit="%",
            value=100 * (after.cpu_s - before.cpu_s) / took_s,
            seed=CPU_SEED,
            note=f"over {took_s:.0f} s",
        ),
    ]


def _sessions(options: Options) -> list[Row]:
    count = 100 if options.quick else 1000
    with vendor() as fake, talker("sessions", fake.url, str(count)) as one:
        one.says()
        before, began_s = usage(one.pid), time.monotonic()
        one.go_on()
        left = one.says()
        took_s, after = time.monotonic() - began_s, usage(one.pid)
    return session_rows(before, after, f"{count} sessions in {took_s:.0f} s, {left['tasks']} tasks left")


def session_rows(before: Usage, after: Usage, note: str) -> list[Row]:
    """Return what grew while sessions were opened and closed."""
    return [
        Row(
            bench=BENCH,
            what=f"growth of {what} over sessions",
            unit=unit,
            value=now - then,
            budget=budget,
            note=f"{then:.4g} to {now:.4g}; {note}",
        )
        for what, unit, then, now, budget in (
            ("memory (PSS)", "MB", before.pss_mb, after.pss_mb, PSS_BUDGET_MB),
            ("file descriptors", "", before.descriptors, after.descriptors, 0),
            ("threads", "", before.threads, after.threads, 0),
        )
    ]
