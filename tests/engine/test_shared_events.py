"""The handlers of a program for the events of all its engines."""

from collections.abc import Iterator
from typing import Any

import pytest

import voxd
from tests.engine.conftest import Make
from voxd.engine import shared_events


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    shared_events._bus.cache_clear()


async def test_handlers_get_the_events_of_every_engine(make: Make) -> None:
    received: list[str] = []
    ready: list[Any] = []
    unsubscribe = voxd.on("message:received", lambda message: received.append(message.content))
    voxd.once("ready", ready.append)
    for name in ("one", "two"):
        engine, _ = make(metadata={"default_reply": name})
        await engine.connect()
        await engine.ask("hello")
    assert received == ["one", "two"]
    assert len(ready) == 1
    assert voxd.off("message:received", unsubscribe)
    assert not voxd.off("message:received", unsubscribe)
    await engine.ask("hello")
    assert len(received) == 2


async def test_own_events_carry_data() -> None:
    seen: list[Any] = []
    voxd.on("custom:event", lambda data: seen.append((data.key, data.more)))
    voxd.emit("custom:event", {"key": "value"}, more=1)
    assert seen == [("value", 1)]


async def test_every_error_reaches_the_global_handler_with_its_context(make: Make) -> None:
    seen: list[tuple[Any, voxd.ErrorContext]] = []
    voxd.on_error(lambda error, context: seen.append((error, context)))
    engine, _ = make(metadata={"connect_fault": "invalid_api_key"})
    with pytest.raises(voxd.AuthenticationError) as caught:
        await engine.connect()
    ((error, context),) = seen
    assert error is caught.value
    assert (context.type, context.provider) == ("connection.failed", "mock")
    assert context.code == "INVALID_API_KEY"


async def test_rate_limits_reach_the_global_handler(make: Make) -> None:
    seen: list[Any] = []
    voxd.on_rate_limit(seen.append)
    engine, _ = make(metadata={"connect_fault": "rate_limited", "retry_after_s": 3.0})
    with pytest.raises(voxd.RateLimited):
        await engine.connect(retry_count=1)
    assert seen[0].wait_s == 3.0
