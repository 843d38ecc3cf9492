"""The OpenAI provider over a real socket: turns, tools and interruptions, and every fault in time."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.conformance.gate import realtime_complaints
from tests.providers.contract import Ear
from tests.servers.openai_realtime import (
    KEY,
    Call,
    RealtimeServer,
    Refusal,
    Reply,
    realtime_server,
    tone,
)
from voxd.errors import AudioError, AuthenticationError, NotConnected, ProviderError, RateLimited
from voxd.events import EventType as E
from voxd.net.websocket import Deadlines
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage
from voxd.providers.vendors.openai.realtime import OpenAIProvider

QUICK = Deadlines(open_s=0.5, answer_s=0.3, send_s=0.3, active_s=0.15, idle_s=0.3, close_s=0.1)
LONG = Reply("once upon a time", sound_ms=2000, hold_after=10, late=3)


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    async with realtime_server() as server:
        yield server
        assert realtime_complaints(server.frames) == []


def make(server: RealtimeServer, deadlines: Deadlines | None = None, **config: Any) -> OpenAIProvider:
    return OpenAIProvider({"api_key": KEY, "endpoint": server.url, **config}, deadlines)


@pytest.fixture
async def provider(server: RealtimeServer) -> AsyncIterator[OpenAIProvider]:
    provider = make(server)
    yield provider
    await provider.disconnect()


@pytest.fixture
async def quick(server: RealtimeServer) -> AsyncIterator[OpenAIProvider]:
    provider = make(server, QUICK)
    yield provider
    await provider.disconnect()


async def connected(provider: OpenAIProvider, **config: Any) -> Ear:
    ear = Ear(provider)
    await provider.configure_session(SessionConfig(**config))
    await provider.connect()
    return ear


async def test_a_session_begins_with_its_settings(server: RealtimeServer, provider: OpenAIProvider) -> None:
    await connected(provider, instructions="Be brief.", voice="cedar")
    (update,) = server.of_type("session.update")
    assert update["session"]["instructions"] == "Be brief."
    assert update["session"]["audio"]["output"]["voice"] == "cedar"
    assert provider.session_id == server.peer.session["id"]
    assert "model=gpt-realtime-2.1-mini" in server.requests[0].path


async def test_the_beta_header_is_never_sent(server: RealtimeServer, provider: OpenAIProvider) -> None:
    await connected(provider)
    assert "openai-beta" not in {name.lower() for name in server.requests[0].headers}


async def test_a_spoken_turn_is_committed_before_a_response_is_requested(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    ear = await connected(provider)
    await provider.send_audio(tone(300))
    await provider.commit()
    await ear.until(E.RESPONSE_COMPLETED)
    assert server.types() == [
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "response.create",
    ]
    order = [frame["type"] for frame in server.sent]
    assert order.index("input_audio_buffer.committed") < order.index("response.created")
    whole = [event.data["text"] for event in ear.of(E.TEXT_TRANSCRIPTION) if not event.data["is_partial"]]
    assert whole == ["what time is it"]
    sound = b"".join(event.data["audio_data"] for event in ear.of(E.AUDIO_OUTPUT_CHUNK))
    assert sound == tone(20) * 10


@pytest.mark.parametrize("turn_detection", ["server", "semantic"])
async def test_with_server_vad_nothing_is_committed(
    server: RealtimeServer, provider: OpenAIProvider, turn_detection: str
) -> None:
    ear = await connected(provider, turn_detection=turn_detection)
    await provider.send_audio(tone(200))
    await provider.send_audio(bytes(9600))
    await provider.commit()
    await ear.until(E.RESPONSE_COMPLETED)
    speaking = [event.data["speaking"] for event in ear.of(E.CONVERSATION_TURN_DETECTED)]
    assert speaking == [True, False]
    assert "input_audio_buffer.commit" not in server.types()
    assert "response.create" not in server.types()


async def test_too_little_audio_is_an_error_and_is_not_committed(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    await connected(provider)
    await provider.send_audio(tone(50))
    with pytest.raises(AudioError) as raised:
        await provider.commit()
    assert raised.value.code == "audio_too_short"
    await server.received("input_audio_buffer.clear")
    assert "input_audio_buffer.commit" not in server.types()


async def test_several_tools_of_one_reply_are_answered_by_one_response(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    calls = (Call("lamp", '{"on": true}', "c1"), Call("timer", '{"seconds": 5}', "c2"))
    server.script.replies = [Reply("", calls=calls), Reply("Done.")]
    ear = await connected(provider)
    await provider.send_text("lamp on, and a timer")
    await ear.until(E.RESPONSE_COMPLETED)
    called = [
        (event.data["function_name"], event.data["arguments"]) for event in ear.of(E.FUNCTION_CALL_INVOKED)
    ]
    assert called == [("lamp", {"on": True}), ("timer", {"seconds": 5})]
    assert ear.types().index(E.FUNCTION_CALL_INVOKED) < ear.types().index(E.RESPONSE_COMPLETED)
    for call in calls:
        await provider.send_tool_result(call.call_id, "ok")
    await provider.request_response()
    await ear.until(E.RESPONSE_COMPLETED, 2)
    results = [frame["item"]["call_id"] for frame in server.of_type("conversation.item.create")[1:]]
    assert results == ["c1", "c2"]
    assert len(server.of_type("response.create")) == 2


async def test_an_interruption_flushes_truncates_and_drops_what_comes_late(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    server.script.replies = [LONG]
    ear = await connected(provider)
    await provider.send_text("a story")
    await ear.until(E.AUDIO_OUTPUT_CHUNK, 5)
    await provider.interrupt(70.0)
    seen = len(ear.of(E.AUDIO_OUTPUT_CHUNK))
    cancelled = await ear.until(E.RESPONSE_CANCELLED)
    assert cancelled.data["reason"] == "client_cancelled"
    cut = await server.received("conversation.item.truncate")
    assert cut["audio_end_ms"] == 70
    await server.until(lambda: "conversation.item.truncated" in [frame["type"] for frame in server.sent])
    late = [frame["type"] for frame in server.sent].count("response.output_audio.delta")
    server.script.replies = [Reply("Short.", sound_ms=20)]
    await provider.send_text("and now?")
    await ear.until(E.RESPONSE_COMPLETED)
    assert late >= 13, "the fake did send late sound"
    assert len(ear.of(E.AUDIO_OUTPUT_CHUNK)) == seen + 1
    assert ear.of(E.ERROR_GENERAL) == []


async def test_the_vendors_own_interruption_is_reported_and_then_truncated(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    server.script.replies = [LONG, Reply()]
    ear = await connected(provider, turn_detection="server")
    await provider.send_text("a story")
    await ear.until(E.AUDIO_OUTPUT_CHUNK)
    await provider.send_audio(tone(40))
    cancelled = await ear.until(E.RESPONSE_CANCELLED)
    assert cancelled.data["reason"] == "turn_detected"
    await provider.interrupt(30.0)
    assert (await server.received("conversation.item.truncate"))["audio_end_ms"] == 30
    assert "response.cancel" not in server.types()


async def test_a_refused_truncation_is_not_reported(server: RealtimeServer, provider: OpenAIProvider) -> None:
    ear = await connected(provider)
    await provider.send_text("hello")
    await ear.until(E.RESPONSE_COMPLETED)
    server.peer.forget_sound()
    await provider.interrupt(10.0)
    await server.received("conversation.item.truncate")
    await provider.send_text("still there?")
    await ear.until(E.RESPONSE_COMPLETED, 2)
    assert "error" in [frame["type"] for frame in server.sent]
    assert ear.of(E.ERROR_GENERAL) == []


async def test_usage_and_cost_are_the_sums_of_what_the_vendor_reports(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    ear = await connected(provider)
    for count in (1, 2):
        await provider.send_audio(tone(200))
        await provider.commit()
        await ear.until(E.RESPONSE_COMPLETED, count)
    usage, cost = await provider.get_usage(), await provider.estimate_cost()
    assert isinstance(usage, Usage)
    assert (usage.responses, usage.output_audio_tokens, usage.transcribed_seconds) == (2, 8, 3.0)
    assert isinstance(cost, Cost)
    # 2.1-mini: audio 10, 0.30 cached, 20 out a million tokens; gpt-transcribe 0.0045 a minute.
    audio = 2 * (25 * 10 + 5 * 0.30 + 4 * 20) / 1e6 + 3 * 0.0045 / 60
    assert cost.audio_cost == pytest.approx(audio)
    assert ear.of(E.USAGE_UPDATED)[-1].data["usage"] == usage


async def test_the_voice_cannot_change_once_the_model_has_spoken(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    ear = await connected(provider, voice="cedar")
    await provider.send_text("hello")
    await ear.until(E.RESPONSE_COMPLETED)
    await provider.configure_session(SessionConfig(voice="cedar", instructions="shorter"))
    assert "voice" not in server.of_type("session.update")[-1]["session"]["audio"]["output"]
    with pytest.raises(ProviderError) as raised:
        await provider.configure_session(SessionConfig(voice="marin"))
    assert raised.value.code == "voice_fixed"


async def test_refused_settings_are_raised_to_the_caller(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    ear = await connected(provider)
    server.script.refuse_update = "unknown_parameter"
    with pytest.raises(ProviderError) as raised:
        await provider.configure_session(SessionConfig(instructions="x"))
    assert raised.value.code == "unknown_parameter"
    assert ear.of(E.ERROR_GENERAL) == []
    assert provider.is_connected


@pytest.mark.parametrize(
    ("refusal", "kind", "code", "retry_after_s"),
    [
        (Refusal(401, {"error": {"code": "invalid_api_key"}}), AuthenticationError, "invalid_api_key", None),
        (Refusal(429, "", {"Retry-After": "7"}), RateLimited, "rate_limited", 7.0),
        (Refusal(429, {"error": {"code": "insufficient_quota"}}), ProviderError, "insufficient_quota", None),
    ],
)
async def test_a_refused_upgrade_is_raised_at_once(
    server: RealtimeServer,
    quick: OpenAIProvider,
    refusal: Refusal,
    kind: type,
    code: str,
    retry_after_s: float,
) -> None:
    server.script.refusal = refusal
    with pytest.raises(kind) as raised:
        await quick.connect()
    assert (raised.value.code, raised.value.retry_after_s) == (code, retry_after_s)
    assert raised.value.retryable is (code == "rate_limited")
    assert len(server.requests) == 1


async def test_a_silent_vendor_after_the_connection_is_a_timeout(
    server: RealtimeServer, quick: OpenAIProvider
) -> None:
    server.script.greet = False
    with pytest.raises(ProviderError) as raised:
        await quick.connect()
    assert raised.value.code == "timeout"
    await server.until(lambda: server.open == 0)


@pytest.mark.parametrize(
    ("close_code", "kind", "code"),
    [
        (3000, AuthenticationError, "invalid_api_key"),
        (4000, ProviderError, "beta_api_shape_disabled"),
        (1011, ProviderError, "server_error"),
    ],
)
async def test_a_close_instead_of_a_greeting_is_raised_with_its_cause(
    server: RealtimeServer, quick: OpenAIProvider, close_code: int, kind: type, code: str
) -> None:
    server.script.close_with = close_code
    with pytest.raises(kind) as raised:
        await quick.connect()
    assert raised.value.code == code


async def test_a_wrong_key_reported_by_an_event_is_an_authentication_error(
    server: RealtimeServer, quick: OpenAIProvider
) -> None:
    server.script.complain_with = "invalid_api_key"
    with pytest.raises(AuthenticationError):
        await quick.connect()


async def close_60_minutes(server: RealtimeServer) -> None:
    await server.peer.complain("session_expired", "Your session hit the maximum duration of 60 minutes.")
    await server.peer.close(1001, "Your session hit the maximum duration of 60 minutes.")


async def close_without_a_word(server: RealtimeServer) -> None:
    await server.peer.close(1001, "Your session hit the maximum duration of 60 minutes.")


async def expired_but_left_open(server: RealtimeServer) -> None:
    await server.peer.complain("session_expired", "expired")


async def close_4000(server: RealtimeServer) -> None:
    await server.peer.close(4000, "beta_api_shape_disabled")


async def error_then_close(server: RealtimeServer) -> None:
    await server.peer.complain("server_error", "we are sorry")
    await server.peer.close(1011, "internal")


async def reset(server: RealtimeServer) -> None:
    server.peer.break_off()


async def half_open(server: RealtimeServer) -> None:
    server.peer.freeze()


async def one_byte_at_a_time(server: RealtimeServer) -> None:
    server.peer.drip(0.01)


async def huge_frame(server: RealtimeServer) -> None:
    await server.peer.socket.send("x" * (16 * 1024 * 1024 + 1))


FAULTS = {
    close_60_minutes: "session_expired",
    close_without_a_word: "session_expired",
    expired_but_left_open: "session_expired",
    close_4000: "beta_api_shape_disabled",
    error_then_close: "server_error",
    reset: "network_error",
    half_open: "half_open",
    one_byte_at_a_time: "half_open",
    huge_frame: "frame_too_big",
}


@pytest.mark.parametrize(("fault", "code"), FAULTS.items(), ids=lambda each: getattr(each, "__name__", each))
@pytest.mark.parametrize("when", ["idle", "during a reply"])
async def test_a_session_that_breaks_is_reported_once_with_its_code(
    server: RealtimeServer, quick: OpenAIProvider, fault: Any, code: str, when: str
) -> None:
    server.script.replies = [LONG]
    ear = await connected(quick)
    if when == "during a reply":
        await quick.send_text("a story")
        await ear.until(E.AUDIO_OUTPUT_CHUNK)
    playing = asyncio.create_task(fault(server))
    lost = await ear.until(E.CONNECTION_LOST)
    assert lost.data["code"] == code
    assert lost.data["reason"]
    assert not quick.is_connected
    with pytest.raises(NotConnected):
        await quick.send_text("still there?")
    await quick.disconnect()
    await asyncio.gather(playing, return_exceptions=True)
    assert len(ear.of(E.CONNECTION_LOST)) == 1


async def test_a_request_without_an_answer_is_a_timeout(
    server: RealtimeServer, quick: OpenAIProvider
) -> None:
    ear = await connected(quick)
    server.script.deaf_to = {"response.create"}
    with pytest.raises(ProviderError) as raised:
        await quick.send_text("hello?")
    assert raised.value.code == "timeout"
    assert (await ear.until(E.CONNECTION_LOST)).data["code"] == "timeout"


async def test_a_waiting_commit_fails_at_the_end_of_the_session(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    await connected(provider)
    server.script.deaf_to = {"input_audio_buffer.commit"}
    await provider.send_audio(tone(200))
    committing = asyncio.create_task(provider.commit())
    await server.received("input_audio_buffer.commit")
    await server.peer.close(1011, "internal")
    with pytest.raises(ProviderError) as raised:
        await committing
    assert raised.value.code == "server_error"


async def test_an_utterance_that_was_cleared_while_it_was_committed_is_not_answered(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    await connected(provider)
    server.script.deaf_to = {"input_audio_buffer.commit"}
    await provider.send_audio(tone(200))
    committing = asyncio.create_task(provider.commit())
    await server.received("input_audio_buffer.commit")
    await provider.interrupt()
    await server.peer.say({"type": "input_audio_buffer.committed", "item_id": "i", "previous_item_id": None})
    await committing
    assert "response.create" not in server.types()


async def test_garbage_is_reported_and_does_not_end_the_session(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    ear = await connected(provider)
    await server.peer.socket.send("{garbage")
    await server.peer.socket.send(b"\xff\x00")
    error = await ear.until(E.ERROR_GENERAL, 2)
    assert error.data["code"] == "bad_frame"
    await provider.send_text("hello")
    await ear.until(E.RESPONSE_COMPLETED)


async def test_a_failed_response_is_reported_with_the_vendors_code(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    error = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "no money"}
    server.script.replies = [Reply("", status="failed", error=error)]
    ear = await connected(provider)
    await provider.send_text("hello")
    cancelled = await ear.until(E.RESPONSE_CANCELLED)
    assert cancelled.data["reason"] == "failed"
    told = ear.of(E.ERROR_GENERAL)[0].data
    assert (told["code"], told["message"]) == ("insufficient_quota", "no money")
    assert told["hint"]


async def test_a_failing_event_handler_ends_the_session_and_leaves_nothing(
    server: RealtimeServer, provider: OpenAIProvider
) -> None:
    ear = await connected(provider)
    hear = provider.on_event

    def break_down(event: Any) -> None:
        hear(event)
        if event.type == E.RESPONSE_STARTED:
            raise RuntimeError("a bug of a caller")

    provider.on_event = break_down
    await asyncio.gather(provider.send_text("hello"), return_exceptions=True)
    assert (await ear.until(E.CONNECTION_LOST)).data["code"] == "internal"
    await server.until(lambda: server.open == 0)


async def assert_leaves_nothing(one: Callable[[], Awaitable[None]]) -> None:
    """Run ``one`` fifty times; the first time fills caches and does not count."""
    await one()
    gc.collect()
    before = (len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()))
    for _ in range(50):
        await one()
    gc.collect()
    assert (len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())) == before


@pytest.mark.slow
async def test_fifty_sessions_leave_no_socket_and_no_task(server: RealtimeServer) -> None:
    async def one() -> None:
        provider = make(server)
        ear = Ear(provider)
        await provider.connect()
        await provider.send_text("hello")
        await ear.until(E.RESPONSE_COMPLETED)
        await provider.disconnect()
        await server.until(lambda: server.open == 0)

    await assert_leaves_nothing(one)


@pytest.mark.slow
async def test_fifty_sessions_that_broke_leave_no_socket_and_no_task(server: RealtimeServer) -> None:
    async def one() -> None:
        provider = make(server, QUICK)
        ear = Ear(provider)
        await provider.connect()
        server.peer.break_off()
        await ear.until(E.CONNECTION_LOST)
        await provider.disconnect()
        await server.until(lambda: server.open == 0)

    await assert_leaves_nothing(one)
