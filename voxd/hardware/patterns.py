"""Light patterns: what each state looks like over time, by rhythm on one LED and by colour on three."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from voxd.turn.inputs import State

Rgb = tuple[float, float, float]
"""Red, green, blue, each 0 to 1."""

# How often a fading pattern is drawn: 25 times a second looks smooth and costs little.
FRAME_S = 0.04

DARK: Rgb = (0.0, 0.0, 0.0)


class Cue(StrEnum):
    """What LEDs can show: the states of the turn machine, and three conditions beside them."""

    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    FOLLOW_UP = "follow_up"
    MUTED = "muted"
    ERROR = "error"
    RINGING = "ringing"
    AUDIO_LOST = "audio_lost"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a rhythm: the level goes from ``start`` to ``end`` (0 to 1) in ``duration_s``."""

    duration_s: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Pattern:
    """A colour and a rhythm that repeats; a rhythm of one flat step is steady."""

    colour: Rgb
    rhythm: tuple[Segment, ...]


def _flat(duration_s: float, level: float) -> Segment:
    return Segment(duration_s, level, level)


# The pattern of each cue. Muted is never fully dark, so that it cannot be taken for idle.
PATTERNS: Mapping[Cue, Pattern] = MappingProxyType(
    {
        Cue.IDLE: Pattern(DARK, (_flat(1.0, 0.0),)),
        Cue.LISTENING: Pattern((0.0, 0.3, 1.0), (_flat(1.0, 1.0),)),
        Cue.FOLLOW_UP: Pattern((0.0, 1.0, 0.8), (_flat(0.85, 1.0), _flat(0.15, 0.0))),
        Cue.THINKING: Pattern((0.6, 0.0, 1.0), (Segment(0.4, 0.1, 1.0), Segment(0.4, 1.0, 0.1))),
        Cue.SPEAKING: Pattern((0.0, 1.0, 0.2), (Segment(1.2, 0.2, 1.0), Segment(1.2, 1.0, 0.2))),
        # Red and slow, and visible across a room: privacy must be checkable at a glance.
        Cue.MUTED: Pattern((1.0, 0.0, 0.0), (_flat(2.0, 1.0), _flat(2.0, 0.15))),
        Cue.ERROR: Pattern((1.0, 0.45, 0.0), (_flat(0.1, 1.0), _flat(0.1, 0.0))),
        Cue.RINGING: Pattern((1.0, 0.8, 0.1), (_flat(0.5, 1.0), _flat(0.5, 0.0))),
        Cue.AUDIO_LOST: Pattern(
            (1.0, 0.0, 0.5), (_flat(0.1, 1.0), _flat(0.15, 0.0), _flat(0.1, 1.0), _flat(1.65, 0.0))
        ),
        Cue.DEGRADED: Pattern((0.5, 0.35, 0.0), (_flat(0.5, 1.0), _flat(3.5, 0.0))),
    }
)


def select_cue(
    state: State, *, ringing: bool = False, audio_lost: bool = False, degraded: bool = False
) -> Cue:
    """Return what to show when several things are true at once.

    A ringing timer comes first. A lost microphone or an unavailable provider is shown only where the
    display would be idle: during a turn, the state of the turn matters more.
    """
    # A person must find the device that rings, so this hides everything else.
    if ringing:
        return Cue.RINGING
    if audio_lost and state is State.IDLE:
        return Cue.AUDIO_LOST
    if degraded and state is State.IDLE:
        return Cue.DEGRADED
    return Cue(state.value)


def rgb_at(cue: Cue, seconds: float) -> Rgb:
    """Return the colour of ``cue``, ``seconds`` after it was first shown; one LED shows its ``max``."""
    pattern = PATTERNS[cue]
    step, into_s = _step_at(pattern, seconds)
    level = step.start + (step.end - step.start) * into_s / step.duration_s
    red, green, blue = pattern.colour
    return red * level, green * level, blue * level


def next_change_s(cue: Cue, seconds: float) -> float | None:
    """Return how long after ``seconds`` the light must be drawn again; None: never, it is steady."""
    pattern = PATTERNS[cue]
    # No task runs for a steady light: idle costs nothing.
    if len(pattern.rhythm) == 1 and pattern.rhythm[0].start == pattern.rhythm[0].end:
        return None
    step, into_s = _step_at(pattern, seconds)
    # A rounded clock may stand an instant before the edge for ever: always move on.
    left_s = max(step.duration_s - into_s, 0.001)
    return left_s if step.start == step.end else min(FRAME_S, left_s)


def _step_at(pattern: Pattern, seconds: float) -> tuple[Segment, float]:
    into_s = seconds % sum(step.duration_s for step in pattern.rhythm)
    for step in pattern.rhythm[:-1]:
        if into_s < step.duration_s:
            return step, into_s
        into_s -= step.duration_s
    # The last segment takes what rounding leaves over.
    return pattern.rhythm[-1], min(into_s, pattern.rhythm[-1].duration_s)
