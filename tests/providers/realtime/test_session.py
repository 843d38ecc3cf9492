"""A conversation outlives connections, limits and vendors, and remembers only what was heard."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.fakes import FakeClock, settle
from tests.payloads import problem
from tests.providers.contract import blocks, tone
from voxd.errors import (
    AudioError,
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    NotConnected,
    ProviderError,
    RateLimited,
)
from voxd.events import EventType as E
from voxd.providers.base import BaseProvider, Capabilities
from voxd.providers.events import publish_to
from voxd.providers.history import HistoryMessage
from voxd.providers.realtime.connect import CLOSE_TIMEOUT_S
from voxd.providers.realtime.reconnect import CHECK_S
from voxd.providers.realtime.response_guard import LONGEST_ANSWER_S
from voxd.providers.realtime.session import Session
from voxd.providers.settings import SessionConfig, ToolSpec
from voxd.providers.tools import ToolBox, tool
from voxd.providers.vendors.mock.realtime import MockProvider
from voxd.providers.vendors.mock.script import MockCall, MockReply, MockScript

LIMIT_S = 3300.0
PATIENCE_S = 5.0


class Limited(MockProvider):
    """A mock whose vendor ends sessions."""

    capabilities = Capabilities(server_vad=True, tools=True, session_limit_s=LIMIT_S)


class Rig:
    """A session, what it told, and every provider it had."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.providers: list[MockProvider] = []
        self.sessions: list[Session] = []

    def emit(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        assert problem(type, data) == ""
        self.events.append((str(type), data))

    def maker(self, script: MockScript, cls: type[MockProvider] = MockProvider) -> Callable[[], BaseProvider]:
        def make() -> BaseProvider:
            provider = cls({"metadata": script, "clock": self.clock})
            self.providers.append(provider)
            return provider

        return make

    def session(
        self,
        script: MockScript | None = None,
        *,
        cls: type[MockProvider] = MockProvider,
        make: Callable[[], BaseProvider] | None = None,
        config: SessionConfig | None = None,
        tools: ToolBox | None = None,
        idle_close_s: float | None = None,
    ) -> Session:
        session = Session(
            make or self.maker(script or MockScript(), cls),
            name="mock",
            config=config or SessionConfig(),
            tools=tools or ToolBox(),
            on_event=publish_to(self.emit),
            clock=self.clock,
            idle_close_s=idle_close_s,
            jitter=lambda: 0.0,
        )
        self.sessions.append(session)
        return session

    def of(self, type: E) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == type]

    def types(self) -> list[str]:
        return [name for name, _ in self.events]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def rig(clock: FakeClock) -> AsyncIterator[Rig]:
    before = asyncio.all_tasks()
    rig = Rig(clock)
    yield rig
    for session in rig.sessions:
        await session.close()
    await settle()
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert left == set(), "a session leaves no task behind"
    assert not any(provider.is_connected for provider in rig.providers)


async def answered(rig: Rig, what: Awaitable[None] | None = None) -> None:
    """Let a reply come to its end: the mock gives way after every piece."""
    if what is not None:
        await what
    for _ in range(50):
        await settle()
        if rig.sessions[-1].is_quiet:
            return
    raise AssertionError("the reply does not end")


def said(session: Session) -> list[tuple[str, str]]:
    return [(line.role, line.text) for line in session.history]


# Opening


async def test_a_session_opens_with_its_configuration_and_reports_its_latency(rig: Rig) -> None:
    session = rig.session(MockScript(connect_delay_s=0.25), config=SessionConfig(instructions="be brief"))
    connecting = asyncio.create_task(session.connect())
    await rig.clock.advance(0.25)
    await connecting
    assert rig.types() == [E.CONNECTION_STARTING, E.CONNECTION_ESTABLISHED]
    opened = rig.of(E.CONNECTION_ESTABLISHED)[0]
    assert opened["latency_ms"] == pytest.approx(250)
    assert opened["connection_id"] == rig.providers[0].session_id
    assert rig.providers[0].session.instructions == "be brief"
    await session.connect()
    assert len(rig.providers) == 1, "an open session is not opened again"


async def test_a_refused_connection_is_tried_again_after_longer_and_longer_waits(rig: Rig) -> None:
    script = MockScript(connect_fault="refused", connect_faults=3)
    session = rig.session(script)
    connecting = asyncio.create_task(session.connect(retry_count=3))
    openings = []
    for wait_s in (0.5, 1.0, 2.0):
        await rig.clock.advance(wait_s - 0.01)
        openings.append(script.openings)
        await rig.clock.advance(0.01)
    await connecting
    assert openings == [1, 2, 3]
    assert session.is_connected
    assert rig.of(E.CONNECTION_FAILED) == []


