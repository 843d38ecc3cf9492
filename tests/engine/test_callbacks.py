"""Callbacks in the old style work beside events."""

import asyncio
from typing import Any

import pytest

from tests.engine.conftest import Make
from voxd import EngineError, EventType
from voxd.errors import RateLimited


async def test_all_five_are_called_beside_the_events(make: Make) -> None:
    reply = {"text": "It is sunny.", "calls": [{"name": "weather", "arguments": {"city": "Rome"}}]}

    def weather(city: str) -> str:
        """Tell the weather."""
        return "sunny"

    engine, log = make(mode="big", metadata={"replies": {"weather": reply}}, tools=[weather])
    audio: list[bytes] = []
    texts: list[str] = []
    calls: list[tuple[str, dict[str, Any], str]] = []
    errors: list[Exception] = []
    done: list[None] = []
    engine.on_audio_response = audio.append
    engine.on_text_response = texts.append
    engine.on_function_call = lambda call: calls.append((call.function_name, call.arguments, call.call_id))
    engine.on_error = errors.append
    engine.on_response_done = lambda: done.append(None)
    await engine.connect()
    await engine.commit()
    await engine.send_text("weather")
    await log.wait("response.completed", 2)
    assert b"".join(audio) == log.sound()
    assert texts == ["It is sunny."]
    assert [(name, arguments) for name, arguments, _ in calls] == [("weather", {"city": "Rome"})]
    assert calls[0][2] == log.of("function.invoked")[0].call_id
    assert len(done) == 2
    assert len(errors) == 1
    assert isinstance(errors[0], EngineError)


async def test_a_coroutine_function_is_awaited(make: Make) -> None:
    engine, _ = make()
    heard = asyncio.Event()

    async def on_text(text: str) -> None:
        await asyncio.sleep(0)
        heard.set()

    engine.on_text_response = on_text
    await engine.connect()
    await engine.send_text("hello")
    async with asyncio.timeout(5):
        await heard.wait()


async def test_a_callback_can_be_replaced_and_removed(make: Make) -> None:
    engine, log = make()
    first: list[str] = []
    second: list[str] = []
    assert engine.on_text_response is None
    engine.on_text_response = first.append
    engine.on_text_response = second.append
    assert engine.on_text_response == second.append
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("response.completed")
    engine.on_text_response = None
    await engine.send_text("hello")
    await log.wait("response.completed", 2)
    assert (len(first), len(second)) == (0, 1)
    assert engine.events.get_metrics()["handler_count"] == 1


async def test_a_failed_callback_is_reported_by_its_name_and_does_no_harm(make: Make) -> None:
    engine, log = make()
    handled: list[str] = []

    def broken(text: str) -> None:
        raise ZeroDivisionError

    engine.on_text_response = broken
    engine.events.on(EventType.TEXT_OUTPUT, lambda event: handled.append(event.text))
    await engine.connect()
    await engine.ask("hello")
    failed = await log.wait("handler.failed")
    assert "on_text_response" in failed.handler
    assert handled


@pytest.mark.parametrize("name", ["on_audio_response", "on_error", "on_response_done"])
async def test_each_engine_has_its_own_callbacks(make: Make, name: str) -> None:
    one, _ = make()
    other, _ = make()
    setattr(one, name, print)
    assert getattr(other, name) is None


async def test_a_rate_limit_calls_its_callback(make: Make) -> None:
    engine, _ = make(metadata={"connect_fault": "rate_limited"})
    waits: list[str] = []
    engine.on_rate_limit = lambda event: waits.append(event.limit)
    with pytest.raises(RateLimited):
        await engine.connect(retry_count=1)
    assert waits == ["vendor"]
