"""Messages to systemd (sd_notify) and what it passes on: the watchdog interval and activated sockets."""

import logging
import os
import socket

import systemd.daemon as daemon

_log = logging.getLogger(__name__)

# Sent from the event loop, so a manager that does not read may not hold it up for longer.
_TIMEOUT_S = 0.05
# How long to wait for a manager that does not read; at the start there are no clients yet.
_READY_TIMEOUT_S = 5.0


class Notifier:
    """Sends sd_notify(3) messages. Outside a unit (no $NOTIFY_SOCKET) every call does nothing."""

    def ready(self, status: str) -> None:
        """Report that the daemon serves, after a start or a reload."""
        _send("READY=1", f"STATUS={_one_line(status)}", timeout_s=_READY_TIMEOUT_S)

    def status(self, text: str) -> None:
        """Set the sentence that `systemctl status` shows."""
        _send(f"STATUS={_one_line(text)}")

    def reloading(self, monotonic_s: float) -> None:
        """Report that the configuration is read again; `ready` ends it.

        systemd 253 and later want the CLOCK_MONOTONIC time of this message with it.
        """
        _send("RELOADING=1", f"MONOTONIC_USEC={int(monotonic_s * 1_000_000)}")

    def stopping(self) -> None:
        """Report that the daemon shuts down."""
        _send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        _send("WATCHDOG=1")

    def request_restart(self) -> None:
        """Ask systemd to kill and restart the daemon now, as if the watchdog had run out."""
        _send("WATCHDOG=trigger")


def watchdog_interval_s() -> float | None:
    """Return within which time systemd wants to be fed, None if it does not watch this process."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    # sd_watchdog_enabled(3): WATCHDOG_PID names the process that is meant, as children inherit the variables.
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


def _send(*lines: str, timeout_s: float = _TIMEOUT_S) -> None:
    """Send one message; a manager whose queue stays full does not get it.

    Not libsystemd's sd_notify: it waits for ever for a manager that does not read, and the loop with it.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        try:
            # "@" stands for the NUL of an abstract address: systemd(1).
            sock.connect(address.replace("@", "\0", 1) if address[0] == "@" else address)
            sock.send("\n".join(lines).encode())
        except OSError as error:
            _log.debug("systemd did not take %s: %s", lines[0].partition("=")[0], error)


def _one_line(text: str) -> str:
    # A line break would begin another assignment of the protocol.
    return " ".join(text.split())
