"""The button in every situation."""

import pytest

from voxd.device.inputs import button_input
from voxd.hardware.gestures import GestureKind
from voxd.turn.inputs import (
    Input,
    ListenReleased,
    ListenRequested,
    MuteRequested,
    RepeatRequested,
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
def test_a_gesture(kind: GestureKind, state: State, ringing: bool, muted: bool, expected: Input) -> None:
    assert button_input(kind, state=state, ringing=ringing, muted=muted, at_sample=7) == expected
