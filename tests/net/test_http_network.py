"""Connections opened ahead of a request: used once, never in the way, closed when unused."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes import settle
from tests.rig.certificates import Authority, authority
from tests.rig.transports import open_transport
from tests.servers.plain_http import Plain, plain_http, reply
from voxd.errors import AuthenticationError
from voxd.net.body import HttpRoute
from voxd.net.dns import Addresses, Resolver
from voxd.net.http import HttpClient, RequestTerms
from voxd.net.http_client import HttpPools
from voxd.net.sockets import load_tls_context
from voxd.net.transport import Access, Budget, HttpRequest

PATIENCE_S = 10.0
ROUTE = HttpRoute()


@pytest.fixture
async def server() -> AsyncIterator[Plain]:
    async with plain_http() as server:
        yield server


@pytest.fixture
def trust(tmp_path: Path) -> Authority:
    return authority(tmp_path)


class Watched:
    """Counts the connections that are open to a server; `until` waits for a change."""

    def __init__(self) -> None:
        self.opened = self.requests = 0
        self.open_now: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.open_now.add(writer)
        await self._tell()
        while await reader.read(65536):
            self.requests += 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        self.open_now.discard(writer)
        writer.close()
        await self._tell()

    async def until(self, *, opened: int, left: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: (self.opened, len(self.open_now)) == (opened, left))

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@pytest.fixture
async def watched() -> AsyncIterator[tuple[Watched, str]]:
    watched = Watched()
    listener = await asyncio.start_server(watched.serve, "127.0.0.1", 0)
    async with listener:
        yield watched, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        for writer in watched.open_now:
            writer.transport.abort()


async def ask(http: HttpClient, url: str, ca_file: str = "") -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        answer = await http.send(HttpRequest("GET", url), RequestTerms("vendor", ca_file=ca_file))
        try:
            return await answer.read()
        finally:
            await answer.close()


async def until_connected(server: Plain) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not server.connections:
            await asyncio.sleep(0)


async def client(*, keep_s: float = 45.0, ca_file: str = "") -> HttpPools:
    made = HttpPools(Resolver(), keep_s=keep_s)
    made.add_route(ROUTE, await load_tls_context(ca_file))
    return made


async def test_the_first_request_uses_what_was_opened_ahead(watched: tuple[Watched, str]) -> None:
    seen, url = watched
    http = HttpClient()
    http.connect_ahead("vendor", "llm", url, ROUTE)
    await seen.until(opened=1, left=1)
    assert seen.requests == 0, "nothing is sent"
    assert await ask(http, url) == b"{}"
    assert (seen.opened, seen.requests) == (1, 1)
    await http.close()


async def test_a_request_waits_for_a_connection_under_way_instead_of_opening_another(
    watched: tuple[Watched, str],
) -> None:
    seen, url = watched
    made = await client()
    made.prepare(url, ROUTE)
    head, _ = await made.send("vendor", HttpRequest("GET", url), ROUTE)
    assert head.status == 200
    assert seen.opened == 1
    await head.close()
    await made.close()


async def test_no_second_connection_is_opened_beside_a_free_one(watched: tuple[Watched, str]) -> None:
    seen, url = watched
    made = await client()
    for _ in range(3):
        made.prepare(url, ROUTE)
    await seen.until(opened=1, left=1)
    head, _ = await made.send("vendor", HttpRequest("GET", url), ROUTE)
    async for _ in head.pieces:
        pass
    await head.close()
    made.prepare(url, ROUTE)
    await settle()
    assert seen.opened == 1
    await made.close()


async def test_two_stages_of_one_vendor_get_a_connection_each(watched: tuple[Watched, str]) -> None:
    seen, url = watched
    made = await client()
    for whose in ("vendor llm", "vendor tts", "vendor llm", "vendor tts"):
        made.prepare(url, ROUTE, whose)
    await seen.until(opened=2, left=2)
    heads = [(await made.send("vendor", HttpRequest("GET", url), ROUTE))[0] for _ in range(2)]
    assert seen.opened == 2
    for head in heads:
        await head.close()
    await made.close()


async def test_tls_is_done_ahead_and_checked_like_any_other(trust: Authority) -> None:
    async with plain_http(tls=trust.server()) as server:
        http = HttpClient()
        http.connect_ahead("vendor", "llm", server.url, HttpRoute(trust.ca_file))
        await until_connected(server)
        assert await ask(http, server.url, trust.ca_file) == b"{}"
        assert server.connections == 1
        await http.close()


async def test_an_untrusted_certificate_gives_no_connection_and_the_request_reports_the_reason(
    trust: Authority,
) -> None:
    async with plain_http(tls=trust.server("elsewhere.example")) as server:
        http = HttpClient()
        http.connect_ahead("vendor", "llm", server.url, HttpRoute(trust.ca_file))
        with pytest.raises(Exception, match="certificate"):
            await ask(http, server.url, trust.ca_file)
        assert server.requests == []
        await http.close()


async def test_one_that_the_other_side_has_closed_is_not_used(watched: tuple[Watched, str]) -> None:
    seen, url = watched
    made = await client()
    made.prepare(url, ROUTE)
    await seen.until(opened=1, left=1)
    (writer,) = seen.open_now
    writer.transport.abort()
    await seen.until(opened=1, left=0)
    head, _ = await made.send("vendor", HttpRequest("GET", url), ROUTE)
    assert (head.status, seen.opened) == (200, 2)
    await head.close()
    await made.close()


async def test_a_request_cancelled_meanwhile_cancels_the_connection_too() -> None:
    class Stuck(Resolver):
        given_up = asked = 0

        async def look_up(self, host: str, port: int, *, within_s: float = 0) -> Addresses:
            self.asked += 1
            try:
                return await asyncio.Future()
            finally:
                self.given_up += 1

    resolver = Stuck()
    made = HttpPools(resolver)
    made.add_route(ROUTE, await load_tls_context(""))
    made.prepare("http://vendor.example", ROUTE)
    asking = asyncio.create_task(made.send("vendor", HttpRequest("GET", "http://vendor.example"), ROUTE))
    await settle()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert (resolver.asked, resolver.given_up) == (1, 1)
    await made.close()


async def test_an_unused_connection_is_closed_after_a_while(watched: tuple[Watched, str]) -> None:
    """An idle device holds no connection: neither one opened ahead, nor one that was used."""
    seen, url = watched
    made = await client(keep_s=0.4)
    made.prepare(url, ROUTE)
    await seen.until(opened=1, left=1)
    await seen.until(opened=1, left=0)
    head, _ = await made.send("vendor", HttpRequest("GET", url), ROUTE)
    async for _ in head.pieces:
        pass
    await head.close()
    await seen.until(opened=2, left=0)
    await made.close()


@pytest.mark.parametrize("url", ["no url", "ftp://x", "https://", "http://[::1", "http://bücher.invalid:1"])
async def test_an_unreachable_url_raises_nothing_ahead_of_the_request(url: str) -> None:
    http = HttpClient()
    http.connect_ahead("vendor", "llm", url, ROUTE)
    http.connect_ahead("vendor", "llm", "http://127.0.0.1:1", HttpRoute("/nonexistent.pem"))
    http.connect_ahead("vendor", "llm", "http://127.0.0.1:1", HttpRoute(proxy="socks5://x"))
    await http.prepare()
    await settle()
    await http.close()


async def test_a_closed_port_fails_only_the_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = await client()
    made.prepare(f"http://127.0.0.1:{port}", ROUTE)
    with pytest.raises(Exception, match="Connection refused"):
        await made.send("vendor", HttpRequest("GET", f"http://127.0.0.1:{port}"), ROUTE)
    await made.close()


# --- the vendor client ------------------------------------------------------------------------------------


async def test_a_client_connects_to_where_the_request_would_go(server: Plain) -> None:
    http = HttpClient()
    async with open_transport(server.url, http=http) as wire:
        wire.prepare(lambda access: HttpRequest("GET", f"{access.endpoint}/v1", {"key": access.key}))
        await until_connected(server)
        async with wire.request(
            lambda access: HttpRequest("GET", f"{access.endpoint}/v1"), Budget(), kind="models"
        ) as answer:
            await answer.read()
        assert server.connections == 1
        assert [told["attempt"] for told in wire.data("provider.call")] == [1], "preparing is not a call"
    await http.close()


async def test_a_client_without_a_usable_key_connects_to_nothing(server: Plain) -> None:
    server.script(reply(status=401))

    def build(access: Access) -> HttpRequest:
        built.append(access.endpoint)
        return HttpRequest("GET", f"{access.endpoint}/v1")

    async with open_transport(server.url) as wire:
        built: list[str] = []
        with pytest.raises(AuthenticationError):
            async with wire.request(build, Budget(), kind="models"):
                pass
        wire.prepare(build)
        assert len(built) == 1


async def test_a_client_never_connects_in_clear_outside_the_network() -> None:
    http = HttpClient()
    async with open_transport("http://api.example.com", http=http) as wire:
        wire.prepare(lambda access: HttpRequest("GET", access.endpoint))
    assert len(http._tasks) == 0
    await http.close()
