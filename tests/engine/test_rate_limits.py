"""A vendor that answers "slow down": the callbacks of the engine get the true wait, whatever the stage."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.engine.conftest import Make
from tests.servers.plain_http import Plain, pieces, plain_http, reply
from tests.servers.words import spoken
from voxd.errors import RateLimited

QUESTION = spoken("kitchen light off")

CHUNK = {"choices": [{"delta": {"content": "Yes, it is."}, "finish_reason": "stop"}]}
ANSWER = pieces(
    f"data: {json.dumps(CHUNK)}\n\n".encode(), b"data: [DONE]\n\n", content_type="text/event-stream"
)
SLOW_DOWN = reply(b'{"error": {"message": "slow down"}}', status=429, headers={"Retry-After": "7"})
GOOGLES = {"error": {"code": 429, "details": [{"retryDelay": "38s"}]}}
IN_STREAM = {"error": {"code": "rate_limit_exceeded", "message": "Please try again in 6m0s."}}


@pytest.fixture
async def fine() -> AsyncIterator[Plain]:
    async with plain_http(ANSWER) as server:
        yield server


@pytest.fixture
async def full() -> AsyncIterator[Plain]:
    async with plain_http(SLOW_DOWN) as server:
        yield server


def vendor(server: Plain, **more: Any) -> dict[str, Any]:
    return {"kind": "openai", "api_key": "sk-test", "endpoint": f"{server.url}/v1", **more}


@pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
async def test_any_stage(make: Make, fine: Plain, full: Plain, stage: str) -> None:
    lists = {each: [vendor(full if each == stage else fine)] for each in ("stt", "llm", "tts")}
    engine, log = make(provider="pipeline", metadata=lists)
    limits: list[tuple[str, str, float | None]] = []
    errors: list[Exception] = []
    engine.on_rate_limit = lambda event: limits.append((event.provider, event.limit, event.wait_s))
    engine.on_error = errors.append
    await engine.connect()
    if stage == "stt":
        await engine.send_audio(QUESTION)
        await engine.commit()
    else:
        await engine.send_text("Is it on?")
    await log.wait("error")
    name = {name for name, _, _ in limits}
    assert len(name) == 1
    assert {(limit, wait_s) for _, limit, wait_s in limits} == {("vendor", 7.0)}
    (error,) = errors
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("play", "wait_s"),
    [
        (reply(json.dumps([GOOGLES]).encode(), status=429), 38.0),
        (reply(b"{}", status=429, headers={"x-ratelimit-reset-requests": "6m0s"}), 360.0),
        (pieces(f"data: {json.dumps(IN_STREAM)}\n\n".encode(), content_type="text/event-stream"), 360.0),
    ],
)
async def test_any_form(make: Make, fine: Plain, full: Plain, play: Any, wait_s: float) -> None:
    full.script(play)
    metadata = {"stt": [vendor(fine)], "llm": [vendor(full)], "tts": [vendor(fine)]}
    engine, log = make(provider="pipeline", metadata=metadata)
    limits: list[float | None] = []
    errors: list[Exception] = []
    engine.on_rate_limit = lambda event: limits.append(event.wait_s)
    engine.on_error = errors.append
    await engine.connect()
    await engine.send_text("Is it on?")
    await log.wait("error")
    assert set(limits) == {wait_s}
    assert [getattr(error, "retry_after_s", None) for error in errors] == [wait_s]


async def test_a_handshake(make: Make, full: Plain) -> None:
    endpoint = full.url.replace("http", "ws")
    engine, log = make(provider="openai", api_key="sk-test", metadata={"endpoint": f"{endpoint}/v1/realtime"})
    limits: list[float | None] = []
    errors: list[Exception] = []
    engine.on_rate_limit = lambda event: limits.append(event.wait_s)
    engine.on_error = errors.append
    with pytest.raises(RateLimited) as raised:
        await engine.connect(retry_count=0)
    assert raised.value.retry_after_s == 7.0
    await log.wait("rate_limit.reached")
    assert limits == [7.0]
