"""Opening a socket: the addresses of a host race, and the losers leave nothing open."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.fakes import settle
from voxd.errors import ConnectionFailed
from voxd.net import sockets
from voxd.net.dns import Addresses, AddressInfo, Resolver
from voxd.net.sockets import Proxy, open_socket, proxy_of

SIX, FOUR = socket.AF_INET6, socket.AF_INET


def info(host: str, port: int = 443) -> AddressInfo:
    return SIX if ":" in host else FOUR, socket.SOCK_STREAM, 6, "", (host, port)


class FixedResolver(Resolver):
    """Returns the same addresses for every host."""

    def __init__(self, *hosts: str, port: int = 443) -> None:
        super().__init__()
        self._addresses = [info(host, port) for host in hosts]

    async def look_up(self, host: str, port: int, *, within_s: float = 0) -> Addresses:
        return self._addresses


class Network:
    """Connects to addresses as the test says: at once, with an error, when ``ready`` is set, or never."""

    def __init__(self, *, never: Sequence[str] = (), fails: Sequence[str] = ()) -> None:
        self.never, self.fails = never, fails
        self.ready = asyncio.Event()
        self.ready.set()
        self.tried: list[str] = []
        self.cancelled: list[str] = []
        self.sockets: dict[str, socket.socket] = {}

    async def connect(self, sock: socket.socket, address: tuple[str, int]) -> None:
        host = address[0]
        self.tried.append(host)
        self.sockets[host] = sock
        if host in self.fails:
            raise ConnectionRefusedError(111, "Connection refused")
        try:
            await (asyncio.Event() if host in self.never else self.ready).wait()
        except asyncio.CancelledError:
            self.cancelled.append(host)
            raise

    @property
    def open(self) -> list[str]:
        """The hosts whose sockets are not closed."""
        return [host for host, sock in self.sockets.items() if sock.fileno() != -1]

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "Network":
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", self.connect)
        return self


async def connect(*hosts: str) -> None:
    async with asyncio.timeout(5):
        (await open_socket("vendor.example", 443, resolver=FixedResolver(*hosts))).close()


@pytest.mark.parametrize(
    ("found", "order"),
    [
        ("::6a ::6b 1.1.1.1 1.1.1.2", "::6a 1.1.1.1 ::6b 1.1.1.2"),
        ("1.1.1.1 ::6a ::6b ::6c", "1.1.1.1 ::6a ::6b ::6c"),
        ("::6a ::6b ::6c 1.1.1.1", "::6a 1.1.1.1 ::6b ::6c"),
        ("1.1.1.1", "1.1.1.1"),
    ],
)
async def test_families_take_turns(found: str, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(fails=found.split()).install(monkeypatch)
    with pytest.raises(ConnectionRefusedError):
        await connect(*found.split())
    assert network.tried == order.split()


async def test_a_broken_ipv6_costs_a_quarter_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sockets.STAGGER_S == 0.25
    monkeypatch.setattr(sockets, "STAGGER_S", 0.02)
    network = Network(never=["::6"]).install(monkeypatch)
    await connect("::6", "1.1.1.1")
    assert network.tried == ["::6", "1.1.1.1"]
    assert network.cancelled == ["::6"]
    assert network.open == []


async def test_after_a_refusal_the_next_address_is_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "STAGGER_S", 60.0)
    network = Network(fails=["::6"]).install(monkeypatch)
    await connect("::6", "1.1.1.1")
    assert network.tried == ["::6", "1.1.1.1"]


async def test_when_no_address_accepts_the_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(fails=["::6", "1.1.1.1"]).install(monkeypatch)
    with pytest.raises(ConnectionRefusedError, match="Connection refused"):
        await connect("::6", "1.1.1.1")
    assert network.open == []


@pytest.mark.parametrize("hosts", [["1.1.1.1"], ["::6", "1.1.1.1"]])
async def test_an_address_that_never_answers_has_a_deadline(
    hosts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sockets.ADDRESS_S == 2.0
    monkeypatch.setattr(sockets, "ADDRESS_S", 0.02)
    monkeypatch.setattr(sockets, "STAGGER_S", 0.02)
    network = Network(never=hosts).install(monkeypatch)
    with pytest.raises(TimeoutError):
        await connect(*hosts)
    assert sorted(network.cancelled) == sorted(hosts)
    assert network.open == []


async def test_a_second_connection_that_also_opens_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "STAGGER_S", 0.001)
    network = Network().install(monkeypatch)
    network.ready.clear()
    opening = asyncio.create_task(
        open_socket("vendor.example", 443, resolver=FixedResolver("::6", "1.1.1.1"))
    )
    async with asyncio.timeout(5):
        while len(network.tried) < 2:
            await asyncio.sleep(0)
    network.ready.set()
    with await opening as winner:
        assert [network.sockets[host] for host in network.open] == [winner]


async def test_a_cancelled_caller_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(never=["::6", "1.1.1.1"]).install(monkeypatch)
    opening = asyncio.create_task(connect("::6", "1.1.1.1"))
    await settle()
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert network.cancelled == ["::6"]
    assert network.open == []


async def accept(serve: Callable[[int], Awaitable[None]]) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        await serve(server.sockets[0].getsockname()[1])


async def test_the_kernel_detects_a_peer_that_went_silent() -> None:
    async def serve(port: int) -> None:
        resolver = FixedResolver("127.0.0.1", port=port)
        with await open_socket("vendor.example", port, resolver=resolver) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 3000

    await accept(serve)


async def test_an_address_without_a_server_is_skipped() -> None:
    async def serve(port: int) -> None:
        resolver = FixedResolver("::1", "127.0.0.1", port=port)
        async with asyncio.timeout(5):
            (await open_socket("vendor.example", port, resolver=resolver)).close()

    await accept(serve)


async def test_a_silent_name_server_has_its_own_error_code() -> None:
    class Silent(Resolver):
        async def look_up(self, host: str, port: int, *, within_s: float = 0) -> Addresses:
            raise TimeoutError

    with pytest.raises(ConnectionFailed) as raised:
        await open_socket("vendor.example", 443, resolver=Silent(), provider="parrot")
    assert (raised.value.code, raised.value.provider) == ("dns_failed", "parrot")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy:3128", Proxy("http", "proxy", 3128)),
        ("http://proxy/", Proxy("http", "proxy", 80)),
        ("https://proxy.example", Proxy("https", "proxy.example", 443)),
        ("http://[fd00::1]:3128", Proxy("http", "fd00::1", 3128)),
        ("http://me:pass%40word@proxy:3128", Proxy("http", "proxy", 3128, "me:pass%40word@")),
    ],
)
def test_a_proxy_is_a_host_and_perhaps_an_account(url: str, expected: Proxy) -> None:
    assert proxy_of("parrot", url) == expected


@pytest.mark.parametrize(
    ("host", "url"),
    [("10.0.0.1", "http://me:secret@10.0.0.1:3128"), ("fd00::1", "http://me:secret@[fd00::1]:3128")],
)
def test_its_name_can_be_replaced_by_a_number(host: str, url: str) -> None:
    assert proxy_of("parrot", "http://me:secret@proxy:3128").url(host) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret-proxy",
        "http://",
        "socks5://secret:secret@proxy:1080",
        "http://secret@proxy",
        "http://proxy/secret",
        "http://[secret",
        "http://proxy:secret",
        "http://proxy:99999",
    ],
)
def test_an_invalid_proxy_is_a_configuration_mistake_and_is_not_retried(url: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        proxy_of("parrot", url)
    assert (raised.value.code, raised.value.retryable) == ("bad_endpoint", False)
    assert "options.proxy" in raised.value.hint
    assert "secret" not in f"{raised.value} {raised.value.hint}"


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(proxy_of("parrot", "http://me:secret@proxy"))
