"""Message middleware around a speech-to-speech session: text both ways, never sound."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import FakeClock
from voxd.errors import ProviderError
from voxd.providers import events
from voxd.providers.adapter import ProviderAdapter
from voxd.providers.base import BaseProvider
from voxd.providers.events import ProviderEvent
from voxd.providers.pipeline.filtered_session import FilteredSession
from voxd.providers.pipeline.middleware import MiddlewareMessage, Next
from voxd.providers.vendors.mock.realtime import MockProvider

SECRET, HIDDEN = "1234", "[number]"


async def hide(said: MiddlewareMessage, go_on: Next) -> MiddlewareMessage | None:
    return await go_on(replace(said, text=said.text.replace(SECRET, HIDDEN)))


async def stop(said: MiddlewareMessage, go_on: Next) -> MiddlewareMessage | None:
    return None if SECRET in said.text else await go_on(said)


async def fail(said: MiddlewareMessage, go_on: Next) -> MiddlewareMessage | None:
    raise RuntimeError("broken")


class Vendor(MockProvider):
    """A session that reports what the test says, and notes what it was sent."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.asked: list[str] = []
        self.cuts = 0

    async def send_text(self, text: str) -> None:
        self.asked.append(text)

    async def interrupt(self, played_ms: float | None = None) -> None:
        self.cuts += 1


@asynccontextmanager
async def opened(chain: Any = hide) -> AsyncIterator[tuple[FilteredSession, Vendor, list[ProviderEvent]]]:
    vendor, heard = Vendor({}), list[ProviderEvent]()
    session = FilteredSession(vendor, (chain,), FakeClock())
    session.on_event = heard.append
    await session.connect()
    yield session, vendor, heard
    await session.disconnect()


async def settled(heard: list[ProviderEvent], done: Callable[[ProviderEvent], bool]) -> list[ProviderEvent]:
    async with asyncio.timeout(5):
        while not (heard and done(heard[-1])):
            await asyncio.sleep(0)
    return heard


async def reported(*told: ProviderEvent, chain: Any = hide) -> list[ProviderEvent]:
    """Return what is reported of ``told``; the last of them must come through unchanged."""
    async with opened(chain) as (_, vendor, heard):
        for event in told:
            vendor.on_event(event)
        return await settled(heard, lambda last: last is told[-1])


def texts(found: list[ProviderEvent]) -> list[tuple[str, bool]]:
    return [(each.text, each.is_partial) for each in found if isinstance(each, events.TextOutput)]


async def test_typed_text_and_history_reach_the_vendor_as_the_filter_returns_them() -> None:
    async with opened() as (session, vendor, _):
        await session.send_text(f"my code is {SECRET}")
        await session.add_history("user", f"it was {SECRET}")
        await session.add_history("assistant", f"noted: {SECRET}")
        assert vendor.asked == [f"my code is {HIDDEN}"]
        assert vendor.history == [("user", f"it was {HIDDEN}"), ("assistant", f"noted: {HIDDEN}")]


async def test_a_question_that_is_stopped_is_not_sent() -> None:
    async with opened(stop) as (session, vendor, _):
        with pytest.raises(ProviderError) as raised:
            await session.send_text(SECRET)
        await session.add_history("user", SECRET)
        assert (raised.value.code, raised.value.retryable) == ("message_stopped", False)
        assert vendor.asked == vendor.history == []


async def test_a_transcript_is_reported_as_the_filter_returns_it_and_without_its_pieces() -> None:
    found = await reported(
        events.TextTranscription("it is 12", is_partial=True),
        events.TextTranscription(f"it is {SECRET}", item_id="i"),
        events.ResponseStarted("r"),
    )
    assert found == [events.TextTranscription(f"it is {HIDDEN}", item_id="i"), events.ResponseStarted("r")]


async def test_words_split_over_two_pieces_are_filtered_too() -> None:
    found = await reported(
        events.ResponseStarted("r"),
        events.TextOutput("Your code is 12", True, "r"),
        events.AudioOutputChunk(b"\1\0", 24_000, 1, "r"),
        events.TextOutput("34. Keep it.", True, "r"),
        events.TextOutput("Your code is 1234. Keep it.", False, "r"),
        events.ResponseCompleted("r"),
    )
    whole = [text for text, is_partial in texts(found) if not is_partial]
    assert whole == [f"Your code is {HIDDEN}. Keep it."]
    assert "".join(text for text, is_partial in texts(found) if is_partial) == whole[0]
    assert not any(SECRET in text for text, _ in texts(found))
    assert any(isinstance(each, events.AudioOutputChunk) for each in found)