async def test_retries_come_to_an_end(rig: Rig) -> None:
    script = MockScript(connect_fault="refused")
    session = rig.session(script)
    connecting = asyncio.create_task(session.connect(retry_count=2))
    await rig.clock.advance(60)
    with pytest.raises(ConnectionFailed):
        await connecting
    assert script.openings == 3
    (failed,) = rig.of(E.CONNECTION_FAILED)
    assert (failed["code"], failed["retry_count"]) == ("network_error", 2)
    assert not session.is_connected


async def test_a_wrong_key_is_an_error_at_once(rig: Rig) -> None:
    script = MockScript(connect_fault="invalid_api_key")
    session = rig.session(script)
    with pytest.raises(AuthenticationError):
        await session.connect(retry_count=3)
    assert script.openings == 1
    assert rig.of(E.CONNECTION_FAILED)[0]["retry_count"] == 0


async def test_a_wrong_key_is_tried_three_times_an_hour_at_most(rig: Rig) -> None:
    script = MockScript(connect_fault="invalid_api_key")
    session = rig.session(script)
    for _ in range(60):
        with pytest.raises(AuthenticationError):
            await session.connect()
        await rig.clock.advance(60)
    assert script.openings == 3


async def test_another_provider_is_not_held_back_by_the_wrong_key_of_one(rig: Rig) -> None:
    session = rig.session(MockScript(connect_fault="invalid_api_key"))
    with pytest.raises(AuthenticationError):
        await session.connect()
    await session.switch(rig.maker(MockScript()), "second")
    await session.connect()
    assert session.is_connected


async def test_an_invalid_configuration_is_an_error_at_once(rig: Rig) -> None:
    session = rig.session(make=lambda: MockProvider({"metadata": {"connect_fault": "earthquake"}}))
    with pytest.raises(ConfigError, match="earthquake"):
        await session.connect()
    assert rig.of(E.CONNECTION_FAILED)[0]["code"] == "config_invalid"


async def test_a_wait_that_the_vendor_requests_is_respected(rig: Rig) -> None:
    script = MockScript(connect_fault="rate_limited", connect_faults=1, retry_after_s=30)
    session = rig.session(script)
    connecting = asyncio.create_task(session.connect())
    await rig.clock.advance(29.9)
    assert script.openings == 1
    await rig.clock.advance(0.1)
    await connecting
    assert session.is_connected


async def test_no_attempt_is_made_before_a_long_requested_wait_ends(rig: Rig) -> None:
    script = MockScript(connect_fault="rate_limited", connect_faults=1, retry_after_s=600)
    session = rig.session(script)
    for _ in range(3):
        with pytest.raises(RateLimited):
            await session.connect()
    assert script.openings == 1
    await rig.clock.advance(600)
    await session.connect()
    assert session.is_connected


async def test_an_absurd_wait_is_an_hour(rig: Rig) -> None:
    script = MockScript(connect_fault="rate_limited", connect_faults=1, retry_after_s=1e9)
    session = rig.session(script)
    with pytest.raises(RateLimited):
        await session.connect()
    await rig.clock.advance(3600)
    await session.connect()
    assert session.is_connected


async def test_an_exception_of_a_third_party_is_a_fault_of_the_provider(rig: Rig) -> None:
    class Rude(MockProvider):
        async def connect(self) -> None:
            raise ZeroDivisionError

    session = rig.session(cls=Rude)
    connecting = asyncio.create_task(session.connect(retry_count=0))
    with pytest.raises(ProviderError, match="ZeroDivisionError"):
        await connecting
    assert rig.of(E.CONNECTION_FAILED)[0]["provider"] == "mock"


async def test_a_cancelled_connect_leaves_nothing_open(rig: Rig) -> None:
    session = rig.session(MockScript(connect_delay_s=1.0))
    connecting = asyncio.create_task(session.connect())
    await rig.clock.advance(0.5)
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)
    await rig.clock.advance(2.0)
    assert not session.is_connected
    assert not rig.providers[0].is_connected


async def test_a_session_that_is_closed_while_it_connects_stays_closed(rig: Rig) -> None:
    session = rig.session(MockScript(connect_delay_s=1.0))
    connecting = asyncio.create_task(session.connect())
    await rig.clock.advance(0.5)
    await session.close()
    with pytest.raises(NotConnected, match="closed meanwhile"):
        await asyncio.wait_for(connecting, PATIENCE_S)
    await rig.clock.advance(1.0)
    assert not session.is_connected
    assert rig.of(E.CONNECTION_FAILED) == []


