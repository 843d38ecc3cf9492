"""The server with all kinds of clients, over real sockets."""

import asyncio
import itertools
import json
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.control.conftest import Served
from tests.control.fakes import SECRET_WORDS, FakeDevice, failing
from tests.properties import examples
from voxd.control.client import ControlClient
from voxd.control.connection import Limits
from voxd.control.server import ACCEPTED_PER_TURN, ControlServer
from voxd.control.sockets import bind, inherited
from voxd.errors import Busy, DaemonUnreachable

PATIENCE_S = 10.0


@asynccontextmanager
async def raw(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
        try:
            yield reader, writer
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)


def request(id: Any, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def encode(message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


async def answer(reader: asyncio.StreamReader) -> Any:
    return json.loads(await reader.readline())


async def closed(reader: asyncio.StreamReader) -> None:
    """Wait for the end; the kernel calls it a reset when the server left something unread."""
    try:
        assert await reader.read() == b""
    except ConnectionResetError:
        return


async def test_a_response_has_the_id_of_its_request(served: Served) -> None:
    async with raw(served.control) as (reader, writer):
        for id in (0, 1, -5, 1.5, "one", "", None):
            writer.write(encode(request(id, "volume.get")))
            assert await answer(reader) == {"jsonrpc": "2.0", "id": id, "result": {"percent": 70}}


async def test_a_notification_is_executed_without_a_response(served: Served) -> None:
    async with raw(served.control) as (reader, writer):
        for method, params in (
            ("turn.stop", {}),
            ("turn.listen", {}),
            ("nonsense", {}),
            ("say", {"text": 3}),
        ):
            writer.write(encode({"jsonrpc": "2.0", "method": method, "params": params}))
        writer.write(encode(request(1, "volume.get")))
        assert (await answer(reader))["id"] == 1
    assert served.device.calls == [("stop",)]


async def test_a_batch_is_answered_in_one_line(served: Served) -> None:
    async with raw(served.control) as (reader, writer):
        notification = {"jsonrpc": "2.0", "method": "turn.stop"}
        writer.write(
            encode([request(1, "volume.set", percent=10), 5, notification, request(2, "volume.get")])
        )
        first, broken, second = await answer(reader)
        assert (first["id"], first["result"]) == (1, {"percent": 10})
        assert broken["error"]["code"] == -32600
        assert (second["id"], second["result"]) == (2, {"percent": 10})
        writer.write(encode([notification]) + encode(request(3, "volume.get")))
        assert (await answer(reader))["id"] == 3
        writer.write(encode([]))
        assert (await answer(reader))["error"]["code"] == -32600


async def test_an_unfinished_last_line_is_not_executed(served: Served) -> None:
    async with raw(served.control) as (reader, writer):
        writer.write(encode({"jsonrpc": "2.0", "method": "turn.stop"}).rstrip())
        writer.write_eof()
        assert await reader.read() == b""
    assert served.device.calls == []


async def test_a_half_closed_connection_still_gets_its_response(served: Served) -> None:
    async with raw(served.control) as (reader, writer):
        writer.write(encode(request(1, "turn.ask", text="hi")))
        writer.write_eof()
        assert (await answer(reader))["result"]["reply"] == "You said hi"
        assert await reader.read() == b""


async def test_a_long_request_does_not_block_another(served: Served) -> None:
    served.device.free.clear()
    async with raw(served.control) as (reader, writer):
        writer.write(
            encode(request("long", "say", text="a long story")) + encode(request("short", "volume.get"))
        )
        assert (await answer(reader))["id"] == "short"
        served.device.free.set()
        assert (await answer(reader))["id"] == "long"


async def test_a_running_request_finishes_after_its_client_disconnects(served: Served) -> None:
    served.device.free.clear()
    async with raw(served.control) as (_, writer):
        writer.write(encode(request(1, "say", text="half a sentence")))
        await served.device.saying.wait()
    served.device.free.set()
    async with asyncio.timeout(PATIENCE_S):
        await served.device.said.wait()


async def test_running_requests_are_limited_and_have_different_ids(served: Served) -> None:
    served.device.free.clear()
    async with raw(served.control) as (reader, writer):
        writer.write(encode(request(0, "say", text="x")) + encode(request(0, "say", text="x")))
        again = await answer(reader)
        assert (again["id"], again["error"]["message"]) == (0, "a request with this id is under way")
        for id in range(1, served.limits.max_pending + 1):
            writer.write(encode(request(id, "say", text="x")))
        refused = await answer(reader)
        assert (refused["id"], refused["error"]["code"]) == (served.limits.max_pending, -32000)
        served.device.free.set()
        assert {(await answer(reader))["id"] for _ in range(served.limits.max_pending)} == set(range(8))
    assert len(served.device.calls) == served.limits.max_pending


# A busy machine takes longer than 0.2 s for a line of 8 MB.
@pytest.mark.parametrize("limits", [Limits(line_deadline_s=30.0)])
async def test_a_line_that_is_too_long_ends_the_connection_with_a_reason(served: Served) -> None:
    for path in (served.control, served.read):
        async with raw(path) as (reader, writer):
            writer.write(encode(request(1, "volume.get")) + b"x" * (served.limits.upload_bytes + 1))
            assert (await answer(reader))["id"] == 1
            assert "longer than 65536 bytes" in (await answer(reader))["error"]["message"]
            await closed(reader)


async def test_only_audio_on_the_control_socket_may_be_a_long_line(served: Served) -> None:
    sound = "A" * 1_000_000
    async with raw(served.control) as (reader, writer):
        writer.write(encode(request(1, "turn.ask_audio", wav_base64=sound)))
        assert "result" in await answer(reader)
        writer.write(encode(request(2, "say", text=sound)))
        refused = await answer(reader)
        assert (refused["id"], refused["error"]["code"]) == (2, -32602)
        writer.write(encode(request(3, "volume.get")))
        assert (await answer(reader))["id"] == 3
    async with raw(served.read) as (reader, writer):
        writer.write(encode(request(1, "turn.ask_audio", wav_base64=sound)))
        assert (await answer(reader))["id"] is None
    assert served.device.calls == [("ask_audio", 750_000, False)]


async def test_one_client_at_a_time_uploads(tmp_path: Path) -> None:
    path, device = tmp_path / "voxd.sock", FakeDevice()
    sent = encode(request(1, "turn.ask_audio", wav_base64="A" * 100_000))
    async with (
        ControlServer(device, [bind(path, "control")]),
        raw(path) as (reader_a, writer_a),
        raw(path) as (reader_b, writer_b),
    ):
        lines = {
            asyncio.create_task(answer(reader_a)): writer_a,
            asyncio.create_task(answer(reader_b)): writer_b,
        }
        for writer in lines.values():
            writer.write(sent[:90_000])
        refused, waiting = await asyncio.wait(lines, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result()["error"]["data"]["code"] for task in refused] == ["busy"]
        (other,) = waiting
        lines[other].write(sent[90_000:])
        assert (await other)["result"]["reply"] == "Noon."
    assert len(device.calls) == 1


async def test_an_unfinished_line_ends_the_connection_at_its_deadline(served: Served) -> None:
    async with raw(served.control) as (reader, writer):
        writer.write(encode(request(1, "volume.get")) + b'{"jsonrpc":')
        assert (await answer(reader))["id"] == 1
        assert "took longer" in (await answer(reader))["error"]["message"]
        assert await reader.read() == b""


async def test_a_client_that_never_reads_is_disconnected_and_delays_no_other(served: Served) -> None:
    flood = encode(request(1, "rpc.discover")) * 20_000
    connection = socket.socket(socket.AF_UNIX)
    connection.setblocking(False)
    with connection:
        connection.connect(str(served.control))
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(connection, flood))
        async with ControlClient(served.control) as good:
            for _ in range(20):
                assert (await good.call("volume.get"))["percent"] == 70
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(sending, PATIENCE_S)


async def test_a_thousand_idle_connections_leave_room_for_the_owner(served: Served) -> None:
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(1000)]
    try:
        loop = asyncio.get_running_loop()
        for connection in crowd:
            connection.setblocking(False)
            await loop.sock_connect(connection, str(served.read))
        async with raw(served.read) as (reader, _):
            turned_away = await answer(reader)
            assert turned_away["error"]["data"]["code"] == "busy"
            assert await reader.read() == b""
        async with ControlClient(served.control) as owner:
            assert (await owner.call("volume.get"))["percent"] == 70
        assert served.server.clients <= served.limits.max_clients + 1
    finally:
        for connection in crowd:
            connection.close()


