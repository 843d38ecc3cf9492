"""A line through a bad network: every request ends in its answer or in an error of ours, in time.

The names N1 to N15 are the rows of reference/reliability.md, section 4.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tests.rig.faultproxy import FaultProxy, fault_proxy
from tests.rig.transports import RecordedTransport, open_transport
from tests.servers.plain_http import Plain, pieces, plain_http, reply
from voxd.errors import ProviderError
from voxd.events import EventType as E
from voxd.net.transport import Access, Budget, HttpRequest

PATIENCE_S = 20.0
BODY = b'{"text": "' + b"hello " * 200 + b'"}'


@asynccontextmanager
async def behind_faults(**settings: Any) -> AsyncIterator[tuple[FaultProxy, RecordedTransport, Plain]]:
    """Yield a proxy, a client through it, and the server behind it, which answers the same each time."""
    async with (
        plain_http(reply(BODY, content_type="application/json")) as server,
        fault_proxy("127.0.0.1", server.port) as proxy,
        open_transport(f"http://127.0.0.1:{proxy.port}", **settings) as wire,
    ):
        yield proxy, wire, server


def post(access: Access) -> HttpRequest:
    return HttpRequest("POST", access.endpoint + "/v1/chat", json={"words": "x" * 2000})


async def ask(wire: RecordedTransport, budget: Budget | None = None, *, first_byte_s: float = 0.5) -> Any:
    async with (
        asyncio.timeout(PATIENCE_S),
        wire.request(
            post, budget or Budget(retries=0), kind="chat", first_byte_s=first_byte_s, whole_s=2.0
        ) as answer,
    ):
        return await answer.json()


@pytest.mark.parametrize(
    ("faults", "codes"),
    [
        ({"refuse": True}, {"network_error"}),
        ({"blackhole": True}, {"timeout"}),
        ({"latency_ms": 2000}, {"timeout"}),
        ({"rate_bytes_s": 100}, {"timeout"}),
        ({"direction": "down", "reset_after": 20, "slice_bytes": 10}, {"network_error", "truncated"}),
        ({"direction": "down", "reset_after": 500, "slice_bytes": 100}, {"network_error", "truncated"}),
        ({"direction": "down", "close_after": 20, "slice_bytes": 10}, {"network_error", "bad_answer"}),
        ({"direction": "down", "close_after": 500, "slice_bytes": 100}, {"truncated"}),
        ({"direction": "down", "garble_at": 0}, {"bad_answer", "network_error", "timeout"}),
    ],
)
async def test_a_fault_is_reported_and_the_next_request_is_answered(
    faults: dict[str, Any], codes: set[str]
) -> None:
    """N1, N2, N3, N5, N12."""
    async with behind_faults() as (proxy, wire, _):
        proxy.set(**faults)
        with pytest.raises(ProviderError) as raised:
            await ask(wire)
        assert raised.value.code in codes
        assert raised.value.provider == "vendor"
        proxy.set()
        assert await ask(wire, first_byte_s=5.0)
        assert [told["code"] for told in wire.data(E.PROVIDER_CALL)] == [raised.value.code, "ok"]


@pytest.mark.parametrize(
    "faults", [{"slice_bytes": 1}, {"latency_ms": 20, "jitter_ms": 30}, {"rate_bytes_s": 50_000}]
)
async def test_a_slow_network_is_not_a_fault(faults: dict[str, Any]) -> None:
    """N5."""
    async with behind_faults() as (proxy, wire, _):
        proxy.set(**faults)
        assert (await ask(wire, first_byte_s=5.0))["text"].startswith("hello")


async def test_a_connection_that_was_kept_and_broke_costs_one_retry() -> None:
    """N1: between two turns."""
    async with behind_faults() as (proxy, wire, _):
        await ask(wire, first_byte_s=5.0)
        proxy.reset_all()
        assert await ask(wire, Budget(), first_byte_s=5.0)
        assert [told["code"] for told in wire.data(E.PROVIDER_CALL)][-1] == "ok"


async def test_flipped_bits_end_in_an_answer_or_in_an_error_of_ours() -> None:
    """N12: whatever is read, nothing but `ProviderError` comes out."""
    async with behind_faults(requests_per_minute=1000) as (proxy, wire, _):
        proxy.set(direction="down", flip_probability=0.002)
        for _ in range(30):
            with suppress(ProviderError):
                await ask(wire)
        assert len(wire.data(E.PROVIDER_CALL)) == 30


async def test_a_stream_that_stalls_half_way_ends_when_all_of_it_was_due() -> None:
    """N2, in the middle of an answer."""
    async with behind_faults() as (proxy, wire, server):
        server.script(pieces(b"data: 1\n\n", end=False))
        heard: list[str] = []

        async def listen() -> None:
            async with wire.request(
                lambda access: HttpRequest("GET", access.endpoint), Budget(), kind="chat", whole_s=0.5
            ) as answer:
                async for _, data in answer.events():
                    heard.append(data)
                    proxy.set(blackhole=True)

        with pytest.raises(ProviderError) as raised:
            await asyncio.wait_for(listen(), PATIENCE_S)
    assert (heard, raised.value.code) == (["1"], "timeout")


async def test_flaps_lose_nothing_that_is_asked_again() -> None:
    """N15: after each fault the next request is answered, over and over, and nothing is left open."""
    async with behind_faults(requests_per_minute=10_000) as (proxy, wire, server):
        for faults in (
            {"refuse": True},
            {"direction": "down", "reset_after": 50, "slice_bytes": 10},
            {},
        ) * 10:
            proxy.set(**faults)
            proxy.reset_all()
            if faults:
                with pytest.raises(ProviderError):
                    await ask(wire)
            else:
                assert await ask(wire, first_byte_s=5.0)
        assert [told["code"] for told in wire.data(E.PROVIDER_CALL)].count("ok") == 10
    assert len(server.requests) >= 10
