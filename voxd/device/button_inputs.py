"""What a finger on the button means to the turn machine, which depends on what the device is doing."""

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
from voxd.turn.machine import REPLYING


def meaning(kind: GestureKind, *, state: State, ringing: bool, muted: bool, at_sample: int) -> Input:
    """Return the input for a gesture made at ``at_sample`` while the device is in ``state``.

    A short press silences what sounds, ends the utterance under way, or begins one; a long press mutes
    and unmutes.
    """
    match kind:
        case GestureKind.SHORT if ringing or state in REPLYING:
            return StopRequested(Source.BUTTON)
        case GestureKind.SHORT if state is State.LISTENING:
            return ListenReleased()
        case GestureKind.SHORT:
            return ListenRequested(Source.BUTTON, at_sample)
        case GestureKind.TALK_START:
            return ListenRequested(Source.BUTTON, at_sample, hold=True)
        case GestureKind.TALK_END:
            return ListenReleased()
        case GestureKind.REPEAT:
            return RepeatRequested(Source.BUTTON)
        case GestureKind.MUTE:
            return MuteRequested(not muted, Source.BUTTON)
