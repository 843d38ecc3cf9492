import json
import tomllib
from collections.abc import Iterator

import pytest

from tests.systemd.machine import ROOT, SITE, SOURCE, Machine

MODULE, FUNCTION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["voxd"].split(
    ":"
)
ENTRY = f"-c 'import sys; from {MODULE} import {FUNCTION}; sys.exit({FUNCTION}())'"
CALL = """
import json, socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.settimeout(20)
    sock.connect(sys.argv[1])
    sock.sendall((json.dumps({"jsonrpc": "2.0", "id": 1, "method": sys.argv[2]}) + "\\n").encode())
    print(sock.makefile().readline())
"""

LEFT_OUT = """
mkdir -p /home/pi && chmod 700 /home/pi
cp /etc/hostname /home/pi/mine.tflite
printf '#!/bin/sh\n' > /home/pi/lamp.sh && chmod 755 /home/pi/lamp.sh
cat > /etc/voxd/conf.d/left_out.toml <<'END'
[[wake.words]]
name = "mine"
model = "/home/pi/mine.tflite"
[[skills.commands]]
name = "lamp"
sentences = ["lamp on"]
action = { type = "shell", command = ["/home/pi/lamp.sh"] }
END
"""


class Appliance:
    """The real daemon in our unit, without a sound card."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def call(self, method: str, socket: str = "voxd.sock") -> dict[str, object]:
        return json.loads(self.machine.run("/usr/bin/python3", "-c", CALL, f"/run/voxd/{socket}", method))

    def voxctl(self, *arguments: str) -> str:
        environment = f"PYTHONPATH={SOURCE}:{SITE}"
        return self.machine.run(
            "env", environment, "/usr/bin/python3", "-m", "voxd.cli.main", *arguments, check=False
        )

    def show(self, key: str) -> str:
        return self.machine.run("systemctl", "show", "voxd.service", "--value", "-p", key).strip()


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    machine = Machine(tmp_path_factory.mktemp("machine"), ENTRY)
    try:
        machine.start()
        machine.install()
        yield Appliance(machine)
    finally:
        machine.stop()


def test_the_real_daemon_becomes_ready_in_the_sandbox_and_says_what_it_does(appliance: Appliance) -> None:
    assert appliance.show("ActiveState") == "active", appliance.machine.journal()
    assert appliance.show("NRestarts") == "0"
    assert appliance.show("StatusText")


def test_the_real_daemon_serves_the_sockets_systemd_made(appliance: Appliance) -> None:
    assert "result" in appliance.call("system.status")
    assert "result" in appliance.call("system.status", "voxd-read.sock")
    assert "error" in appliance.call("turn.stop", "voxd-read.sock")


def test_the_real_daemon_answers_in_the_sandbox(appliance: Appliance) -> None:
    """Without a sound card the virtual microphone speaks a wake word and a question."""
    assert "answered" in appliance.machine.await_journal("VOXD_EVENT=turn.ended"), appliance.machine.journal()


def test_the_real_daemon_reloads(appliance: Appliance) -> None:
    before = appliance.show("MainPID")
    appliance.machine.run("systemctl", "reload", "voxd.service")
    appliance.machine.await_journal("VOXD_EVENT=daemon.reloaded")
    assert appliance.show("MainPID") == before


def test_a_killed_daemon_is_replaced_behind_the_same_sockets(appliance: Appliance) -> None:
    before = appliance.show("MainPID")
    appliance.machine.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "voxd.service")
    assert "result" in appliance.call("system.status")  # waits in the socket's backlog
    assert appliance.show("MainPID") not in ("0", before)


def test_a_broken_configuration_stops_for_good_instead_of_looping(appliance: Appliance) -> None:
    machine = appliance.machine
    machine.run("sh", "-c", "echo 'nonsense = 1' > /etc/voxd/conf.d/broken.toml")
    machine.run("systemctl", "restart", "voxd.service", check=False)
    assert appliance.show("ActiveState") == "failed"
    assert appliance.show("ExecMainStatus") == "78"
    machine.run("rm", "/etc/voxd/conf.d/broken.toml")
    machine.run("sh", "-c", "systemctl reset-failed voxd.service; systemctl start voxd.socket voxd.service")
    assert appliance.show("ActiveState") == "active"


def test_the_daemon_starts_with_what_works_and_says_what_does_not(appliance: Appliance) -> None:
    """A wake word and a program below /home: root sees them, the service does not."""
    machine = appliance.machine
    machine.run("sh", "-c", LEFT_OUT)
    checked = appliance.voxctl("config", "check")
    assert "ProtectHome=yes" in checked
    assert "2 warnings" in checked
    machine.run("systemctl", "restart", "voxd.service")
    status = appliance.voxctl("--json", "status")
    assert appliance.show("ActiveState") == "active"
    assert appliance.show("NRestarts") == "0"
    problems = " ".join(json.loads(status)["problems"])
    assert "wake word mine" in problems
    assert "command lamp" in problems
    machine.run("rm", "-r", "/etc/voxd/conf.d/left_out.toml", "/home/pi")


def test_the_real_daemon_stops_in_time(appliance: Appliance) -> None:
    appliance.machine.run("systemctl", "stop", "voxd.service", "voxd.socket", "voxd-read.socket")
    assert appliance.show("Result") == "success"
