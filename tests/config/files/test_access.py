import os
from pathlib import Path

import pytest

from voxd.config.files.access import EXECUTE, READ, Account, Use, look, reason_not_readable

OWNER, OTHER = 12345, 54321


def account(uid: int = OTHER, *gids: int) -> Account:
    return Account("voxd", uid, frozenset(gids))


@pytest.mark.parametrize(
    ("mode", "who", "needed", "allowed"),
    [
        (0o600, account(OWNER), READ, True),
        (0o600, account(), READ, False),
        (0o604, account(), READ, True),
        # The class of the owner alone counts for the owner, as the kernel does it.
        (0o077, account(OWNER), READ, False),
        (0o640, account(OTHER, 77), READ, True),
        (0o604, account(OTHER, 77), READ, False),
        (0o711, account(), EXECUTE, True),
        (0o744, account(), EXECUTE, False),
        (0o600, account(0), READ, True),
        (0o600, account(0), EXECUTE, False),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_permissions_are_those_of_the_kernel(
    tmp_path: Path, mode: int, who: Account, needed: int, allowed: bool
) -> None:
    file = tmp_path / "file"
    file.touch()
    os.chown(file, OWNER, 77)
    file.chmod(mode)
    assert who.may(file, needed) is allowed


def test_what_can_be_used_has_no_obstacle(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert look(str(file), Use.READ) is None
    assert look("sh", Use.RUN) is None
    assert look("/bin/sh", Use.RUN) is None


@pytest.mark.parametrize(
    ("name", "use", "message"),
    [
        ("gone", Use.READ, "does not exist"),
        ("file/below", Use.READ, "does not exist"),
        ("folder", Use.READ, "is a directory"),
        ("file", Use.RUN, "is not executable"),
        ("folder/link", Use.READ, "cannot be read: too many levels of symbolic links"),
        ("null\0byte", Use.READ, "is not a path"),
    ],
)
def test_an_obstacle_names_the_reason(tmp_path: Path, name: str, use: Use, message: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to("link")
    obstacle = look(f"{tmp_path}/{name}", use)
    assert obstacle is not None
    assert obstacle.message == message
    assert obstacle.hint


def test_a_program_that_no_directory_has_is_not_installed() -> None:
    obstacle = look("no-such-program", Use.RUN)
    assert obstacle is not None
    assert obstacle.message == "is not installed"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_closed_directory_is_a_reason_and_no_traceback(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(0o700)
    (closed / "file").touch()
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        os._exit(0 if "permission denied" in reason_not_readable(closed / "file") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