async def test_a_session_that_is_closed_while_it_is_switched_stays_closed(rig: Rig) -> None:
    session = rig.session()
    await session.connect()
    switching = asyncio.create_task(session.switch(rig.maker(MockScript(connect_delay_s=1.0)), "second"))
    await rig.clock.advance(0.5)
    await session.close()
    with pytest.raises(NotConnected, match="closed meanwhile"):
        await asyncio.wait_for(switching, PATIENCE_S)
    await rig.clock.advance(1.0)
    assert not session.is_connected


async def test_a_session_that_is_closed_between_two_attempts_makes_no_further_one(rig: Rig) -> None:
    script = MockScript(connect_fault="refused")
    session = rig.session(script)
    connecting = asyncio.create_task(session.connect())
    await settle()
    await session.close()
    with pytest.raises(NotConnected, match="closed meanwhile"):
        await asyncio.wait_for(connecting, PATIENCE_S)
    await rig.clock.advance(60)
    assert script.openings == 1


async def test_nothing_can_be_sent_without_a_session(rig: Rig) -> None:
    session = rig.session()
    for call in (session.send_text("x"), session.send_audio(bytes(2)), session.commit(), session.interrupt()):
        with pytest.raises(NotConnected, match="the session with mock is not open"):
            await call


# Conversing


async def test_a_typed_question_and_its_answer_are_remembered(rig: Rig) -> None:
    session = rig.session(MockScript(replies={"hello": "Hi there!"}))
    await session.connect()
    await answered(rig, session.send_text("hello"))
    assert said(session) == [("user", "hello"), ("assistant", "Hi there!")]
    types = rig.types()
    assert types[2:5] == [E.CONVERSATION_STARTED, E.TEXT_INPUT, E.RESPONSE_STARTED]
    await session.close()
    assert rig.types()[-2:] == [E.CONNECTION_CLOSED, E.CONVERSATION_ENDED]
    assert rig.of(E.CONVERSATION_ENDED) == [{"turns": 1}]


async def test_a_spoken_question_precedes_its_answer_in_the_history(rig: Rig) -> None:
    session = rig.session(MockScript(hears=("what time is it",), default_reply="Noon."))
    await session.connect()
    await session.send_audio(tone(400, 24_000))
    await answered(rig, session.commit())
    assert said(session) == [("user", "what time is it"), ("assistant", "Noon.")]


async def test_a_question_that_was_too_short_leaves_no_trace(rig: Rig) -> None:
    class Strict(MockProvider):
        async def commit(self) -> None:
            raise AudioError("too little sound", code="audio_too_short")

    session = rig.session(MockScript(replies={"hello": "one two three four"}), cls=Strict)
    await session.connect()
    await answered(rig, session.send_text("hello"))
    with pytest.raises(AudioError):
        await session.commit()
    assert [role for role, _ in said(session)] == ["user", "assistant"]
    await session.interrupt(played_ms=300)
    assert said(session)[-1] == ("assistant", "one")


async def test_with_server_vad_no_commit_is_needed(rig: Rig) -> None:
    session = rig.session(MockScript(hears=("hi",)), config=SessionConfig(turn_detection="server"))
    await session.connect()
    await session.commit()
    for block in blocks(tone(600, 24_000) + bytes(48_000), 24_000):
        await session.send_audio(block)
    await answered(rig)
    assert said(session)[0] == ("user", "hi")
    assert rig.of(E.CONVERSATION_STARTED) == [{}]


async def test_only_the_played_part_of_an_interrupted_reply_is_kept(rig: Rig) -> None:
    session = rig.session(MockScript(default_reply="one two three four", chunk_delay_s=10))
    await session.connect()
    await session.send_text("count")
    await rig.clock.advance(25)
    await session.interrupt(played_ms=300)
    assert said(session) == [("user", "count"), ("assistant", "one")]
    assert rig.providers[0].played_ms == [300]
    assert rig.of(E.CONVERSATION_INTERRUPTED) == [{"played_ms": 300, "response_id": "response_1"}]
    assert rig.of(E.RESPONSE_CANCELLED)[0]["reason"] == "client_cancelled"


async def test_a_complete_reply_that_was_not_played_to_its_end_is_cut_too(rig: Rig) -> None:
    session = rig.session(MockScript(default_reply="one two three four"))
    await session.connect()
    await answered(rig, session.send_text("count"))
    await session.interrupt(played_ms=18 * 65 / 2)
    assert said(session)[-1] == ("assistant", "one two")
    assert len(rig.of(E.CONVERSATION_INTERRUPTED)) == 1