async def test_a_rejected_client_gets_the_reason(served: Served) -> None:
    clients = [ControlClient(served.control) for _ in range(served.limits.max_clients)]
    for client in clients:
        await client.connect()
        await client.call("volume.get")
    async with ControlClient(served.control) as late:
        with pytest.raises(Busy, match="too many clients"):
            await late.call("volume.get")
    for client in clients:
        await client.close()


async def test_every_control_method_is_audited_with_the_peer_and_without_words(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "voxd.control")
    async with ControlClient(served.control) as client:
        await client.call("say", text=SECRET_WORDS)
        await client.call("volume.get")
    async with ControlClient(served.read) as reader:
        with pytest.raises(Exception, match="read-only"):
            await reader.call("turn.ask", text=SECRET_WORDS)
    audited = [record.getMessage() for record in caplog.records if "pid" in record.getMessage()]
    peer = f"(pid {os.getpid()}, uid {os.getuid()}, gid {os.getgid()})"
    assert audited == [f"control say: ok {peer}", f"control turn.ask: not_permitted {peer}"]
    assert SECRET_WORDS not in caplog.text


async def test_a_bug_in_the_device_is_an_internal_error_without_details(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "voxd.sock"
    device = failing(ZeroDivisionError("secret detail"))
    async with ControlServer(device, [bind(path, "control")]), raw(path) as (reader, writer):
        writer.write(encode(request(1, "system.status")))
        got = await answer(reader)
    assert got["error"]["code"] == -32603
    assert "secret detail" not in json.dumps(got)
    assert "ZeroDivisionError" in caplog.text


async def test_inherited_sockets_serve_connections_made_before_the_start(tmp_path: Path) -> None:
    path = tmp_path / "voxd.sock"
    activated = socket.socket(socket.AF_UNIX)
    activated.bind(str(path))
    activated.listen()
    async with raw(path) as (reader, writer):
        writer.write(encode(request(1, "volume.get")))
        async with ControlServer(FakeDevice(), inherited({"control": activated})):
            assert (await answer(reader))["result"] == {"percent": 70}
    assert path.exists()


async def test_many_connections_are_accepted_a_few_at_a_time(tmp_path: Path) -> None:
    activated = socket.socket(socket.AF_UNIX)
    activated.bind(str(tmp_path / "voxd.sock"))
    activated.listen(200)
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(100)]
    for connection in crowd:
        connection.connect(str(tmp_path / "voxd.sock"))
    listeners = inherited({"control": activated})
    async with ControlServer(FakeDevice(), listeners, Limits(max_clients=200)) as server:
        seen = [0]
        async with asyncio.timeout(PATIENCE_S):
            while server.clients < 100:
                await asyncio.sleep(0)
                seen.append(server.clients)
        assert max(after - before for before, after in itertools.pairwise(seen)) <= ACCEPTED_PER_TURN
        for connection in crowd:
            connection.close()


