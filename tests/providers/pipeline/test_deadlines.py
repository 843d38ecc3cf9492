"""Deadlines follow the measured latencies, and only the last candidate spends the retries of a turn."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock
from tests.net.test_retry import DOWN, Vendor, outcome
from tests.properties import examples
from tests.providers.pipeline.rig import Rig
from tests.providers.pipeline.stage_fakes import Brain, Ears, Voice
from voxd.errors import ConnectionFailed
from voxd.net.retry import retry
from voxd.net.transport import Budget
from voxd.providers.pipeline.deadlines import LIMITS, MIN_SAMPLES, SAMPLES, Latencies, StageBudget, p95
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
        latencies.record(kind, "name", seconds)
    return latencies


@pytest.mark.parametrize(
    ("kind", "seconds", "count", "deadline_s"),
    [
        (StageKind.STT, 0.1, MIN_SAMPLES - 1, 1.2),
        (StageKind.STT, 0.1, MIN_SAMPLES, 0.5),
        (StageKind.STT, 0.6, MIN_SAMPLES, 0.9),
        (StageKind.STT, 5.0, MIN_SAMPLES, 1.2),
        (StageKind.LLM, 0.1, MIN_SAMPLES, 0.8),
        (StageKind.LLM, 1.0, MIN_SAMPLES, 1.5),
        (StageKind.LLM, 9.0, MIN_SAMPLES, 2.0),
        (StageKind.TTS, 0.4, MIN_SAMPLES, 0.6),
        (StageKind.TTS, 0.0, 0, 1.0),
    ],
)
def test_a_deadline_is_one_and_a_half_times_the_p95(
    kind: StageKind, seconds: float, count: int, deadline_s: float
) -> None:
    assert noted(kind, seconds, count).deadline_s(kind, "name") == pytest.approx(deadline_s)


def test_only_the_last_answers_of_the_same_name_and_stage_count() -> None:
    latencies = noted(StageKind.LLM, 1.9, SAMPLES)
    for _ in range(SAMPLES):
        latencies.record(StageKind.LLM, "name", 0.6)
    assert latencies.deadline_s(StageKind.LLM, "name") == pytest.approx(0.9)
    assert latencies.deadline_s(StageKind.LLM, "other") == 2.0
    assert latencies.deadline_s(StageKind.TTS, "name") == 1.0


def test_a_hedge_starts_after_the_p95_of_the_first() -> None:
    assert Latencies().hedge_delay_s("name") == 0.5
    assert noted(StageKind.STT, 0.3, MIN_SAMPLES).hedge_delay_s("name") == pytest.approx(0.3)
    assert noted(StageKind.STT, 3.0, MIN_SAMPLES).hedge_delay_s("name") == pytest.approx(1.2)


@examples(50)
@given(st.sampled_from(list(StageKind)), st.lists(st.floats(0, 60), max_size=80))
def test_a_deadline_is_always_within_its_limits(kind: StageKind, samples: list[float]) -> None:
    latencies = Latencies()
    for sample in samples:
        latencies.record(kind, "name", sample)
    assert LIMITS[kind].floor_s <= latencies.deadline_s(kind, "name") <= LIMITS[kind].ceiling_s


async def test_a_candidate_with_a_successor_is_not_retried_after_a_pause() -> None:
    clock = FakeClock()
    vendor, whole = Vendor(clock, DOWN), Budget()
    assert await outcome(vendor, clock, StageBudget(whole, lambda: True)) is DOWN
    assert vendor.asked_s == [0]
    assert whole.retries == 2


async def test_a_candidate_with_a_successor_still_uses_an_alternative_at_once() -> None:
    clock = FakeClock()
    vendor, whole = Vendor(clock, DOWN), Budget()
    done = await retry(vendor.work, StageBudget(whole, lambda: True), clock, has_alternative=lambda: True)
    assert (done, vendor.asked_s, whole.retries) == ("done", [0, 0], 1)


async def test_the_last_one_spends_what_the_turn_has_left() -> None:
    clock = FakeClock()
    vendor, whole = Vendor(clock, DOWN, DOWN), Budget()
    assert await outcome(vendor, clock, StageBudget(whole, lambda: False)) == "done"
    assert vendor.asked_s == [0, 0.5, 1.5]
    assert whole.retries == 0


@pytest.mark.parametrize(("reserve_s", "asked_s"), [(0.0, [0, 0.5]), (0.5, [0])])
async def test_no_retry_begins_in_the_reserve_of_later_stages(reserve_s: float, asked_s: list[float]) -> None:
    clock = FakeClock()
    vendor = Vendor(clock, DOWN, DOWN)
    share = StageBudget(Budget(clock.now + 1.0), lambda: False, reserve_s=reserve_s)
    assert await outcome(vendor, clock, share) is DOWN
    assert vendor.asked_s == asked_s


def test_a_share_is_a_view_of_the_turn() -> None:
    whole = Budget()
    share = StageBudget(whole, lambda: False, reserve_s=1.0)
    assert (share.until_s, share.retry_until_s) == (None, None)
    whole.until_s = 7.0
    assert (share.until_s, share.retry_until_s) == (7.0, 6.0)
    share.until_s, share.retries = 9.0, 0
    assert (whole.until_s, whole.retries) == (9.0, 0)
    assert not StageBudget(StageBudget(whole, lambda: True), lambda: False).is_last


class Noting:
    """Records for each stage whether its budget was that of the last candidate."""

    def __init__(self) -> None:
        self.last: dict[str, list[bool]] = {}

    def note(self, stage: Any, budget: Budget) -> None:
        self.last.setdefault(stage.name, []).append(budget.is_last)


def observe(noting: Noting, stage: Any, method: str) -> Any:
    original = getattr(stage, method)

    def asked(first: Any, more: Any = None, **how: Any) -> Any:
        budget = more.budget if hasattr(more, "budget") else getattr(first, "budget", more)
        noting.note(stage, budget)
        return original(first, *([] if more is None else [more]), **how)

    setattr(stage, method, asked)
    return stage


async def test_in_every_list_only_the_last_one_may_be_tried_again() -> None:
    clock, noting = FakeClock(), Noting()

    def lost() -> ConnectionFailed:
        return ConnectionFailed("the line broke")

    stt = [Ears("e1", clock, early=(lost(),)), Ears("e2", clock)]
    llm = [Brain("m1", clock, (lost(),)), Brain("m2", clock)]
    tts = [Voice("v1", clock, before={"*": lost()}), Voice("v2", clock)]
    for stages, method in ((stt, "transcribe"), (llm, "reply"), (tts, "synthesize")):
        for stage in stages:
            observe(noting, stage, method)
    async with Rig(stt=stt, llm=llm, tts=tts, clock=clock) as rig:
        await rig.ask()
        await asyncio.sleep(0)
        assert rig.said == ["It is noon."]
    assert noting.last == {
        "e1": [False],
        "e2": [True],
        "m1": [False],
        "m2": [True],
        "v1": [False],
        "v2": [True],
    }


async def test_the_hedge_counts_as_a_successor_only_after_the_end_of_speech() -> None:
    clock, noting = FakeClock(), Noting()
    budgets: list[Budget] = []
    noting.note = lambda stage, budget: budgets.append(budget)  # type: ignore[method-assign]
    ears = observe(noting, Ears("ears", clock, steps=(0.2,)), "transcribe")
    async with Rig(stt=[ears], hedge=Ears("own", clock, kind="local"), clock=clock) as rig:
        await rig.speak()
        assert budgets[0].is_last, "while the user speaks there is time to retry"
        await rig.provider.commit()
        assert not budgets[0].is_last
        await rig.pass_time(0.3)
        assert rig.said == ["It is noon."]
