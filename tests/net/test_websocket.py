"""One socket to a vendor: every fault of a real socket ends in an error or an ending, in time."""

import asyncio
import contextlib
import dataclasses
import logging
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from websockets.asyncio.server import serve

from tests.servers.openai_realtime import KEY, RealtimeServer, Refusal, Script, realtime_server
from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, RateLimited
from voxd.net import websocket as connection
from voxd.net.websocket import Deadlines, WebSocketAddress, WebSocketConnection

QUICK = Deadlines(open_s=0.3, answer_s=0.3, send_s=0.2, active_s=0.1, idle_s=0.2, close_s=0.1)
PATIENCE_S = 5.0


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    async with realtime_server(Script(greet=False)) as server:
        yield server


@contextlib.asynccontextmanager
async def opened(url: str, deadlines: Deadlines = QUICK) -> AsyncIterator[WebSocketConnection]:
    found = await WebSocketConnection.open("openai", address(url), deadlines)
    try:
        yield found
    finally:
        await found.close()


def address(url: str) -> WebSocketAddress:
    return WebSocketAddress(url, {"Authorization": f"Bearer {KEY}"})


async def end_of(connection: WebSocketConnection) -> str:
    """Receive until the connection is over and return why."""
    async with asyncio.timeout(PATIENCE_S):
        while await connection.receive() is not None:
            pass
    assert connection.ending is not None
    return connection.ending.code


@contextlib.asynccontextmanager
async def raw_server(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_frames_go_both_ways(server: RealtimeServer) -> None:
    async with opened(server.url) as connection:
        await connection.send('{"type": "response.create"}')
        await server.received("response.create")
        message = await connection.receive()
        assert "response.created" in str(message)
        assert connection.ending is None


async def test_a_closed_port_is_a_network_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionFailed) as raised:
            await WebSocketConnection.open(
                "openai", address(f"ws://127.0.0.1:{unused.getsockname()[1]}"), QUICK
            )
    assert raised.value.code == "network_error"


@pytest.mark.parametrize(
    ("refusal", "kind", "code"),
    [
        (
            Refusal(401, {"error": {"code": "invalid_api_key", "message": "wrong"}}),
            AuthenticationError,
            "invalid_api_key",
        ),
        (Refusal(429, "", {"Retry-After": "7"}), RateLimited, "rate_limited"),
        (Refusal(302, "", {"Location": "http://127.0.0.1:1/login"}), ConnectionFailed, "captive_portal"),
        (Refusal(500, "oops"), ConnectionFailed, "server_error"),
        (Refusal(200, "<html>"), ConnectionFailed, "captive_portal"),
    ],
)
async def test_a_refusal_carries_its_reason(
    server: RealtimeServer, refusal: Refusal, kind: type, code: str
) -> None:
    server.script.refusal = refusal
    with pytest.raises(kind) as raised:
        await WebSocketConnection.open("openai", address(server.url), QUICK)
    assert raised.value.code == code
    assert raised.value.retry_after_s == (7.0 if code == "rate_limited" else None)


async def test_a_key_in_a_header_of_its_own_follows_no_redirect(server: RealtimeServer) -> None:
    async with realtime_server() as stranger:
        server.script.refusal = Refusal(307, "", {"Location": stranger.url})
        with pytest.raises(ConnectionFailed):
            await WebSocketConnection.open("openai", WebSocketAddress(server.url, {"api-key": KEY}), QUICK)
        assert stranger.requests == []


async def test_a_host_that_accepts_and_sends_nothing_times_out() -> None:
    done = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    async with raw_server(silent) as host:
        with pytest.raises(ConnectionFailed) as raised:
            await WebSocketConnection.open("openai", address(f"ws://{host}"), QUICK)
        done.set()
    assert raised.value.code == "timeout"


@pytest.mark.parametrize(
    ("answer", "code"), [(b"", "network_error"), (b"220 mail.example ESMTP\r\n\r\n", "not_a_websocket")]
)
async def test_a_host_without_websocket_support_is_distinguished_from_one_that_disconnects(
    answer: bytes, code: str
) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with raw_server(odd) as host:
        with pytest.raises(ConnectionFailed) as raised:
            await WebSocketConnection.open("openai", address(f"ws://{host}"), QUICK)
    assert raised.value.code == code


