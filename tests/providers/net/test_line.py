"""A line to one vendor, over real sockets."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.rig.wires import KEY, line
from tests.servers.plain_http import Plain, plain_http, reply
from voxd.errors import ConnectionFailed
from voxd.events import EventType as E
from voxd.providers.net.wire import Access, Budget, Call


@pytest.fixture
async def server() -> AsyncIterator[Plain]:
    async with plain_http() as server:
        yield server


def get(path: str = "/v1/models") -> Callable[[Access], Call]:
    return lambda access: Call(
        "GET", f"{access.endpoint}{path}", headers={"Authorization": f"Bearer {access.key}"}
    )


async def test_a_request_is_answered_and_told_of(server: Plain) -> None:
    server.script(reply(b'{"text": "hello"}', content_type="application/json"))
    async with line(server.url) as wire:
        async with wire.request(get(), Budget(), kind="models") as answer:
            assert await answer.json() == {"text": "hello"}
        (told,) = wire.data(E.PROVIDER_CALL)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert told["code"] == "ok"
    assert (told["endpoint"], told["attempt"], told["received_bytes"]) == ("127.0.0.1", 1, 17)


async def test_what_may_pass_is_tried_again(server: Plain) -> None:
    server.script(reply(b"", status=503), reply(b"[]"))
    async with line(server.url) as wire:
        async with wire.request(get(), Budget(), kind="models") as answer:
            assert await answer.json() == []
        assert [told["code"] for told in wire.data(E.PROVIDER_CALL)] == ["server_error", "ok"]


async def test_a_closed_port_is_a_network_error() -> None:
    async with line("http://127.0.0.1:9") as wire:
        with pytest.raises(ConnectionFailed) as raised:
            async with wire.request(get(), Budget(retries=0), kind="models"):
                pass
        assert raised.value.code == "network_error"
        assert raised.value.provider == "vendor"
