"""What a process may do with a file: the same answer for this process and, from outside, for the service.

The daemon runs as another user than the one who checks its configuration, in a sandbox. Every question
whether a file can be used is put to a `View`, which never raises.
"""

import os
import shutil
import stat
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from voxd.config.secrets import Reading, read_source

# The bits of one class of a file's mode (inode(7)); EXECUTE on a directory: enter it.
READ, EXECUTE = 4, 1
# acl(5) and linux/posix_acl_xattr.h: the tags of the entries of an access control list.
_ACL_OWNER, _ACL_USER, _ACL_GROUP_OWNER, _ACL_GROUP, _ACL_MASK, _ACL_OTHER = 1, 2, 4, 8, 16, 32


class Use(StrEnum):
    """What a file is needed for."""

    READ = "read"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a file cannot be used, as the end of a sentence that begins with its name, and what to do."""

    message: str
    hint: str = ""


class View(Protocol):
    """Says which files and secrets a process can use."""

    def look(self, name: str, use: Use) -> Obstacle | None:
        """Return why the file or program ``name`` cannot be used for ``use``, None when it can."""

    def secret(self, kind: str, name: str) -> Reading | None:
        """Return the secret of a source (credential, file, env); None when this user cannot tell."""


class OwnView:
    """The files and secrets as this process sees them."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    def look(self, name: str, use: Use) -> Obstacle | None:
        """See `View.look`."""
        return look(name, use)

    def secret(self, kind: str, name: str) -> Reading | None:
        """See `View.secret`."""
        return read_source(kind, name, self._environ)


class Unchecked:
    """The view of a check that looks at no file: every file can be used, no secret is known."""

    def look(self, name: str, use: Use) -> Obstacle | None:
        """See `View.look`."""
        return None

    def secret(self, kind: str, name: str) -> Reading | None:
        """See `View.secret`."""
        return None


@dataclass(frozen=True, slots=True)
class Account:
    """A user as the kernel knows it: ids, and the name for messages."""

    name: str
    uid: int
    gids: frozenset[int]

    def may(self, file: Path, needed: int) -> bool:
        """Return whether the permissions of ``file`` grant ``needed`` (4 read, 1 execute or enter).

        Raises `OSError` when ``file`` cannot be examined.
        """
        info = file.stat()
        if self.uid == 0:
            return needed != EXECUTE or stat.S_ISDIR(info.st_mode) or bool(info.st_mode & 0o111)
        if entries := _access_list(file):
            return _granted(entries, self, info) & needed == needed
        if info.st_uid == self.uid:
            return info.st_mode >> 6 & needed == needed
        if info.st_gid in self.gids:
            return info.st_mode >> 3 & needed == needed
        return info.st_mode & needed == needed


def look(name: str, use: Use) -> Obstacle | None:
    """Return why this process cannot use the file or program ``name`` for ``use``; None when it can."""
    if use is Use.RUN and "/" not in name:
        return None if shutil.which(name) else not_a_program(name)
    try:
        file = Path(name).expanduser()
        if obstacle := kind_obstacle(file.stat()):
            return obstacle
        allowed = os.access(file, os.X_OK if use is Use.RUN else os.R_OK)
    except (OSError, RuntimeError, ValueError) as error:
        return obstacle_of(error)
    return None if allowed else denied(use, name)


def reason_not_readable(file: Path) -> str:
    """Return why this process cannot read ``file``, as "does not exist"; "" when it can. Never raises."""
    obstacle = look(str(file), Use.READ)
    return obstacle.message if obstacle else ""


def obstacle_of(error: Exception) -> Obstacle:
    """Return ``error`` of an attempt to examine a file as an obstacle."""
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return Obstacle("does not exist", "correct the path or create the file")
        case PermissionError():
            return Obstacle(
                "cannot be read: permission denied", "move it to a directory that all users may enter"
            )
        case OSError():
            return Obstacle(f"cannot be read: {(error.strerror or str(error)).lower()}", "use another file")
    # pathlib raises `RuntimeError` for an unknown "~user", and `ValueError` for a null byte.
    return Obstacle("is not a path", "write the complete path")


def kind_obstacle(info: os.stat_result) -> Obstacle | None:
    """Return why what has the properties ``info`` is not a file to read or run."""
    if stat.S_ISDIR(info.st_mode):
        return Obstacle("is a directory", "name a file in it")
    return None


def denied(use: Use, name: str, who: str = "") -> Obstacle:
    """Return the obstacle of missing permissions on the file itself."""
    by = f" by {who}" if who else ""
    if use is Use.RUN:
        return Obstacle(f"is not executable{by}", f"run `sudo chmod a+rx {name}`")
    return Obstacle(f"cannot be read{by}: permission denied", f"run `sudo chmod a+r {name}`")


def not_a_program(name: str) -> Obstacle:
    """Return the obstacle of a program that no directory of PATH has."""
    return Obstacle(
        "is not installed", f"run `sudo apt install {name}`, or write the complete path of the program"
    )


def _access_list(file: Path) -> Sequence[tuple[int, int, int]]:
    """Return the entries (tag, permissions, id) of the access control list of ``file``; () without one."""
    try:
        raw = os.getxattr(file, "system.posix_acl_access")
    except OSError:
        return ()
    # Version 2: a 32-bit version, then entries of tag, permissions and id.
    return tuple(struct.iter_unpack("<HHI", raw[4:]))


def _granted(entries: Sequence[tuple[int, int, int]], account: Account, info: os.stat_result) -> int:
    """Return the permissions of ``account``, acl(5), "Access check algorithm"."""
    mask = next((permissions for tag, permissions, _ in entries if tag == _ACL_MASK), 7)
    groups, in_a_group = 0, False
    for tag, permissions, id in entries:
        if tag == _ACL_OWNER and info.st_uid == account.uid:
            return permissions
        if tag == _ACL_USER and id == account.uid:
            return permissions & mask
        group = {_ACL_GROUP_OWNER: info.st_gid, _ACL_GROUP: id}.get(tag)
        if group in account.gids:
            groups, in_a_group = groups | permissions, True
    if in_a_group:
        return groups & mask
    return next((permissions for tag, permissions, _ in entries if tag == _ACL_OTHER), 0)
