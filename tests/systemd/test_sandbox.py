import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.shared import needs_shared
from tests.systemd.machine import Machine

PROBE = "/opt/voxd/src/tests/systemd/probe.py"
ASK = """
import os, socket, sys
os.setgroups([int(sys.argv[2])]); os.setgid(65534); os.setuid(int(sys.argv[1]))
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[3])
    sock.sendall(sys.argv[4].encode())
    print(sock.makefile().read())
"""


class Unit:
    """Our unit, with the probe in the daemon's place."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.group = machine.run("getent", "group", "voxd").split(":")[2]

    def ask(self, word: str = "report", *, uid: int = 4711, group: str | None = None) -> dict[str, Any]:
        path = "/run/voxd/voxd.sock"
        answer = self.machine.run(
            "/usr/bin/python3", "-c", ASK, str(uid), group or self.group, path, word, check=False
        )
        return json.loads(answer) if answer.strip() else {}

    def show(self, key: str) -> str:
        return self.machine.run("systemctl", "show", "voxd.service", "--value", "-p", key).strip()

    def sockets(self) -> str:
        return self.machine.run("stat", "-c", "%a %U %G", "/run/voxd/voxd.sock", "/run/voxd/voxd-read.sock")


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unit]:
    machine = Machine(tmp_path_factory.mktemp("machine"), PROBE)
    try:
        machine.start()
        machine.run(
            "sh",
            "-c",
            "umask 77; mkdir -p /etc/voxd/credentials; printf sk-probe > /etc/voxd/credentials/probe_key",
        )
        machine.install()
        yield Unit(machine)
    finally:
        machine.stop()


def test_the_daemon_becomes_ready_and_says_what_it_does(unit: Unit) -> None:
    assert unit.show("ActiveState") == "active"
    assert unit.show("StatusText") in ("probing", "reloaded")


def test_all_that_the_daemon_needs_works_in_the_sandbox(unit: Unit) -> None:
    failed = {name: text for name, (worked, text) in unit.ask()["works"].items() if not worked}
    assert not failed, "\n".join(failed.values())
    assert unit.ask()["works"]["read_a_credential"][1] == "sk-probe"


def test_what_an_intruder_would_want_is_refused(unit: Unit) -> None:
    allowed = [name for name, (worked, _) in unit.ask()["refused"].items() if worked]
    assert allowed == []


def test_both_sockets_arrive_by_name_with_the_watchdog(unit: Unit) -> None:
    report = unit.ask()
    assert report["sockets"] == ["control", "read"]
    assert report["watchdog_s"] == 30.0


def test_a_peer_is_seen_with_its_own_id(unit: Unit) -> None:
    assert unit.ask(uid=4711)["uid"] == 4711


def test_only_the_group_may_control(unit: Unit) -> None:
    assert unit.sockets().splitlines() == ["660 root voxd", "666 root root"]
    assert unit.ask(group="65534") == {}


def test_a_reload_is_obeyed(unit: Unit) -> None:
    unit.machine.run("systemctl", "reload", "voxd.service")
    assert unit.machine.await_journal("VOXD_EVENT=daemon.reloaded") == "hung up"


def test_log_fields_arrive_in_the_journal_without_arguments(unit: Unit) -> None:
    lines = unit.machine.run("journalctl", "-o", "json", "VOXD_EVENT=daemon.ready").splitlines()
    entry = json.loads(lines[-1])
    assert (entry["MESSAGE"], entry["VOXD_TURN"], entry["SYSLOG_IDENTIFIER"]) == (
        "probe  ready",
        "t1",
        "voxd",
    )
    assert "zebra-canary" not in unit.machine.run("journalctl", "-o", "json")


@pytest.mark.parametrize("word", ["die", "trigger"])
def test_a_daemon_that_dies_or_gives_up_comes_back_behind_the_same_sockets(unit: Unit, word: str) -> None:
    before = unit.ask()["pid"]
    unit.ask(word)
    after = unit.ask()
    assert after["pid"] != before
    assert unit.sockets().splitlines() == ["660 root voxd", "666 root root"]


def test_an_empty_credentials_directory_does_not_prevent_the_start(unit: Unit) -> None:
    unit.machine.run("rm", "/etc/voxd/credentials/probe_key")
    unit.machine.run("systemctl", "restart", "voxd.service")
    assert unit.ask()["works"]["read_a_credential"][0] is False


def test_installing_again_leaves_the_running_daemon_alone(unit: Unit) -> None:
    before = unit.ask()["pid"]
    assert "everything is up to date" in unit.machine.install()
    assert unit.ask()["pid"] == before


def test_a_changed_unit_is_installed_and_the_daemon_started_anew(unit: Unit) -> None:
    before = unit.ask()["pid"]
    unit.machine.run("sh", "-c", "echo '# older' >> /etc/systemd/system/voxd.socket")
    assert "starting voxd" in unit.machine.install()
    assert unit.ask()["pid"] != before


@pytest.mark.parametrize(
    "folder", ["src", "site", pytest.param("shared", marks=needs_shared)], ids=lambda folder: folder
)
def test_nothing_inside_can_write_to_the_tree_outside(unit: Unit, folder: str) -> None:
    inside = f"/opt/voxd/{folder}"
    mounts = [line.split() for line in unit.machine.run("cat", "/proc/self/mounts").splitlines()]
    (options,) = [mount[3].split(",") for mount in mounts if mount[1] == inside]
    # First what cannot harm: were it writable, the tests would not find out by writing.
    assert "ro" in options
    assert unit.machine.run("ls", inside)
    tried = unit.machine.run("sh", "-c", f"LC_ALL=C touch {inside}/probe 2>&1", check=False)
    assert "Read-only file system" in tried


def test_uninstalling_leaves_nothing_but_configuration_and_state(unit: Unit) -> None:
    unit.machine.run("/opt/voxd/src/scripts/install", "--uninstall")
    assert unit.show("LoadState") == "not-found"
    assert (
        unit.machine.run(
            "sh", "-c", "ls /run/voxd /etc/systemd/system/voxd* /usr/local/bin/vox*", check=False
        )
        == ""
    )
    assert "voxd.toml" in unit.machine.run("ls", "/etc/voxd")
