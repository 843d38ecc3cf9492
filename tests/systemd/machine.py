"""A real systemd in namespaces of its own, ready for scripts/install: what a Raspberry Pi would boot."""

import os
import shutil
import site
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.shared import SHARED

ROOT = Path(__file__).resolve().parents[2]
GROUPS = Path("/sys/fs/cgroup/unified")
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
        self._binds = f"{opt}:/opt/voxd {site.getsitepackages()[0]}:{SITE} {ROOT}:{SOURCE}"
        if SHARED.is_dir():
            self._binds += f" {SHARED}:/opt/voxd/shared"
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
        with self._log.open("wb") as log:
            command = [Path(__file__).with_name("boot.sh"), self._name, self._binds]
            self._boot = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        if not self.wait_for(lambda: self._boot is None or self._boot.poll() is not None or self._up(), 30):
            pytest.skip("systemd does not come up here")
        if self._boot.poll() is not None:
            pytest.skip(f"systemd cannot be booted here: {self._log.read_text().strip()[-200:]}")

    def install(self) -> str:
        """Run scripts/install inside, without what needs a network; return what it said."""
        return self.run(f"{SOURCE}/scripts/install", "--no-packages", "--no-environment")

    def stop(self) -> None:
        """Power off."""
        if self._boot is None or self._boot.poll() is not None:
            return
        self.run("systemctl", "poweroff", check=False)
        try:
            self._boot.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._boot.pid, 9)
            self._boot.wait()

    def run(self, *command: str, check: bool = True) -> str:
        """Run ``command`` inside; return its output."""
        pid = self._init()
        assert pid, "not booted"
        done = subprocess.run(
            ["nsenter", "--target", pid, "--all", "--root", "--wd=/", "--", *command],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr + self.journal()
        return done.stdout

    def journal(self) -> str:
        """Return the end of the journal."""
        return self.run("journalctl", "--no-pager", "-n", "40", check=False)

    def wait_for(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Poll another process's state, which nobody announces."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if condition():
                return True
            select_nothing(0.1)
        return False

    def _up(self) -> bool:
        return bool(self._init()) and "running" in self.run("systemctl", "is-system-running", check=False)

    def _init(self) -> str:
        for path in (GROUPS / self._name).rglob("cgroup.procs"):
            for pid in path.read_text().split():
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                    comm = Path(f"/proc/{pid}/comm").read_text().strip()
                except OSError:
                    continue
                if comm == "systemd" and status.split("NSpid:")[1].split("\n")[0].split()[-1] == "1":
                    return pid
        return ""


def select_nothing(seconds: float) -> None:
    """Give the other process a moment."""
    import select

    select.select([], [], [], seconds)
