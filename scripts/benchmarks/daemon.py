"""A real daemon in a process of its own, started and ended by a benchmark."""

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.benchmarks.options import ROOT

VIRTUAL = ('audio.input="virtual"', 'audio.output="virtual"')
_READY_S = 30.0
_END_S = 20.0


class DaemonFailed(Exception):
    """It did not become ready, or died; the message ends with its last line."""


class RunningDaemon:
    """One daemon that has said READY=1; ``ready_s`` is how long that took from exec on."""

    def __init__(self, directory: Path, settings: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.socket = directory / "voxd.sock"
        self._log = directory / "voxd.log"
        (directory / "voxd.toml").write_text("version = 1\n")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with notify, self._log.open("wb") as log:
            notify.bind(str(directory / "notify"))
            command = [str(ROOT / ".venv" / "bin" / "voxd"), "--config", str(directory / "voxd.toml")]
            started_s = time.monotonic()
            self._process = subprocess.Popen(
                [*command, *(word for setting in settings for word in ("--set", setting))],
                env={
                    **os.environ,
                    "STATE_DIRECTORY": str(directory),
                    "RUNTIME_DIRECTORY": str(directory),
                    "NOTIFY_SOCKET": str(directory / "notify"),
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                self._wait_until_ready(notify)
            except BaseException:
                self.end()
                raise
            self.ready_s = time.monotonic() - started_s

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def end(self) -> None:
        """Ask it to end, and end it; idempotent."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _wait_until_ready(self, notify: socket.socket) -> None:
        deadline = time.monotonic() + _READY_S
        while (left_s := deadline - time.monotonic()) > 0:
            # Short waits, so that a daemon that died at once is noticed at once.
            if select.select([notify], [], [], min(left_s, 0.2))[0]:
                if b"READY=1" in notify.recv(4096):
                    return
            elif self._process.poll() is not None:
                break
        written = self._log.read_text(errors="replace").strip().splitlines()
        raise DaemonFailed(
            f"the daemon did not become ready: {written[-1] if written else 'it said nothing'}"
        )


@contextmanager
def running(
    directory: Path, settings: tuple[str, ...] = VIRTUAL, environment: Mapping[str, str] | None = None
) -> Iterator[RunningDaemon]:
    """Run a daemon that keeps everything in ``directory``."""
    daemon = RunningDaemon(directory, settings, environment or {})
    try:
        yield daemon
    finally:
        daemon.end()
