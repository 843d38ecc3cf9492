"""One request over HTTP: every fault a network or a vendor can play ends in an error that says what to do.

The names N1 to N14 are the rows of reference/reliability.md, section 4.
"""

import asyncio
import gzip
import json
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from tests.rig.certificates import Authority, authority
from tests.servers.plain_http import Plain, Play, head, pieces, plain_http, raw, reply
from voxd.config.secrets import MASK
from voxd.errors import (
    AuthenticationError,
    ConnectionFailed,
    ProviderError,
    RateLimited,
    StreamError,
)
from voxd.net import body as answers
from voxd.net.dns import Addresses, Resolver
from voxd.net.http import HttpClient, RequestTerms
from voxd.net.transport import HttpRequest, HttpResponse

KEY = "sk-test-0123456789abcdef"
QUICK = RequestTerms("vendor", KEY, first_byte_s=1.0, whole_s=2.0)
PATIENCE_S = 10.0
JSON = "application/json"


@pytest.fixture
async def server() -> AsyncIterator[Plain]:
    async with plain_http() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    http = HttpClient()
    yield http
    await http.close()


async def fetched(http: HttpClient, call: HttpRequest, terms: RequestTerms = QUICK) -> bytes:
    """Return the body of the answer."""
    async with asyncio.timeout(PATIENCE_S):
        answer = await http.send(call, terms)
        try:
            return await answer.read()
        finally:
            await answer.finish()
            await answer.close()


async def fault_of(http: HttpClient, call: HttpRequest, terms: RequestTerms = QUICK) -> ProviderError:
    """Return the error that the call ends in."""
    with pytest.raises(ProviderError) as raised:
        await fetched(http, call, terms)
    assert raised.value.provider == "vendor"
    assert KEY not in str(raised.value)
    return raised.value


def get(server: Plain, path: str = "/") -> HttpRequest:
    return HttpRequest("GET", server.url + path, {"Authorization": f"Bearer {KEY}"})


# --- what is sent -----------------------------------------------------------------------------------


async def test_json_goes_out_and_comes_back(server: Plain, http: HttpClient) -> None:
    server.script(reply(b'{"text": "h\xc3\xa9"}', content_type=JSON))
    answer = await http.send(HttpRequest("POST", f"{server.url}/v1/chat?a=b", json={"x": 1}), QUICK)
    assert (answer.status, answer.headers["content-type"]) == (200, JSON)
    assert await answer.json() == {"text": "hé"}
    await answer.close()
    asked = server.requests[0]
    assert (asked.method, asked.target, json.loads(asked.body)) == ("POST", "/v1/chat?a=b", {"x": 1})
    assert asked.headers["content-type"] == JSON
    assert asked.headers["user-agent"] == "voxd"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"
    assert (answer.sent_bytes, answer.received_bytes) == (len(asked.body), 14 + 1)


async def test_bytes_go_out_as_they_are(server: Plain, http: HttpClient) -> None:
    await fetched(
        http, HttpRequest("POST", server.url, {"Content-Type": "audio/flac"}, content=b"fLaC\0\xff")
    )
    assert server.requests[0].body == b"fLaC\0\xff"
    assert server.requests[0].headers["content-type"] == "audio/flac"


async def test_a_form_goes_out_with_its_files(server: Plain, http: HttpClient) -> None:
    form = {"model": "m", "file": ("speech.flac", "audio/flac", b"fLaC")}
    await fetched(http, HttpRequest("POST", server.url, form=form))
    asked = server.requests[0]
    assert asked.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="model"\r\n\r\nm\r\n' in asked.body
    assert b'name="file"; filename="speech.flac"\r\nContent-Type: audio/flac\r\n\r\nfLaC\r\n' in asked.body


