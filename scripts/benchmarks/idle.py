"""Idle: what listening for one word costs, all processes together."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.benchmarks import sounds
from scripts.benchmarks.daemon import VIRTUAL, RunningDaemon, running
from scripts.benchmarks.options import Options, Skip
from scripts.benchmarks.processes import described, usage
from scripts.benchmarks.rows import Row
from tests.rig.soundcard import SoundCard, missing, sound_card
from voxd.control.call import Caller

BENCH = "idle"
PSS_BUDGET_MB = 60
CPU_BUDGET_PERCENT = 2
PSS_SEED = "< 50 MB"
CPU_SEED = "< 5 %"
SETTLE_S = 4.0
PULSE = ('audio.input="vmic"', 'audio.output="vspeaker"')


def measure(options: Options) -> list[Row]:
    """Quiet room and speech in the room, through the virtual microphone and through a sound card."""
    window_s = 6.0 if options.quick else 30.0
    seconds = window_s + SETTLE_S + 10
    rooms = {"quiet room": sounds.noise(seconds)}
    rows: list[Row] = []
    try:
        speech, whose = sounds.room_speech(seconds)
        rooms[f"{whose} in the room"] = speech
    except Skip as reason:
        rows.append(Row(bench=BENCH, what="speech in the room", skipped=str(reason)))
    for name, samples in rooms.items():
        directory = options.directory(f"idle-virtual-{len(rows)}")
        wav = sounds.write(directory / "room.wav", samples)
        with running(directory, (*VIRTUAL, f'audio.virtual_input="{wav}"')) as daemon:
            rows += _watch(daemon, f"{name}, virtual microphone", window_s)
    if absent := missing():
        return [*rows, Row(bench=BENCH, what="with a sound card", skipped=absent)]
    for name, samples in rooms.items():
        directory = options.directory(f"idle-pulse-{len(rows)}")
        with _card(directory / "card") as card, running(directory, PULSE, card.env) as daemon:
            card.speak_pcm(samples.tobytes())
            rows += _watch(daemon, f"{name}, PulseAudio card", window_s)
    return rows


@contextmanager
def _card(directory: Path) -> Iterator[SoundCard]:
    directory.mkdir()
    yield from sound_card(directory)


def _watch(daemon: RunningDaemon, where: str, window_s: float) -> list[Row]:
    time.sleep(SETTLE_S)
    before, began_s = usage(daemon.pid), time.monotonic()
    time.sleep(window_s)
    after, took_s = usage(daemon.pid), time.monotonic() - began_s
    with Caller(daemon.socket, timeout_s=5) as caller:
        status = caller.call("system.status")
        suspected = len(caller.call("wake.candidates", limit=1000))
    if not status["audio"]["ok"] or status["turns"]:
        return [Row(bench=BENCH, what=where, skipped=f"it was not idle: {status['summary']}")]
    return [
        Row(
            bench=BENCH,
            what=f"memory (PSS), {where}",
            unit="MB",
            value=after.pss_mb,
            budget=PSS_BUDGET_MB,
            seed=PSS_SEED,
            note=described(daemon.pid),
        ),
        Row(
            bench=BENCH,
            what=f"CPU of one core, {where}",
            unit="%",
            value=100 * (after.cpu_s - before.cpu_s) / took_s,
            budget=CPU_BUDGET_PERCENT,
            seed=CPU_SEED,
            note=f"over {took_s:.0f} s, {suspected} candidates, {status['audio']['level_dbfs']} dBFS",
        ),
    ]