async def test_closing_disconnects_clients_and_cancels_their_requests(served: Served) -> None:
    served.device.free.clear()
    async with ControlClient(served.control) as client:
        waiting = asyncio.create_task(client.call("say", text="x"))
        await served.device.saying.wait()
        async with asyncio.timeout(PATIENCE_S):
            await served.server.close()
        with pytest.raises(DaemonUnreachable):
            await waiting
    assert not served.control.exists()
    assert served.server.clients == 0


@examples(40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=300), max_size=5), st.booleans())
async def test_any_input_leaves_other_clients_served(
    served: Served, garbage: list[bytes], leave_at_once: bool
) -> None:
    async with raw(served.control) as (_, writer), ControlClient(served.control, timeout_s=2.0) as good:
        for chunk in garbage:
            writer.write(chunk + b"\n" * (len(chunk) % 2))
        if leave_at_once:
            writer.transport.abort()
        assert (await good.call("volume.get"))["percent"] == 70
        assert (await good.call("system.status"))["state"] == "idle"
    assert served.limits == Limits(line_deadline_s=0.2, write_deadline_s=0.2, max_clients=16)


async def test_closing_logs_no_error(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    async with ControlClient(served.control) as client:
        assert await client.call("system.status")
        async with asyncio.timeout(PATIENCE_S):
            await served.server.close()
        await asyncio.sleep(0)
    assert not [record for record in caplog.records if record.name == "asyncio"]