async def test_a_reply_can_be_interrupted_before_it_begins(rig: Rig) -> None:
    session = rig.session(MockScript(default_reply="one two"))
    await session.connect()
    await answered(rig, session.send_text("count"))
    await session.send_text("again")
    await session.interrupt(0.0)
    await session.interrupt(0.0)
    assert rig.of(E.CONVERSATION_INTERRUPTED) == [{"played_ms": 0.0, "response_id": None}]
    assert said(session)[1] == ("assistant", "one two"), "the reply before was heard"


async def test_an_interruption_after_the_whole_reply_was_played_changes_nothing(rig: Rig) -> None:
    session = rig.session(MockScript(default_reply="one two"))
    await session.connect()
    await answered(rig, session.send_text("count"))
    await session.interrupt(played_ms=60_000)
    await session.interrupt()
    assert said(session)[-1] == ("assistant", "one two")
    assert rig.of(E.CONVERSATION_INTERRUPTED) == []


async def test_late_pieces_of_an_interrupted_reply_are_dropped_and_counted(rig: Rig) -> None:
    session = rig.session(MockScript(default_reply="one two three", chunk_delay_s=10))
    await session.connect()
    await session.send_text("count")
    await rig.clock.advance(5)
    await session.interrupt(0)
    seen = len(rig.events)
    provider = rig.providers[0]
    provider.emit_event(E.TEXT_OUTPUT, {"text": "three", "is_partial": True, "response_id": "response_1"})
    assert len(rig.events) == seen
    provider.emit_event(E.RESPONSE_STARTED, {"response_id": "r2"})
    provider.emit_event(E.TEXT_OUTPUT, {"text": "three", "is_partial": True, "response_id": "response_1"})
    assert rig.types()[seen:] == [E.RESPONSE_STARTED]
    assert session.metrics().late_events == 2


async def test_events_that_the_session_reports_itself_are_published_once(rig: Rig) -> None:
    session = rig.session()
    await session.connect()
    seen = len(rig.events)
    rig.providers[0].emit_event(E.CONNECTION_ESTABLISHED, {"provider": "azure", "region": "eastus"})
    assert len(rig.events) == seen


# Tools


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def calling(*calls: MockCall) -> MockScript:
    return MockScript(replies={"sum": MockReply("The results: {results}", calls)})


async def test_tools_run_and_one_response_is_requested_with_all_results(rig: Rig) -> None:
    script = calling(MockCall("add", {"a": 1, "b": 2}), MockCall("add", {"a": 5, "b": 6}))
    session = rig.session(script, tools=ToolBox([tool(add)]))
    await session.connect()
    assert [each.name for each in rig.providers[0].session.tools] == ["add"]
    await answered(rig, session.send_text("sum"))
    await answered(rig)
    assert said(session)[-1] == ("assistant", "The results: 3; 11")
    assert [data["output"] for data in rig.of(E.FUNCTION_CALL_COMPLETED)] == ["3", "11"]
    assert len(rig.of(E.RESPONSE_STARTED)) == 2


async def test_the_error_of_a_tool_goes_to_the_model(rig: Rig) -> None:
    session = rig.session(calling(MockCall("add", {"a": 1})), tools=ToolBox([tool(add)]))
    await session.connect()
    await answered(rig, session.send_text("sum"))
    await answered(rig)
    (done,) = rig.of(E.FUNCTION_CALL_COMPLETED)
    assert not done["ok"]
    assert "b" in rig.providers[0].results[0][1]
    assert len(rig.of(E.RESPONSE_COMPLETED)) == 2


async def test_arguments_that_are_not_an_object_are_refused_by_the_tool(rig: Rig) -> None:
    session = rig.session(tools=ToolBox([tool(add)]))
    await session.connect()
    call = {"function_name": "add", "arguments": '{"a": 1,', "call_id": "call_1"}
    rig.providers[0].emit_event(E.FUNCTION_CALL_INVOKED, call)
    await answered(rig)
    assert rig.of(E.FUNCTION_CALL_INVOKED)[0]["arguments"] == {}
    assert rig.providers[0].results[0][1].startswith("error: invalid arguments of add")


async def test_a_slow_tool_holds_the_response_back_until_it_is_done(rig: Rig) -> None:
    gate = asyncio.Event()

    async def wait() -> str:
        await gate.wait()
        return "late"

    script = calling(MockCall("wait"), MockCall("add", {"a": 1, "b": 1}))
    session = rig.session(script, tools=ToolBox([tool(wait), tool(add)]))
    await session.connect()
    await session.send_text("sum")
    await settle()
    assert len(rig.of(E.RESPONSE_STARTED)) == 1
    assert not session.is_quiet
    gate.set()
    await answered(rig)
    assert {output for _, output in rig.providers[0].results} == {"late", "2"}
    assert len(rig.of(E.RESPONSE_STARTED)) == 2


