"""What talking to the cloud costs: the import, a session both ways, the daemon, a thousand sessions."""

import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from scripts.benchmarks import sounds
from scripts.benchmarks.daemon import VIRTUAL, running
from scripts.benchmarks.options import ROOT, Options
from scripts.benchmarks.processes import Usage, described, usage
from scripts.benchmarks.rows import Row
from scripts.benchmarks.vendor import KEY, Vendor, vendor
from voxd.control.call import Caller
from voxd.errors import VoxdError

BENCH = "talking"
PSS_SEED = "< 50 MB"
CPU_SEED = "< 5 %"
PSS_BUDGET_MB = 5
# Two audio blocks of 10 ms: an application's own sound must not stutter while a session opens.
BLOCK_BUDGET_MS = 20
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
    """Measure processes that use the library and nothing else, and a daemon in the middle of a reply."""
    return [
        *_imported(3 if options.quick else 11),
        connected(3 if options.quick else 11),
        *_streaming(options),
        *_daemon(options),
        *_sessions(options),
    ]


def _imported(rounds: int) -> list[Row]:
    reports = []
    for _ in range(rounds + 1):
        with talker("import") as one:
            reports.append(one.says())
    reports = reports[1:]  # the first only warms the page cache
    times_ms = {key: [each[key] for each in reports] for key in ("import_ms", "made_ms")}
    grown_mb = [each["pss_mb"] - each["bare_mb"] for each in reports]
    heavy = ", ".join(reports[0]["heavy"]) or "nothing heavy"
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


def connected(rounds: int) -> Row:
    """Measure for how long the first connect holds up the loop of a program."""
    blocks_ms = []
    for _ in range(rounds):
        with talker("connect") as one:
            blocks_ms.append(one.says()["longest_block_ms"])
    return Row(
        bench=BENCH,
        what="first connect: longest block of the loop",
        unit="ms",
        value=statistics.median(blocks_ms),
        budget=BLOCK_BUDGET_MS,
        note=f"{rounds} processes, {min(blocks_ms):.1f} to {max(blocks_ms):.1f}",
    )


def _streaming(options: Options) -> list[Row]:
    window_s, seconds = _times(options)
    wav = sounds.write(options.directory(f"{BENCH}-library") / "room.wav", sounds.noise(seconds))
    with _endless(seconds) as fake, talker("stream", fake.url, str(wav)) as one:
        one.says()
        return _watched("streaming both ways, library", one.pid, fake, window_s)


def _daemon(options: Options) -> list[Row]:
    window_s, seconds = _times(options)
    directory = options.directory(f"{BENCH}-daemon")
    wav = sounds.write(directory / "room.wav", sounds.noise(seconds))
    with _endless(seconds) as fake:
        settings = (
            *VIRTUAL,
            f'audio.virtual_input="{wav}"',
            'providers.cloud.kind="openai"',
            f'providers.cloud.endpoint="{fake.url}"',
            f'providers.cloud.api_key="{KEY}"',
            'agents.default.provider="cloud"',
        )
        with running(directory, settings) as daemon:
            asking = threading.Thread(target=_ask, args=(daemon.socket, seconds), daemon=True)
            asking.start()
            rows = _watched("reply streaming and ears open, daemon", daemon.pid, fake, window_s)
        asking.join()
    return rows


def _ask(socket: Path, timeout_s: float) -> None:
    # The daemon ends in the middle of the reply.
    with contextlib.suppress(VoxdError), Caller(socket, timeout_s=timeout_s) as caller:
        caller.call("turn.ask", text="speak", speak=True)


def _times(options: Options) -> tuple[float, float]:
    window_s = 6.0 if options.quick else 30.0
    return window_s, window_s + _SETTLE_S + 10


def _endless(seconds: float) -> AbstractContextManager[Vendor]:
    return vendor(sound_ms=round(seconds * 1000), delta_ms=_DELTA_MS, pace_s=_DELTA_MS / 1000)


def _watched(where: str, pid: int, fake: Vendor, window_s: float) -> list[Row]:
    time.sleep(_SETTLE_S)
    fake.seen()
    before, began_s = usage(pid), time.monotonic()
    time.sleep(window_s)
    after, took_s = usage(pid), time.monotonic() - began_s
    seen = fake.seen()
    if not seen.left_s:
        return [Row(bench=BENCH, what=where, skipped="nothing was streamed")]
    flow = f"{len(seen.arrived_s) / took_s:.0f} frames/s up, {len(seen.left_s) / took_s:.0f}/s down"
    return [
        Row(
            bench=BENCH,
            what=f"memory (PSS), {where}",
            unit="MB",
            value=after.pss_mb,
            seed=PSS_SEED,
            note=f"{described(pid)}; {flow}",
        ),
        Row(
            bench=BENCH,
            what=f"CPU of one core, {where}",
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