async def test_a_name_that_is_not_found_is_a_distinct_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lost)
    with pytest.raises(ConnectionFailed) as raised:
        await WebSocketConnection.open("openai", address("ws://nowhere.invalid/v1"), QUICK)
    assert raised.value.code == "dns_failed"


async def test_an_unreachable_name_server_delays_no_other_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait() and [])
    deadlines = dataclasses.replace(QUICK, name_s=0.05)
    attempts = [
        WebSocketConnection.open("openai", address("ws://slow.invalid/v1"), deadlines) for _ in range(16)
    ]
    async with asyncio.timeout(PATIENCE_S):
        problems = await asyncio.gather(*attempts, return_exceptions=True)
        assert await asyncio.to_thread(lambda: "the pool is free") == "the pool is free"
    assert {error.code for error in problems if isinstance(error, ConnectionFailed)} == {"dns_failed"}
    assert len(problems) == 16
    released.set()


async def test_the_next_address_is_tried_when_one_does_not_answer(
    server: RealtimeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = [("127.0.0.1", port) for port in (1, server.port)]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", each) for each in where]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    async with opened(server.url.replace("127.0.0.1", "vendor.invalid")) as connection:
        assert connection.ending is None
    assert server.requests[0].headers["Host"].startswith("vendor.invalid")


@pytest.mark.parametrize("url", ["http://x", "ws://", "ws://" + "a" * 70 + ".org", "nonsense"])
async def test_an_endpoint_that_is_none_is_a_mistake_and_its_text_is_not_repeated(url: str) -> None:
    with pytest.raises(ProviderError) as raised:
        await WebSocketConnection.open("openai", address(f"{url}?key=secret"), QUICK)
    assert raised.value.code in {"bad_endpoint", "dns_failed"}
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("close_code", "reason", "code"),
    [
        (1001, "Your session hit the maximum duration of 60 minutes.", "session_expired"),
        (4000, "beta_api_shape_disabled", "beta_api_shape_disabled"),
        (3000, "invalid_request_error.invalid_api_key", "invalid_api_key"),
        (1000, "", "closed_by_vendor"),
        (1011, "", "server_error"),
    ],
)
async def test_a_close_carries_its_reason(
    server: RealtimeServer, close_code: int, reason: str, code: str
) -> None:
    async with opened(server.url) as connection:
        await server.until(lambda: bool(server.connections))
        closing = asyncio.create_task(server.peer.close(close_code, reason))
        assert await end_of(connection) == code
        await closing
        with pytest.raises(ProviderError) as raised:
            await connection.send("{}")
        assert raised.value.code == code


async def test_a_reset_is_a_network_error(server: RealtimeServer) -> None:
    async with opened(server.url) as connection:
        await server.until(lambda: bool(server.connections))
        server.peer.break_off()
        assert await end_of(connection) == "network_error"


@pytest.mark.parametrize("active", [True, False])
async def test_a_half_open_link_is_noticed(server: RealtimeServer, active: bool) -> None:
    async with opened(server.url) as connection:
        connection.active = active
        await server.until(lambda: bool(server.connections))
        server.peer.freeze()
        assert await end_of(connection) == "half_open"


async def test_one_byte_at_a_time_does_not_prove_a_live_connection(server: RealtimeServer) -> None:
    async with opened(server.url) as connection:
        connection.active = True
        await server.until(lambda: bool(server.connections))
        server.peer.drip(0.01)
        assert await end_of(connection) == "half_open"


def test_a_dead_link_is_noticed_within_3_s_of_a_turn_and_10_s_of_idling() -> None:
    assert (Deadlines().active_s, Deadlines().idle_s) == (3.0, 10.0)


async def test_a_vendor_that_only_answers_pings_is_connected(server: RealtimeServer) -> None:
    async with opened(server.url) as connection:
        connection.active = True
        receiving = asyncio.create_task(connection.receive())
        await asyncio.wait([receiving], timeout=3 * QUICK.active_s)
        assert not receiving.done()
        receiving.cancel()


async def test_a_turn_that_begins_after_idling_has_its_full_deadline(server: RealtimeServer) -> None:
    deadlines = Deadlines(active_s=0.2, idle_s=3.0, close_s=0.1)
    async with opened(server.url, deadlines) as connection:
        receiving = asyncio.create_task(connection.receive())
        await asyncio.wait([receiving], timeout=0.3)
        connection.active = True
        await asyncio.wait([receiving], timeout=0.1)
        assert not receiving.done(), "the idle time before must not count"
        receiving.cancel()


