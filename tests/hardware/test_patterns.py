from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.hardware.patterns import DARK, FRAME_S, PATTERNS, Cue, next_change_s, rgb_at, select_cue
from voxd.turn.inputs import State


def rhythm(cue: Cue) -> list[float]:
    """The brightness of a single LED over 4 seconds, relative to its brightest moment."""
    levels = [max(rgb_at(cue, tenth / 20)) for tenth in range(80)]
    return [round(level / (max(levels) or 1), 3) for level in levels]


def test_every_state_has_a_cue() -> None:
    assert {select_cue(state).value for state in State} == {state.value for state in State}
    assert set(PATTERNS) == set(Cue)


@pytest.mark.parametrize(("one", "other"), [*combinations(Cue, 2)])
def test_two_cues_differ_in_rhythm_on_a_single_led(one: Cue, other: Cue) -> None:
    differing = sum(abs(a - b) > 0.2 for a, b in zip(rhythm(one), rhythm(other), strict=True))
    assert differing >= 8, f"{one} and {other} look alike"


@pytest.mark.parametrize(("one", "other"), [*combinations(Cue, 2)])
def test_two_cues_differ_in_colour_on_three_leds(one: Cue, other: Cue) -> None:
    a, b = PATTERNS[one].colour, PATTERNS[other].colour
    assert sum(abs(x - y) for x, y in zip(a, b, strict=True)) > 0.3


def test_idle_is_dark_and_idle_and_listening_never_need_a_wake_up() -> None:
    assert rgb_at(Cue.IDLE, 12.3) == DARK
    assert next_change_s(Cue.IDLE, 12.3) is None
    assert next_change_s(Cue.LISTENING, 12.3) is None


def test_muted_is_never_dark() -> None:
    assert min(max(rgb_at(Cue.MUTED, tenth / 10)) for tenth in range(100)) > 0


def test_a_blink_is_drawn_only_at_its_edges() -> None:
    assert next_change_s(Cue.RINGING, 0.1) == pytest.approx(0.4)


def test_a_fade_is_drawn_frame_by_frame() -> None:
    assert next_change_s(Cue.THINKING, 0.1) == FRAME_S


@pytest.mark.parametrize(
    ("state", "truths", "cue"),
    [
        (State.IDLE, set(), Cue.IDLE),
        (State.IDLE, {"audio_lost"}, Cue.AUDIO_LOST),
        (State.IDLE, {"degraded"}, Cue.DEGRADED),
        (State.IDLE, {"audio_lost", "degraded"}, Cue.AUDIO_LOST),
        (State.SPEAKING, {"audio_lost", "degraded"}, Cue.SPEAKING),
        (State.MUTED, {"audio_lost", "degraded"}, Cue.MUTED),
        (State.MUTED, {"ringing"}, Cue.RINGING),
        (State.IDLE, {"ringing", "audio_lost", "degraded"}, Cue.RINGING),
    ],
)
def test_the_most_urgent_truth_is_shown(state: State, truths: set[str], cue: Cue) -> None:
    assert select_cue(state, **dict.fromkeys(truths, True)) is cue


@examples(100)
@given(st.sampled_from(Cue), st.floats(0, 1e6))
def test_light_stays_in_range_and_its_next_change_lies_ahead(cue: Cue, seconds: float) -> None:
    assert all(0 <= part <= 1 for part in rgb_at(cue, seconds))
    change_s = next_change_s(cue, seconds)
    assert change_s is None or seconds + change_s > seconds
