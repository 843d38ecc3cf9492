"""A vendor that answers "slow down": the callbacks of the engine get the true wait, whatever the stage."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.engine.conftest import Make
from tests.fakes import FakeClock
from tests.servers.plain_http import Plain, Play, head, pieces, plain_http, reply
from tests.servers.words import spoken
from voxd.errors import RateLimited
from voxd.providers.pipeline import metadata
from voxd.providers.settings import SessionConfig

QUESTION = spoken("kitchen light off")


def chunk(text: str, finish: str | None) -> bytes:
    event = {"choices": [{"delta": {"content": text}, "finish_reason": finish}]}
    return f"data: {json.dumps(event)}\n\n".encode()


SENTENCE, LAST = chunk("Yes, it is. ", None), chunk("", "stop")
ANSWER = pieces(SENTENCE, LAST, b"data: [DONE]\n\n", content_type="text/event-stream")
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock of the pipeline, which the engine does not give it, and so of its limits."""
    clock = FakeClock()
    monkeypatch.setattr(metadata, "SystemClock", lambda: clock)
    return clock


def vendor(server: Plain, **more: Any) -> dict[str, Any]:
    return {"kind": "openai", "api_key": "sk-test", "endpoint": f"{server.url}/v1", **more}


@pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
async def test_any_stage(make: Make, fine: Plain, full: Plain, stage: str) -> None:
    lists = {each: [vendor(full if each == stage else fine)] for each in ("stt", "llm", "tts")}
    # Loading the codec for the first recording takes seconds on a busy machine; 7 s would be a retry.
    options = {**lists, "first_audio_timeout_s": 6}
    engine, log = make(provider="pipeline", metadata=options)
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
    options = {"stt": [vendor(fine)], "llm": [vendor(full)], "tts": [vendor(fine)]}
    engine, log = make(provider="pipeline", metadata=options)
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


def slow_answer(go_on: asyncio.Event) -> Play:
    """Answer with one sentence, and end the response when ``go_on`` is set."""

    async def play(writer: asyncio.StreamWriter) -> None:
        for at, piece in enumerate((SENTENCE, LAST, b"data: [DONE]\n\n")):
            if at == 0:
                writer.write(head(200, "text/event-stream", {"Transfer-Encoding": "chunked"}))
            elif at == 1:
                await go_on.wait()
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")

    return play


async def test_what_exceeds_a_limit_waits_and_the_turns_time_stands_still(
    make: Make, clock: FakeClock, fine: Plain
) -> None:
    # One account, one request at a time: the voice waits until the model has finished, longer than the turn.
    has_waited = asyncio.Event()
    fine.script(slow_answer(has_waited), reply(b"\x00\x10" * 24_000, content_type="audio/pcm"))
    account = vendor(fine, max_concurrent=1, queue_excess=True, max_queue_size=10)
    options = {"stt": [account], "llm": [account], "tts": [account], "first_audio_timeout_s": 10}
    engine, log = make(provider="pipeline", metadata=options, clock=clock)
    limits: list[tuple[str, float | None]] = []
    engine.on_rate_limit = lambda event: limits.append((event.limit, event.wait_s))
    await engine.connect()
    await engine.send_text("Is it on?")
    await log.wait("rate_limit.reached")
    await clock.advance(12)
    has_waited.set()
    await log.until(lambda: {"response.completed", "error"} & {*log.types()})
    assert log.of("error") == []
    assert log.sound()
    assert limits == [("concurrent", None)]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"requests_per_minute": 1}, "queue_too_long"),
        ({"requests_per_minute": 1, "queue_excess": False}, "rate_limited"),
    ],
)
async def test_what_cannot_wait_is_refused_with_the_wait(
    make: Make, fine: Plain, limits: dict[str, Any], code: str
) -> None:
    options = {"stt": [vendor(fine)], "llm": [vendor(fine, **limits)], "tts": [vendor(fine)]}
    session = SessionConfig(modalities=("text",))
    engine, log = make(provider="pipeline", metadata=options, session=session)
    waits: list[float] = []
    errors: list[Exception] = []
    engine.on_rate_limit = lambda event: waits.append(event.wait_s)
    engine.on_error = errors.append
    await engine.connect()
    for number in (1, 2):
        await engine.send_text("Is it on?")
        await log.wait("response.completed", number)
    await engine.send_text("Is it on?")
    await log.wait("error")
    (error,) = errors
    assert isinstance(error, RateLimited)
    assert error.code == code
    assert waits == [pytest.approx(60, abs=8)]
    assert error.retry_after_s == pytest.approx(60, abs=8)


@pytest.mark.parametrize(
    "limits",
    [
        {"rateLimit": {"requestsPerMinute": 1, "queueExcess": True, "maxQueueSize": 10}},
        {"rate_limit": {"requests_per_minute": 1}},
    ],
)
async def test_the_limits_of_the_reference_text_hold_for_every_provider(
    make: Make, fine: Plain, limits: dict[str, Any]
) -> None:
    lists = {stage: [vendor(fine)] for stage in ("stt", "llm", "tts")}
    session = SessionConfig(modalities=("text",))
    options = {**lists, **limits}
    engine, log = make(provider="pipeline", metadata=options, session=session)
    await engine.connect()
    for number in (1, 2):
        await engine.send_text("Is it on?")
        await log.wait("response.completed", number)
    await engine.send_text("Is it on?")
    assert (await log.wait("error")).code == "queue_too_long"