async def test_an_interruption_does_not_lead_to_two_replies(rig: Rig) -> None:
    gate = asyncio.Event()

    async def wait() -> str:
        await gate.wait()
        return "late"

    session = rig.session(calling(MockCall("wait")), tools=ToolBox([tool(wait)]))
    await session.connect()
    await session.send_text("sum")
    await settle()
    await session.interrupt()
    gate.set()
    await answered(rig)
    assert rig.providers[0].results == [("call_2", "late")], "the model still learns the result"
    assert len(rig.of(E.RESPONSE_STARTED)) == 1


async def test_a_declared_tool_without_a_handler_is_answered_by_the_caller(rig: Rig) -> None:
    spec = ToolSpec("lamp", "Switch the lamp.", {"type": "object", "properties": {}})
    session = rig.session(calling(MockCall("lamp")), config=SessionConfig(tools=(spec,)))
    await session.connect()
    await session.send_text("sum")
    await settle()
    (invoked,) = rig.of(E.FUNCTION_CALL_INVOKED)
    assert rig.of(E.FUNCTION_CALL_COMPLETED) == []
    await session.send_tool_result(invoked["call_id"], "on")
    await answered(rig)
    assert said(session)[-1] == ("assistant", "The results: on")


async def test_a_tool_may_end_the_conversation(rig: Rig) -> None:
    async def goodbye() -> str:
        await rig.sessions[0].close()
        return "never told"

    session = rig.session(calling(MockCall("goodbye")), tools=ToolBox([tool(goodbye)]))
    await session.connect()
    await session.send_text("sum")
    await settle()
    await settle()
    assert not session.is_connected
    assert rig.types()[-1] == E.FUNCTION_CALL_COMPLETED


async def test_a_provider_without_tools_is_offered_none(rig: Rig) -> None:
    class Plain(MockProvider):
        capabilities = Capabilities()

    session = rig.session(cls=Plain, tools=ToolBox([tool(add)]))
    await session.connect()
    assert rig.providers[0].session.tools == ()


# Losing, resting and rotating


async def test_a_lost_session_comes_back_with_the_conversation(rig: Rig) -> None:
    session = rig.session(MockScript(replies={"hello": "Hi!"}))
    await session.connect()
    await answered(rig, session.send_text("hello"))
    rig.providers[0].emit_event(E.CONNECTION_LOST, {"code": "network_error", "reason": "reset"})
    assert not session.is_connected
    (lost,) = rig.of(E.CONNECTION_LOST)
    assert lost == {"provider": "mock", "code": "network_error", "reason": "reset", "reconnecting": True}
    await rig.clock.advance(0.5)
    assert session.is_connected
    assert rig.providers[1].history == [("user", "hello"), ("assistant", "Hi!")]
    assert session.metrics().losses == 1


async def test_a_reply_lost_with_its_session_is_reported_as_cancelled(rig: Rig) -> None:
    session = rig.session(MockScript(drop_after=4))
    await session.connect()
    await session.send_text("hello")
    await settle()
    types = rig.types()
    assert types.index(E.RESPONSE_CANCELLED) < types.index(E.CONNECTION_LOST)
    assert rig.of(E.RESPONSE_CANCELLED)[0]["reason"] == "connection_lost"
    assert session.is_quiet


async def test_reconnecting_is_bounded(rig: Rig) -> None:
    script = MockScript()
    session = rig.session(script)
    await session.connect()
    script.connect_fault = "refused"
    rig.providers[0].emit_event(E.CONNECTION_LOST, {"code": "network_error", "reason": ""})
    await rig.clock.advance(600)
    assert script.openings == 1 + 4
    assert not session.is_connected
    assert len(rig.of(E.CONNECTION_FAILED)) == 1


async def test_reconnects_to_a_vendor_that_drops_every_session_are_bounded(rig: Rig) -> None:
    script = MockScript()
    session = rig.session(script)
    await session.connect()
    for _ in range(10):
        if session.is_connected:
            rig.providers[-1].emit_event(E.CONNECTION_LOST, {"code": "network_error", "reason": "reset"})
        await rig.clock.advance(30)
    assert script.openings == 1 + 3
    assert [lost["reconnecting"] for lost in rig.of(E.CONNECTION_LOST)] == [True, True, True, False]
    await session.connect()
    assert session.is_connected, "whoever asks is served"


