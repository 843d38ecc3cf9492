"""A real systemd in namespaces of its own, ready for scripts/install: what a Raspberry Pi would boot."""

import os
import select
import shutil
import site
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared import PRESENT, SHARED

ROOT = Path(__file__).resolve().parents[2]
BOOT_TIMEOUT_S = 30
PYTHON = "/usr/bin/python3"
SITE = "/opt/voxd/site"
SOURCE = "/opt/voxd/src"


class Machine:
    """A booted systemd; `run` runs a command inside it, as root."""

    def __init__(self, directory: Path, entry: str) -> None:
        self._name = f"voxd-test-{os.getpid()}"
        self._boot: subprocess.Popen[bytes] | None = None
        opt = directory / "opt"
        for name in ("bin", "site", "src"):
            (opt / name).mkdir(parents=True)
        program = opt / "bin" / "voxd"
        program.write_text(f'#!/bin/sh\nexport PYTHONPATH={SOURCE}:{SITE}\nexec {PYTHON} {entry} "$@"\n')
        program.chmod(0o755)
        self._binds = f"{opt}:/opt/voxd {site.getsitepackages()[0]}:{SITE}:ro {ROOT}:{SOURCE}:ro"
        if PRESENT:
            self._binds += f" {SHARED}:/opt/voxd/shared:ro"
        self._manager = directory / "manager"
        self._manager.mkdir()
        self._binds += f" {self._manager}:/run/manager"
        self._pid = ""
        self._log = directory / "boot.log"

    def start(self) -> None:
        """Boot, or skip the test with the reason."""
        for tool in ("unshare", "nsenter", "ip", "systemd-sysusers"):
            if shutil.which(tool) is None:
                pytest.skip(f"no {tool}")
        version = subprocess.run(
            [PYTHON, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True
        )
        if version.stdout.decode().strip() != str(sys.version_info[:2]):
            pytest.skip(f"{PYTHON} is another Python than {sys.executable}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, self._log.open("wb") as log:
            manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            manager.bind(str(self._manager / "notify"))
            command = [Path(__file__).with_name("boot.sh"), self._name, self._binds]
            self._boot = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            self._pid = self._await_ready(manager)
        if not self._pid:
            pytest.skip(f"systemd cannot be booted here: {self._log.read_text().strip()[-200:]}")

    def _await_ready(self, manager: socket.socket) -> str:
        """Return the id of the booted systemd, which says READY=1 like any service; "" if it failed."""
        assert self._boot is not None
        ended = os.pidfd_open(self._boot.pid)
        try:
            while manager in select.select([manager, ended], [], [], BOOT_TIMEOUT_S)[0]:
                said, ancillary, *_ = manager.recvmsg(4096, socket.CMSG_SPACE(12))
                if b"READY=1" in said:
                    return str(struct.unpack("3i", ancillary[0][2])[0])
            return ""
        finally:
            os.close(ended)

    def install(self) -> str:
        """Run scripts/install inside, without what needs a network; return what it said."""
        return self.run(f"{SOURCE}/scripts/install", "--no-packages", "--no-environment")

    def stop(self) -> None:
        """Power off."""
        if self._boot is None or self._boot.poll() is not None:
            return
        if self._pid:
            self.run("systemctl", "poweroff", check=False)
        try:
            self._boot.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._boot.pid, 9)
            self._boot.wait()

    def run(self, *command: str, check: bool = True) -> str:
        """Run ``command`` inside; return its output."""
        done = subprocess.run(self._inside(*command), capture_output=True, text=True, timeout=90, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr + self.journal()
        return done.stdout

    def journal(self) -> str:
        """Return the end of the journal."""
        return self.run("journalctl", "--no-pager", "-n", "40", check=False)

    def await_journal(self, match: str) -> str:
        """Wait for the first entry of the journal that matches ``match``, FIELD=value; return its message."""
        follow = self._inside("timeout", "60", "journalctl", "-f", "-n", "all", "-o", "cat", match)
        with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            message = process.stdout.readline().strip()
            process.kill()
        assert message, self.journal()
        return message

    def _inside(self, *command: str) -> list[str]:
        assert self._pid, "not booted"
        return ["nsenter", "--target", self._pid, "--all", "--root", "--wd=/", "--", *command]
