"""The inputs for button gestures in every state, and for events of the bus."""

from typing import Any, cast

import pytest

from voxd.device.inputs import EventInputs, button_input
from voxd.events import Event
from voxd.hardware.gestures import GestureKind
from voxd.turn.inputs import (
    AudioLost,
    AudioRestored,
    Input,
    ListenReleased,
    ListenRequested,
    MuteRequested,
    RepeatRequested,
    RingEnded,
    Source,
    State,
    StopRequested,
)

CASES: list[tuple[GestureKind, State, bool, bool, Input]] = [
    (GestureKind.SHORT, State.IDLE, False, False, ListenRequested(Source.BUTTON, 7)),
    (GestureKind.SHORT, State.IDLE, True, False, StopRequested(Source.BUTTON)),
    (GestureKind.SHORT, State.LISTENING, False, False, ListenReleased()),
    (GestureKind.SHORT, State.FOLLOW_UP, False, False, ListenRequested(Source.BUTTON, 7)),
    (GestureKind.SHORT, State.THINKING, False, False, StopRequested(Source.BUTTON)),
    (GestureKind.SHORT, State.SPEAKING, False, False, StopRequested(Source.BUTTON)),
    (GestureKind.SHORT, State.MUTED, False, True, ListenRequested(Source.BUTTON, 7)),
    (GestureKind.TALK_START, State.SPEAKING, False, False, ListenRequested(Source.BUTTON, 7, hold=True)),
    (GestureKind.TALK_END, State.LISTENING, False, False, ListenReleased()),
    (GestureKind.REPEAT, State.LISTENING, False, False, RepeatRequested(Source.BUTTON)),
    (GestureKind.MUTE, State.LISTENING, False, False, MuteRequested(True, Source.BUTTON)),
    (GestureKind.MUTE, State.MUTED, False, True, MuteRequested(False, Source.BUTTON)),
]


@pytest.mark.parametrize(("kind", "state", "ringing", "muted", "expected"), CASES)
def test_the_input_for_a_gesture(
    kind: GestureKind, state: State, ringing: bool, muted: bool, expected: Input
) -> None:
    assert button_input(kind, state=state, ringing=ringing, muted=muted, at_sample=7) == expected


class RecordingParts:
    """Speech input, buttons and timers in one; records the calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.rings: list[str] = []

    def reset(self) -> None:
        self.calls.append("speech input reset")

    def speech_heard(self) -> None:
        self.calls.append("button notified")

    def ringing(self) -> list[str]:
        return self.rings


def handle(parts: RecordingParts, type: str, **data: Any) -> list[Any]:
    part = cast(Any, parts)
    EventInputs(parts.calls.append, part, part, part)(Event(1, type, 0.0, None, data))
    return parts.calls


@pytest.mark.parametrize(
    ("type", "data", "calls"),
    [
        ("audio.lost", {"device": "x", "reason": "gone", "hint": ""}, [AudioLost("gone")]),
        ("audio.restored", {"device": "x", "after_s": 1.0}, ["speech input reset", AudioRestored()]),
        ("speech.started", {"sample": 1}, ["button notified"]),
        ("timer.stopped", {"id": 1, "by": "voice"}, [RingEnded()]),
        ("timer.cancelled", {"id": 1}, [RingEnded()]),
        ("mute.changed", {"muted": True, "source": "socket"}, []),
        ("volume.changed", {"percent": 3}, []),
    ],
)
def test_the_inputs_and_calls_for_an_event(type: str, data: dict, calls: list) -> None:
    assert handle(RecordingParts(), type, **data) == calls


def test_a_ring_ends_with_the_last_timer_that_rings() -> None:
    parts = RecordingParts()
    parts.rings = ["another"]
    assert handle(parts, "timer.stopped", id=1, by="voice") == []