async def test_a_stable_session_is_always_reopened(rig: Rig) -> None:
    script = MockScript()
    session = rig.session(script)
    await session.connect()
    for _ in range(6):
        await answered(rig, session.send_text("hello"))
        rig.providers[-1].emit_event(E.CONNECTION_LOST, {"code": "network_error", "reason": "reset"})
        await rig.clock.advance(1)
    assert script.openings == 7


async def test_a_session_is_not_reopened_after_a_permanent_error(rig: Rig) -> None:
    script = MockScript()
    session = rig.session(script)
    await session.connect()
    rig.providers[0].emit_event(E.CONNECTION_LOST, {"code": "invalid_api_key", "reason": "revoked"})
    await rig.clock.advance(600)
    assert script.openings == 1
    assert rig.of(E.CONNECTION_LOST)[0]["reconnecting"] is False


async def test_a_session_that_is_not_reopened_is_not_replaced_at_its_limit_either(rig: Rig) -> None:
    script = MockScript()
    session = rig.session(script, cls=Limited)
    await session.connect()
    rig.providers[0].emit_event(E.CONNECTION_LOST, {"code": "invalid_api_key", "reason": "revoked"})
    await rig.clock.advance(LIMIT_S + 600)
    assert script.openings == 1


async def test_a_refused_replacement_is_retried_after_the_requested_wait(rig: Rig) -> None:
    script = MockScript()
    session = rig.session(script, cls=Limited)
    await session.connect()
    script.connect_fault, script.retry_after_s = "rate_limited", 600
    await rig.clock.advance(LIMIT_S + 590)
    assert script.openings == 2
    assert session.is_connected


async def test_events_of_a_closed_provider_are_ignored(rig: Rig) -> None:
    session = rig.session()
    await session.connect()
    heard = rig.providers[0].on_event
    rig.providers[0].emit_event(E.CONNECTION_LOST, {"code": "network_error", "reason": ""})
    await rig.clock.advance(1)
    seen = len(rig.events)
    rig.providers[0].on_event = heard
    rig.providers[0].emit_event(E.RESPONSE_STARTED, {"response_id": "ghost"})
    assert len(rig.events) == seen
    assert session.metrics().late_events == 1


async def test_a_session_is_replaced_before_its_limit_when_it_is_quiet(rig: Rig) -> None:
    session = rig.session(MockScript(replies={"hello": "Hi!"}), cls=Limited)
    await session.connect()
    await answered(rig, session.send_text("hello"))
    await rig.clock.advance(LIMIT_S - 1)
    assert len(rig.providers) == 1
    await rig.clock.advance(1)
    assert session.is_connected
    assert [provider.is_connected for provider in rig.providers] == [False, True]
    assert rig.providers[1].history == [("user", "hello"), ("assistant", "Hi!")]
    assert rig.of(E.CONNECTION_LOST) == rig.of(E.CONNECTION_CLOSED) == []
    await rig.clock.advance(LIMIT_S)
    assert len(rig.providers) == 3, "the next one has a limit too"


async def test_a_session_is_not_replaced_under_a_reply(rig: Rig) -> None:
    script = MockScript(default_reply="well", chunk_delay_s=14)
    session = rig.session(script, cls=Limited)
    await session.connect()
    await rig.clock.advance(LIMIT_S - 5)
    await session.send_text("hello")
    await rig.clock.advance(30)
    assert len(rig.providers) == 1
    await rig.clock.advance(60)
    assert len(rig.providers) == 2
    assert said(session) == [("user", "hello"), ("assistant", "well")]


async def test_a_session_is_not_replaced_while_a_reply_is_awaited(rig: Rig) -> None:
    class Thinking(Limited):
        async def send_text(self, text: str) -> None:
            """Think for longer than a session has to be quiet."""

    session = rig.session(cls=Thinking)
    await session.connect()
    await rig.clock.advance(LIMIT_S - 5)
    await session.send_text("hello")
    await rig.clock.advance(25)
    assert len(rig.providers) == 1
    await rig.clock.advance(LONGEST_ANSWER_S)
    assert len(rig.providers) == 2, "a vendor who never answers must not keep it for ever"


@pytest.mark.parametrize(("turn_detection", "sessions"), [("server", 2), ("client", 1)])
async def test_an_open_microphone_does_not_keep_a_session_from_being_replaced(
    rig: Rig, turn_detection: Any, sessions: int
) -> None:
    session = rig.session(cls=Limited, config=SessionConfig(turn_detection=turn_detection))
    await session.connect()
    await rig.clock.advance(LIMIT_S - 5)
    for _ in range(20):
        await session.send_audio(bytes(4800))
        await rig.clock.advance(1)
    assert len(rig.providers) == sessions, "what the user is saying must not be lost"


