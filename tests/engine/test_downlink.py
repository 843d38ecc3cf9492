"""A provider's events on their way to the caller."""

import pytest

from tests.engine.sounds import duration_ms, pieces, tone
from tests.fakes import FakeClock
from voxd.bus.bus import Bus
from voxd.engine.downlink import Downlink, complete_error
from voxd.errors import (
    AudioError,
    AuthenticationError,
    ConnectionFailed,
    ContextTooLong,
    LocalEngineError,
    RateLimited,
    VoxdError,
)
from voxd.events import Event
from voxd.frames import Clip
from voxd.providers.events import (
    AudioOutputChunk,
    AudioOutputStarted,
    AudioOutputStopped,
    ErrorOccurred,
    ResponseCancelled,
)


class Published:
    """A downlink and what it publishes."""

    def __init__(self, rate_hz: int) -> None:
        self.events: list[Event] = []
        self.clips: list[tuple[str, Clip]] = []
        bus = Bus(FakeClock())
        bus.handle(self.events.append)
        self.down = Downlink(bus, rate_hz=rate_hz, on_audio=lambda *clip: self.clips.append(clip))

    def play(self, response_id: str, pcm: bytes, *, rate_hz: int = 24_000) -> None:
        self.down.publish(AudioOutputStarted(rate_hz, response_id, "item"))
        for piece in pieces(pcm):
            self.down.publish(AudioOutputChunk(piece, rate_hz, 1, response_id, "item"))
        self.down.publish(AudioOutputStopped(1.0, response_id, "item"))

    def audio(self) -> bytes:
        return b"".join(event.audio_data for event in self.events if event.type == "audio.output_chunk")


async def test_audio_at_the_callers_rate_is_published_unchanged() -> None:
    published = Published(24_000)
    published.play("one", tone(300))
    assert published.audio() == tone(300)
    assert b"".join(clip.pcm for _, clip in published.clips) == tone(300)
    assert {(response_id, clip.rate_hz) for response_id, clip in published.clips} == {("one", 24_000)}


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
async def test_audio_is_converted_to_the_callers_rate_to_its_last_sample(rate_hz: int) -> None:
    published = Published(rate_hz)
    published.play("one", tone(300))
    published.play("two", tone(300))
    assert duration_ms(published.audio(), rate_hz) == pytest.approx(600, abs=1)
    assert {event.sample_rate for event in published.events if "sample_rate" in event.data} == {rate_hz}
    kinds = [event.type for event in published.events]
    assert kinds[-1] == "audio.output_stopped"
    assert duration_ms(b"".join(c.pcm for id, c in published.clips if id == "one"), rate_hz) == pytest.approx(
        300, abs=1
    )


async def test_a_cut_reply_leaves_nothing_for_the_next_one() -> None:
    published = Published(16_000)
    published.down.publish(AudioOutputChunk(tone(300), 24_000, 1, "one", "item"))
    published.down.publish(ResponseCancelled("one", "client_cancelled"))
    published.play("two", tone(300))
    second = b"".join(clip.pcm for response_id, clip in published.clips if response_id == "two")
    assert duration_ms(second, 16_000) == pytest.approx(300, abs=1)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            ErrorOccurred("too_short", "too short", "speak up"),
            {"code": "too_short", "error_message": "too short", "hint": "speak up", "recoverable": False},
        ),
        (
            ErrorOccurred(error=AudioError("no sound", hint="look")),
            {"code": "audio_failed", "message": "no sound", "hint": "look", "recoverable": False},
        ),
        (ErrorOccurred(error=LocalEngineError("it broke")), {"code": "engine_failed", "recoverable": True}),
        (ErrorOccurred(error=ValueError("odd"), recoverable=True), {"code": "internal", "recoverable": True}),
        (ErrorOccurred(), {"code": "internal", "message": "something went wrong"}),
    ],
)
def test_an_error_event_has_every_promised_entry(event: ErrorOccurred, expected: dict[str, object]) -> None:
    data = complete_error(event).data
    assert set(data) == {"code", "message", "hint", "error", "error_message", "recoverable"}
    assert {key: data[key] for key in expected} == expected
    assert data["message"] == data["error_message"] == str(data["error"])


def test_an_error_without_an_exception_gets_one_with_its_code() -> None:
    error = complete_error(ErrorOccurred("too_short", "too short")).error
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
    event = complete_error(ErrorOccurred(code, "no", "wait"))
    assert type(event.error) is kind
    assert (event.code, event.hint, event.recoverable) == (code, "wait", recoverable)
