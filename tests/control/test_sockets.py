"""Sockets, their files and their permissions."""

import os
import socket
import stat
from pathlib import Path

import pytest

from voxd.control.sockets import ListeningSocket, Peer, bind, inherited, peer_of
from voxd.errors import Busy, NotPermitted


@pytest.mark.parametrize(("access", "mode"), [("control", 0o660), ("read", 0o666)])
def test_the_file_has_the_mode_of_its_access(tmp_path: Path, access: str, mode: int) -> None:
    path = tmp_path / "below" / "voxd.sock"
    listener = bind(path, access)  # type: ignore[arg-type]
    assert stat.S_IMODE(path.stat().st_mode) == mode
    listener.close()
    assert not path.exists()
    listener.close()


def test_the_file_goes_to_the_group_if_permitted(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    listener = bind(tmp_path / "voxd.sock", "control", group="daemon")
    assert (tmp_path / "voxd.sock").group() == "daemon"
    listener.close()


def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "voxd.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()
    bind(path, "control").close()


def test_the_socket_of_a_running_daemon_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "voxd.sock"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()
        with pytest.raises(Busy, match="another voxd is running") as caught:
            bind(path, "control")
        assert caught.value.code == "already_running"
        assert path.exists()


def test_clients_of_a_starting_daemon_wait(tmp_path: Path) -> None:
    path = tmp_path / "voxd.sock"
    starting = bind(path, "control")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    with pytest.raises(Busy, match="another voxd is running"):
        bind(path, "control")
    starting.close()


def test_a_file_that_is_not_a_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "voxd.sock"
    path.write_text("precious")
    with pytest.raises(NotPermitted, match="not a socket"):
        bind(path, "control")
    assert path.read_text() == "precious"


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotPermitted, match="cannot bind"):
        bind(tmp_path / "file" / "voxd.sock", "control")


def test_closing_keeps_the_file_of_a_newer_daemon(tmp_path: Path) -> None:
    path = tmp_path / "voxd.sock"
    mine = bind(path, "control")
    path.unlink()
    path.write_text("a successor's")
    mine.close()
    assert path.exists()


def test_inherited_sockets_are_selected_by_name_and_their_files_stay(tmp_path: Path) -> None:
    sockets = {name: socket.socket(socket.AF_UNIX) for name in ("control", "read", "web")}
    for name, sock in sockets.items():
        sock.bind(str(tmp_path / name))
    listeners = inherited(sockets)
    assert [listener.access for listener in listeners] == ["control", "read"]
    for listener in listeners:
        listener.close()
    sockets["web"].close()
    assert {path.name for path in tmp_path.iterdir()} == {"control", "read", "web"}


def test_the_peer_is_read_from_the_kernel() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) == Peer(os.getpid(), os.getuid(), os.getgid())


def test_a_listener_without_a_path_only_closes() -> None:
    sock = socket.socket(socket.AF_UNIX)
    ListeningSocket(sock, "read").close()
    assert sock.fileno() == -1
