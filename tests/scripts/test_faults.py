from collections import Counter

import pytest

from scripts.faulting.faults import FAULTS
from scripts.faulting.flaps import Tally
from scripts.faulting.rows import Row


def row(**told: object) -> Row:
    well = {"first_sound_s": 2.0, "fate": "answered", "said": "It is noon."}
    return Row(fault="N1", what="a reset", chain="live", **{**well, **told})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({}, "ok"),
        ({"first_sound_s": 4.0}, "ok"),
        ({"first_sound_s": 4.01}, "late"),
        ({"first_sound_s": None}, "silent"),
        ({"said": ""}, "silent"),
        ({"fate": "kept"}, "ok"),
        ({"fate": "broken off"}, "ok"),
        ({"fate": "no_speech"}, "lost"),
        ({"fate": ""}, "lost"),
        ({"skipped": "needs root"}, "skipped"),
        ({"first_sound_s": None, "is_well": True}, "ok"),
        ({"is_well": False}, "lost"),
    ],
)
def test_a_row_is_judged_by_what_was_heard_and_when(told: dict[str, object], verdict: str) -> None:
    assert row(**told).verdict == verdict


def test_every_network_row_of_the_reference_that_is_one_turn_has_a_fault() -> None:
    assert {fault.id for fault in FAULTS} - {"-"} == {f"N{number}" for number in range(1, 17)} - {"N15"}


def test_a_tally_sees_what_is_lost_doubled_and_silent() -> None:
    tally = Tally(asked=5, outcomes=Counter(answered=4), kept=["a", "b", "c"], answered_later=["a", "b", "b"])
    assert (tally.lost, tally.doubled, tally.silent) == ({"c"}, ["b"], 1)
