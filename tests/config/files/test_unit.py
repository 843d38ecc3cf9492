import os
from pathlib import Path

import pytest

from voxd.config.base_dirs import UNIT
from voxd.config.files.access import Account, OwnView, Use
from voxd.config.files.unit import ServiceUnit, ServiceView, daemon_view, installed_unit, service_view

SHIPPED = Path(__file__).resolve().parents[3] / "systemd" / UNIT
ENVIRON = {"HOME": "/nonexistent"}


def install(root: Path, text: str, directory: str = "etc/systemd/system", drop_in: str = "") -> None:
    folder = root / directory
    folder.mkdir(parents=True, exist_ok=True)
    if not drop_in:
        (folder / UNIT).write_text(text)
        return
    (folder / f"{UNIT}.d").mkdir(exist_ok=True)
    (folder / f"{UNIT}.d" / drop_in).write_text(text)


def installed(root: Path) -> ServiceUnit:
    unit = installed_unit(root)
    assert unit is not None
    return unit


def view(text: str, tmp_path: Path) -> ServiceView:
    install(tmp_path, f"[Service]\n{text}\n")
    return ServiceView(installed(tmp_path), Account("voxd", 54321, frozenset()))


def message(view: ServiceView, name: str, use: Use = Use.READ) -> str:
    obstacle = view.look(name, use)
    return obstacle.message if obstacle else ""


def test_without_a_unit_the_daemon_is_one_of_this_user(tmp_path: Path) -> None:
    assert installed_unit(tmp_path) is None
    assert isinstance(daemon_view(None, ENVIRON, tmp_path), OwnView)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user may have a daemon of its own")
def test_root_checks_for_the_service_unless_the_daemon_runs_in_the_foreground(tmp_path: Path) -> None:
    install(tmp_path, SHIPPED.read_text())
    assert isinstance(daemon_view(Path("/tmp/new.toml"), ENVIRON, tmp_path), ServiceView)
    assert isinstance(daemon_view(None, ENVIRON | {"STATE_DIRECTORY": "/x"}, tmp_path), OwnView)


def test_drop_ins_add_to_lists_replace_values_and_reset(tmp_path: Path) -> None:
    install(tmp_path, SHIPPED.read_text())
    install(tmp_path, "[Service]\nProtectHome=read-only\nExecPaths=/opt/own\n", drop_in="b.conf")
    install(tmp_path, "[Service]\nProtectHome=no\nInaccessiblePaths=\n", "usr/lib/systemd/system", "a.conf")
    unit = installed(tmp_path)
    assert unit.one("ProtectHome") == "read-only"
    assert unit.words("InaccessiblePaths") == []
    assert {"/opt/voxd", "/opt/own"} <= set(unit.words("ExecPaths"))
    assert unit.environment("HOME") == "/var/lib/voxd"
    assert unit.config_file() == Path("/etc/voxd/voxd.toml")


@pytest.mark.parametrize(
    ("name", "use", "expected"),
    [
        (
            "/home/pi/computer.tflite",
            Use.READ,
            "is hidden from the service by ProtectHome=yes of voxd.service",
        ),
        ("/root/lamp.sh", Use.RUN, "is hidden from the service by ProtectHome=yes of voxd.service"),
        ("/tmp/a.onnx", Use.READ, "is hidden from the service by PrivateTmp=yes of voxd.service"),
        ("/mnt/usb/a.onnx", Use.READ, "is hidden from the service by TemporaryFileSystem of voxd.service"),
        ("/boot/a.onnx", Use.READ, "is hidden from the service by InaccessiblePaths of voxd.service"),
        ("/var/gone.onnx", Use.READ, "does not exist"),
        ("~/gone.onnx", Use.READ, "does not exist"),
        ("/etc/passwd", Use.READ, ""),
        ("/etc/passwd", Use.RUN, "is not executable by the service (user voxd)"),
        ("/usr/bin/env", Use.RUN, ""),
        ("env", Use.RUN, ""),
        ("no-such-program", Use.RUN, "is not installed"),
        ("/etc", Use.READ, "is a directory"),
    ],
)
def test_the_shipped_sandbox_is_known(tmp_path: Path, name: str, use: Use, expected: str) -> None:
    assert message(view(SHIPPED.read_text(), tmp_path), name, use) == expected


def test_a_bind_mount_shows_a_part_of_what_is_hidden(tmp_path: Path) -> None:
    seen = view("ProtectHome=tmpfs\nBindReadOnlyPaths=-/home/pi/voice", tmp_path)
    assert "ProtectHome" in message(seen, "/home/pi/a.onnx")
    assert message(seen, "/home/pi/voice/a.onnx") == "does not exist"


def test_a_relative_path_begins_in_the_working_directory(tmp_path: Path) -> None:
    assert message(view("WorkingDirectory=/etc", tmp_path), "passwd") == ""


def test_programs_may_run_only_where_the_unit_allows_it(tmp_path: Path) -> None:
    assert message(view("NoExecPaths=/\nExecPaths=/usr", tmp_path), "/usr/bin/env", Use.RUN) == ""
    seen = message(view("NoExecPaths=/\nExecPaths=/opt", tmp_path), "/usr/bin/env", Use.RUN)
    assert seen == "may not be run by the service: NoExecPaths of voxd.service"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into a closed directory")
def test_a_directory_that_is_closed_to_the_service_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").touch(mode=0o600)
    # The outermost counts: pytest's own directories are closed as well.
    outermost = next(each for each in reversed((closed, *closed.parents)) if not each.stat().st_mode & 1)
    reason = message(view("User=voxd", tmp_path), str(closed / "file"))
    assert reason == f"cannot be reached by the service (user voxd): {outermost} is closed to it"


def test_a_user_that_does_not_exist_yet_may_what_all_users_may(tmp_path: Path) -> None:
    install(tmp_path, "[Service]\nUser=voxd-of-a-test\n")
    seen = service_view(installed(tmp_path))
    assert seen.look("/etc/passwd", Use.READ) is None
    assert seen.look("/etc/shadow", Use.READ) is not None
