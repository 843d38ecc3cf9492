"""Deadlines follow what was measured, within limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.providers.pipeline.latency import ENOUGH, LIMITS, SAMPLES, Latencies, p95
from voxd.providers.pipeline.stages.contract import StageKind


@pytest.mark.parametrize(
    ("samples", "expected"),
    [([1.0], 1.0), ([1.0, 2.0], 2.0), (list(range(1, 101)), 95), ([3.0, 1.0, 2.0], 3.0)],
)
def test_the_95th_of_100(samples: list[float], expected: float) -> None:
    assert p95(samples) == expected


def noted(kind: StageKind, seconds: float, count: int) -> Latencies:
    latencies = Latencies()
    for _ in range(count):
        latencies.note(kind, "name", seconds)
    return latencies


@pytest.mark.parametrize(
    ("kind", "seconds", "count", "deadline_s"),
    [
        (StageKind.STT, 0.1, ENOUGH - 1, 1.2),
        (StageKind.STT, 0.1, ENOUGH, 0.5),
        (StageKind.STT, 0.6, ENOUGH, 0.9),
        (StageKind.STT, 5.0, ENOUGH, 1.2),
        (StageKind.LLM, 0.1, ENOUGH, 0.8),
        (StageKind.LLM, 1.0, ENOUGH, 1.5),
        (StageKind.LLM, 9.0, ENOUGH, 2.0),
        (StageKind.TTS, 0.4, ENOUGH, 0.6),
        (StageKind.TTS, 0.0, 0, 1.0),
    ],
)
def test_a_stage_may_take_half_again_as_long_as_usual(
    kind: StageKind, seconds: float, count: int, deadline_s: float
) -> None:
    assert noted(kind, seconds, count).deadline_s(kind, "name") == pytest.approx(deadline_s)


def test_only_the_last_answers_of_the_same_name_and_stage_count() -> None:
    latencies = noted(StageKind.LLM, 1.9, SAMPLES)
    for _ in range(SAMPLES):
        latencies.note(StageKind.LLM, "name", 0.6)
    assert latencies.deadline_s(StageKind.LLM, "name") == pytest.approx(0.9)
    assert latencies.deadline_s(StageKind.LLM, "other") == 2.0
    assert latencies.deadline_s(StageKind.TTS, "name") == 1.0


def test_a_second_listener_waits_as_long_as_the_first_usually_takes() -> None:
    assert Latencies().patience_s("name") == 0.5
    assert noted(StageKind.STT, 0.3, ENOUGH).patience_s("name") == pytest.approx(0.3)
    assert noted(StageKind.STT, 3.0, ENOUGH).patience_s("name") == pytest.approx(1.2)


@settings(max_examples=50)
@given(st.sampled_from(list(StageKind)), st.lists(st.floats(0, 60), max_size=80))
def test_a_deadline_is_always_within_its_limits(kind: StageKind, samples: list[float]) -> None:
    latencies = Latencies()
    for sample in samples:
        latencies.note(kind, "name", sample)
    assert LIMITS[kind].floor_s <= latencies.deadline_s(kind, "name") <= LIMITS[kind].ceiling_s