async def test_headers_of_ours_can_be_replaced(server: Plain, http: HttpClient) -> None:
    await fetched(
        http, HttpRequest("GET", server.url, {"user-agent": "other", "ACCEPT": "text/event-stream"})
    )
    assert server.requests[0].headers["user-agent"] == "other"
    assert server.requests[0].headers["accept"] == "text/event-stream"


@pytest.mark.parametrize("body", [reply(b"{}"), pieces(b"{", b"}"), reply(status=204)])
async def test_a_connection_is_used_again(server: Plain, http: HttpClient, body: Play) -> None:
    server.script(body)
    for _ in range(3):
        await fetched(http, get(server))
    assert (len(server.requests), server.connections) == (3, 1)


async def test_a_stream_that_was_read_to_its_last_event_frees_its_connection(
    server: Plain, http: HttpClient
) -> None:
    server.script(pieces(b"data: x\n\n", b"data: [DONE]\n\n"))
    for _ in range(2):
        answer = await http.send(get(server), QUICK)
        async for _, data in answer.events():
            if data == "[DONE]":
                break
        await answer.finish()
        await answer.close()
    assert server.connections == 1


async def test_a_stream_that_was_given_up_does_not_wait_for_its_end(server: Plain, http: HttpClient) -> None:
    server.script(pieces(b"data: x\n\n", end=False))
    answer = await http.send(get(server), QUICK)
    async with asyncio.timeout(1.0):
        async for _ in answer.events():
            break
        await answer.finish()
        await answer.close()