async def test_after_a_failed_replacement_the_old_session_is_kept(rig: Rig) -> None:
    script = MockScript()
    session = rig.session(script, cls=Limited)
    await session.connect()
    script.connect_fault = "refused"
    await rig.clock.advance(LIMIT_S + 10)
    assert session.provider is rig.providers[0]
    assert session.is_connected
    script.connect_fault = ""
    await rig.clock.advance(120)
    assert session.provider is rig.providers[-1]
    assert len(rig.providers) == 3


async def test_an_idle_session_is_closed_and_the_next_continues_the_conversation(rig: Rig) -> None:
    session = rig.session(MockScript(replies={"hello": "Hi!"}), idle_close_s=60)
    await session.connect()
    await rig.clock.advance(50)
    await answered(rig, session.send_text("hello"))
    await rig.clock.advance(50)
    assert session.is_connected
    await rig.clock.advance(10 + CHECK_S)
    assert not session.is_connected
    assert rig.of(E.CONNECTION_CLOSED) == [{"provider": "mock", "reason": "idle"}]
    await session.connect()
    assert rig.providers[1].history == [("user", "hello"), ("assistant", "Hi!")]
    await rig.clock.advance(60 + CHECK_S)
    assert not session.is_connected


async def test_a_provider_just_switched_to_is_not_idle(rig: Rig) -> None:
    session = rig.session(idle_close_s=60)
    await session.connect()
    await rig.clock.advance(58)
    switching = asyncio.create_task(session.switch(rig.maker(MockScript(connect_delay_s=10)), "second"))
    await rig.clock.advance(12)
    await switching
    assert session.is_connected
    await rig.clock.advance(60 + CHECK_S)
    assert not session.is_connected


async def test_a_provider_that_does_not_close_is_abandoned(rig: Rig, monkeypatch: Any) -> None:
    monkeypatch.setattr("voxd.providers.realtime.connect.CLOSE_TIMEOUT_S", 0.01)
    assert CLOSE_TIMEOUT_S >= 1

    class Clinging(MockProvider):
        async def disconnect(self) -> None:
            self._connected = False
            await asyncio.Event().wait()

    session = rig.session(cls=Clinging)
    await session.connect()
    await session.close()
    assert not session.is_connected


# Switching and counting


async def test_another_provider_continues_the_conversation_in_a_similar_voice(rig: Rig) -> None:
    session = rig.session(MockScript(replies={"hello": "Hi!"}), config=SessionConfig(voice="alloy"))
    await session.connect()
    await answered(rig, session.send_text("hello"))
    other = rig.maker(MockScript(replies={"who": "The other."}))
    await session.switch(other, "second", kind="gemini")
    assert session.name == "second"
    assert session.config.voice == rig.providers[1].session.voice == "Kore"
    assert rig.providers[1].history == [("user", "hello"), ("assistant", "Hi!")]
    assert rig.of(E.PROVIDER_CHANGED) == [{"from": "mock", "to": "second", "reason": "requested"}]
    await answered(rig, session.send_text("who"))
    assert said(session)[-1] == ("assistant", "The other.")
    assert not rig.providers[0].is_connected


async def test_a_voice_of_another_vendor_is_mapped_from_the_start(rig: Rig) -> None:
    session = Session(
        rig.maker(MockScript()),
        name="mine",
        kind="gemini",
        config=SessionConfig(voice="alloy"),
        tools=ToolBox(),
        on_event=publish_to(rig.emit),
        clock=rig.clock,
    )
    rig.sessions.append(session)
    await session.connect()
    assert rig.providers[0].session.voice == "Kore"
    await session.configure(SessionConfig(voice="echo"))
    assert rig.providers[0].session.voice == "Puck"


async def test_a_switch_that_fails_keeps_the_provider_it_had(rig: Rig) -> None:
    session = rig.session(MockScript(replies={"hello": "Hi!"}))
    await session.connect()
    with pytest.raises(AuthenticationError):
        await session.switch(rig.maker(MockScript(connect_fault="invalid_api_key")), "second")
    assert session.name == "mock"
    await answered(rig, session.send_text("hello"))
    assert said(session)[-1] == ("assistant", "Hi!")
    assert rig.of(E.PROVIDER_CHANGED) == []


async def test_a_switch_in_mid_reply_cancels_it(rig: Rig) -> None:
    session = rig.session(MockScript(default_reply="one two three four", chunk_delay_s=10))
    await session.connect()
    await session.send_text("count")
    await rig.clock.advance(45)
    await session.interrupt(played_ms=300)
    await session.switch(rig.maker(MockScript()), "second")
    assert rig.providers[1].history == [("user", "count"), ("assistant", "one")]
    assert len(rig.of(E.RESPONSE_CANCELLED)) == 1
    assert session.is_quiet


