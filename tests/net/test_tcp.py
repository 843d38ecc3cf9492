"""A line to a peer in this network that speaks over TCP, with real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.rig.transports import open_transport
from voxd.errors import ConnectionFailed, StreamError
from voxd.events import EventType as E
from voxd.net.tcp import MAX_PIECE_BYTES, TcpStream
from voxd.net.transport import Budget

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(serve: Serve) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    writer.write(await reader.readexactly(3))
    await writer.drain()
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"half")
    await writer.drain()


async def test_bytes_sent_and_received_are_counted_and_reported() -> None:
    async with peer(echo) as url, open_transport(url, key="") as wire:
        async with wire.stream(lambda access: access.endpoint, Budget(), kind="talk") as stream:
            stream.writelines([b"a line\n", b"abc"])
            await stream.drain()
            assert await stream.readline() == b"a line\n"
            assert await stream.readexactly(3) == b"abc"
        (told,) = wire.data(E.PROVIDER_CALL)
    assert (told["kind"], told["code"], told["endpoint"]) == ("talk", "ok", "127.0.0.1")
    assert (told["sent_bytes"], told["received_bytes"]) == (10, 10)


async def test_a_peer_that_closes_the_connection_is_a_network_error() -> None:
    async with peer(hang_up) as url, open_transport(url, key="") as wire:
        with pytest.raises(ConnectionFailed) as raised:
            async with wire.stream(lambda access: access.endpoint, Budget(), kind="talk") as stream:
                await stream.readexactly(5)
        assert (raised.value.code, raised.value.provider) == ("network_error", "vendor")
        assert wire.data(E.PROVIDER_CALL)[0]["code"] == "network_error"


@pytest.mark.parametrize("size", [-1, MAX_PIECE_BYTES + 1])
async def test_a_peer_that_announces_too_large_a_message_is_refused(size: int) -> None:
    async with peer(echo) as url, open_transport(url, key="") as wire:
        with pytest.raises(StreamError) as raised:
            async with wire.stream(lambda access: access.endpoint, Budget(), kind="talk") as stream:
                await stream.readexactly(size)
        assert raised.value.code == "too_big"


@pytest.mark.parametrize(
    "url",
    ["tcp://127.0.0.1", "http://127.0.0.1:1", "nonsense", "", "tcp://[", "tcp://speech.example.com:10300"],
)
async def test_an_address_that_is_none_or_far_away_is_refused(url: str) -> None:
    async with open_transport(url, key="") as wire:
        with pytest.raises(ConnectionFailed) as raised:
            async with wire.stream(lambda access: access.endpoint, Budget(retries=2), kind="talk"):
                pass
        assert (raised.value.code, raised.value.retryable) == ("bad_endpoint", False)


async def flood(stream: TcpStream) -> None:
    for _ in range(100):
        stream.write(bytes(1_000_000))
        await stream.drain()


async def test_a_peer_that_reads_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxd.net.tcp.SEND_S", 0.1)
    going = asyncio.Event()

    async def take_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await going.wait()

    async with peer(take_nothing) as url, open_transport(url, key="") as wire:
        with pytest.raises(ConnectionFailed) as raised:
            async with wire.stream(lambda access: access.endpoint, Budget(), kind="talk") as stream:
                await flood(stream)
        going.set()
        assert raised.value.code == "send_stalled"
        assert wire.data(E.PROVIDER_CALL)[0]["code"] == "send_stalled"


async def test_an_unreachable_peer_is_retried_and_then_reported() -> None:
    async with peer(echo) as url:
        pass
    async with open_transport(url, key="") as wire:
        with pytest.raises(ConnectionFailed):
            async with wire.stream(lambda access: access.endpoint, Budget(retries=1), kind="talk"):
                pass
        assert [told["attempt"] for told in wire.data(E.PROVIDER_CALL)] == [1, 2]
