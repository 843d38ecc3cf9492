"""GPT-Live over a real socket: a protocol without turns, reported as turns."""

from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from tests.conformance.gate import live_complaints
from tests.providers.contract import Ear, tone
from tests.servers.gpt_live import LiveServer, live_server
from voxd.errors import ConfigError, ProviderError
from voxd.events import EventType as E
from voxd.net.websocket import Deadlines
from voxd.providers.settings import SessionConfig
from voxd.providers.vendors.openai.gpt_live import RATE_HZ, GptLiveProvider, GptLiveReader

SOUND = tone(20, RATE_HZ)


class QuickToEnd(GptLiveProvider):
    quiet_s: ClassVar[float] = 0.05


@pytest.fixture
async def server() -> AsyncIterator[LiveServer]:
    async with live_server() as server:
        yield server
        assert live_complaints(server.frames) == []


@pytest.fixture
async def provider(server: LiveServer) -> AsyncIterator[GptLiveProvider]:
    provider = QuickToEnd({"api_key": "sk-1", "endpoint": server.base_url, "voice": "marin"}, Deadlines())
    await provider.configure_session(SessionConfig(instructions="Be brief.", turn_detection="server"))
    yield provider
    await provider.disconnect()


async def test_a_session_begins_with_its_settings_at_the_rate_of_the_microphone(
    server: LiveServer, provider: GptLiveProvider
) -> None:
    await provider.connect()
    (start,) = server.of_type("session.start")
    assert start["session"] == {
        "model": "gpt-live-1",
        "instructions": "Be brief.",
        "store": False,
        "audio": {"format": {"type": "audio/pcm", "rate": 16_000}, "output": {"voice": "marin"}},
    }
    assert server.requests[0].path == "/v1/live/sessions"
    assert provider.session_id == "live_1"


async def test_a_reply_is_reported_from_its_first_word_to_the_silence_after_it(
    server: LiveServer, provider: GptLiveProvider
) -> None:
    ear = Ear(provider)
    await provider.connect()
    await provider.send_audio(SOUND)
    await server.until(lambda: bool(server.of_type("session.input_audio.append")))
    await server.heard("what time ")
    await server.heard("is it")
    await server.speak("It is noon.", SOUND)
    await ear.until(E.RESPONSE_COMPLETED)
    types = ear.types()
    assert types.index(E.RESPONSE_STARTED) < types.index(E.AUDIO_OUTPUT_STARTED)
    assert types.index(E.AUDIO_OUTPUT_STOPPED) < types.index(E.RESPONSE_COMPLETED)
    whole = [event.data["text"] for event in ear.of(E.TEXT_TRANSCRIPTION) if not event.data["is_partial"]]
    assert whole == ["what time is it"]
    assert ear.of(E.TEXT_OUTPUT)[-1].data["text"] == "It is noon."
    assert b"".join(event.data["audio_data"] for event in ear.of(E.AUDIO_OUTPUT_CHUNK)) == SOUND * 3


async def test_a_session_is_finished_before_its_socket_is_closed(
    server: LiveServer, provider: GptLiveProvider
) -> None:
    ear = Ear(provider)
    await provider.connect()
    await provider.disconnect()
    assert server.frames[-1]["type"] == "session.close"
    usage, cost = await provider.get_usage(), await provider.estimate_cost()
    assert usage is not None
    assert cost is not None
    assert usage.audio_seconds == 6.0
    assert cost.total == pytest.approx(0.05 * 6 / 60)
    assert ear.of(E.CONNECTION_LOST) == []


async def test_a_session_that_has_expired_is_lost_with_that_code(
    server: LiveServer, provider: GptLiveProvider
) -> None:
    ear = Ear(provider)
    await provider.connect()
    await server.end("expired")
    assert (await ear.until(E.CONNECTION_LOST)).data["code"] == "session_expired"


async def test_a_task_that_is_delegated_is_declined(server: LiveServer, provider: GptLiveProvider) -> None:
    await provider.connect()
    delegation = {"id": "d1", "target": "client", "type": "delegation"}
    await server.say("session.delegation.created", delegation=delegation, offset_ms=0)
    await server.until(lambda: bool(server.of_type("session.commentary.append")))
    assert server.frames[-1]["delegation_id"] == "d1"


async def test_history_is_sent_as_silent_context(server: LiveServer, provider: GptLiveProvider) -> None:
    await provider.connect()
    await provider.add_history("user", "my name is Ada")
    await server.until(lambda: bool(server.of_type("session.thinking.append")))
    assert server.frames[-1]["content"] == "Earlier the user said: my name is Ada"


async def test_what_the_protocol_cannot_do_is_refused(server: LiveServer, provider: GptLiveProvider) -> None:
    await provider.connect()
    with pytest.raises(ProviderError) as raised:
        await provider.send_text("hello")
    assert raised.value.code == "unsupported"
    with pytest.raises(ProviderError) as raised:
        await provider.configure_session(SessionConfig(instructions="other", turn_detection="server"))
    assert raised.value.code == "session_fixed"


def speech(text: str = "hello ") -> str:
    return f'{{"type": "session.output_transcript.delta", "delta": "{text}"}}'


def test_after_an_interruption_the_rest_of_the_reply_is_dropped_until_it_is_over() -> None:
    reader = GptLiveReader("gpt_live")
    reader.read(speech())
    told = [event.type for event in reader.interrupt(100).events]
    assert told == [E.CONVERSATION_INTERRUPTED, E.RESPONSE_CANCELLED]
    assert reader.read(speech()).events == ()
    assert reader.interrupt(100).events == ()
    assert reader.end_reply() == []
    assert reader.read(speech()).events[0].type == E.RESPONSE_STARTED


def test_silence_alone_is_not_a_reply() -> None:
    silence = '{"type": "session.output_audio.delta", "delta": "AAAAAA=="}'
    reader = GptLiveReader("gpt_live")
    assert reader.read(silence).events == ()
    assert not reader.busy


GARBAGE = [
    "",
    "[]",
    "{}",
    b"\xff",
    '{"type": 1}',
    '{"type": "session.output_audio.delta", "delta": "***"}',
    '{"type": "session.usage.updated", "usage": {"seconds": "x"}}',
]


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_is_an_event_and_never_an_exception(text: str | bytes) -> None:
    (event,) = GptLiveReader("gpt_live").read(text).events
    assert event.data["code"] == "bad_frame"


async def test_client_turn_detection_is_refused(
    server: LiveServer,
) -> None:
    provider = GptLiveProvider({"api_key": "sk-1", "endpoint": server.base_url})
    with pytest.raises(ConfigError, match="detects the end") as caught:
        await provider.configure_session(SessionConfig())
    assert 'turn_detection = "server"' in caught.value.hint
