import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from voxd.observe.notify import Notifier, listen_sockets, watchdog_interval_s

LISTENER = """
import os
from voxd.observe.notify import listen_sockets
sockets = listen_sockets()
print(sorted((name, sock.getsockname()) for name, sock in sockets.items()))
print("LISTEN_FDS" in os.environ)
for sock in sockets.values():
    sock.close()
"""


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket on which systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def test_every_message_reaches_the_manager(manager: socket.socket) -> None:
    notifier = Notifier()
    notifier.ready("listening")
    notifier.status("two\nlines\nWATCHDOG=trigger")
    notifier.reloading(12.5)
    notifier.alive()
    notifier.request_restart()
    notifier.stopping()
    assert [manager.recv(4096).decode() for _ in range(6)] == [
        "READY=1\nSTATUS=listening",
        "STATUS=two lines WATCHDOG=trigger",
        "RELOADING=1\nMONOTONIC_USEC=12500000",
        "WATCHDOG=1",
        "WATCHDOG=trigger",
        "STOPPING=1",
    ]


def test_a_manager_that_does_not_read_delays_no_caller(manager: socket.socket) -> None:
    notifier = Notifier()
    # Fill its queue without waiting, whatever its length is on this machine.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(BlockingIOError):
        sender.setblocking(False)
        while True:
            sender.sendto(b"WATCHDOG=1", manager.getsockname())
    began = time.monotonic()
    for _ in range(3):
        notifier.alive()
    assert time.monotonic() - began < 2
    manager.recv(4096)
    notifier.status("heard again")
    last = b""
    manager.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            last = manager.recv(4096)
    assert last == b"STATUS=heard again"


def test_an_abstract_address_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")
        sock.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + sock.getsockname()[1:].decode())
        Notifier().alive()
        assert sock.recv(100) == b"WATCHDOG=1"


def test_outside_a_unit_nothing_is_said_or_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC"):
        monkeypatch.delenv(name, raising=False)
    Notifier().ready("listening")
    assert listen_sockets() == {}
    assert watchdog_interval_s() is None


@pytest.mark.parametrize(
    ("usec", "pid", "interval_s"),
    [
        ("30000000", None, 30.0),
        ("30000000", "me", 30.0),
        ("30000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
    ],
)
def test_the_watchdog_is_used_only_if_systemd_enables_it_for_this_process(
    monkeypatch: pytest.MonkeyPatch, usec: str, pid: str | None, interval_s: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "me" else pid)
    assert watchdog_interval_s() == interval_s


def test_activated_sockets_come_by_name_and_are_not_handed_on(tmp_path: Path) -> None:
    paths = {name: str(tmp_path / f"{name}.sock") for name in ("control", "read")}
    with socket.socket(socket.AF_UNIX) as control, socket.socket(socket.AF_UNIX) as read:
        for sock, name in ((control, "control"), (read, "read")):
            sock.bind(paths[name])
            sock.listen()
        # As systemd does it: descriptors from 3 on, and the pid of the process that is to take them.
        starter = (
            f"import os\nos.dup2({control.fileno()}, 3)\nos.dup2({read.fileno()}, 4)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='control:read')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", starter + LISTENER],
            pass_fds=(control.fileno(), read.fileno()),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    assert done.stdout.splitlines() == [str(sorted(paths.items())), "False"]