async def test_a_suspended_process_does_not_report_a_vendor_fault(server: RealtimeServer) -> None:
    async with opened(server.url) as connection:
        connection.active = True
        receiving = asyncio.create_task(connection.receive())
        loop = asyncio.get_running_loop()
        end_s = loop.time() + 3 * QUICK.active_s
        while loop.time() < end_s:
            pass
        await asyncio.wait([receiving], timeout=QUICK.active_s / 2)
        assert not receiving.done()
        receiving.cancel()


async def test_a_vendor_that_reads_no_more_data_is_disconnected(server: RealtimeServer) -> None:
    deadlines = Deadlines(send_s=0.2, idle_s=30.0, close_s=0.1)
    async with opened(server.url, deadlines) as connection:
        await server.until(lambda: bool(server.connections))
        server.peer.freeze()
        with pytest.raises(ConnectionFailed) as raised:
            await send_for_ever(connection)
        assert raised.value.code == "send_stalled"
        assert await end_of(connection) == "send_stalled"


async def test_a_frame_that_is_too_long_ends_the_connection_and_not_the_memory(
    server: RealtimeServer,
) -> None:
    deadlines = Deadlines(idle_s=30.0, close_s=0.1)
    async with opened(server.url, deadlines) as connection:
        await server.until(lambda: bool(server.connections))
        sending = asyncio.create_task(server.peer.socket.send("x" * (connection_limit() + 1)))
        assert await end_of(connection) == "frame_too_big"
        await asyncio.gather(sending, return_exceptions=True)


async def send_for_ever(connection: WebSocketConnection) -> None:
    while True:
        await connection.send("x" * 100_000)


def connection_limit() -> int:
    return connection.MAX_FRAME_BYTES


async def test_closing_does_not_wait_for_a_vendor_that_does_not_answer(server: RealtimeServer) -> None:
    connection = await WebSocketConnection.open("openai", address(server.url), QUICK)
    await server.until(lambda: bool(server.connections))
    server.peer.freeze()
    async with asyncio.timeout(PATIENCE_S):
        await connection.close()
        await connection.close()
        assert await connection.receive() is None


async def test_nothing_of_the_wire_is_logged(
    server: RealtimeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened(server.url) as connection:
        await connection.send('{"type": "response.create", "words": "what was said"}')
        await server.received("response.create")
        await connection.receive()
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("voxd")]
    assert not [text for text in ours if KEY in text or "what was said" in text]


async def test_proxies_of_the_environment_are_ignored(
    server: RealtimeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "socks_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    async with opened(server.url) as connection:
        assert connection.ending is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2")
    command = ("openssl", "req", "-x509", *curve, "-keyout", key, "-out", cert, *name)
    subprocess.run(command, check=True, capture_output=True)
    return key, cert


@pytest.fixture
async def tls_port(certificate: tuple[Path, Path]) -> AsyncIterator[int]:
    key, cert = certificate
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(cert, key)
    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0, ssl=trust) as server:
        yield server.sockets[0].getsockname()[1]


async def test_an_untrusted_certificate_is_distinguished_from_a_wrong_key(tls_port: int) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        await WebSocketConnection.open("openai", address(f"wss://localhost:{tls_port}"), Deadlines())
    assert raised.value.code == "tls_untrusted"


async def test_a_certificate_that_was_configured_is_trusted_for_its_own_name_only(
    tls_port: int, certificate: tuple[Path, Path]
) -> None:
    ca_file = str(certificate[1])
    where = WebSocketAddress(f"wss://localhost:{tls_port}", {}, ca_file=ca_file)
    connection = await WebSocketConnection.open("openai", where, Deadlines())
    await connection.close()
    with pytest.raises(ConnectionFailed) as raised:
        await WebSocketConnection.open(
            "openai", WebSocketAddress(f"wss://127.0.0.1:{tls_port}", {}, ca_file=ca_file)
        )
    assert raised.value.code == "tls_untrusted"


async def test_a_server_without_the_expected_tls_is_a_distinct_error() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with raw_server(plain) as host:
        with pytest.raises(ConnectionFailed) as raised:
            await WebSocketConnection.open("openai", address(f"wss://{host}"), Deadlines(open_s=3.0))
    assert raised.value.code == "tls_failed"
