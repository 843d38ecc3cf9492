"""`voxctl doctor`: checks everything the device needs, in order, with a hint for each problem."""

import contextlib
import logging
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from voxd.cli.doctor import engines, machine, service, sound, vendors
from voxd.cli.doctor.check import Check, DoctorContext, Status, Step, examine
from voxd.cli.exits import FAILED, OK
from voxd.cli.inputs import config_file, load_config
from voxd.cli.output import adapt_hint, clean, decorated, print_json, terminal_columns, wrap
from voxd.config.schema import Config
from voxd.errors import ConfigError

# In order of dependence: what comes first explains what fails later. The ids are stable, for programs.
STEPS = (
    Step("python.version", "Python", machine.python_version),
    Step("package.version", "voxd and its libraries", machine.package_version),
    Step("config.valid", "Configuration", service.config_valid),
    Step("credentials.readable", "Secrets", service.credentials_readable),
    Step("money.counted", "Spending limits", vendors.money_counted),
    Step("models.last", "Cloud models", vendors.models_last),
    Step("audio.input.present", "Microphone", engines.input_present),
    Step("audio.input.opens", "Sound from the microphone", engines.input_opens),
    Step("audio.input.quality", "Microphone quality", sound.input_quality),
    Step("audio.output.present", "Loudspeaker", engines.output_present),
    Step("wake.model.loads", "Wake words", engines.wake_loads),
    Step("vad.loads", "Voice activity", engines.vad_loads),
    Step("stt.engine", "Speech to text", engines.stt_engine),
    Step("tts.engine", "Text to speech", engines.tts_engine),
    Step("gpio.factory", "GPIO", engines.gpio_factory),
    Step("disk.space", "Disk", machine.disk_space),
    Step("mem.available", "Memory", machine.mem_available),
    Step("cpu.temp", "Temperature", machine.cpu_temp),
    Step("cpu.throttled", "Power and throttling", machine.cpu_throttled),
    Step("clock.synchronized", "Clock", machine.clock_synchronized),
    Step("socket.reachable", "Daemon", service.socket_reachable),
    Step("unit.state", "Service", service.unit_state),
    Step("unit.groups", "Groups", service.unit_groups),
    Step("ort.telemetry", "onnxruntime's telemetry", service.ort_telemetry),
)

_COLOURS = {Status.OK: "\x1b[32m", Status.WARN: "\x1b[33m", Status.FAIL: "\x1b[31m", Status.SKIP: "\x1b[2m"}
_WORDS = {Status.OK: "ok", Status.WARN: "warning", Status.FAIL: "failed", Status.SKIP: "skipped"}


# The width of the status and the id; on a very narrow terminal the words may leave it.
INDENT = 28
MIN_COLUMNS = 24


def register(subparsers: Any) -> None:
    """Add the command."""
    doctor = subparsers.add_parser(
        "doctor",
        help="check the machine, the configuration and the engines",
        examples=("voxctl doctor", "voxctl doctor --json"),
    )
    doctor.set_defaults(run=run_doctor)


def run_doctor(args: Namespace) -> int:
    """``voxctl doctor``: 0, or 1 when a check failed."""
    checks = []
    with _quiet_log():
        for check in examine(STEPS, _context(args)):
            checks.append(check)
            if not args.json:
                _print_check(check, args)
    if args.json:
        print_json([msgspec.to_builtins(check) for check in checks])
    else:
        counts = Counter(check.status for check in checks)
        print(", ".join(_count(status, counts[status]) for status in Status if counts[status]))
    return FAILED if any(check.status is Status.FAIL for check in checks) else OK


def _count(status: Status, count: int) -> str:
    plural = "s" if status is Status.WARN and count > 1 else ""
    return f"{count} {_WORDS[status]}{plural}"


@contextlib.contextmanager
def _quiet_log() -> Iterator[None]:
    """Suppress the log of the parts under test: the report has their results."""
    # With a handler the logging module does not print warnings on standard error (logging.lastResort).
    null = logging.NullHandler()
    logger = logging.getLogger("voxd")
    logger.addHandler(null)
    try:
        yield
    finally:
        logger.removeHandler(null)


def _context(args: Namespace) -> DoctorContext:
    try:
        config = load_config(args)
    except ConfigError:
        # The check config.valid reports the mistakes; the other checks use the defaults.
        config = Config()
    return DoctorContext(config, os.environ, config_file(args), Path(args.socket) if args.socket else None)


def _print_check(check: Check, args: Namespace) -> None:
    colour, end = (_COLOURS[check.status], "\x1b[0m") if decorated(args) else ("", "")
    columns = terminal_columns()
    width = max(columns - INDENT, MIN_COLUMNS) if columns else None
    below = f"\n{'':<{INDENT}}"
    detail = below.join(wrap(clean(check.detail), width))
    print(f"{colour}{check.status:<4}{end}  {check.id:<21} {detail}", flush=True)
    if check.hint:
        hint = f"-> {clean(adapt_hint(check.hint))}"
        print(f"{'':<{INDENT}}{below.join(wrap(hint, width))}", flush=True)