async def test_a_closed_session_can_be_switched_before_it_opens(rig: Rig) -> None:
    session = rig.session()
    await session.switch(rig.maker(MockScript()), "second")
    assert rig.providers == []
    await session.connect()
    assert rig.of(E.CONNECTION_ESTABLISHED)[0]["provider"] == "second"


async def test_usage_and_cost_are_summed_over_all_sessions(rig: Rig) -> None:
    session = rig.session(MockScript(default_reply="four words of text"))
    await session.connect()
    await answered(rig, session.send_text("hello"))
    once, cost = await session.usage(), await session.cost()
    await session.switch(rig.maker(MockScript(default_reply="four words of text")), "second")
    await answered(rig, session.send_text("hello"))
    twice, costs = await session.usage(), await session.cost()
    assert once.output_audio_tokens * 2 == twice.output_audio_tokens > 0
    assert (once.total_sessions, twice.total_sessions) == (1, 2)
    assert twice.audio_seconds == pytest.approx(2 * once.audio_seconds)
    assert cost is not None
    assert costs is not None
    assert costs.total > 2 * cost.total * 0.99
    assert costs.prices_of == "2026-11-05"
    await session.close()
    assert await session.usage() == twice
    assert await session.cost() == costs
    assert rig.of(E.USAGE_UPDATED)[-1]["usage"] == twice


async def test_a_cost_that_is_only_partly_known_has_no_date(rig: Rig) -> None:
    session = rig.session()
    await session.connect()
    await answered(rig, session.send_text("hello"))
    known = await session.cost()
    assert known is not None
    await session.switch(rig.maker(MockScript(prices_like="a model nobody knows")), "second")
    assert await session.cost() == known, "a session that was only opened costs nothing"
    await answered(rig, session.send_text("hello"))
    partly = await session.cost()
    assert partly is not None
    assert (partly.total, partly.prices_of) == (known.total, "")
    await session.close()
    assert await session.cost() == partly


async def test_metrics_report_bytes_times_and_sessions(rig: Rig) -> None:
    session = rig.session(MockScript(default_reply="well", first_delay_s=0.3))
    assert session.metrics().uptime_s == 0
    await session.connect()
    await session.send_audio(tone(200, 24_000))
    await session.commit()
    await rig.clock.advance(2)
    metrics = session.metrics()
    assert metrics.sent_bytes == 9600
    assert metrics.received_bytes == 4 * 65 * 48
    assert metrics.response_ms == pytest.approx(300)
    assert metrics.uptime_s == pytest.approx(2)
    assert metrics.sessions == 1


async def test_what_is_configured_reaches_this_and_later_sessions(rig: Rig) -> None:
    session = rig.session()
    await session.connect()
    await session.configure(SessionConfig(instructions="be a pirate"))
    assert rig.providers[0].session.instructions == "be a pirate"
    await session.close()
    await session.connect()
    assert rig.providers[1].session.instructions == "be a pirate"


async def test_another_voice_opens_another_session_where_the_vendor_needs_it(rig: Rig) -> None:
    class Fixed(MockProvider):
        async def configure_session(self, config: Any) -> None:
            if self.is_connected and config.voice != self.session.voice:
                raise ProviderError("the voice cannot change", code="voice_fixed")
            await super().configure_session(config)

    session = rig.session(MockScript(replies={"hello": "Hi!"}), cls=Fixed)
    await session.connect()
    await answered(rig, session.send_text("hello"))
    await session.configure(SessionConfig(voice="cedar"))
    assert session.is_connected
    assert rig.providers[1].session.voice == "cedar"
    assert rig.providers[1].history == [("user", "hello"), ("assistant", "Hi!")]


async def test_a_configuration_the_vendor_refuses_changes_nothing(rig: Rig) -> None:
    class Narrow(MockProvider):
        async def configure_session(self, config: Any) -> None:
            if config.temperature is not None:
                raise ProviderError("no temperature here", code="unknown_parameter")
            await super().configure_session(config)

    session = rig.session(cls=Narrow, config=SessionConfig(instructions="be brief"))
    await session.connect()
    with pytest.raises(ProviderError, match="no temperature"):
        await session.configure(SessionConfig(temperature=1.0))
    assert session.config == SessionConfig(instructions="be brief")


async def test_a_forgotten_history_is_not_sent_to_the_next_session(rig: Rig) -> None:
    session = rig.session()
    await session.connect()
    await answered(rig, session.send_text("hello"))
    assert session.history[0] == HistoryMessage("user", "hello")
    await session.close()
    session.forget()
    await session.connect()
    assert rig.providers[1].history == []