async def test_proxies_of_the_environment_are_ignored(
    server: Plain, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert await fetched(http, get(server)) == b"{}"


async def test_a_configured_proxy_is_asked(server: Plain, http: HttpClient) -> None:
    through = RequestTerms("vendor", proxy=server.url)
    assert await fetched(http, HttpRequest("GET", "http://vendor.example/v1"), through) == b"{}"
    assert server.requests[0].target == "http://vendor.example/v1"


async def test_names_are_found_by_the_resolver_that_was_given(server: Plain) -> None:
    class Told(Resolver):
        async def look_up(self, host: str, port: int, *, within_s: float = 0) -> Addresses:
            assert host == "vendor.example"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    http = HttpClient(Told())
    assert await fetched(http, HttpRequest("GET", f"http://vendor.example:{server.port}/")) == b"{}"
    assert server.requests[0].headers["host"] == f"vendor.example:{server.port}"
    await http.close()


async def test_closing_twice_is_fine_and_so_is_never_having_been_used() -> None:
    http = HttpClient()
    await http.close()
    await http.prepare()
    await http.close()
    await http.close()


def test_a_device_without_requests_does_not_load_http_and_one_with_requests_loads_no_command_line() -> None:
    program = """
import asyncio, sys
from voxd.net.http import HttpClient
from voxd.net.vendor_client import VendorClient
print("httpx" in sys.modules)
http = HttpClient()
asyncio.run(http.prepare())
print("httpx" in sys.modules, {"click", "rich", "pygments"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["False", "True set()"]


# --- what comes back --------------------------------------------------------------------------------


async def test_lines_and_events_come_as_they_are_sent(server: Plain, http: HttpClient) -> None:
    async def read(how: str) -> list[object]:
        answer: HttpResponse = await http.send(get(server), QUICK)
        return [each async for each in getattr(answer, how)()]

    server.script(pieces(b'{"a": "\xc3', b'\xa9"}\r', b'\n{"b": 1}'))
    assert await read("lines") == ['{"a": "é"}', '{"b": 1}']
    server.script(pieces(b": ping\r\n\r\nevent: delta\r\nda", b"ta: \xf0\x9f", b"\x98\x80\r\n\r\n"))
    assert await read("events") == [("delta", "\U0001f600")]


async def test_one_byte_at_a_time_is_slow_but_right(server: Plain, http: HttpClient) -> None:
    """N5."""
    body = json.dumps({"text": "ü" * 100}).encode()
    server.script(pieces(*(body[at : at + 1] for at in range(len(body)))))
    assert json.loads(await fetched(http, get(server))) == {"text": "ü" * 100}


@pytest.mark.parametrize(
    ("refusal", "kind", "code", "retry_after_s"),
    [
        (reply(b'{"error": {"message": "no"}}', status=401), AuthenticationError, "invalid_api_key", None),
        (reply(status=403), AuthenticationError, "invalid_api_key", None),
        (reply(status=429, headers={"Retry-After": "7"}), RateLimited, "rate_limited", 7.0),
        (reply(status=429, headers={"retry-after-ms": "40"}), RateLimited, "rate_limited", 0.04),
        (reply(status=500), ConnectionFailed, "server_error", None),
        (reply(status=503, headers={"Retry-After": "2"}), ConnectionFailed, "server_error", 2.0),
        (reply(status=529), ConnectionFailed, "overloaded", None),
        (reply(status=404), ProviderError, "model_not_found", None),
    ],
)
async def test_each_refusal_is_a_distinct_error(
    server: Plain, http: HttpClient, refusal: Play, kind: type, code: str, retry_after_s: float | None
) -> None:
    """N7, N8, N9."""
    server.script(refusal)
    error = await fault_of(http, get(server))
    assert (type(error), error.code, error.retry_after_s) == (kind, code, retry_after_s)


async def test_a_vendor_may_define_its_own_refusals(server: Plain, http: HttpClient) -> None:
    def refused(provider: str, status: int, headers: object, body: bytes) -> ProviderError:
        return ProviderError(f"{status} {body.decode()}", provider=provider, code="theirs")

    server.script(reply(b"because", status=418))
    error = await fault_of(http, get(server), RequestTerms("vendor", read_refusal=refused))
    assert (error.code, str(error)) == ("theirs", "418 because")


async def test_the_key_is_hidden_in_every_message_of_the_vendor(server: Plain, http: HttpClient) -> None:
    said = f'{{"error": {{"message": "wrong key {KEY}"}}}}'.encode()
    server.script(reply(said, status=401))
    assert str(await fault_of(http, get(server))) == f"wrong key {MASK}"
    server.script(reply(said, headers={"x-echo": KEY}))
    answer = await http.send(get(server), QUICK)
    assert KEY not in str(await answer.json()) + str(answer.headers)
    server.script(reply(b"data: " + said + b"\n\n"))
    for how in ("lines", "events"):
        answer = await http.send(get(server), QUICK)
        assert KEY not in str([each async for each in getattr(answer, how)()])


async def test_the_parts_of_a_key_that_has_some_are_hidden_too(server: Plain, http: HttpClient) -> None:
    server.script(reply(b'{"error": "AKIAIOSFODNN7 is unknown, and wJalrXUtnFEMI is wrong"}', status=400))
    error = await fault_of(http, get(server), RequestTerms("vendor", "AKIAIOSFODNN7:wJalrXUtnFEMI"))
    assert str(error) == f"{MASK} is unknown, and {MASK} is wrong"


# --- captive portals: N10 ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "portal",
    [
        reply(b"<html>log in</html>", content_type="text/html; charset=utf-8"),
        reply(b"<html>log in</html>", status=511),
        reply(status=302, headers={"Location": "http://login.example/"}),
        reply(status=307, headers={"Location": "http://login.example/"}),
    ],
)
async def test_a_log_in_page_is_reported_and_no_redirect_is_followed(
    server: Plain, http: HttpClient, portal: Play
) -> None:
    server.script(portal)
    error = await fault_of(http, get(server))
    assert (type(error), error.code) == (ConnectionFailed, "captive_portal")
    assert len(server.requests) == 1


async def test_html_with_another_content_type_is_a_log_in_page_too(server: Plain, http: HttpClient) -> None:
    server.script(reply(b" <!doctype html><title>Welcome</title>", content_type=JSON))
    answer = await http.send(get(server), QUICK)
    with pytest.raises(ConnectionFailed) as raised:
        await answer.json()
    assert raised.value.code == "captive_portal"


# --- sockets that fail: N1, N2, N3, N4 --------------------------------------------------------------


async def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset_in_the_middle(writer: asyncio.StreamWriter) -> None:
    writer.write(head(200, JSON, {"Content-Length": "100"}) + b'{"a":')
    await writer.drain()
    await reset(writer)


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def only_a_head(writer: asyncio.StreamWriter) -> None:
    writer.write(head(200, JSON, {"Content-Length": "100"}))
    await silence(writer)


@pytest.mark.parametrize(
    ("play", "kind", "code"),
    [
        (reset, ConnectionFailed, "network_error"),
        (raw(b""), ConnectionFailed, "network_error"),
        (reset_in_the_middle, StreamError, "truncated"),
        (raw(head(200, JSON, {"Content-Length": "100"}) + b'{"a":'), StreamError, "truncated"),
        (raw(head(200, JSON, {"Transfer-Encoding": "chunked"}) + b"5\r\n{"), StreamError, "truncated"),
        (silence, ConnectionFailed, "timeout"),
        (only_a_head, ConnectionFailed, "timeout"),
        (pieces(b'{"a":', end=False), ConnectionFailed, "timeout"),
    ],
)
async def test_a_connection_that_breaks_or_falls_silent(
    server: Plain, http: HttpClient, play: Play, kind: type, code: str
) -> None:
    server.script(play)
    # Only silence has to be waited for; a broken connection is to be noticed long before any deadline.
    first_byte_s, whole_s = (0.2, 0.4) if code == "timeout" else (PATIENCE_S, PATIENCE_S)
    terms = RequestTerms("vendor", KEY, first_byte_s=first_byte_s, whole_s=whole_s)
    error = await fault_of(http, get(server), terms)
    assert (type(error), error.code, error.retryable) == (kind, code, True)


async def test_a_connection_that_broke_is_not_used_again(server: Plain, http: HttpClient) -> None:
    server.script(reply(b"1"), reset_in_the_middle, reply(b"2"))
    assert await fetched(http, get(server)) == b"1"
    await fault_of(http, get(server))
    assert await fetched(http, get(server)) == b"2"


async def test_a_closed_port_is_reported_at_once(http: HttpClient) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = await fault_of(http, HttpRequest("GET", f"http://127.0.0.1:{unused.getsockname()[1]}/"))
    assert (type(error), error.code) == (ConnectionFailed, "network_error")


@pytest.mark.parametrize("problem", [TimeoutError(), socket.gaierror(socket.EAI_NONAME, "unknown")])
async def test_a_name_that_is_not_found_is_a_distinct_error(problem: Exception) -> None:
    class Lost(Resolver):
        async def look_up(self, host: str, port: int, *, within_s: float = 0) -> Addresses:
            raise problem

    http = HttpClient(Lost())
    assert (await fault_of(http, HttpRequest("GET", "http://vendor.example/"))).code == "dns_failed"
    await http.close()


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1/", "http://", "http://[", "http:///x"])
async def test_an_endpoint_that_is_not_a_url_is_a_mistake(http: HttpClient, url: str) -> None:
    error = await fault_of(http, HttpRequest("GET", url))
    assert (error.code, error.retryable) == ("bad_endpoint", False)


@pytest.mark.parametrize(
    "headers", [{"X-Custom": "a\r\nb"}, {"X Custom": "a"}, {"X-Custom": "ü"}, {"X-Custom": "\0"}]
)
async def test_a_header_that_http_cannot_carry_is_a_mistake_and_is_not_repeated(
    server: Plain, http: HttpClient, headers: dict[str, str]
) -> None:
    error = await fault_of(http, HttpRequest("GET", server.url, headers))
    assert (error.code, error.retryable) == ("bad_request", False)
    assert server.requests == []


# --- TLS: N11 ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls"))


async def test_a_certificate_of_a_configured_authority_is_trusted(
    trusted: Authority, http: HttpClient
) -> None:
    async with plain_http(tls=trusted.server()) as server:
        terms = RequestTerms("vendor", KEY, ca_file=trusted.ca_file)
        assert await fetched(http, get(server), terms) == b"{}"
        assert await fetched(http, get(server), terms) == b"{}"
    assert server.connections == 1


@pytest.mark.parametrize(
    ("presented", "code"),
    [
        ({"begins_days": -3, "ends_days": -1}, "tls_untrusted"),
        ({"begins_days": 1, "ends_days": 3}, "clock_wrong"),
        ({"host": "elsewhere.example"}, "tls_untrusted"),
    ],
)
async def test_a_bad_certificate_is_refused_and_nothing_is_sent(
    trusted: Authority, http: HttpClient, presented: dict[str, float], code: str
) -> None:
    async with plain_http(tls=trusted.server(**presented)) as server:  # type: ignore[arg-type]
        error = await fault_of(http, get(server), RequestTerms("vendor", KEY, ca_file=trusted.ca_file))
        assert (type(error), error.code) == (ConnectionFailed, code)
        assert server.requests == []


async def test_an_authority_that_is_not_configured_is_not_trusted(
    trusted: Authority, http: HttpClient
) -> None:
    async with plain_http(tls=trusted.server()) as server:
        assert (await fault_of(http, get(server))).code == "tls_untrusted"
        assert server.requests == []


async def test_the_name_of_the_host_is_checked_and_not_its_address(trusted: Authority) -> None:
    class Told(Resolver):
        async def look_up(self, host: str, port: int, *, within_s: float = 0) -> Addresses:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    http = HttpClient(Told())
    terms = RequestTerms("vendor", ca_file=trusted.ca_file)
    async with plain_http(tls=trusted.server("vendor.example")) as server:
        assert (
            await fetched(http, HttpRequest("GET", f"https://vendor.example:{server.port}/"), terms) == b"{}"
        )
        error = await fault_of(http, HttpRequest("GET", f"https://127.0.0.1:{server.port}/"), terms)
        assert error.code == "tls_untrusted"
    await http.close()


async def test_a_server_without_tls_gets_nothing_in_clear(http: HttpClient) -> None:
    got: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read(1000))
        writer.write(head(400, "", {}))
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        error = await fault_of(
            http, HttpRequest("GET", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        )
    assert error.code == "tls_failed"
    assert [data[:1] for data in got] == [b"\x16"], "a TLS handshake, and no second attempt without"


async def test_a_handshake_that_stalls_is_given_up(http: HttpClient) -> None:
    over = asyncio.Event()

    async def stall(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    async with server:
        call = HttpRequest("GET", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        assert (await fault_of(http, call, RequestTerms("vendor", first_byte_s=0.2))).code == "timeout"
        over.set()


async def test_an_authority_with_a_missing_file_is_reported(server: Plain, http: HttpClient) -> None:
    error = await fault_of(http, get(server), RequestTerms("vendor", ca_file="/nonexistent.pem"))
    assert "No such file" in str(error)


# --- answers that are none: N12, N13, N14 -----------------------------------------------------------


@pytest.mark.parametrize(
    ("play", "kind", "code"),
    [
        (raw(b"220 mail.example ESMTP\r\n\r\n"), ConnectionFailed, "bad_answer"),
        (raw(b"\0" * 1000), ConnectionFailed, "bad_answer"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 200_000), ConnectionFailed, "bad_answer"),
        (raw(head(200, "", {"Content-Length": "x"})), ConnectionFailed, "bad_answer"),
        (raw(head(200, "", {"Transfer-Encoding": "chunked"}) + b"zz\r\n"), StreamError, "truncated"),
        (raw(head(200, "", {"Content-Length": str(10**12)}) + b"x"), StreamError, "truncated"),
        (reply(gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}), ConnectionFailed, "bad_answer"),
    ],
)
async def test_a_response_that_is_not_http_is_reported(
    server: Plain, http: HttpClient, play: Play, kind: type, code: str
) -> None:
    server.script(play)
    error = await fault_of(http, get(server))
    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b'{"a": ',
        b'"\xff"',
        b"[" * 1_000_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
async def test_invalid_json_is_reported(server: Plain, http: HttpClient, body: bytes) -> None:
    server.script(reply(body, content_type=JSON))
    answer = await http.send(get(server), QUICK)
    with pytest.raises(StreamError) as raised:
        await answer.json()
    assert (raised.value.code, raised.value.provider) == ("bad_answer", "vendor")


async def test_an_answer_that_is_too_long_is_given_up(
    server: Plain, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answers.MAX_BODY_BYTES == 16 * 1024 * 1024
    monkeypatch.setattr(answers, "MAX_BODY_BYTES", 1000)
    server.script(reply(b"x" * 1000), reply(b"x" * 1001))
    assert len(await fetched(http, get(server))) == 1000
    assert (await fault_of(http, get(server))).code == "too_big"


async def test_a_long_refusal_is_not_read_to_its_end(server: Plain, http: HttpClient) -> None:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(head(400, "text/plain", {"Transfer-Encoding": "chunked"}))
        while not writer.is_closing():
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()

    server.script(talk)
    assert (await fault_of(http, get(server))).code == "refused"


async def test_a_refusal_that_drips_is_known_by_its_status(
    server: Plain, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "REFUSAL_S", 0.05)
    server.script(raw(head(401, "", {"Content-Length": "100"}) + b"x", close=False), silence)
    assert (await fault_of(http, get(server))).code == "invalid_api_key"


async def test_a_dripping_answer_ends_when_all_of_it_was_due(server: Plain, http: HttpClient) -> None:
    """N14: each byte comes in time, the whole does not."""
    over = asyncio.Event()

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, JSON, {"Content-Length": "1000"}))
        while not over.is_set():
            writer.write(b"x")
            await asyncio.wait([asyncio.create_task(over.wait())], timeout=0.02)

    server.script(drip)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    error = await fault_of(http, get(server), RequestTerms("vendor", first_byte_s=5.0, whole_s=0.3))
    assert error.code == "timeout"
    assert loop.time() - began_s < 3.0
    over.set()


async def test_what_comes_after_the_end_is_nobodys(server: Plain, http: HttpClient) -> None:
    """N13."""
    writers: list[asyncio.StreamWriter] = []

    async def first(writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(head(200, JSON, {"Content-Length": "2"}) + b"{}")

    server.script(first, reply(b"2"))
    assert await fetched(http, get(server)) == b"{}"
    writers[0].write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmore")
    await writers[0].drain()
    assert await fetched(http, get(server)) == b"2"
    assert server.connections == 2


async def test_a_server_that_never_closes_keeps_no_caller_waiting(server: Plain, http: HttpClient) -> None:
    """N13: without a length the end of the connection is the end of the body."""
    server.script(raw(b"HTTP/1.1 200 OK\r\n\r\n{}", close=False), silence)
    await http.trust("")  # what a first request waits for is no part of this
    await http.prepare()
    answer = await http.send(get(server), RequestTerms("vendor", whole_s=0.5))
    with pytest.raises(ConnectionFailed):
        await answer.read()
    async with asyncio.timeout(PATIENCE_S):
        await answer.close()


async def test_a_cancelled_caller_leaves_no_connection_behind(server: Plain, http: HttpClient) -> None:
    server.script(silence)
    for _ in range(3):
        asking = asyncio.create_task(http.send(get(server), QUICK))
        server.asked.clear()
        await asyncio.wait_for(server.asked.wait(), PATIENCE_S)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    server.script(reply(b"fine"))
    assert await fetched(http, get(server)) == b"fine"