async def test_a_whole_text_without_pieces_is_filtered() -> None:
    found = await reported(events.TextOutput(f"It is {SECRET}.", False, "r"), events.ResponseCompleted("r"))
    assert texts(found) == [(f"It is {HIDDEN}.", False)]


async def test_the_last_words_are_reported_before_the_end_of_a_reply_without_a_whole_text() -> None:
    found = await reported(events.TextOutput("the number 1234", True, "r"), events.ResponseCompleted("r"))
    assert texts(found) == [(f"the number {HIDDEN}", True)]


async def test_a_stopped_clause_is_left_out() -> None:
    found = await reported(
        events.TextOutput("It is 1234. Keep it safe. ", True, "r"), events.ResponseCompleted("r"), chain=stop
    )
    assert texts(found) == [("Keep it safe.", True)]


async def test_a_stopped_utterance_is_not_answered() -> None:
    async with opened(stop) as (_, vendor, heard):
        vendor.on_event(events.TextTranscription(f"it is {SECRET}"))
        found = await settled(heard, lambda last: isinstance(last, events.ErrorOccurred))
        assert [each.code for each in found if isinstance(each, events.ErrorOccurred)] == ["message_stopped"]
        assert len(found) == vendor.cuts == 1


async def test_a_filter_that_fails_lets_nothing_through() -> None:
    async with opened(fail) as (session, vendor, heard):
        vendor.on_event(events.TextTranscription(SECRET))
        found = await settled(heard, lambda last: isinstance(last, events.ErrorOccurred))
        assert [each.code for each in found if isinstance(each, events.ErrorOccurred)] == [
            "middleware_failed"
        ]
        with pytest.raises(ProviderError, match="RuntimeError"):
            await session.send_text(SECRET)
        assert vendor.asked == []


async def test_sound_is_sent_on_at_once() -> None:
    async with opened() as (session, vendor, heard):
        await session.send_audio(b"\1\0" * 240)
        usage = await session.get_usage()
        assert usage is not None
        assert usage.audio_seconds > 0
        chunk = events.AudioOutputChunk(b"\1\0", 24_000)
        vendor.on_event(chunk)
        assert heard == [chunk]


async def slow(said: MiddlewareMessage, go_on: Next) -> MiddlewareMessage | None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return await go_on(said)


async def test_what_waits_for_the_filter_is_reported_before_an_interruption_returns() -> None:
    async with opened(slow) as (session, vendor, heard):
        vendor.on_event(events.TextOutput("One. Two.", False, "r"))
        cut = events.ReplyInterrupted(10.0, "r")
        vendor.on_event(cut)
        assert heard == []
        await session.interrupt(10.0)
        assert heard[-1] is cut
        assert texts(heard) == [("One. Two.", False)]


async def test_a_closed_session_keeps_no_interruption_waiting() -> None:
    async with asyncio.timeout(5), opened(slow) as (session, vendor, _):
        vendor.on_event(events.TextOutput("One.", False, "r"))
        await session.disconnect()
        await session.interrupt()
        assert vendor.cuts == 1


METHODS = {name: method for name, method in vars(BaseProvider).items() if inspect.iscoroutinefunction(method)}


@pytest.mark.parametrize(
    "wrap", [lambda inner: FilteredSession(inner, (hide,), FakeClock()), ProviderAdapter]
)
@pytest.mark.parametrize("name", sorted(METHODS))
async def test_every_method_of_the_contract_reaches_the_session(
    name: str, wrap: Callable[[BaseProvider], BaseProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []

    async def reach(*arguments: Any) -> None:
        reached.append(name)

    vendor = Vendor({})
    session = wrap(vendor)
    await session.connect()
    monkeypatch.setattr(vendor, name, reach)
    required = list(inspect.signature(METHODS[name]).parameters.values())[1:]
    values = {"role": "user", "config": {}, "audio_data": bytes(2)}
    await getattr(session, name)(*(values.get(each.name, "1") for each in required))
    assert reached == [name]
    monkeypatch.undo()
    await session.disconnect()
