"""The way of a provider's events to the caller."""

from typing import Any

import pytest

from tests.engine.sounds import duration_ms, pieces, tone
from tests.fakes import FakeClock
from voxd.bus.bus import Bus
from voxd.engine.downlink import Downlink, error_data
from voxd.errors import (
    AudioError,
    AuthenticationError,
    ConnectionFailed,
    ContextTooLong,
    EngineError,
    RateLimited,
    VoxdError,
)
from voxd.events import Event
from voxd.frames import Clip


class Ends:
    """A downlink and what comes out of it."""

    def __init__(self, rate_hz: int) -> None:
        self.events: list[Event] = []
        self.sounds: list[tuple[str, Clip]] = []
        bus = Bus(FakeClock())
        bus.handle(self.events.append)
        self.down = Downlink(bus, rate_hz=rate_hz, on_sound=lambda *sound: self.sounds.append(sound))

    def play(self, response_id: str, pcm: bytes, *, rate_hz: int = 24_000) -> None:
        ids: dict[str, Any] = {"response_id": response_id, "item_id": "item"}
        self.down("audio.output_started", sample_rate=rate_hz, **ids)
        for piece in pieces(pcm):
            self.down("audio.output_chunk", audio_data=piece, sample_rate=rate_hz, channels=1, **ids)
        self.down("audio.output_stopped", duration_ms=1.0, **ids)

    def sound(self) -> bytes:
        return b"".join(event.audio_data for event in self.events if event.type == "audio.output_chunk")


async def test_sound_at_the_callers_rate_is_passed_as_it_is() -> None:
    ends = Ends(24_000)
    ends.play("one", tone(300))
    assert ends.sound() == tone(300)
    assert b"".join(clip.pcm for _, clip in ends.sounds) == tone(300)
    assert {(response_id, clip.rate_hz) for response_id, clip in ends.sounds} == {("one", 24_000)}


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
async def test_sound_comes_at_the_callers_rate_and_to_its_last_sample(rate_hz: int) -> None:
    ends = Ends(rate_hz)
    ends.play("one", tone(300))
    ends.play("two", tone(300))
    assert duration_ms(ends.sound(), rate_hz) == pytest.approx(600, abs=1)
    assert {event.sample_rate for event in ends.events if "sample_rate" in event.data} == {rate_hz}
    kinds = [event.type for event in ends.events]
    assert kinds[-1] == "audio.output_stopped"
    assert duration_ms(b"".join(c.pcm for id, c in ends.sounds if id == "one"), rate_hz) == pytest.approx(
        300, abs=1
    )


async def test_a_cut_reply_leaves_nothing_for_the_next_one() -> None:
    ends = Ends(16_000)
    ids = {"response_id": "one", "item_id": "item"}
    ends.down("audio.output_chunk", audio_data=tone(300), sample_rate=24_000, channels=1, **ids)
    ends.down("response.cancelled", response_id="one", reason="client_cancelled")
    ends.play("two", tone(300))
    second = b"".join(clip.pcm for response_id, clip in ends.sounds if response_id == "two")
    assert duration_ms(second, 16_000) == pytest.approx(300, abs=1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"code": "too_short", "message": "too short", "hint": "speak up"},
            {"code": "too_short", "error_message": "too short", "hint": "speak up", "recoverable": False},
        ),
        (
            {"error": AudioError("no sound", hint="look")},
            {"code": "audio_failed", "message": "no sound", "hint": "look", "recoverable": False},
        ),
        ({"error": EngineError("it broke")}, {"code": "engine_failed", "recoverable": True}),
        ({"error": ValueError("odd"), "recoverable": True}, {"code": "internal", "recoverable": True}),
        ({}, {"code": "internal", "message": "something went wrong"}),
    ],
)
def test_an_error_event_has_every_key_it_promises(given: dict[str, Any], expected: dict[str, Any]) -> None:
    data = error_data(given)
    assert set(data) == {"code", "message", "hint", "error", "error_message", "recoverable"}
    assert {key: data[key] for key in expected} == expected
    assert data["message"] == data["error_message"] == str(data["error"])


def test_an_error_without_an_exception_gets_one_with_its_code() -> None:
    error = error_data({"code": "too_short", "message": "too short"})["error"]
    assert isinstance(error, VoxdError)
    assert error.code == "too_short"


@pytest.mark.parametrize(
    ("code", "kind", "recoverable"),
    [
        ("rate_limited", RateLimited, True),
        ("invalid_api_key", AuthenticationError, False),
        ("network_error", ConnectionFailed, True),
        ("context_too_long", ContextTooLong, False),
    ],
)
def test_the_exception_is_the_one_that_a_call_would_raise(
    code: str, kind: type[VoxdError], recoverable: bool
) -> None:
    data = error_data({"code": code, "message": "no", "hint": "wait"})
    assert type(data["error"]) is kind
    assert (data["code"], data["hint"], data["recoverable"]) == (code, "wait", recoverable)
