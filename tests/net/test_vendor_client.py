"""A client of one vendor, over real sockets: attempts, keys, endpoints, limits, and their reports."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request as Handshake

from tests.fakes import FakeClock, settle
from tests.payloads import problem
from tests.properties import examples
from tests.rig.certificates import authority
from tests.rig.transports import KEY, RecordedTransport, open_transport
from tests.servers.plain_http import Asked, Plain, Play, pieces, plain_http, raw, reply
from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, RateLimited, StreamError
from voxd.events import EventType as E
from voxd.net.endpoint import resource_url, websocket_url
from voxd.net.http import HttpClient
from voxd.net.request_middleware import Next
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse
from voxd.net.vendor_client import add_configured_headers, check_url, compute_headers
from voxd.net.websocket import WebSocketAddress, WebSocketConnection

PATIENCE_S = 10.0
BUSY = reply(status=503)
FINE = reply(b'{"text": "hello"}', content_type="application/json")


@pytest.fixture
async def server() -> AsyncIterator[Plain]:
    async with plain_http(FINE) as server:
        yield server


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def get(path: str = "/v1/models") -> Callable[[Access], HttpRequest]:
    return lambda access: HttpRequest(
        "GET", access.endpoint + path, {"Authorization": f"Bearer {access.key}"}
    )


async def ask(wire: RecordedTransport, budget: Budget | None = None, **how: Any) -> Any:
    """Return the JSON of the answer."""
    async with wire.request(get(), budget or Budget(), kind="models", **how) as answer:
        return await answer.json()


async def until_done(clock: FakeClock, asking: "asyncio.Task[Any]", *, most_s: float = 60.0) -> float:
    """Move time on while a task waits for it, until ``asking`` is done; return how much time that took."""
    began_s = clock.now
    async with asyncio.timeout(PATIENCE_S):
        while not asking.done() and clock.now - began_s < most_s:
            if clock.is_awaited:
                await clock.advance(0.125)
            else:
                await asyncio.wait([asking], timeout=0.005)
    return clock.now - began_s


def codes(wire: RecordedTransport) -> list[str]:
    return [told["code"] for told in wire.data(E.PROVIDER_CALL)]


def bearers(requests: list[Asked]) -> list[str]:
    return [asked.headers["authorization"].removeprefix("Bearer ") for asked in requests]


# --- one attempt ------------------------------------------------------------------------------------


async def test_a_request_is_answered_and_reported(server: Plain) -> None:
    async with open_transport(server.url) as wire:
        assert await ask(wire) == {"text": "hello"}
        (told,) = wire.data(E.PROVIDER_CALL)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert problem(E.PROVIDER_CALL, told) == ""
    assert {name: told[name] for name in ("provider", "stage", "kind", "key", "attempt", "code")} == {
        "provider": "vendor", "stage": "llm", "kind": "models", "key": 1, "attempt": 1, "code": "ok",
    }  # fmt: skip
    assert (told["endpoint"], told["sent_bytes"], told["received_bytes"]) == ("127.0.0.1", 0, 17)
    assert 0 < told["first_byte_ms"] <= told["duration_ms"]


async def test_no_report_contains_the_key_or_the_address_beyond_its_host(server: Plain) -> None:
    server.script(reply(f'{{"error": {{"message": "{KEY}"}}}}'.encode(), status=400))
    async with open_transport(server.url + "/private") as wire:
        with pytest.raises(ProviderError) as raised:
            await ask(wire)
        assert KEY not in str(wire.recorded.events) + str(raised.value)
        assert "private" not in str(wire.recorded.events)


async def test_configured_headers_win_and_their_placeholders_are_filled(server: Plain) -> None:
    counter = itertools.count()
    headers = {"X-Request-ID": "{uuid}", "x-time": "at {unix_s}", "authorization": "Bearer other"}
    async with open_transport(
        server.url,
        headers=headers,
        more_headers=lambda: {"X-Count": str(next(counter))},
        clock=FakeClock(wall=1_800_000_000.9),
    ) as wire:
        await ask(wire)
        await ask(wire)
    first, second = (asked.headers for asked in server.requests)
    assert len(first["x-request-id"]) == 36
    assert first["x-request-id"] != second["x-request-id"]
    assert (first["x-time"], first["authorization"]) == ("at 1800000000", "Bearer other")
    assert (first["x-count"], second["x-count"]) == ("0", "1")


@pytest.mark.parametrize("url", ["http://[secret", "http://127.0.0.1:secret", "http://127.0.0.1:99999"])
async def test_an_endpoint_that_cannot_be_parsed_is_reported_as_invalid(url: str) -> None:
    async with open_transport(url) as wire:
        waits = (
            wire.request(lambda access: HttpRequest("GET", access.endpoint), Budget(), kind="x"),
            wire.request(
                lambda access: HttpRequest("GET", resource_url("x", access.endpoint, "/")), Budget(), kind="x"
            ),
            wire.socket(lambda access: WebSocketAddress(access.endpoint), Budget(), kind="x"),
            wire.stream(lambda access: access.endpoint, Budget(), kind="x"),
        )
        for wait in waits:
            with pytest.raises(ConnectionFailed) as raised:
                async with wait:
                    pass
            assert (raised.value.code, raised.value.retryable) == ("bad_endpoint", False)
            assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://api.vendor.example/v1", "http://93.184.216.34/"])
async def test_no_key_crosses_the_internet_in_clear(url: str) -> None:
    async with open_transport(url) as wire:
        with pytest.raises(ProviderError) as raised:
            await ask(wire)
        with pytest.raises(ProviderError):
            async with wire.socket(
                lambda access: WebSocketAddress("ws://api.vendor.example/"), Budget(), kind="x"
            ):
                pass
    assert (raised.value.code, raised.value.retryable) == ("bad_endpoint", False)


async def test_an_endpoint_the_adapter_cannot_use_is_a_fault_of_the_provider() -> None:
    async with open_transport("nonsense") as wire:
        with pytest.raises(ProviderError) as raised:
            async with wire.socket(
                lambda access: WebSocketAddress(websocket_url(access.endpoint, {})), Budget(), kind="listen"
            ):
                pass
    assert (raised.value.code, raised.value.retryable, raised.value.provider) == (
        "bad_endpoint", False, "vendor",
    )  # fmt: skip


async def test_an_adapter_that_fails_in_the_middle_is_reported_with_its_error(server: Plain) -> None:
    async with open_transport(server.url) as wire:
        with pytest.raises(StreamError):
            async with wire.request(get(), Budget(), kind="models"):
                raise StreamError("odd", code="bad_answer")
        with pytest.raises(asyncio.CancelledError):
            async with wire.request(get(), Budget(), kind="models"):
                raise asyncio.CancelledError
        assert codes(wire) == ["bad_answer", "cancelled"]


async def test_every_report_names_the_vendor_client(server: Plain) -> None:
    async with open_transport(server.url, name="parrot", stage="stt") as wire:
        wire.note("reconnect", kept_ms=300)
    ((type, told),) = wire.recorded.events
    assert told == {"provider": "parrot", "stage": "stt", "kind": "reconnect", "details": {"kept_ms": 300}}
    assert problem(type, told) == ""


# --- several attempts -------------------------------------------------------------------------------


async def test_what_may_pass_is_tried_again_with_waits_that_double(server: Plain, clock: FakeClock) -> None:
    server.script(BUSY, BUSY, FINE)
    async with open_transport(server.url, clock=clock) as wire:
        budget = Budget()
        asking = asyncio.create_task(ask(wire, budget))
        took_s = await until_done(clock, asking)
        assert await asking == {"text": "hello"}
        assert codes(wire) == ["server_error", "server_error", "ok"]
        assert [told["attempt"] for told in wire.data(E.PROVIDER_CALL)] == [1, 2, 3]
        assert budget.retries == 0
        assert 0.75 * 1.5 <= took_s <= 1.5 + 0.25


async def test_after_three_attempts_it_is_over(server: Plain, clock: FakeClock) -> None:
    server.script(BUSY)
    async with open_transport(server.url, clock=clock) as wire:
        asking = asyncio.create_task(ask(wire, Budget(retries=10)))
        await until_done(clock, asking)
        with pytest.raises(ConnectionFailed) as raised:
            await asking
    assert (raised.value.code, raised.value.provider) == ("server_error", "vendor")
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422])
async def test_what_cannot_pass_is_not_tried_again(server: Plain, status: int) -> None:
    server.script(reply(status=status))
    async with open_transport(server.url) as wire:
        with pytest.raises(ProviderError):
            await ask(wire)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("budget", "attempts"),
    [
        (Budget(retries=0), 1),
        (Budget(retries=1), 2),
        (Budget(until_s=1000.2), 1),
        (Budget(until_s=1001.0), 2),
    ],
)
async def test_a_turn_spends_no_more_than_it_has(
    server: Plain, clock: FakeClock, budget: Budget, attempts: int
) -> None:
    server.script(BUSY)
    http = HttpClient()
    # Loaded first: deadlines are real time, and httpx and the certificates may take longer than 0.2 s.
    await http.prepare()
    await http.trust("")
    async with open_transport(server.url, clock=clock, http=http) as wire:
        asking = asyncio.create_task(ask(wire, Budget(budget.until_s, budget.retries)))
        await until_done(clock, asking)
        with pytest.raises(ConnectionFailed):
            await asking
    assert len(server.requests) == attempts
    await http.close()


async def test_a_turn_without_time_sends_no_request(server: Plain, clock: FakeClock) -> None:
    async with open_transport(server.url, clock=clock) as wire:
        with pytest.raises(ConnectionFailed) as raised:
            await ask(wire, Budget(until_s=clock.now))
    assert raised.value.code == "timeout"
    assert server.requests == []


async def test_a_retry_happens_at_the_time_the_vendor_names(server: Plain, clock: FakeClock) -> None:
    """N7: no call before time."""
    server.script(reply(status=429, headers={"Retry-After": "20"}), FINE)
    async with open_transport(server.url, clock=clock) as wire:
        asking = asyncio.create_task(ask(wire))
        await until_done(clock, asking, most_s=19)
        assert len(server.requests) == 1
        await until_done(clock, asking)
        assert await asking == {"text": "hello"}


@pytest.mark.parametrize("after", ["121", "3000", "1e30"])
async def test_a_vendor_that_requests_a_long_wait_is_avoided_for_at_most_an_hour(
    server: Plain, clock: FakeClock, after: str
) -> None:
    server.script(reply(status=429, headers={"Retry-After": after}), FINE)
    async with open_transport(server.url, clock=clock) as wire:
        with pytest.raises(RateLimited) as raised:
            await ask(wire)
        assert raised.value.retry_after_s == min(float(after), 86_400.0)
        rests_s = min(float(after), 3600.0)
        await clock.advance(rests_s - 60)
        with pytest.raises(RateLimited) as raised:
            await ask(wire)
        assert raised.value.retry_after_s == pytest.approx(60)
        assert len(server.requests) == 1, "nobody was asked"
        told = wire.data(E.RATE_LIMITED)[-1]
        assert (told["limit"], told["wait_s"]) == ("vendor", pytest.approx(60))
        assert problem(E.RATE_LIMITED, told) == ""
        await clock.advance(60)
        assert await ask(wire) == {"text": "hello"}


async def test_a_limit_blocks_every_request_and_admits_those_that_can_wait(
    server: Plain, clock: FakeClock
) -> None:
    server.script(reply(status=429, headers={"Retry-After": "20"}), FINE)
    async with open_transport(server.url, clock=clock) as wire:
        with pytest.raises(RateLimited):
            await ask(wire, Budget(retries=0))
        patient = asyncio.create_task(ask(wire, Budget(retries=0)))
        with pytest.raises(RateLimited):
            await ask(wire, Budget(until_s=clock.now + 4.0))
        await settle()
        assert not patient.done()
        assert len(server.requests) == 1
        await until_done(clock, patient)
        assert await patient == {"text": "hello"}


async def test_a_log_in_page_is_not_asked_again(server: Plain) -> None:
    server.script(reply(b"<html>", content_type="text/html"))
    async with open_transport(server.url) as wire:
        with pytest.raises(ConnectionFailed) as raised:
            await ask(wire)
    assert raised.value.code == "captive_portal"
    assert len(server.requests) == 1


async def test_an_answer_that_breaks_off_before_its_first_byte_is_tried_again(
    server: Plain, clock: FakeClock
) -> None:
    broken: Play = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    server.script(broken, FINE)
    async with open_transport(server.url, clock=clock) as wire:
        asking = asyncio.create_task(ask(wire))
        await until_done(clock, asking)
        assert await asking == {"text": "hello"}
        assert codes(wire) == ["truncated", "ok"]


async def test_an_answer_that_breaks_off_after_it_is_not(server: Plain) -> None:
    server.script(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ndata: x\n\n"))
    async with open_transport(server.url) as wire:
        with pytest.raises(StreamError):
            await ask(wire)
        assert codes(wire) == ["truncated"]
    assert len(server.requests) == 1


async def test_a_silent_vendor_is_given_up_when_the_turn_is_over(server: Plain) -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server.script(silent)
    http = HttpClient()
    # Loaded before the turn begins: httpx and the certificates may take longer than this turn.
    await http.prepare()
    await http.trust("")
    async with open_transport(server.url, http=http) as wire:
        until_s = asyncio.get_running_loop().time() + 0.2
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(ConnectionFailed) as raised:
                await ask(wire, Budget(until_s=until_s))
    assert raised.value.code == "timeout"
    assert len(server.requests) == 1
    await http.close()


# --- several keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (reply(status=401), "invalid_api_key"),
        (reply(status=403), "invalid_api_key"),
        (reply(status=429), "rate_limited"),
        (reply(b'{"error": {"code": "insufficient_quota"}}', status=429), "insufficient_quota"),
        (reply(status=402), "insufficient_quota"),
    ],
)
async def test_the_next_key_is_used_at_once_when_one_is_refused(
    server: Plain, clock: FakeClock, refusal: Play, reason: str
) -> None:
    server.script(refusal, FINE)
    async with open_transport(server.url, keys=("key-one-1", "key-two-2"), clock=clock) as wire:
        assert await ask(wire) == {"text": "hello"}, "no time has passed"
        assert await ask(wire) == {"text": "hello"}
        assert wire.data(E.KEY_CHANGED) == [{"provider": "vendor", "from": 1, "to": 2, "reason": reason}]
        assert [told["key"] for told in wire.data(E.PROVIDER_CALL)] == [1, 2, 2]
        assert (wire.key, wire.for_stage("tts").key) == (2, 2)
    assert bearers(server.requests) == ["key-one-1", "key-two-2", "key-two-2"]


async def test_a_key_that_was_refused_is_tried_three_times_an_hour(server: Plain, clock: FakeClock) -> None:
    """N9."""
    server.script(reply(status=401))
    async with open_transport(server.url, clock=clock) as wire:
        for _ in range(59):
            with pytest.raises(AuthenticationError):
                await ask(wire)
            await clock.advance(60)
    assert len(server.requests) == 3


# --- several endpoints ------------------------------------------------------------------------------


async def test_endpoints_take_turns_and_one_that_fails_is_passed_over(clock: FakeClock) -> None:
    async with (
        plain_http(FINE) as one,
        plain_http(FINE) as two,
        open_transport(endpoints=(one.url, two.url), clock=clock) as wire,
    ):
        for _ in range(4):
            await ask(wire)
        assert (len(one.requests), len(two.requests)) == (2, 2)
        one.script(BUSY)
        for _ in range(4):
            assert await ask(wire) == {"text": "hello"}, "the other one answers at once"
        assert (len(one.requests), len(two.requests)) == (3, 6)
        one.script(FINE)
        await clock.advance(30)
        for _ in range(4):
            await ask(wire)
        assert len(one.requests) == 5


async def test_an_endpoint_that_breaks_off_in_the_middle_is_passed_over_next(clock: FakeClock) -> None:
    async with (
        plain_http(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")) as one,
        plain_http() as two,
        open_transport(endpoints=(one.url, two.url), clock=clock) as wire,
    ):
        with pytest.raises(StreamError):
            await ask(wire)
        for _ in range(3):
            await ask(wire)
    assert (len(one.requests), len(two.requests)) == (1, 3)


# --- limits -----------------------------------------------------------------------------------------


async def test_a_request_counts_as_under_way_until_its_answer_was_read(server: Plain) -> None:
    server.script(pieces(b"data: 1\n\n", b"data: 2\n\n"))
    async with open_transport(server.url, max_concurrent=1) as wire:
        async with wire.request(get(), Budget(), kind="chat"):
            second = asyncio.create_task(ask(wire.for_stage("tts")))  # type: ignore[arg-type]
            await settle()
            assert len(server.requests) == 1
            told = wire.data(E.RATE_LIMITED)
            assert [each["limit"] for each in told] == ["concurrent"]
        with pytest.raises(StreamError):
            await asyncio.wait_for(second, PATIENCE_S)
        assert [told["stage"] for told in wire.data(E.PROVIDER_CALL)] == ["llm", "tts"]
    assert len(server.requests) == 2


class NotLast(Budget):
    """The budget of a candidate that another one follows."""

    @property
    def is_last(self) -> bool:
        return False


async def test_a_request_is_not_queued_where_another_candidate_can_answer(server: Plain) -> None:
    async with open_transport(server.url, requests_per_minute=1) as wire:
        await ask(wire)
        await ask(wire)
        with pytest.raises(RateLimited):
            await ask(wire, NotLast(retries=0))
    assert len(server.requests) == 2


async def test_the_time_in_the_queue_is_not_the_turns(server: Plain, clock: FakeClock) -> None:
    server.script(pieces(b"data: 1\n\n"), FINE)
    async with open_transport(server.url, clock=clock, max_concurrent=1) as wire:
        budget = Budget(clock.monotonic() + 4.0, retries=0)
        async with wire.request(get(), Budget(), kind="chat"):
            second = asyncio.create_task(ask(wire, budget))
            await settle()
            await clock.advance(20.0)
            assert budget.queued_s == 20.0
        assert await second == {"text": "hello"}
        await clock.advance(5.0)
        assert budget.until_s == 1024.0


async def test_a_failed_attempt_leaves_its_place_to_the_next(server: Plain) -> None:
    server.script(reply(status=400))
    async with open_transport(server.url, max_concurrent=1) as wire:
        for _ in range(3):
            with pytest.raises(ProviderError):
                await asyncio.wait_for(ask(wire), PATIENCE_S)


# --- middleware -------------------------------------------------------------------------------------


async def test_a_middleware_sees_the_request_and_its_answer(server: Plain) -> None:
    seen: list[object] = []

    async def log(call: HttpRequest, following: Next) -> HttpResponse:
        seen.append(call.headers["x-id"])
        answer = await following(replace(call, headers={**call.headers, "x-id": "8"}))
        seen.append(answer.status)
        return answer

    async with open_transport(server.url, headers={"x-id": "7"}, middleware=(log,)) as wire:
        assert await ask(wire) == {"text": "hello"}
    assert seen == ["7", 200]
    assert server.requests[0].headers["x-id"] == "8"


async def test_a_middleware_that_sends_twice_leaves_nothing_open(server: Plain) -> None:
    async def twice(call: HttpRequest, following: Next) -> HttpResponse:
        await following(call)
        return await following(call)

    async with open_transport(server.url, middleware=(twice,)) as wire:
        assert await ask(wire) == {"text": "hello"}
        assert codes(wire) == ["ok"]
    assert len(server.requests) == 2


async def test_a_middleware_cannot_send_a_key_in_clear(server: Plain) -> None:
    async def mislead(call: HttpRequest, following: Next) -> HttpResponse:
        return await following(replace(call, url="http://elsewhere.example/"))

    async with open_transport(server.url, middleware=(mislead,)) as wire:
        with pytest.raises(ProviderError) as raised:
            await ask(wire)
    assert raised.value.code == "bad_endpoint"


# --- sockets ----------------------------------------------------------------------------------------


async def test_a_socket_is_opened_with_the_key_and_reported_when_it_is_closed() -> None:
    asked: list[Handshake] = []

    async def echo(socket: ServerConnection) -> None:
        assert socket.request is not None
        asked.append(socket.request)
        async for message in socket:
            await socket.send(message)

    def build(access: Access) -> WebSocketAddress:
        return WebSocketAddress(access.endpoint, {"Authorization": f"Token {access.key}"}, key=access.key)

    async with serve(echo, "127.0.0.1", 0, subprotocols=["usp"]) as server:  # type: ignore[list-item]
        port = server.sockets[0].getsockname()[1]
        async with open_transport(f"ws://127.0.0.1:{port}", headers={"x-id": "7"}) as wire:
            async with wire.socket(build, Budget(), kind="listen", subprotocols=("usp",)) as connection:
                await connection.send(b"\0\1")
                assert await connection.receive() == b"\0\1"
                await connection.send("text")
                assert await connection.receive() == "text"
                assert wire.data(E.PROVIDER_CALL) == []
            (told,) = wire.data(E.PROVIDER_CALL)
    assert (told["kind"], told["code"], told["sent_bytes"], told["received_bytes"]) == ("listen", "ok", 6, 6)
    assert asked[0].headers["Authorization"] == f"Token {KEY}"
    assert asked[0].headers["x-id"] == "7"
    assert asked[0].headers["Sec-WebSocket-Protocol"] == "usp"


async def test_a_socket_that_is_refused_is_opened_with_the_next_key(server: Plain) -> None:
    server.script(reply(status=401))

    def refused(provider: str, status: int, headers: object, body: bytes) -> ProviderError:
        return AuthenticationError("theirs", provider=provider)

    def build(access: Access) -> WebSocketAddress:
        return WebSocketAddress(
            access.endpoint.replace("http", "ws"), {"Authorization": f"Bearer {access.key}"}
        )

    async with open_transport(server.url, keys=("key-one-1", "key-two-2")) as wire:
        with pytest.raises(AuthenticationError, match="theirs"):
            async with wire.socket(build, Budget(), kind="listen", read_refusal=refused):
                pass
    assert bearers(server.requests) == ["key-one-1", "key-two-2"]


async def test_a_fault_on_an_open_socket_counts_against_its_key() -> None:
    async def accept(socket: ServerConnection) -> None:
        await socket.wait_closed()

    keys: list[str] = []

    def build(access: Access) -> WebSocketAddress:
        keys.append(access.key)
        return WebSocketAddress(access.endpoint)

    async def talk(connection: WebSocketConnection) -> None:
        raise RateLimited("slow down", retry_after_s=5.0)

    async with serve(accept, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with open_transport(url, keys=("key-one-1", "key-two-2")) as wire:
            for _ in range(2):
                with pytest.raises(RateLimited):
                    async with wire.socket(build, Budget(), kind="listen") as connection:
                        await talk(connection)
            assert codes(wire) == ["rate_limited", "rate_limited"]
    assert keys == ["key-one-1", "key-two-2"]


async def test_sockets_and_requests_trust_the_configured_authority_alike(tmp_path: Path) -> None:
    trusted = authority(tmp_path)

    async def accept(socket: ServerConnection) -> None:
        await socket.send("hello")

    def build(access: Access) -> WebSocketAddress:
        return WebSocketAddress(access.endpoint)

    async with serve(accept, "127.0.0.1", 0, ssl=trusted.server()) as server:
        url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with open_transport(url, ca_file=trusted.ca_file) as wire:
            for _ in range(2):
                async with wire.socket(build, Budget(), kind="listen") as connection:
                    assert await connection.receive() == "hello"
        for ca_file, code in (("", "tls_untrusted"), ("/nonexistent.pem", "network_error")):
            async with open_transport(url, ca_file=ca_file) as wire:
                with pytest.raises(ConnectionFailed) as raised:
                    async with wire.socket(build, Budget(retries=0), kind="listen"):
                        pass
                assert raised.value.code == code


@pytest.mark.parametrize(
    ("headers", "configured", "expected"),
    [
        ({"A": "1"}, {}, {"A": "1"}),
        ({"A": "1"}, {"B": "2"}, {"A": "1", "B": "2"}),
        (
            {"Authorization": "theirs", "A": "1"},
            {"authorization": "ours"},
            {"A": "1", "authorization": "ours"},
        ),
        ({}, {"T": "{unix_s}!"}, {"T": "1800000000!"}),
        ({"T": "{unix_s}"}, {}, {"T": "{unix_s}"}),
        ({}, {"T": "{other}"}, {"T": "{other}"}),
    ],
)
def test_configured_headers_win(
    headers: dict[str, str], configured: dict[str, str], expected: dict[str, str]
) -> None:
    assert add_configured_headers(headers, configured, wall_s=1_800_000_000.9) == expected


def test_every_request_has_an_id_of_its_own() -> None:
    first, second = (
        add_configured_headers({}, {"X-Request-ID": "{uuid}"}, wall_s=0)["X-Request-ID"] for _ in range(2)
    )
    assert len(first) == len(second) == 36
    assert first != second


NAMES = st.sampled_from(["a", "A", "b", "B", "c"])


@examples(50)
@given(st.dictionaries(NAMES, st.just("theirs")), st.dictionaries(NAMES, st.just("ours")))
def test_no_header_is_sent_in_two_spellings_of_which_one_is_configured(
    headers: dict[str, str], configured: dict[str, str]
) -> None:
    found = add_configured_headers(headers, configured, wall_s=0)
    for name in configured:
        assert {value for key, value in found.items() if key.lower() == name.lower()} == {"ours"}


@pytest.mark.parametrize(
    "url",
    [
        "https://api.vendor.example/v1",
        "wss://api.vendor.example/v1",
        "http://127.0.0.1:8080/v1",
        "http://[::1]:8080/",
        "http://localhost/",
        "ws://homeassistant.local:8123/",
        "tcp://192.168.1.7:10300",
        "http://nas/",
    ],
)
def test_what_is_encrypted_or_near_is_allowed(url: str) -> None:
    assert check_url("parrot", url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.vendor.example/v1?key=secret-key",
        "ws://api.vendor.example/",
        "tcp://8.8.8.8:10300",
        "http://[2001:4860:4860::8888]/",
        "http://[secret-key",
        "https://api.vendor.example:secret-key/",
        "https://api.vendor.example:99999/secret-key",
    ],
)
def test_a_key_in_clear_to_somewhere_far_is_a_mistake_and_is_not_repeated(url: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        check_url("parrot", url)
    assert (raised.value.code, raised.value.retryable) == ("bad_endpoint", False)
    assert "secret-key" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://api.vendor.example/", "https://"),
        ("ws://api.vendor.example/", "wss://"),
        ("tcp://8.8.8.8:10300", "outside this network"),
    ],
)
def test_what_is_to_be_written_instead_is_said(url: str, said: str) -> None:
    with pytest.raises(ConnectionFailed, match=said):
        check_url("parrot", url)


def test_headers_that_are_computed_are_those_that_are_sent() -> None:
    assert compute_headers("parrot", lambda: {"X-Trace": "1"}) == {"X-Trace": "1"}


def test_a_function_for_headers_that_fails_is_a_fault_of_the_provider() -> None:
    def broken() -> dict[str, str]:
        raise KeyError("secret-key")

    with pytest.raises(ProviderError) as raised:
        compute_headers("parrot", broken)
    assert (raised.value.code, raised.value.retryable) == ("headers_failed", False)
    assert "secret-key" not in str(raised.value)


@pytest.mark.parametrize(("left_s", "expected_s"), [(None, 5.0), (100.0, 5.0), (1.0, 1.0), (-1.0, 0.0)])
async def test_no_wait_is_longer_than_the_time_left_in_the_turn(
    clock: FakeClock, left_s: float | None, expected_s: float
) -> None:
    async with open_transport("http://127.0.0.1", clock=clock) as wire:
        budget = Budget(None if left_s is None else clock.monotonic() + left_s)
        assert wire.remaining_s(budget, 5.0) == pytest.approx(expected_s)
