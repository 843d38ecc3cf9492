"""Opening a socket: the addresses of a host race, and losers leave nothing open."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

import pytest

from voxd.errors import ConnectionFailed
from voxd.net import sockets as reach
from voxd.net.dns import Addresses, AddressInfo, Resolver
from voxd.net.sockets import interleave_families, open_socket, race

SIX, FOUR = socket.AF_INET6, socket.AF_INET


def info(family: socket.AddressFamily, host: str, port: int = 443) -> AddressInfo:
    return family, socket.SOCK_STREAM, 6, "", (host, port)


class Known(Resolver):
    """Knows what it is told."""

    def __init__(self, *found: AddressInfo) -> None:
        super().__init__()
        self._found = found

    async def look_up(self, host: str, port: int, *, within_s: float = 0) -> Addresses:
        return self._found


class Racers:
    """Connects to addresses as the test says: at once, with an error, or never."""

    def __init__(self, *, never: Sequence[str] = (), fails: Sequence[str] = ()) -> None:
        self.never, self.fails = never, fails
        self.tried: list[str] = []
        self.cancelled: list[str] = []
        self.discarded: list[str] = []

    async def connect(self, to: AddressInfo) -> str:
        host: str = to[4][0]
        self.tried.append(host)
        if host in self.fails:
            raise ConnectionRefusedError(111, "Connection refused")
        if host in self.never:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(host)
                raise
        return host

    async def discard(self, host: str) -> None:
        self.discarded.append(host)


@pytest.mark.parametrize(
    ("found", "order"),
    [
        ("6a 6b 4a 4b", "6a 4a 6b 4b"),
        ("4a 6a 6b 6c", "4a 6a 6b 6c"),
        ("6a 6b 6c 4a", "6a 4a 6b 6c"),
        ("4a", "4a"),
        ("", ""),
    ],
)
def test_families_take_turns(found: str, order: str) -> None:
    families = {"6": SIX, "4": FOUR}
    given = [info(families[each[0]], each) for each in found.split()]
    assert [each[4][0] for each in interleave_families(given)] == order.split()


async def test_a_broken_ipv6_costs_a_quarter_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reach.STAGGER_S == 0.25
    monkeypatch.setattr(reach, "STAGGER_S", 0.02)
    racers = Racers(never=["::6"])
    found = [info(SIX, "::6"), info(FOUR, "4")]
    async with asyncio.timeout(1):
        assert await race(found, racers.connect, racers.discard) == "4"
    assert racers.tried == ["::6", "4"]
    assert racers.cancelled == ["::6"]


async def test_one_that_is_refused_makes_the_next_begin_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "STAGGER_S", 60.0)
    racers = Racers(fails=["::6"])
    async with asyncio.timeout(5):
        assert await race([info(SIX, "::6"), info(FOUR, "4")], racers.connect, racers.discard) == "4"


async def test_when_none_answers_the_last_problem_is_told() -> None:
    racers = Racers(fails=["::6", "4"])
    with pytest.raises(ConnectionRefusedError):
        await race([info(SIX, "::6"), info(FOUR, "4")], racers.connect, racers.discard)
    with pytest.raises(OSError, match="no address"):
        await race([], racers.connect, racers.discard)


async def test_one_address_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "ADDRESS_S", 0.02)
    racers = Racers(never=["4"])
    with pytest.raises(TimeoutError):
        await race([info(FOUR, "4")], racers.connect, racers.discard)
    assert racers.cancelled == ["4"]


async def test_a_second_that_has_connected_too_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "STAGGER_S", 0.0)
    ready = asyncio.Event()
    discarded: list[str] = []

    async def connect(to: AddressInfo) -> str:
        await ready.wait()
        return str(to[4][0])

    async def discard(host: str) -> None:
        discarded.append(host)

    racing = asyncio.create_task(race([info(SIX, "::6"), info(FOUR, "4")], connect, discard))
    for _ in range(10):
        await asyncio.sleep(0)
    ready.set()
    winner = await racing
    assert {winner, *discarded} == {"::6", "4"}


async def test_whoever_gives_up_leaves_nothing_running() -> None:
    racers = Racers(never=["::6"])
    racing = asyncio.create_task(race([info(SIX, "::6")], racers.connect, racers.discard))
    for _ in range(5):
        await asyncio.sleep(0)
    racing.cancel()
    await asyncio.gather(racing, return_exceptions=True)
    assert racers.cancelled == ["::6"]


async def accept(serve: Callable[[int], Awaitable[None]]) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        await serve(server.sockets[0].getsockname()[1])


async def test_a_socket_is_opened_and_the_kernel_is_told_to_notice_silence() -> None:
    async def serve(port: int) -> None:
        sock = await open_socket("vendor.example", port, resolver=Known(info(FOUR, "127.0.0.1", port)))
        with sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 3000

    await accept(serve)


async def test_an_address_nobody_listens_on_is_passed_over() -> None:
    async def serve(port: int) -> None:
        found = Known(info(SIX, "::1", port), info(FOUR, "127.0.0.1", port))
        async with asyncio.timeout(5):
            (await open_socket("vendor.example", port, resolver=found)).close()

    await accept(serve)


async def test_a_silent_name_server_is_told_as_such() -> None:
    class Silent(Resolver):
        async def look_up(self, host: str, port: int, *, within_s: float = 0) -> Addresses:
            raise TimeoutError

    with pytest.raises(ConnectionFailed) as raised:
        await open_socket("vendor.example", 443, resolver=Silent(), provider="parrot")
    assert (raised.value.code, raised.value.provider) == ("dns_failed", "parrot")
