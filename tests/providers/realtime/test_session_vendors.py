"""One session over the vendors' protocols on real sockets: tools, losses and a switch in mid-conversation."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.providers.realtime.listener import EventLog
from tests.servers.gemini_live import KEY as GEMINI_KEY
from tests.servers.gemini_live import GeminiLive
from tests.servers.gemini_steps import END, ToolResults, call, said, sound
from tests.servers.openai_realtime import KEY, Call, RealtimeServer, Reply, Script, realtime_server
from voxd.clock import SystemClock
from voxd.errors import ProviderError
from voxd.events import EventType as E
from voxd.providers.base import BaseProvider
from voxd.providers.events import publish_to
from voxd.providers.realtime.session import Session
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox, tool
from voxd.providers.vendors.google.realtime import GeminiProvider
from voxd.providers.vendors.openai.realtime import OpenAIProvider


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def told() -> EventLog:
    return EventLog()


@pytest.fixture
async def openai() -> AsyncIterator[RealtimeServer]:
    async with realtime_server(Script()) as server:
        yield server


@pytest.fixture
async def gemini() -> AsyncIterator[GeminiLive]:
    async with GeminiLive() as server:
        yield server
        assert server.violations == []


def of_openai(server: RealtimeServer) -> Callable[[], BaseProvider]:
    return lambda: OpenAIProvider({"api_key": KEY, "endpoint": server.url})


def of_gemini(server: GeminiLive) -> Callable[[], BaseProvider]:
    return lambda: GeminiProvider({"api_key": GEMINI_KEY, "endpoint": server.url})


@pytest.fixture
async def begin(told: EventLog) -> AsyncIterator[Callable[[Callable[[], BaseProvider], str], Session]]:
    sessions: list[Session] = []

    def start(make: Callable[[], BaseProvider], name: str) -> Session:
        config = SessionConfig(voice="marin")
        tools = ToolBox([tool(add)])
        session = Session(
            make,
            name=name,
            config=config,
            tools=tools,
            on_event=publish_to(told),
            clock=SystemClock(),
            jitter=lambda: 1.0,
        )
        sessions.append(session)
        return session

    yield start
    for session in sessions:
        await session.close()


Begin = Callable[[Callable[[], BaseProvider], str], Session]


def lines(session: Session) -> list[tuple[str, str]]:
    return [(line.role, line.text) for line in session.history]


async def test_openai_gets_the_results_of_all_tools_and_then_one_request(
    openai: RealtimeServer, told: EventLog, begin: Begin
) -> None:
    calls = (Call("add", '{"a": 1, "b": 2}', "call_a"), Call("add", '{"a": ', "call_b"))
    openai.script.replies = [Reply(text="", calls=calls), Reply("Three, and I stumbled.")]
    session = begin(of_openai(openai), "openai")
    await session.connect()
    await session.send_text("what is one and two")
    await told.until(E.RESPONSE_COMPLETED, 2)
    outputs = {
        frame["item"]["call_id"]: frame["item"]["output"]
        for frame in openai.of_type("conversation.item.create")
        if frame["item"]["type"] == "function_call_output"
    }
    assert outputs["call_a"] == "3"
    assert outputs["call_b"].startswith("error: invalid arguments of add")
    assert len(openai.of_type("response.create")) == 2
    assert lines(session) == [("user", "what is one and two"), ("assistant", "Three, and I stumbled.")]


async def test_gemini_gets_the_results_of_all_tools_without_a_request(
    gemini: GeminiLive, told: EventLog, begin: Begin
) -> None:
    calls = call(("a", "add", {"a": 1, "b": 2}), ("b", "add", {"a": 5, "b": 5}))
    gemini.answers["sums"] = (calls, ToolResults(), said("Three and ten."), sound(bytes(4800)), *END)
    session = begin(of_gemini(gemini), "gemini")
    await session.connect()
    await session.send_text("sums")
    await told.until(E.RESPONSE_COMPLETED, 2)
    assert {data["output"] for data in told.of(E.FUNCTION_CALL_COMPLETED)} == {"3", "10"}
    assert lines(session) == [("user", "sums"), ("assistant", "Three and ten.")]
    assert session.is_quiet


async def test_a_conversation_survives_a_broken_socket(
    openai: RealtimeServer, told: EventLog, begin: Begin
) -> None:
    session = begin(of_openai(openai), "openai")
    await session.connect()
    await session.send_text("hello")
    await told.until(E.RESPONSE_COMPLETED)
    openai.peer.break_off()
    lost = await told.until(E.CONNECTION_LOST)
    assert lost["reconnecting"]
    await told.until(E.CONNECTION_ESTABLISHED, 2)
    await session.send_text("and again")
    await told.until(E.RESPONSE_COMPLETED, 2)
    items = [frame["item"]["content"][0]["text"] for frame in openai.of_type("conversation.item.create")]
    assert items == ["hello", "hello", "Hello there.", "and again"]
    assert [line.text for line in session.history] == ["hello", "Hello there.", "and again", "Hello there."]


async def test_a_conversation_continues_with_another_vendor(
    openai: RealtimeServer, gemini: GeminiLive, told: EventLog, begin: Begin
) -> None:
    session = begin(of_openai(openai), "openai")
    await session.connect()
    await session.send_text("my name is Ada")
    await told.until(E.RESPONSE_COMPLETED)
    await session.switch(of_gemini(gemini), "gemini")
    gemini.answers["who am I"] = (said("You are Ada."), sound(bytes(4800)), *END)
    await session.send_text("who am I")
    await told.until(E.RESPONSE_COMPLETED, 2)
    setup, *later = gemini.connections[0].received
    voice = setup["setup"]["generationConfig"]["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]
    assert voice == {"voiceName": "Aoede"}
    contents = [message["clientContent"]["turns"] for message in later if "clientContent" in message]
    turns = [(turn["role"], turn["parts"][0]["text"]) for content in contents for turn in content]
    assert turns[:2] == [("user", "my name is Ada"), ("model", "Hello there.")]
    assert lines(session)[-1] == ("assistant", "You are Ada.")
    usage = await session.usage()
    assert usage.total_sessions == 2
    await openai.until(lambda: openai.open == 0)


async def test_openai_gets_the_position_of_the_cut(
    openai: RealtimeServer, told: EventLog, begin: Begin
) -> None:
    openai.script.replies = [Reply("one two three four", sound_ms=2000, hold_after=50, late=3)]
    session = begin(of_openai(openai), "openai")
    await session.connect()
    await session.send_text("count")
    await told.until(E.AUDIO_OUTPUT_CHUNK, 50)
    await session.interrupt(played_ms=500)
    await told.until(E.RESPONSE_CANCELLED)
    truncate = await openai.received("conversation.item.truncate")
    assert truncate["audio_end_ms"] == 500
    assert len(told.of(E.CONVERSATION_INTERRUPTED)) == 1
    assert len(told.of(E.AUDIO_OUTPUT_CHUNK)) == 50
    (_, reply) = lines(session)
    assert "one two three four".startswith(reply[1])
    assert reply[1] != "one two three four"


async def test_a_changed_setting_of_a_running_session_is_published_by_name(
    openai: RealtimeServer, told: EventLog, begin: Begin
) -> None:
    session = begin(of_openai(openai), "openai")
    await session.connect()
    await session.configure(SessionConfig(voice="marin"))
    assert told.of(E.SETTINGS_CHANGED) == [], "nothing has changed"
    await session.configure(SessionConfig(voice="marin", instructions="Be brief.", speed=1.2))
    assert told.of(E.SETTINGS_CHANGED) == [{"changed": ("instructions", "speed")}]
    openai.script.refuse_update = "invalid_value"
    with pytest.raises(ProviderError):
        await session.configure(SessionConfig(voice="marin"))
    assert len(told.of(E.SETTINGS_CHANGED)) == 1
