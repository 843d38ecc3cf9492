"""What systemd is told and what it hands over: sd_notify, the watchdog's interval, activated sockets."""

import os
import socket

import systemd.daemon as daemon


class Notifier:
    """Speaks sd_notify(3). Outside a unit (no $NOTIFY_SOCKET) every call does nothing."""

    def ready(self, status: str) -> None:
        """Say that the daemon serves, after a start or a reload."""
        _tell("READY=1", f"STATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """Set the sentence that `systemctl status` shows."""
        _tell(f"STATUS={_one_line(text)}")

    def reloading(self, monotonic_s: float) -> None:
        """Say that the configuration is read again; `ready` ends it.

        systemd 253 and later want the CLOCK_MONOTONIC time of this message with it.
        """
        _tell("RELOADING=1", f"MONOTONIC_USEC={int(monotonic_s * 1_000_000)}")

    def stopping(self) -> None:
        """Say that the daemon goes down."""
        _tell("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        _tell("WATCHDOG=1")

    def beyond_help(self) -> None:
        """Ask systemd to kill and restart the daemon now, as if the watchdog had run out."""
        _tell("WATCHDOG=trigger")


def watchdog_interval_s() -> float | None:
    """Return within which time systemd wants to be fed, None if it does not watch this process."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not usec.isdigit() or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1_000_000


def listen_sockets() -> dict[str, socket.socket]:
    """Return the listening sockets systemd opened for us, by FileDescriptorName; none outside activation.

    The variables are unset, so that no child takes the sockets for its own. Call it once.
    """
    names: dict[int, str] = daemon.listen_fds_with_names(unset_environment=True)
    for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(variable, None)  # libsystemd cleared C's copy, Python keeps one of its own
    return {name: socket.socket(fileno=fd) for fd, name in names.items()}


def _tell(*lines: str) -> None:
    daemon.notify("\n".join(lines))


def _one_line(text: str) -> str:
    return " ".join(text.split())
