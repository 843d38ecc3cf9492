import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[2] / "systemd"

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def unit(name: str) -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNITS / name)
    return parser


def test_systemd_has_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    program = tmp_path / "voxd"  # verify wants to see the program, which is installed on a device only
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in UNITS.iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/voxd/bin/voxd", str(program)))
    units = [str(tmp_path / name) for name in ("voxd.service", "voxd.socket", "voxd-read.socket")]
    checked = analyze("verify", "--recursive-errors=no", "--man=no", *units)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_mistake_in_a_unit_would_be_seen(tmp_path: Path) -> None:
    broken = tmp_path / "broken.service"
    broken.write_text("[Service]\nExecStart=/bin/true\nWatchdgSec=3\n")
    assert analyze("verify", "--recursive-errors=no", "--man=no", str(broken)).returncode != 0


def test_the_daemon_is_exposed_little() -> None:
    scored = analyze("security", "--offline=true", "--threshold=15", str(UNITS / "voxd.service"))
    assert scored.returncode == 0, scored.stdout[-200:]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("ExecStart", "/opt/voxd/bin/voxd --config /etc/voxd/voxd.toml"),
        ("WatchdogSec", "30"),
        ("RestartPreventExitStatus", "64 78"),
        ("RuntimeDirectoryPreserve", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("LimitCORE", "0"),
    ],
)
def test_the_daemon_is_run_as_designed(key: str, value: str) -> None:
    assert unit("voxd.service")["Service"][key] == value


def test_peer_credentials_work_and_nothing_phones_home() -> None:
    text = (UNITS / "voxd.service").read_text()
    assert "PrivateUsers=" not in text
    assert "ORT_DISABLE_TELEMETRY=1" in text


@pytest.mark.parametrize(
    ("name", "path", "descriptor", "mode"),
    [
        ("voxd.socket", "/run/voxd/voxd.sock", "control", "0660"),
        ("voxd-read.socket", "/run/voxd/voxd-read.sock", "read", "0666"),
    ],
)
def test_who_may_use_a_socket_is_decided_by_the_kernel(
    name: str, path: str, descriptor: str, mode: str
) -> None:
    section = unit(name)["Socket"]
    assert (section["ListenStream"], section["FileDescriptorName"], section["SocketMode"]) == (
        path,
        descriptor,
        mode,
    )
