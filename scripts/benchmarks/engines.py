"""What hearing the same minute of speech costs: the peers at their defaults, and our ears."""

import json
import os
import statistics
import subprocess
import sys
import venv
from pathlib import Path

from scripts.benchmarks import sounds
from scripts.benchmarks.options import ROOT, SHARED, Options, Skip
from scripts.benchmarks.rows import Row

BENCH = "engines"
PACKAGE = "openwakeword 0.6.0 (onnx)"
ALONE = "pyopen-wakeword alone"
EARS = "our ears, two stages"
EARS_VAD = "our ears with VAD throughout"
PEER_MODELS = SHARED / "models" / "openwakeword"
_ENVIRONMENT = ROOT / "var" / "bench-openwakeword"
_PEER = Path(__file__).with_name("peer.py")


def measure(options: Options) -> list[Row]:
    """Run every engine over the same sound, in turns, each time in a new process; CPU time, not wall time."""
    directory = options.directory(BENCH)
    speech, whose = sounds.room_speech(20.0 if options.quick else 60.0)
    pcm = directory / "speech.pcm"
    pcm.write_bytes(speech.tobytes())
    own = [sys.executable, "-m", "scripts.benchmarks.heard"]
    commands = {
        ALONE: [*own, "alone", str(pcm)],
        EARS: [*own, "ears", str(pcm)],
        EARS_VAD: [*own, "ears+vad", str(pcm)],
    }
    rows = []
    try:
        commands[PACKAGE] = [str(_package()), str(_PEER), str(PEER_MODELS), str(pcm)]
    except Skip as reason:
        rows.append(Row(bench=BENCH, what=PACKAGE, skipped=str(reason)))
    percents: dict[str, list[float]] = {engine: [] for engine in commands}
    for _ in range(1 if options.quick else 5):
        for engine, command in commands.items():
            percents[engine].append(cpu_percent(command))
    return rows + compared(percents, whose)


def compared(percents: dict[str, list[float]], whose: str) -> list[Row]:
    """Return one row per engine, and how many times less our ears need than each other."""
    medians = {engine: statistics.median(values) for engine, values in percents.items()}
    rows = [
        Row(
            bench=BENCH,
            what=f"{engine}, CPU per second of audio",
            unit="%",
            value=medians[engine],
            note=f"{len(values)} rounds, {min(values):.2f} to {max(values):.2f}; {whose}, hot",
        )
        for engine, values in percents.items()
    ]
    peers = [engine for engine in (PACKAGE, ALONE) if engine in medians]
    ratios = [
        Row(bench=BENCH, what=f"{peer} : {ours}", unit="times", value=medians[peer] / medians[ours])
        for ours in (EARS, EARS_VAD)
        for peer in peers
    ]
    return rows + ratios


def cpu_percent(command: list[str]) -> float:
    """Return the CPU per second of audio that ``command`` reports. Raises `Skip` when it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Skip(f"{command[1]}: {done.stderr.strip().splitlines()[-1]}")
    result = json.loads(done.stdout.splitlines()[-1])
    return 100 * float(result["cpu_s"]) / float(result["audio_s"])


def _package() -> Path:
    """Return the Python of an environment with the `openwakeword` package, made at first use."""
    if not PEER_MODELS.is_dir():
        raise Skip("../shared is absent: no ONNX models")
    python = _ENVIRONMENT / "bin" / "python"
    stamp = _ENVIRONMENT / "complete"
    if not stamp.exists():
        venv.create(_ENVIRONMENT, clear=True, with_pip=True)
        needs = ["onnxruntime", "numpy", "scipy", "scikit-learn", "tqdm", "requests"]
        # Its metadata asks for tflite-runtime, which has no wheel past Python 3.11.
        for packages in (needs, ["--no-deps", "openwakeword==0.6.0"]):
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
            done = subprocess.run(pip, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Skip(f"cannot install {packages[-1]}: {done.stderr.strip().splitlines()[-1]}")
        stamp.touch()
    return python
