"""The control and the read-only socket: inherited from systemd or bound here, with their permissions."""

import fcntl
import grp
import logging
import os
import socket
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from voxd.control.methods import Access
from voxd.errors import Busy, NotPermitted

_log = logging.getLogger(__name__)

# unix(7): connect() needs write permission on the socket's file. The group may control, every user may read.
MODES: Mapping[Access, int] = {"control": 0o660, "read": 0o666}
GROUP = "voxd"
# The length of the kernel's queue of connections that wait for accept().
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Peer:
    """The peer process, as the kernel saw it at connect time (SO_PEERCRED, unix(7))."""

    pid: int
    uid: int
    gid: int


def peer_of(connected: socket.socket) -> Peer:
    """Return the peer of a connected Unix socket."""
    # unix(7): struct ucred has a pid, a uid and a gid, each an int.
    layout = struct.Struct("3i")
    return Peer(*layout.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size)))


class ListeningSocket:
    """A listening Unix socket and the access that its clients have."""

    def __init__(self, sock: socket.socket, access: Access, path: Path | None = None) -> None:
        self.socket = sock
        self.access = access
        self._path = path
        self._identity = _identity(path) if path else None

    def close(self) -> None:
        """Close the socket and remove its file if it is still the file bound here; idempotent."""
        self.socket.close()
        # Another daemon may have bound the path meanwhile: its file stays.
        if self._path and self._identity and _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)
        self._path = None


def inherited(sockets: Mapping[str, socket.socket]) -> list[ListeningSocket]:
    """Return the sockets that systemd opened, with ``FileDescriptorName=control`` or ``read``.

    Their files belong to systemd and are not removed. A socket of another name is logged and ignored.
    """
    listeners = []
    for name, sock in sockets.items():
        if name == "control":
            listeners.append(ListeningSocket(sock, "control"))
        elif name == "read":
            listeners.append(ListeningSocket(sock, "read"))
        else:
            # A unit of an administrator may pass more; a wrong guess would open it to every user.
            _log.warning("ignoring the inherited socket %s", name)
    return listeners


def bind(path: Path, access: Access, *, group: str = GROUP) -> ListeningSocket:
    """Bind ``path``, replacing the file of a daemon that no longer runs.

    The file gets the mode of ``access`` and, where permitted, the group ``group``. Raises `Busy` (code
    ``already_running``) when a daemon accepts connections there, `NotPermitted` when it cannot be bound.
    """
    with ExitStack() as stack:
        sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.parent):
                _remove_stale(path)
                # Linux creates the file with the mode of the socket: no other user can connect in between.
                os.fchmod(sock.fileno(), 0o600)
                sock.bind(str(path))
                # Listen now, not when the server starts: early clients wait instead of being refused, and
                # another daemon that starts meanwhile finds this one running.
                sock.listen(BACKLOG)
            _give_to_group(path, group)
            path.chmod(MODES[access])
        except OSError as error:
            raise NotPermitted(
                f"cannot bind {path}: {error.strerror or error}",
                hint="set control.socket to a path of your own",
            ) from error
        stack.pop_all()
    return ListeningSocket(sock, access, path)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    # Two daemons that start together would each take the other's new socket for a stale one and remove it.
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise NotPermitted(f"{path} exists and is not a socket", hint=f"remove {path} or set control.socket")
    if _is_accepting(path):
        raise Busy(
            "another voxd is running",
            hint="stop the other one first: `sudo systemctl stop voxd`, or Ctrl-C in its terminal",
            code="already_running",
        )
    path.unlink(missing_ok=True)


def _is_accepting(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            # unix(7): the file exists, but no process listens. It outlived a daemon that was killed.
            return False
        except BlockingIOError:
            # The queue of connections is full: a daemon runs, but is busy.
            return True
        return True


def _give_to_group(path: Path, group: str) -> None:
    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except KeyError:
        # A daemon that a user runs from a checkout: only that user may control it.
        _log.debug("no group %s: %s keeps the group of this process", group, path)
    except PermissionError:
        _log.debug("not permitted to give %s to group %s", path, group)


def _identity(path: Path) -> tuple[int, int] | None:
    # lstat: a symbolic link in place of the file is not the file.
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
