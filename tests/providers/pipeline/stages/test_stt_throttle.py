"""How fast sound is sent that was spoken before."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.providers.pipeline.stages.stt_throttle import Throttle

AZURE = Throttle(burst_s=5.0, speed=2.0)


@pytest.mark.parametrize(
    ("sent_s", "passed_s", "pause_s"),
    [
        (0.0, 0.0, 0.0),
        (5.0, 0.0, 0.0),
        (6.0, 0.0, 0.5),
        (6.0, 0.2, 0.3),
        (6.0, 0.5, 0.0),
        (9.0, 2.5, 0.0),
        (60.0, 60.0, 0.0),
    ],
)
def test_what_goes_beyond_the_burst_waits(sent_s: float, passed_s: float, pause_s: float) -> None:
    assert AZURE.pause_s(sent_s, passed_s) == pytest.approx(pause_s)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(0.0, 2.0)), max_size=40),
    st.floats(0.1, 10.0),
    st.floats(1.0, 4.0),
)
def test_a_vendor_is_never_sent_more_than_he_takes(
    pieces: list[tuple[float, float]], burst_s: float, speed: float
) -> None:
    throttle, sent_s, now_s = Throttle(burst_s, speed), 0.0, 0.0
    for piece_s, late_s in pieces:
        now_s += late_s + throttle.pause_s(sent_s, now_s + late_s)
        sent_s += piece_s
        assert sent_s <= burst_s + speed * now_s + piece_s + 1e-6


@settings(max_examples=50)
@given(st.integers(0, 1200), st.floats(0.1, 10.0), st.floats(1.0, 4.0))
def test_who_speaks_just_now_never_waits(tenths: int, burst_s: float, speed: float) -> None:
    assert Throttle(burst_s, speed).pause_s(tenths / 10, tenths / 10) == 0.0
