"""Event subscriptions."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.control.conftest import Served
from tests.control.fakes import SECRET_WORDS
from tests.control.test_server import answer, encode, raw, request
from tests.properties import examples
from voxd.control.client import ControlClient
from voxd.control.redact import redact_event
from voxd.control.subscription import QUEUE_EVENTS, events_since
from voxd.errors import DaemonUnreachable
from voxd.events import Event


async def test_a_subscription_gives_the_state_first_and_then_events(served: Served) -> None:
    served.device.bus.emit("daemon.ready")
    async with ControlClient(served.control) as client, ControlClient(served.control) as other:
        events = client.subscribe()
        opening = await anext(events)
        assert (opening["state"]["state"], opening["last_id"], opening["lost"]) == ("idle", 1, 0)
        await other.call("mute.set", muted=True)
        event = await anext(events)
        assert (event["id"], event["type"], event["data"]["muted"]) == (2, "mute.changed", True)
        await events.aclose()


async def test_only_the_types_asked_for_are_sent(served: Served) -> None:
    async with ControlClient(served.control) as client:
        events = client.subscribe(["turn.*", "error"])
        await anext(events)
        for type in ("volume.changed", "turn.started", "state.changed", "error", "turn.ended"):
            served.device.bus.emit(type)
        assert [(await anext(events))["type"] for _ in range(3)] == ["turn.started", "error", "turn.ended"]


async def test_events_since_an_id_are_sent_again(served: Served) -> None:
    for percent in range(5):
        served.device.bus.emit("volume.changed", percent=percent)
    async with ControlClient(served.control) as client:
        events = client.subscribe(since=3)
        await anext(events)
        served.device.bus.emit("volume.changed", percent=5)
        assert [(await anext(events))["id"] for _ in range(3)] == [4, 5, 6]


@examples(50, deadline=None)
@given(st.integers(0, 30), st.integers(1, 20), st.none() | st.integers(0, 60))
def test_each_missed_event_is_either_sent_or_counted(forgotten: int, kept: int, since: int | None) -> None:
    last = forgotten + kept
    history = tuple(Event(id, "error", 0.0) for id in range(forgotten + 1, last + 1))
    missed, lost = events_since(history, since)
    if since is None:
        assert (missed, lost) == ((), 0)
    else:
        # An id from before a restart lies ahead: all of this life was missed.
        assert len(missed) + lost == (last if since > last else last - since)


def test_an_empty_history_has_no_missed_events() -> None:
    assert events_since((), 7) == ((), 0)


@pytest.mark.parametrize(
    ("type", "data", "shown"),
    [
        ("turn.transcript", {"text": SECRET_WORDS, "engine": "whisper"}, {"engine": "whisper"}),
        ("turn.reply", {"text": SECRET_WORDS}, {}),
        (
            "text.transcription",
            {"text": SECRET_WORDS, "is_partial": False, "speakers": [{"speaker": 1, "text": SECRET_WORDS}]},
            {"is_partial": False},
        ),
        ("timer.ringing", {"id": 7, "kind": "reminder", "name": SECRET_WORDS}, {"id": 7, "kind": "reminder"}),
        (
            "function.invoked",
            {"function_name": "f", "arguments": {"text": SECRET_WORDS}, "call_id": "c1"},
            {"function_name": "f", "call_id": "c1"},
        ),
        (
            "function.completed",
            {"function_name": "f", "call_id": "c1", "ok": True, "duration_ms": 1.0, "output": SECRET_WORDS},
            {"function_name": "f", "call_id": "c1", "ok": True, "duration_ms": 1.0},
        ),
        ("wake.detected", {"word": "alexa", "score": 0.9}, {"word": "alexa", "score": 0.9}),
    ],
)
async def test_the_read_only_socket_shows_events_without_quotations(
    served: Served, type: str, data: dict[str, Any], shown: dict[str, Any]
) -> None:
    assert redact_event(Event(1, type, 0.0, "t1", data)) == Event(1, type, 0.0, "t1", shown)
    served.device.bus.emit(type, **data)
    async with ControlClient(served.read) as reader, ControlClient(served.control) as owner:
        for client, expected in ((reader, shown), (owner, data)):
            events = client.subscribe(since=0)
            await anext(events)
            assert (await anext(events))["data"] == expected


async def test_a_slow_reader_gets_the_number_of_dropped_events(served: Served) -> None:
    async with raw(served.control) as (reader, writer):
        writer.write(encode(request(1, "events.subscribe")))
        assert (await answer(reader))["result"]["state"]["state"] == "idle"
        for percent in range(QUEUE_EVENTS + 100):
            served.device.bus.emit("volume.changed", percent=percent)
        messages = [await answer(reader) for _ in range(QUEUE_EVENTS + 1)]
    lost = [message["params"] for message in messages if message["method"] == "lagged"]
    events = [message["params"]["data"]["percent"] for message in messages if message["method"] == "event"]
    assert lost == [{"dropped": 100}]
    assert events == list(range(100, QUEUE_EVENTS + 100))


async def test_a_subscriber_that_never_reads_is_disconnected(served: Served) -> None:
    async with raw(served.control) as (reader, writer):
        writer.write(encode(request(1, "events.subscribe")))
        await answer(reader)
        # Stop reading for good: the kernel's buffer and the server's fill up.
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with ControlClient(served.control) as good:
            async with asyncio.timeout(10):
                while served.server.clients > 1:
                    served.device.bus.emit("error", message="x" * 20_000)
                    await good.call("volume.get")


async def test_subscriptions_are_bounded_and_end_with_the_client(served: Served) -> None:
    async with raw(served.control) as (reader, writer):
        for id in range(served.limits.max_subscriptions + 1):
            writer.write(encode(request(id, "events.subscribe")))
        answers = [await answer(reader) for _ in range(served.limits.max_subscriptions + 1)]
        assert ["result" in got for got in answers] == [True] * served.limits.max_subscriptions + [False]
        assert answers[-1]["error"]["data"]["code"] == "busy"
        writer.write_eof()
        assert await reader.read() == b""
    # A bus without subscribers hands out no events: nothing is left that could queue them.
    assert served.device.bus._subscriptions == set()


async def test_a_subscription_raises_when_the_daemon_stops(served: Served) -> None:
    async with ControlClient(served.control) as client:
        events = client.subscribe()
        await anext(events)
        await served.server.close()
        with pytest.raises(DaemonUnreachable):
            await anext(events)
        with pytest.raises(DaemonUnreachable):
            await client.call("volume.get")


async def test_a_batch_may_subscribe(served: Served) -> None:
    async with raw(served.control) as (reader, writer):
        writer.write(encode([request(1, "events.subscribe"), request(2, "mute.set", muted=True)]))
        batch = json.loads(await reader.readline())
        assert [got["id"] for got in batch] == [1, 2]
        assert (await answer(reader))["params"]["type"] == "mute.changed"
