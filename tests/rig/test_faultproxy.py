"""The proxy itself: each fault does what it says, also to a connection that is open already."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.rig.faultproxy import FaultProxy, fault_proxy

PATIENCE_S = 10.0
HUNDRED = bytes(range(100))


class Talk:
    """A client's connection through a proxy to a server that says everything back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, proxy: FaultProxy) -> None:
        self.reader, self.writer, self.proxy = reader, writer, proxy

    async def echo(self, data: bytes = HUNDRED) -> bytes:
        """Send ``data``; return what comes back in its place."""
        self.writer.write(data)
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readexactly(len(data))

    async def all(self) -> bytes:
        """Return what comes until the end."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    async def is_silent(self, data: bytes = HUNDRED, *, for_s: float = 0.1) -> bool:
        """Send ``data``; return whether nothing happens at all."""
        self.writer.write(data)
        reading = asyncio.create_task(self.reader.read(1))
        done, _ = await asyncio.wait([reading], timeout=for_s)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return not done


@asynccontextmanager
async def echoing() -> AsyncIterator[FaultProxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, fault_proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[Talk]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield Talk(reader, writer, proxy)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    async with echoing() as proxy, connected(proxy) as talk:
        yield talk


async def test_without_faults_everything_passes_as_it_is(talk: Talk) -> None:
    assert await talk.echo() == HUNDRED
    assert await talk.echo(HUNDRED * 10_000) == HUNDRED * 10_000
    assert talk.proxy.accepted == 1


async def test_the_end_of_one_side_is_told_to_the_other(talk: Talk) -> None:
    talk.writer.write(HUNDRED)
    talk.writer.write_eof()
    assert await talk.all() == HUNDRED


async def test_a_blackhole_swallows_without_a_word_until_it_is_gone(talk: Talk) -> None:
    assert await talk.echo() == HUNDRED
    talk.proxy.set(blackhole=True)
    assert await talk.is_silent()
    talk.proxy.set()
    async with asyncio.timeout(PATIENCE_S):
        assert await talk.reader.readexactly(100) == HUNDRED, "held back, not lost"


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_fault_may_befall_one_direction(talk: Talk, direction: str) -> None:
    other = "down" if direction == "up" else "up"
    talk.proxy.set(direction=direction, latency_ms=200)
    began_s = asyncio.get_running_loop().time()
    await talk.echo()
    assert asyncio.get_running_loop().time() - began_s >= 0.2
    talk.proxy.set(direction=other, blackhole=True)
    assert await talk.is_silent()


async def test_a_refused_connection_is_reset(talk: Talk) -> None:
    talk.proxy.set(refuse=True)
    async with connected(talk.proxy) as second:
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await second.echo()
    assert await talk.echo() == HUNDRED, "the open one goes on"


async def test_a_host_that_is_away_is_a_connection_that_is_reset() -> None:
    async with echoing() as proxy:
        pass
    async with fault_proxy(*proxy.upstream) as proxy, connected(proxy) as talk:
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await talk.echo()


async def test_a_reset_comes_after_so_many_bytes(talk: Talk) -> None:
    talk.proxy.set(direction="down", reset_after=100)
    talk.writer.write(HUNDRED * 2)
    with pytest.raises(ConnectionResetError):
        await talk.all()


async def test_an_end_comes_after_so_many_bytes(talk: Talk) -> None:
    talk.proxy.set(direction="down", close_after=40, slice_bytes=10)
    talk.writer.write(HUNDRED)
    assert await talk.all() == HUNDRED[:40]


async def test_all_open_connections_can_be_reset(talk: Talk) -> None:
    await talk.echo()
    talk.proxy.reset_all()
    with pytest.raises(ConnectionResetError):
        await talk.all()


async def test_bytes_can_come_in_slices_and_slowly(talk: Talk) -> None:
    talk.proxy.set(direction="down", slice_bytes=1, rate_bytes_s=1000)
    began_s = asyncio.get_running_loop().time()
    assert await talk.echo() == HUNDRED
    assert asyncio.get_running_loop().time() - began_s >= 0.1


async def test_jitter_is_no_longer_than_it_says(talk: Talk) -> None:
    talk.proxy.set(direction="up", latency_ms=10, jitter_ms=20)
    for _ in range(5):
        began_s = asyncio.get_running_loop().time()
        await talk.echo(b"x")
        assert asyncio.get_running_loop().time() - began_s >= 0.01


async def test_bits_flip_here_and_there(talk: Talk) -> None:
    talk.proxy.set(direction="down", flip_probability=0.1)
    sent = bytes(1000)
    flipped = [byte for byte in await talk.echo(sent) if byte]
    assert 30 < len(flipped) < 200
    assert all(byte.bit_count() == 1 for byte in flipped)


async def test_a_piece_becomes_noise(talk: Talk) -> None:
    talk.proxy.set(direction="down", garble_at=150)
    assert await talk.echo() == HUNDRED
    assert await talk.echo() != HUNDRED
    assert await talk.echo() == HUNDRED


async def test_the_same_seed_does_the_same_harm() -> None:
    harms = []
    for _ in range(2):
        async with echoing() as proxy, connected(proxy) as talk:
            proxy.set(direction="down", flip_probability=0.5)
            harms.append(await talk.echo())
    assert harms[0] == harms[1] != HUNDRED
