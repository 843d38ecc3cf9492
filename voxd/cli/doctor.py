"""`voxctl doctor`: looks at everything the device needs, in order, and says what to do about it."""

import contextlib
import logging
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from voxd.cli import doctor_engines, doctor_machine, doctor_service, doctor_sound, doctor_vendors
from voxd.cli.checkup import Check, Patient, Status, Step, examine
from voxd.cli.exits import FAILED, OK
from voxd.cli.output import clean, decorated, print_json
from voxd.config.loading import load
from voxd.config.schema import Config
from voxd.errors import ConfigError
from voxd.providers.facts import config_facts

STEPS = (
    Step("python.version", "Python", doctor_machine.python_version),
    Step("package.version", "voxd and what it stands on", doctor_machine.package_version),
    Step("config.valid", "Configuration", doctor_service.config_valid),
    Step("credentials.readable", "Secrets", doctor_service.credentials_readable),
    Step("money.counted", "Money", doctor_vendors.money_counted),
    Step("models.last", "Models of vendors", doctor_vendors.models_last),
    Step("audio.input.present", "Microphone", doctor_engines.input_present),
    Step("audio.input.opens", "Sound from the microphone", doctor_engines.input_opens),
    Step("audio.input.quality", "How the microphone sounds", doctor_sound.input_quality),
    Step("audio.output.present", "Loudspeaker", doctor_engines.output_present),
    Step("wake.model.loads", "Wake words", doctor_engines.wake_loads),
    Step("vad.loads", "Voice activity", doctor_engines.vad_loads),
    Step("stt.engine", "Speech to text", doctor_engines.stt_engine),
    Step("tts.engine", "Text to speech", doctor_engines.tts_engine),
    Step("gpio.factory", "GPIO", doctor_engines.gpio_factory),
    Step("disk.space", "Disk", doctor_machine.disk_space),
    Step("mem.available", "Memory", doctor_machine.mem_available),
    Step("cpu.temp", "Temperature", doctor_machine.cpu_temp),
    Step("cpu.throttled", "Power and throttling", doctor_machine.cpu_throttled),
    Step("clock.synchronized", "Clock", doctor_machine.clock_synchronized),
    Step("socket.reachable", "Daemon", doctor_service.socket_reachable),
    Step("unit.state", "Service", doctor_service.unit_state),
    Step("unit.groups", "Groups", doctor_service.unit_groups),
    Step("ort.telemetry", "onnxruntime's telemetry", doctor_service.ort_telemetry),
)

_COLOURS = {Status.OK: "\x1b[32m", Status.WARN: "\x1b[33m", Status.FAIL: "\x1b[31m", Status.SKIP: "\x1b[2m"}
_WORDS = {Status.OK: "ok", Status.WARN: "to look at", Status.FAIL: "failed", Status.SKIP: "skipped"}


def register(subparsers: Any) -> None:
    """Add the command."""
    doctor = subparsers.add_parser("doctor", help="check the machine, the configuration and the engines")
    doctor.set_defaults(run=run_doctor)


def run_doctor(args: Namespace) -> int:
    """``voxctl doctor``: 0, or 1 when a check failed."""
    checks = []
    with _quiet_log():
        for check in examine(STEPS, _patient(args)):
            checks.append(check)
            if not args.json:
                _print_check(check, args)
    if args.json:
        print_json([msgspec.to_builtins(check) for check in checks])
    else:
        counts = Counter(check.status for check in checks)
        print(", ".join(f"{counts[status]} {_WORDS[status]}" for status in Status if counts[status]))
    return FAILED if any(check.status is Status.FAIL for check in checks) else OK


@contextlib.contextmanager
def _quiet_log() -> Iterator[None]:
    """Keep what the parts log while they are tried out of the report: their findings say it."""
    nowhere = logging.NullHandler()
    logger = logging.getLogger("voxd")
    logger.addHandler(nowhere)
    try:
        yield
    finally:
        logger.removeHandler(nowhere)


def _patient(args: Namespace) -> Patient:
    file = Path(args.config).expanduser() if args.config else None
    try:
        config = load(file, get_facts=config_facts, environ=os.environ).config
    except ConfigError:
        # config.valid tells what is wrong; the other checks look at a device with the defaults.
        config = Config()
    return Patient(config, os.environ, file, Path(args.socket) if args.socket else None)


def _print_check(check: Check, args: Namespace) -> None:
    colour, end = (_COLOURS[check.status], "\x1b[0m") if decorated(args) else ("", "")
    print(f"{colour}{check.status:<4}{end}  {check.id:<21} {clean(check.detail)}", flush=True)
    if check.hint:
        print(f"{'':<28}-> {clean(check.hint)}", flush=True)
