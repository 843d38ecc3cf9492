"""A session with Gemini Live on a real socket: what goes over it, how it moves, and how it breaks."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.conformance.gemini_gate import live_complaints
from tests.providers.contract import Ear
from tests.servers.gemini_live import BAD_KEY, DEADLINE, INVALID, KEY, QUOTA, TASK, GeminiLive
from tests.servers.gemini_steps import (
    END,
    Break,
    Close,
    Raw,
    Step,
    ToolResults,
    Until,
    call,
    heard,
    said,
    sound,
    speech,
)
from voxd.errors import (
    AudioError,
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    NotConnected,
    ProviderError,
    RateLimited,
    StreamError,
)
from voxd.events import EventType as E
from voxd.net.websocket import MAX_FRAME_BYTES, Deadlines
from voxd.providers.settings import SessionConfig, ToolSpec
from voxd.providers.vendors.google.realtime import GeminiProvider

OLD = "gemini-3.1-flash-live-preview"
PCM = b"\x02\x00" * 1600
LAMP = ToolSpec("lamp", "Switches the lamp.", {"type": "object", "properties": {"on": {"type": "boolean"}}})
GO_AWAY = {"goAway": {"timeLeft": "50s"}}
GO_NOW = {"goAway": {"timeLeft": "0s"}}
SOON = Deadlines(answer_s=0.4, active_s=0.4, idle_s=0.4, close_s=0.1)


@pytest.fixture
async def server() -> AsyncIterator[GeminiLive]:
    async with GeminiLive() as server:
        yield server
        assert server.violations == []
        assert live_complaints(server.received) == []


Make = Callable[..., GeminiProvider]


@pytest.fixture
async def make(server: GeminiLive) -> AsyncIterator[Make]:
    made: list[GeminiProvider] = []

    def make(deadlines: Deadlines | None = None, **config: Any) -> GeminiProvider:
        settings = {"api_key": KEY, "endpoint": server.url, **config}
        made.append(GeminiProvider(settings, deadlines))
        return made[-1]

    yield make
    for provider in made:
        await provider.disconnect()


async def opened(provider: GeminiProvider, **config: Any) -> Ear:
    ear = Ear(provider)
    await provider.configure_session(SessionConfig(**config))
    await provider.connect()
    return ear


async def ask(provider: GeminiProvider, ear: Ear, text: str = "hello") -> None:
    count = len(ear.of(E.RESPONSE_COMPLETED)) + 1
    await provider.send_text(text)
    await ear.until(E.RESPONSE_COMPLETED, count)


async def test_a_spoken_turn_with_client_vad(server: GeminiLive, make: Make) -> None:
    server.replies.append(speech("Ten past.", question="what time"))
    provider = make(voice="Kore")
    ear = await opened(provider)
    await provider.send_audio(PCM)
    await provider.send_audio(PCM)
    await provider.commit()
    await ear.until(E.RESPONSE_COMPLETED)
    served = await server.connection()
    assert served.sound == PCM * 2
    inputs = [next(iter(each)) for each in await served.until("realtimeInput", count=4)]
    assert inputs == ["activityStart", "audio", "audio", "activityEnd"]
    [transcript] = [event.data for event in ear.of(E.TEXT_TRANSCRIPTION) if not event.data["is_partial"]]
    assert transcript["text"] == "what time"
    usage = await provider.get_usage()
    assert usage is not None
    assert (usage.input_audio_tokens, usage.output_audio_tokens, usage.responses) == (100, 60, 1)
    assert served.setup["generationConfig"]["speechConfig"]["voiceConfig"] == {
        "prebuiltVoiceConfig": {"voiceName": "Kore"}
    }


async def test_a_spoken_turn_with_server_vad(server: GeminiLive, make: Make) -> None:
    server.replies.append(speech("Ten past.", question="what time"))
    provider = make()
    ear = await opened(provider, turn_detection="server")
    await provider.send_audio(PCM)
    await provider.commit()
    await ear.until(E.RESPONSE_COMPLETED)
    inputs = [next(iter(each)) for each in await (await server.connection()).until("realtimeInput")]
    assert inputs == ["audio", "audioStreamEnd"]
    assert [event.data["speaking"] for event in ear.of(E.CONVERSATION_TURN_DETECTED)] == [True, False]


async def test_speech_during_a_response_interrupts_it(server: GeminiLive, make: Make) -> None:
    never = asyncio.Event()
    server.replies.append((sound(PCM), said("once upon"), Until(never)))
    provider = make()
    ear = await opened(provider)
    await provider.send_audio(PCM)
    await provider.commit()
    await ear.until(E.TEXT_OUTPUT)
    await provider.send_audio(PCM)
    interrupted = await ear.until(E.CONVERSATION_INTERRUPTED)
    cancelled = await ear.until(E.RESPONSE_CANCELLED)
    assert cancelled.data == {"response_id": interrupted.data["response_id"], "reason": "interrupted"}
    await provider.commit()
    completed = await ear.until(E.RESPONSE_COMPLETED)
    assert completed.data["response_id"] != cancelled.data["response_id"]


async def test_all_tools_of_a_response_are_called_and_another_follows(server: GeminiLive, make: Make) -> None:
    calls = call(("1", "lamp", {"on": True}), ("2", "lamp", {"on": False}))
    server.replies.append((calls, ToolResults(), *speech("Both done.")))
    provider = make()
    ear = await opened(provider, tools=(LAMP,))
    await provider.send_text("lamps")
    await ear.until(E.FUNCTION_CALL_INVOKED, 2)
    assert [event.data["arguments"] for event in ear.of(E.FUNCTION_CALL_INVOKED)] == [
        {"on": True},
        {"on": False},
    ]
    await provider.send_tool_result("2", "off")
    await provider.send_tool_result("1", '{"lamp": "on"}')
    await provider.request_response()
    await ear.until(E.RESPONSE_COMPLETED, 2)
    answers = await (await server.connection()).until("toolResponse", "functionResponses", count=2)
    assert [each for [each] in answers] == [
        {"id": "2", "name": "lamp", "response": {"output": "off"}},
        {"id": "1", "name": "lamp", "response": {"lamp": "on"}},
    ]


async def test_a_call_withdrawn_by_an_interruption_is_not_answered(server: GeminiLive, make: Make) -> None:
    server.replies.append((call(("1", "lamp", {})), ToolResults(), *speech("Done.")))
    provider = make()
    ear = await opened(provider, tools=(LAMP,))
    await provider.send_text("lamp")
    await ear.until(E.FUNCTION_CALL_INVOKED)
    await provider.send_text("never mind")
    await ear.until(E.RESPONSE_COMPLETED, 2)
    await provider.send_tool_result("1", "on")
    await ask(provider, ear)
    assert not await (await server.connection()).until("toolResponse", count=0)


async def test_the_result_of_an_interrupted_call_is_sent_as_silent(server: GeminiLive, make: Make) -> None:
    server.replies.append((call(("1", "lamp", {})), ToolResults()))
    provider = make()
    ear = await opened(provider, tools=(LAMP,))
    await provider.send_text("lamp")
    await ear.until(E.FUNCTION_CALL_INVOKED)
    await provider.interrupt(0.0)
    await provider.send_tool_result("1", "on")
    [[answer]] = await (await server.connection()).until("toolResponse", "functionResponses")
    assert answer["scheduling"] == "SILENT"


async def test_functions_run_by_the_models_default_unless_configured(server: GeminiLive, make: Make) -> None:
    for behavior in ("", "BLOCKING"):
        provider = make(metadata={"behavior": behavior})
        await opened(provider, tools=(LAMP,))
    declared = [served.setup["tools"][0]["functionDeclarations"][0] for served in server.connections]
    assert ["behavior" in each for each in declared] == [False, True]


async def test_only_words_come_when_only_words_are_wanted(make: Make) -> None:
    provider = make()
    ear = await opened(provider, modalities=("text",))
    await ask(provider, ear)
    assert not ear.of(E.AUDIO_OUTPUT_STARTED, E.AUDIO_OUTPUT_CHUNK, E.AUDIO_OUTPUT_STOPPED)
    assert ear.of(E.TEXT_OUTPUT)[-1].data["text"] == "ok"


@pytest.mark.parametrize("binary", [True, False])
async def test_the_vendor_may_send_binary_frames_or_text(
    server: GeminiLive, make: Make, binary: bool
) -> None:
    server.binary = binary
    provider = make()
    await ask(provider, await opened(provider))


async def test_half_a_sample_is_refused_here(make: Make) -> None:
    provider = make()
    await opened(provider)
    with pytest.raises(AudioError):
        await provider.send_audio(b"\x00")


async def test_an_utterance_without_sound_is_refused_here(make: Make) -> None:
    provider = make()
    await opened(provider)
    await provider.send_audio(b"")
    with pytest.raises(AudioError) as raised:
        await provider.commit()
    assert raised.value.code == "audio_too_short"


async def test_the_key_is_in_a_header_and_nowhere_else(server: GeminiLive, make: Make) -> None:
    await opened(make())
    served = await server.connection()
    assert served.headers["x-goog-api-key"] == KEY
    assert KEY not in served.path
    assert KEY not in str(served.received)


# The session moves.


async def resumable(provider: GeminiProvider, server: GeminiLive, ear: Ear) -> None:
    """Have a turn after which the vendor has given a handle, and the client has it."""
    await ask(provider, ear)
    await ask(provider, ear)
    assert server.handles


async def test_after_go_away_the_session_continues_on_another_connection(
    server: GeminiLive, make: Make
) -> None:
    provider = make()
    ear = await opened(provider)
    await resumable(provider, server, ear)
    first = await server.connection()
    await first.send(GO_AWAY)
    second = await server.connection(2)
    await first.closed.wait()
    assert second.setup["sessionResumption"]["handle"] in server.handles
    await ask(provider, ear)
    assert await second.until("clientContent")
    assert E.CONNECTION_LOST not in ear.types()
    usage = await provider.get_usage()
    assert usage is not None
    assert usage.responses == 3, "what was used before the move is not forgotten"


async def test_a_response_in_progress_is_finished_before_the_session_moves(
    server: GeminiLive, make: Make
) -> None:
    go_on = asyncio.Event()
    provider = make()
    ear = await opened(provider)
    await resumable(provider, server, ear)
    server.replies.append((sound(PCM), GO_AWAY, Until(go_on), sound(PCM), *END))
    await provider.send_text("tell me")
    await ear.until(E.AUDIO_OUTPUT_CHUNK, 3)
    assert len(server.connections) == 1
    go_on.set()
    await ear.until(E.RESPONSE_COMPLETED, 3)
    await server.connection(2)
    assert E.RESPONSE_CANCELLED not in ear.types()


async def test_without_time_left_the_session_moves_during_a_response(server: GeminiLive, make: Make) -> None:
    provider = make()
    ear = await opened(provider)
    await resumable(provider, server, ear)
    server.replies.append((sound(PCM), GO_NOW, Until(asyncio.Event())))
    await provider.send_text("tell me")
    await server.connection(2)
    cancelled = await ear.until(E.RESPONSE_CANCELLED)
    assert cancelled.data["reason"] == "connection_lost"
    await ask(provider, ear)
    assert E.CONNECTION_LOST not in ear.types()


async def test_speech_during_a_move_is_sent_on_the_new_connection(server: GeminiLive, make: Make) -> None:
    provider = make()
    ear = await opened(provider)
    await resumable(provider, server, ear)
    await provider.send_audio(PCM)
    await (await server.connection()).send(GO_NOW)
    second = await server.connection(2)
    await second.until("setup")
    await provider.send_audio(PCM[:640])
    await provider.commit()
    await ear.until(E.RESPONSE_COMPLETED, 3)
    assert second.sound == PCM[:640]


async def test_a_connection_closed_before_its_time_is_replaced(server: GeminiLive, make: Make) -> None:
    provider = make()
    ear = await opened(provider)
    await resumable(provider, server, ear)
    server.replies.append((sound(PCM), GO_AWAY, Close(1001, "going")))
    await provider.send_text("tell me")
    await server.connection(2)
    await ask(provider, ear)
    assert E.CONNECTION_LOST not in ear.types()


async def test_a_refused_handle_is_a_lost_session(server: GeminiLive, make: Make) -> None:
    provider = make()
    ear = await opened(provider)
    await resumable(provider, server, ear)
    server.handles.clear()
    await (await server.connection()).send(GO_AWAY)
    lost = await ear.until(E.CONNECTION_LOST)
    assert (lost.data["code"], lost.data["reconnecting"]) == ("session_expired", False)
    assert not provider.is_connected
    with pytest.raises(NotConnected):
        await provider.send_text("hello")


async def test_a_conversation_without_a_handle_is_a_lost_session(server: GeminiLive, make: Make) -> None:
    server.resumable = False
    provider = make()
    ear = await opened(provider)
    await ask(provider, ear)
    await (await server.connection()).send(GO_AWAY)
    lost = await ear.until(E.CONNECTION_LOST)
    assert lost.data["code"] == "session_expired"
    assert len(server.connections) == 1


async def test_cleared_audio_is_never_answered(server: GeminiLive, make: Make) -> None:
    provider = make()
    ear = await opened(provider)
    await provider.send_audio(PCM)
    await provider.clear_audio()
    await provider.send_audio(PCM[:640])
    await provider.commit()
    await ear.until(E.RESPONSE_COMPLETED)
    assert server.connections[1].sound == PCM[:640]
    await provider.clear_audio()
    assert len(server.connections) == 2, "there was nothing to take back"


async def test_new_settings_move_the_session_and_equal_ones_do_not(server: GeminiLive, make: Make) -> None:
    provider = make()
    ear = await opened(provider, instructions="be brief")
    await resumable(provider, server, ear)
    await provider.configure_session(SessionConfig(instructions="be brief"))
    assert len(server.connections) == 1
    await provider.configure_session(SessionConfig(instructions="be long"))
    second = await server.connection(2)
    assert second.setup["systemInstruction"]["parts"] == [{"text": "be long"}]
    assert second.setup["sessionResumption"]["handle"] in server.handles
    await ask(provider, ear)


async def test_new_settings_wait_for_the_end_of_a_response(server: GeminiLive, make: Make) -> None:
    go_on = asyncio.Event()
    provider = make()
    ear = await opened(provider)
    await resumable(provider, server, ear)
    server.replies.append((sound(PCM), Until(go_on), *END))
    await provider.send_text("tell me")
    await ear.until(E.AUDIO_OUTPUT_CHUNK, 3)
    await provider.configure_session(SessionConfig(instructions="be long"))
    assert len(server.connections) == 1
    go_on.set()
    await server.connection(2)
    assert E.RESPONSE_CANCELLED not in ear.types()


async def test_new_settings_wait_while_the_user_speaks(server: GeminiLive, make: Make) -> None:
    provider = make()
    ear = await opened(provider, turn_detection="server")
    await resumable(provider, server, ear)
    first = await server.connection()
    await first.send(heard("what"))
    await ear.until(E.TEXT_TRANSCRIPTION)
    await provider.configure_session(SessionConfig(turn_detection="server", instructions="be long"))
    assert len(server.connections) == 1
    for message in (sound(PCM), *END):
        await first.send(message)
    await server.connection(2)
    await ear.until(E.RESPONSE_COMPLETED, 3)


async def test_a_handle_older_than_the_history_is_not_used(server: GeminiLive, make: Make) -> None:
    early = {"sessionResumptionUpdate": {"newHandle": "early", "resumable": True}}
    server.greeting = ({"setupComplete": {}}, early, Raw("a mark"))
    provider = make()
    ear = await opened(provider)
    await ear.until(E.ERROR_GENERAL)
    await provider.add_history("user", "my name is Ada")
    await provider.configure_session(SessionConfig(instructions="be long"))
    second = await server.connection(2)
    assert second.setup["sessionResumption"] == {}
    [seed] = await second.until("clientContent")
    assert seed["turnComplete"] is True


async def test_history_before_connecting_is_sent_with_the_setup(server: GeminiLive, make: Make) -> None:
    provider = make()
    await provider.add_history("user", "my name is Ada")
    await provider.add_history("assistant", "Hello Ada.")
    ear = await opened(provider)
    await ask(provider, ear)
    served = await server.connection()
    assert served.setup["historyConfig"] == {"initialHistoryInClientContent": True}
    [seed, _] = await served.until("clientContent")
    assert [turn["role"] for turn in seed["turns"]] == ["user", "model"]
    assert seed["turnComplete"] is True
    assert len(ear.of(E.RESPONSE_STARTED)) == 1, "history is not answered"


async def test_history_for_an_open_session_is_sent_as_content(server: GeminiLive, make: Make) -> None:
    provider = make()
    ear = await opened(provider)
    await provider.add_history("assistant", "Hello Ada.")
    await ask(provider, ear)
    contents = await (await server.connection()).until("clientContent")
    assert [each["turnComplete"] for each in contents] == [False, True]


async def test_an_older_model_restarts_once_for_all_history(server: GeminiLive, make: Make) -> None:
    provider = make(model=OLD)
    ear = await opened(provider)
    await provider.add_history("user", "my name is Ada")
    await provider.add_history("assistant", "Hello Ada.")
    await ask(provider, ear)
    second = await server.connection(2)
    assert len(server.connections) == 2
    [seed] = await second.until("clientContent")
    assert [turn["parts"][0]["text"] for turn in seed["turns"]] == ["my name is Ada", "Hello Ada."]
    assert "handle" not in second.setup["sessionResumption"]


async def test_an_older_model_ignores_history_in_the_middle_of_a_session(
    server: GeminiLive, make: Make
) -> None:
    provider = make(model=OLD)
    ear = await opened(provider)
    await ask(provider, ear)
    await provider.add_history("user", "my name is Ada")
    await ask(provider, ear)
    assert len(server.connections) == 1


async def test_an_older_model_that_has_moved_takes_no_history_either(server: GeminiLive, make: Make) -> None:
    provider = make(model=OLD)
    ear = await opened(provider)
    await resumable(provider, server, ear)
    await (await server.connection()).send(GO_AWAY)
    await (await server.connection(2)).until("setup")
    await provider.add_history("user", "my name is Ada")
    await ask(provider, ear)
    assert len(server.connections) == 2


# It breaks.


@pytest.mark.parametrize(
    ("http", "kind", "code", "retry_after_s"),
    [
        ((401, {}, b""), AuthenticationError, "invalid_api_key", None),
        ((403, {}, b"{}"), AuthenticationError, "invalid_api_key", None),
        ((429, {"Retry-After": "7"}, b""), RateLimited, "rate_limited", 7.0),
        ((503, {}, b""), ConnectionFailed, "server_error", None),
        ((200, {}, b"<html>log in</html>"), ConnectionFailed, "captive_portal", None),
    ],
)
async def test_a_refusal_by_http_is_an_error_with_a_hint(
    server: GeminiLive, make: Make, http: Any, kind: type[ProviderError], code: str, retry_after_s: float
) -> None:
    server.http = http
    provider = make()
    with pytest.raises(kind) as raised:
        await provider.connect()
    assert (raised.value.code, raised.value.retry_after_s) == (code, retry_after_s)
    assert not provider.is_connected


LEAKED = Close(1008, "Your API key was reported as leaked. Please use another API key.")
UNKNOWN = Close(
    1008, "models/x is not found for API version v1, or is not supported for bidiGenerateContent."
)
EXHAUSTED = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}


@pytest.mark.parametrize(
    ("greeting", "kind", "code", "retryable"),
    [
        (Close(*BAD_KEY), AuthenticationError, "invalid_api_key", False),
        (LEAKED, AuthenticationError, "invalid_api_key", False),
        (UNKNOWN, ProviderError, "model_not_found", False),
        (Close(*QUOTA), RateLimited, "rate_limited", True),
        (EXHAUSTED, RateLimited, "rate_limited", True),
        (Close(*INVALID), StreamError, "bad_frame", False),
        (Close(1011, "Internal error occurred."), ConnectionFailed, "server_error", True),
        (Close(1000), ConnectionFailed, "closed_by_vendor", True),
        (Break(), ConnectionFailed, "network_error", True),
        (Raw(b"\xff\x00garbage"), StreamError, "bad_frame", True),
        (Raw("[]"), StreamError, "bad_frame", True),
        (Raw(b" " * (MAX_FRAME_BYTES + 1)), ConnectionFailed, "frame_too_big", True),
        (Until(asyncio.Event()), ConnectionFailed, "timeout", True),
    ],
)
async def test_a_session_that_does_not_begin_reports_why(
    server: GeminiLive, make: Make, greeting: Step, kind: type[ProviderError], code: str, retryable: bool
) -> None:
    before = asyncio.all_tasks()
    server.greeting = (greeting,)
    provider = make(SOON if isinstance(greeting, Until) else None)
    with pytest.raises(ProviderError) as raised:
        await provider.connect()
    error = raised.value
    assert (type(error), error.code, error.retryable) == (kind, code, retryable)
    assert not provider.is_connected
    async with asyncio.timeout(5):
        await (await server.connection()).socket.wait_closed()
    assert {task.get_name() for task in asyncio.all_tasks() - before} <= {TASK}


async def test_a_wrong_key_is_an_authentication_error(make: Make) -> None:
    with pytest.raises(AuthenticationError):
        await make(api_key="wrong").connect()


@pytest.mark.parametrize("key", ["", None, "two\nlines", "schlüssel"])
async def test_a_malformed_key_is_not_sent(server: GeminiLive, make: Make, key: str | None) -> None:
    with pytest.raises(AuthenticationError):
        await make(api_key=key).connect()
    assert server.connections == []


async def test_an_unreachable_vendor_is_a_connection_error(make: Make) -> None:
    with pytest.raises(ConnectionFailed):
        await make(endpoint="ws://127.0.0.1:9").connect()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Close(*DEADLINE), "session_expired"),
        (Close(*QUOTA), "rate_limited"),
        (Close(1011, "Internal error occurred."), "server_error"),
        (Close(1008, "API key expired."), "invalid_api_key"),
        (Close(1000), "closed_by_vendor"),
        (Break(), "network_error"),
        (Raw(b" " * (MAX_FRAME_BYTES + 1)), "frame_too_big"),
    ],
)
async def test_a_session_that_breaks_during_a_response_ends_it_and_reports_why(
    server: GeminiLive, make: Make, fault: Step, code: str
) -> None:
    server.replies.append((sound(PCM), fault))
    provider = make()
    ear = await opened(provider)
    await provider.send_text("hello")
    lost = await ear.until(E.CONNECTION_LOST)
    assert (lost.data["provider"], lost.data["code"]) == ("gemini", code)
    assert lost.data["reason"]
    [cancelled] = ear.of(E.RESPONSE_CANCELLED)
    assert cancelled.data["reason"] == "connection_lost"
    assert not provider.is_connected
    with pytest.raises(NotConnected):
        await provider.send_audio(PCM)


@pytest.mark.parametrize("speaking", [True, False])
async def test_a_silent_vendor_is_detected(server: GeminiLive, make: Make, speaking: bool) -> None:
    provider = make(SOON)
    ear = await opened(provider)
    (await server.connection()).freeze()
    if speaking:
        await provider.send_audio(PCM)
    lost = await ear.until(E.CONNECTION_LOST)
    assert lost.data["code"] == "half_open"


async def test_a_vendor_silent_during_a_response_is_detected_sooner(server: GeminiLive, make: Make) -> None:
    server.replies.append((sound(PCM), Until(asyncio.Event())))
    provider = make(Deadlines(active_s=0.4, idle_s=600.0))
    ear = await opened(provider)
    await provider.send_text("hello")
    await ear.until(E.AUDIO_OUTPUT_CHUNK)
    (await server.connection()).freeze()
    lost = await ear.until(E.CONNECTION_LOST)
    assert lost.data["code"] == "half_open"


@pytest.mark.parametrize("garbage", [b"\xff\xfe{", "no json", b"[]", "3"])
async def test_garbage_is_an_error_and_the_session_continues(
    server: GeminiLive, make: Make, garbage: bytes | str
) -> None:
    server.replies.append((Raw(garbage), *speech("ok")))
    provider = make()
    ear = await opened(provider)
    await ask(provider, ear)
    [error] = ear.of(E.ERROR_GENERAL)
    assert error.data["code"] == "bad_frame"


async def test_an_error_message_in_a_session_is_reported(server: GeminiLive, make: Make) -> None:
    server.replies.append((EXHAUSTED, *speech("ok")))
    provider = make()
    ear = await opened(provider)
    await ask(provider, ear)
    assert [event.data["code"] for event in ear.of(E.ERROR_GENERAL)] == ["rate_limited"]


async def test_a_broken_session_can_be_opened_again(server: GeminiLive, make: Make) -> None:
    server.replies.append((Break(),))
    provider = make()
    ear = await opened(provider)
    await provider.send_text("hello")
    await ear.until(E.CONNECTION_LOST)
    await provider.connect()
    await ask(provider, ear)


async def test_a_close_in_the_middle_of_a_move_leaves_nothing(server: GeminiLive, make: Make) -> None:
    before = asyncio.all_tasks()
    provider = make()
    ear = await opened(provider)
    await resumable(provider, server, ear)
    server.greeting = (Until(asyncio.Event()),)
    await (await server.connection()).send(GO_AWAY)
    await (await server.connection(2)).until("setup")
    await provider.disconnect()
    assert E.CONNECTION_LOST not in ear.types()
    assert {task.get_name() for task in asyncio.all_tasks() - before} <= {TASK}


async def test_nothing_leaks_over_fifty_sessions(server: GeminiLive, make: Make) -> None:
    def held() -> tuple[int, set[str]]:
        tasks = {task.get_name() for task in asyncio.all_tasks()} - {TASK}
        return len(os.listdir("/proc/self/fd")), tasks

    async def one(number: int) -> None:
        provider = make()
        ear = await opened(provider)
        if number % 5 == 0:
            server.replies.append((sound(PCM), Break()))
            await provider.send_text("hello")
            await ear.until(E.CONNECTION_LOST)
        elif number % 5 == 1:
            await resumable(provider, server, ear)
            await server.connections[-1].send(GO_AWAY)
            await server.connection(len(server.connections) + 1)
        else:
            await ask(provider, ear)
        await provider.disconnect()
        for served in server.connections:
            await served.socket.wait_closed()

    for number in range(5):
        await one(number)
    before = held()
    for number in range(50):
        await one(number)
    assert held() == before


async def test_usage_adds_up_over_turns(server: GeminiLive, make: Make) -> None:
    provider = make()
    ear = await opened(provider)
    await ask(provider, ear)
    await ask(provider, ear)
    totals = [event.data["usage"].output_audio_tokens for event in ear.of(E.USAGE_UPDATED)]
    assert totals == [60, 120]
    cost = await provider.estimate_cost()
    assert cost is None or cost.total > 0


async def test_a_key_does_not_cross_the_internet_in_clear() -> None:
    provider = GeminiProvider({"api_key": KEY, "endpoint": "ws://vendor.example"})
    with pytest.raises(ConfigError, match="not encrypted"):
        await provider.connect()
