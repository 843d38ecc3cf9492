"""What many turns leave behind: memory, descriptors, threads, processes."""

import base64
import time
from collections.abc import Iterator

import numpy as np

from scripts.benchmarks import sounds
from scripts.benchmarks.daemon import VIRTUAL, RunningDaemon, running
from scripts.benchmarks.options import Options
from scripts.benchmarks.processes import Usage, usage
from scripts.benchmarks.rows import Row
from voxd.audio.files import wav_bytes
from voxd.control.call import Caller
from voxd.errors import Busy
from voxd.frames import SAMPLE_RATE_HZ, Clip

BENCH = "turns"
PSS_BUDGET_MB = 5
WARM_UP = 20
QUIET_S = 12.0
"""After this long without a sound the playback process has ended: before and after are alike."""

TYPED, RECORDED, SPOKEN = "typed", "recorded", "spoken"
QUESTIONS = (
    "what time is it",
    "what can you do",
    "what is the date today",
    "set the volume to fifty percent",
)


def measure(options: Options) -> list[Row]:
    """Ask typed and recorded questions, some of them answered aloud, and compare before and after."""
    directory = options.directory(BENCH)
    wav = sounds.write(directory / "room.wav", sounds.noise(1.0))
    count = 20 if options.quick else 200
    with running(directory, (*VIRTUAL, f'audio.virtual_input="{wav}"')) as daemon:
        recording = _recording()
        _ask(daemon, WARM_UP, recording)
        before = _rested(daemon)
        began_s = time.monotonic()
        tally = _ask(daemon, count, recording)
        took_s = time.monotonic() - began_s
        after = _rested(daemon)
    return rows(before, after, f"{count} turns ({tally}) in {took_s:.0f} s, after {WARM_UP} to warm up")


def rows(before: Usage, after: Usage, note: str) -> list[Row]:
    """Return what grew; a file descriptor more is over already."""
    grown = {
        "PSS": ("MB", before.pss_mb, after.pss_mb, PSS_BUDGET_MB),
        "private memory": ("MB", before.private_mb, after.private_mb, None),
        "file descriptors": ("", before.descriptors, after.descriptors, 0),
        "threads": ("", before.threads, after.threads, 0),
        "child processes": ("", before.children, after.children, 0),
    }
    return [
        Row(
            bench=BENCH,
            what=f"growth of {what}",
            unit=unit,
            value=now - then,
            budget=budget,
            note=f"{then:.4g} to {now:.4g}" + (f"; {note}" if what == "PSS" else ""),
        )
        for what, (unit, then, now, budget) in grown.items()
    ]


def kinds(count: int) -> Iterator[str]:
    """Yield how each turn is held: of ten, one recorded question and one answer aloud, the others typed."""
    for index in range(count):
        yield {3: RECORDED, 7: SPOKEN}.get(index % 10, TYPED)


def _ask(daemon: RunningDaemon, count: int, recording: bytes) -> str:
    tally = {TYPED: 0, RECORDED: 0, SPOKEN: 0}
    with Caller(daemon.socket, timeout_s=30) as caller:
        for index, kind in enumerate(kinds(count)):
            if kind is RECORDED:
                _when_free(caller, "turn.ask_audio", wav_base64=base64.b64encode(recording).decode())
            else:
                question = QUESTIONS[index % len(QUESTIONS)]
                _when_free(caller, "turn.ask", text=question, speak=kind is SPOKEN)
            tally[kind] += 1
    return ", ".join(f"{number} {kind}" for kind, number in tally.items())


def _when_free(caller: Caller, method: str, **params: object) -> None:
    """Call ``method``; a reply that asked something leaves the device listening for a moment."""
    for _ in range(100):
        try:
            caller.call(method, **params)
        except Busy:
            time.sleep(0.1)
        else:
            return
    raise Busy("the device never became free")


def _recording() -> bytes:
    samples = np.concatenate([sounds.noise(0.2), sounds.flite(QUESTIONS[0]), sounds.noise(0.3)])
    return wav_bytes(Clip(samples.tobytes(), SAMPLE_RATE_HZ))


def _rested(daemon: RunningDaemon) -> Usage:
    time.sleep(QUIET_S)
    return usage(daemon.pid)
