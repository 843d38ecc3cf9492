import logging

import pytest

from tests.fakes import FakeClock
from voxd.bus.bus import Bus
from voxd.events import EVENT_TYPES
from voxd.observe.event_log import LINES, REPEATED_S, EventLog
from voxd.observe.log import entry_of

CANARY = "zebra-crossing-canary"


@pytest.fixture
def bus(caplog: pytest.LogCaptureFixture) -> Bus:
    caplog.set_level(logging.DEBUG, "voxd.observe.event_log")
    bus = Bus(FakeClock())
    bus.handle(EventLog())
    return bus


def test_every_line_is_of_an_event_that_exists() -> None:
    assert set(LINES) <= set(EVENT_TYPES)


@pytest.mark.parametrize("type", sorted(EVENT_TYPES))
def test_an_event_with_too_little_data_is_logged_all_the_same(
    bus: Bus, caplog: pytest.LogCaptureFixture, type: str
) -> None:
    bus.emit(type)
    assert len(caplog.records) == (LINES.get(type) is not None)
    assert not any(record.levelno >= logging.ERROR for record in caplog.records)


@pytest.mark.parametrize("type", sorted(EVENT_TYPES))
def test_nobodys_words_get_into_the_log(bus: Bus, caplog: pytest.LogCaptureFixture, type: str) -> None:
    bus.emit(type, turn="t1", text=CANARY, transcript=CANARY, reply=CANARY, name=CANARY, question=CANARY)
    assert CANARY not in "".join(str(entry_of(record)) for record in caplog.records)


def test_a_line_carries_its_fields(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    bus.emit("turn.ended", turn="t7", outcome="answered", latency_ms=912.34567)
    entry = entry_of(caplog.records[0])
    assert entry["MESSAGE"] == "turn ended: answered, 912.3 ms"
    assert entry["VOXD_EVENT"] == "turn.ended"
    assert entry["VOXD_TURN"] == "t7"
    assert entry["VOXD_MS"] == "912.34567"


def test_the_state_an_error_code_and_its_hint_are_fields(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    bus.emit("state.changed", **{"from": "idle", "to": "listening"})
    bus.emit("error", code="timeout", message="too slow", hint="wait")
    states, error = (entry_of(record) for record in caplog.records)
    assert states["VOXD_STATE"] == "listening"
    assert (error["VOXD_CODE"], error["VOXD_HINT"]) == ("timeout", "wait")


def test_lists_and_missing_figures_are_readable(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    bus.emit("daemon.reloaded", applied=("log.level", "turn.earcons"), needs_restart=())
    bus.emit("turn.ended", outcome="no_speech", latency_ms=None)
    assert caplog.messages == [
        "reloaded: applied log.level, turn.earcons, restart needed for nothing",
        "turn ended: no_speech, - ms",
    ]


def test_a_request_to_a_vendor_is_logged_with_its_fields_and_no_words(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    call = {"provider": "ear", "stage": "stt", "kind": "listen", "endpoint": "api.example", "key": 2}
    bus.emit("provider.call", **call, attempt=1, code="timeout", first_byte_ms=None, duration_ms=812.0)
    entry = entry_of(caplog.records[0])
    assert entry["MESSAGE"] == "ear stt listen: timeout, first byte - ms, in all 812 ms"
    assert {name: entry[f"VOXD_{name.upper()}"] for name in call} == {
        name: str(value) for name, value in call.items()
    }
    assert entry["VOXD_CODE"] == "timeout"


def test_a_session_that_breaks_names_its_provider_and_code(
    bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    bus.emit("connection.lost", provider="live", code="half_open", reason="silent", reconnecting=False)
    entry = entry_of(caplog.records[0])
    assert (entry["VOXD_PROVIDER"], entry["VOXD_CODE"]) == ("live", "half_open")


def test_a_spending_limit_names_its_owner(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    bus.emit("spend.warning", provider="", spent_usd=4.0, limit_usd=5.0)
    bus.emit("spend.stopped", provider="mind", spent_usd=2.01, limit_usd=2.0)
    assert [record.getMessage() for record in caplog.records] == [
        "all providers together: 4 of the daily limit of 5 US dollars spent",
        "mind: daily spending limit reached, 2.01 US dollars spent",
    ]


async def test_an_error_that_every_question_meets_is_logged_once_in_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    bus = Bus(clock)
    bus.handle(EventLog())
    for wait_s in (0.0, 5.0, REPEATED_S, 1.0):
        await clock.advance(wait_s)
        bus.emit("error", code="network_error", message="spare: Connection reset by peer", hint="")
        bus.emit("error", code="timeout", message=f"another after {wait_s}", hint="")
    told = [record.getMessage() for record in caplog.records]
    assert told.count("network_error: spare: Connection reset by peer") == 2
    assert len(told) == 6, "others are not swallowed"
