"""Traffic through a proxy: how the proxy is found, which certificates count, and what it is sent."""

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rig.certificates import Authority, authority
from tests.rig.transports import open_transport
from tests.servers.openai_realtime import RealtimeServer, Script, realtime_server
from tests.servers.tunnel import tunnel
from voxd.errors import ConnectionFailed
from voxd.net.dns import Addresses, Resolver
from voxd.net.transport import Budget, HttpRequest
from voxd.net.websocket import Deadlines, WebSocketAddress, WebSocketConnection

QUICK = Deadlines(open_s=3.0, send_s=0.2, close_s=0.1)
FAR = "http://vendor.lan/v1"


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    async with realtime_server(Script(greet=False)) as server:
        yield server


@pytest.fixture
def trusted(tmp_path: Path) -> Authority:
    return authority(tmp_path)


def address(server: RealtimeServer, proxy: str, ca_file: str = "") -> WebSocketAddress:
    url = server.url.replace("127.0.0.1", "vendor.example")
    return WebSocketAddress(url, {"Authorization": "Bearer sk-right"}, ca_file=ca_file, proxy=proxy)


async def test_a_proxy_is_found_by_our_own_resolver_and_finds_the_vendor_itself(
    server: RealtimeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blocked(*_: object, **__: object) -> None:
        raise AssertionError("a name is looked up in the threads that everybody shares")

    class Told(Resolver):
        async def look_up(self, host: str, port: int, *, within_s: float = 0) -> Addresses:
            assert host == "proxy.lan"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async with tunnel() as proxy:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", blocked)
        through = address(server, f"http://proxy.lan:{proxy.port}")
        connection = await WebSocketConnection.open("openai", through, QUICK, resolver=Told())
        await connection.send('{"type": "response.create"}')
        await server.received("response.create")
        await connection.close()
        monkeypatch.undo()
    (asked,) = proxy.asked
    assert asked.startswith("CONNECT vendor.example:")


async def test_a_socket_uses_tls_with_a_proxy_signed_by_the_configured_authority(
    server: RealtimeServer, trusted: Authority
) -> None:
    async with tunnel(trusted.server()) as proxy:
        through = address(server, f"https://127.0.0.1:{proxy.port}", trusted.ca_file)
        connection = await WebSocketConnection.open("openai", through, QUICK)
        await connection.close()
        with pytest.raises(ConnectionFailed) as raised:
            await WebSocketConnection.open("openai", dataclasses.replace(through, ca_file=""), QUICK)
    assert raised.value.code == "tls_untrusted"
    assert len(proxy.asked) == 1


async def test_a_request_uses_tls_with_a_proxy_signed_by_the_configured_authority(
    trusted: Authority,
) -> None:
    async with tunnel(trusted.server()) as proxy:
        through = f"https://127.0.0.1:{proxy.port}"
        async with (
            open_transport(FAR, proxy=through, ca_file=trusted.ca_file) as wire,
            wire.request(lambda access: HttpRequest("GET", access.endpoint), Budget(), kind="x") as answer,
        ):
            assert await answer.json() == {}
        async with open_transport(FAR, proxy=through) as wire:
            with pytest.raises(ConnectionFailed) as raised:
                async with wire.request(
                    lambda access: HttpRequest("GET", access.endpoint), Budget(), kind="x"
                ):
                    pass
    assert raised.value.code == "tls_untrusted"
    assert proxy.asked == [f"GET {FAR} HTTP/1.1"]


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "proxy:3128", "http://proxy:secret"])
async def test_an_unusable_proxy_is_reported_as_a_proxy_error(server: RealtimeServer, proxy: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        await WebSocketConnection.open("openai", address(server, proxy), QUICK)
    assert raised.value.code == "bad_endpoint"
    async with open_transport(FAR, proxy=proxy) as wire:
        with pytest.raises(ConnectionFailed) as raised:
            async with wire.request(lambda access: HttpRequest("GET", access.endpoint), Budget(), kind="x"):
                pass
    assert raised.value.code == "bad_endpoint"
    assert server.requests == []
