"""No log at DEBUG, value shown, error or event tells a key, not even when a vendor repeats it."""

import http
import json
import logging
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.server import Request, Response, Server, ServerConnection, serve
from websockets.datastructures import Headers

from tests.engine.conftest import Make
from voxd import EngineError, Event

KEY = "sk-canary-0123456789"

ECHOES = ("refusal", "complaint", "close reason")

VENDORS: dict[str, dict[str, Any]] = {
    "openai": {"provider": "openai"},
    "azure": {"provider": "azure", "metadata": {"model": "m"}},
    "azure with a token": {"provider": "azure", "metadata": {"model": "m", "auth_type": "bearer"}},
    "custom": {"provider": "custom"},
    "custom with a header": {"provider": "custom", "metadata": {"auth_type": "header"}},
    "custom with a query": {"provider": "custom", "metadata": {"auth_type": "query"}},
    "gemini": {"provider": "gemini"},
    "gpt_live": {"provider": "gpt_live", "vad_type": "server"},
}


class Gossip:
    """A vendor who repeats the key he was given."""

    def __init__(self) -> None:
        self.echo = ""
        self.asked = 0
        self.server: Server

    @property
    def url(self) -> str:
        host, port = next(iter(self.server.sockets)).getsockname()
        return f"ws://{host}:{port}/v1"

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.asked += 1
        assert KEY in f"{request.path} {dict(request.headers)}"
        if self.echo != "refusal":
            return None
        body = json.dumps({"error": {"code": "odd", "message": f"Incorrect API key provided: {KEY}."}})
        status = http.HTTPStatus.UNAUTHORIZED
        return Response(status, status.phrase, Headers({"x-key": KEY}), body.encode())

    async def talk(self, socket: ServerConnection) -> None:
        if self.echo == "complaint":
            complaint = {"code": "odd", "type": "odd", "message": f"No such key: {KEY}.", "status": KEY}
            await socket.send(json.dumps({"type": "error", "error": complaint}))
            await socket.send(f"garbage {KEY}")
        await socket.close(1008, f"api_key {KEY} not valid")


@pytest.fixture
async def gossip() -> AsyncIterator[Gossip]:
    vendor = Gossip()
    quiet = logging.getLogger("tests.gossip")
    quiet.setLevel(logging.CRITICAL)
    async with serve(vendor.talk, "127.0.0.1", 0, process_request=vendor.answer, logger=quiet) as server:
        vendor.server = server
        yield vendor


def shown(value: object) -> str:
    """Return everything that a log or a debugger would show of ``value``."""
    if isinstance(value, BaseException):
        return f"{value!r} {value} {vars(value)} {''.join(traceback.format_exception(value))}"
    if isinstance(value, Event):
        return " ".join([repr(value), *map(shown, value.data.values())])
    return f"{value!r} {value}"


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("echo", ECHOES)
async def test_a_key_is_never_disclosed(
    make: Make, gossip: Gossip, caplog: pytest.LogCaptureFixture, vendor: str, echo: str
) -> None:
    caplog.set_level(logging.DEBUG)
    gossip.echo = echo
    given = VENDORS[vendor]
    metadata = {**given.get("metadata", {}), "endpoint": gossip.url}
    engine, log = make(**{**given, "api_key": KEY, "metadata": metadata, "log_level": "DEBUG"})
    with pytest.raises(EngineError) as caught:
        await engine.connect(retry_count=1)
    assert gossip.asked == 1
    published = [caught.value, engine, engine.config, engine.config.metadata, *log.events]
    published += [*engine.events.get_history(), engine.get_state(), engine.get_metrics()]
    assert [text for text in map(shown, published) if KEY in text] == []
    assert KEY not in caplog.text
    assert log.of("connection.failed")
