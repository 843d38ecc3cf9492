"""Both clients with a daemon that runs, does not run, refuses, is slow or sends invalid data."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.control.conftest import Served
from voxd.control.call import Caller, connect_error
from voxd.control.client import ControlClient
from voxd.control.codes import ProtocolError
from voxd.errors import Busy, DaemonUnreachable, DeadlineExceeded, InvalidRequest, NotPermitted, VoxdError


def served_bytes(path: Path, reply: bytes, *, close: bool = True) -> Callable[[], None]:
    """Answer the first line on a socket at ``path`` with ``reply``; returns what ends it."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    done = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(reply)
            if not close:
                done.wait(10)

    thread = threading.Thread(target=serve)
    thread.start()

    def end() -> None:
        done.set()
        thread.join(10)
        listening.close()

    return end


NONSENSE = [
    (b"hello\n", ProtocolError),
    (b"[1]\n", ProtocolError),
    (b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"too many clients"}}\n', Busy),
    (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"text: expected str"}}\n', InvalidRequest),
    (b'{"jsonrpc":"2.0","id":1,"error":7}\n', ProtocolError),
    (b"", DaemonUnreachable),
    (b'{"jsonrpc":"2.0",', DaemonUnreachable),
]


@pytest.mark.parametrize(("reply", "expected"), NONSENSE)
def test_the_blocking_client_raises_the_error_of_a_reply(
    tmp_path: Path, reply: bytes, expected: type[VoxdError]
) -> None:
    end = served_bytes(tmp_path / "s", reply)
    with Caller(tmp_path / "s", timeout_s=5) as caller, pytest.raises(expected):
        caller.call("say", text=1)
    end()


@pytest.mark.parametrize(("reply", "expected"), NONSENSE)
async def test_the_asynchronous_client_raises_the_error_of_a_reply(
    tmp_path: Path, reply: bytes, expected: type[VoxdError]
) -> None:
    end = served_bytes(tmp_path / "s", reply)
    async with ControlClient(tmp_path / "s", timeout_s=5) as client:
        with pytest.raises(expected):
            await client.call("say", text=1)
    await asyncio.to_thread(end)


async def test_both_clients_stop_waiting_at_their_deadline(tmp_path: Path) -> None:
    end = served_bytes(tmp_path / "a", b"", close=False)
    with Caller(tmp_path / "a", timeout_s=0.05) as caller, pytest.raises(DeadlineExceeded):
        caller.call("system.status")
    end()
    end = served_bytes(tmp_path / "b", b"", close=False)
    async with ControlClient(tmp_path / "b", timeout_s=0.05) as client:
        with pytest.raises(DeadlineExceeded):
            await client.call("system.status")
    await asyncio.to_thread(end)


async def test_both_clients_report_a_daemon_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnreachable, match="not running"):
        Caller(tmp_path / "none")
    with pytest.raises(DaemonUnreachable, match="not running"):
        await ControlClient(tmp_path / "none").connect()
    with pytest.raises(DaemonUnreachable):
        await ControlClient(tmp_path / "none").call("system.status")


def test_a_forbidden_socket_gives_the_hint_to_join_the_group() -> None:
    error = connect_error("/run/voxd/voxd.sock", PermissionError(13, "Permission denied"))
    assert isinstance(error, NotPermitted)
    assert "group voxd" in error.hint


async def test_many_calls_share_one_connection(served: Served) -> None:
    served.device.free.clear()
    async with ControlClient(served.control) as client:
        saying = asyncio.create_task(client.call("say", text="long"))
        volumes = await asyncio.gather(*(client.call("volume.get") for _ in range(20)))
        assert {volume["percent"] for volume in volumes} == {70}
        served.device.free.set()
        assert await saying == {"turn": "t1", "outcome": ""}


async def test_the_blocking_client_calls_and_listens(served: Served) -> None:
    def use() -> tuple[int, str, str]:
        with Caller(served.control) as caller:
            percent = caller.call("volume.set", percent=20)["percent"]
            state = caller.call("events.subscribe")["state"]["state"]
            caller.call("mute.set", muted=True)
            caller.close()
        with Caller(served.control) as caller:
            caller.call("events.subscribe", since=0)
            _, event = next(caller.notifications())
            return percent, state, event["type"]

    assert await asyncio.to_thread(use) == (20, "idle", "mute.changed")


async def test_a_closed_client_leaves_no_descriptor(served: Served) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        async with ControlClient(served.control) as client:
            await client.call("volume.get")
        await client.close()
    async with asyncio.timeout(10):
        while served.server.clients:
            await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) == before
