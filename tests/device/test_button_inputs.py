"""The button in every situation."""

import pytest

from voxd.device.button_inputs import meaning
from voxd.hardware.gestures import GestureKind
from voxd.turn.inputs import (
    Input,
    ListenAsked,
    ListenReleased,
    MuteAsked,
    RepeatAsked,
    Source,
    State,
    StopAsked,
)

CASES: list[tuple[GestureKind, State, bool, bool, Input]] = [
    (GestureKind.SHORT, State.IDLE, False, False, ListenAsked(Source.BUTTON, 7)),
    (GestureKind.SHORT, State.IDLE, True, False, StopAsked(Source.BUTTON)),
    (GestureKind.SHORT, State.LISTENING, False, False, ListenReleased()),
    (GestureKind.SHORT, State.FOLLOW_UP, False, False, ListenAsked(Source.BUTTON, 7)),
    (GestureKind.SHORT, State.THINKING, False, False, StopAsked(Source.BUTTON)),
    (GestureKind.SHORT, State.SPEAKING, False, False, StopAsked(Source.BUTTON)),
    (GestureKind.SHORT, State.MUTED, False, True, ListenAsked(Source.BUTTON, 7)),
    (GestureKind.TALK_START, State.SPEAKING, False, False, ListenAsked(Source.BUTTON, 7, hold=True)),
    (GestureKind.TALK_END, State.LISTENING, False, False, ListenReleased()),
    (GestureKind.REPEAT, State.LISTENING, False, False, RepeatAsked(Source.BUTTON)),
    (GestureKind.MUTE, State.LISTENING, False, False, MuteAsked(True, Source.BUTTON)),
    (GestureKind.MUTE, State.MUTED, False, True, MuteAsked(False, Source.BUTTON)),
]


@pytest.mark.parametrize(("kind", "state", "ringing", "muted", "expected"), CASES)
def test_a_gesture(kind: GestureKind, state: State, ringing: bool, muted: bool, expected: Input) -> None:
    assert meaning(kind, state=state, ringing=ringing, muted=muted, at_sample=7) == expected
