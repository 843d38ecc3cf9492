"""Limits of one provider: how many requests and tokens a minute, and how many at once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import RecordingEmit, settle
from tests.payloads import problem
from tests.properties import examples
from voxd.errors import RateLimited
from voxd.net.rate_limits import RateLimiter, RateLimits


class LoopTime:
    """The time of the event loop, which the limits use; it stands still until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    async def advance(self, seconds: float, steps: int = 100) -> None:
        """Move on in small steps, so that what becomes due comes in its order."""
        await settle()
        for _ in range(steps):
            self.now += seconds / steps
            await settle()


@pytest.fixture
async def time(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoopTime]:
    loop = asyncio.get_running_loop()
    time = LoopTime(loop.time())
    with monkeypatch.context() as patched:
        patched.setattr(loop, "time", lambda: time.now)
        yield time


def limits_of(**allowed: Any) -> tuple[RateLimiter, RecordingEmit]:
    emit = RecordingEmit()
    return RateLimiter("vendor", RateLimits(**allowed), emit=emit), emit


class Caller:
    """A request that wants to pass, and stays until released."""

    def __init__(self, limits: RateLimiter, tokens: int = 0) -> None:
        self.passed = asyncio.Event()
        self.left = asyncio.Event()
        self.task = asyncio.create_task(self._pass(limits, tokens))

    async def _pass(self, limits: RateLimiter, tokens: int) -> None:
        async with limits.acquire(tokens):
            self.passed.set()
            await self.left.wait()

    async def leave(self) -> None:
        self.left.set()
        await self.task


async def test_a_burst_of_two_minutes_is_allowed_and_then_the_rate_applies(time: LoopTime) -> None:
    limits, emit = limits_of(requests_per_minute=6)
    for _ in range(12):
        async with limits.acquire(0):
            pass
    assert emit.events == []
    late = Caller(limits)
    await time.advance(9.9)
    assert not late.passed.is_set()
    await time.advance(0.2)
    assert late.passed.is_set()
    await late.leave()
    ((type, told),) = emit.events
    assert (told["limit"], problem(type, told)) == ("requests", "")


@pytest.mark.parametrize("allowed", [{"requests_per_minute": 1}, {"tokens_per_minute": 20}])
async def test_a_wait_that_is_too_long_is_not_begun(time: LoopTime, allowed: dict[str, int]) -> None:
    limits, emit = limits_of(**allowed)
    for _ in range(2):
        async with limits.acquire(20):
            pass
    with pytest.raises(RateLimited, match="that is set for vendor is reached") as raised:
        async with limits.acquire(20):
            pass
    assert (raised.value.code, raised.value.retry_after_s) == ("queue_too_long", pytest.approx(60))
    ((_, told),) = emit.events
    assert told["wait_s"] == pytest.approx(60)
    await time.advance(31)
    patient = asyncio.create_task(limits.acquire(20).__aenter__())
    await time.advance(30)
    await patient


async def test_a_request_that_has_waited_30_s_is_refused(time: LoopTime) -> None:
    # How long the one under way takes nobody knows.
    limits, _ = limits_of(max_concurrent=1)
    first = Caller(limits)
    await first.passed.wait()
    late = Caller(limits)
    await time.advance(29.9)
    assert not late.task.done()
    await time.advance(0.4)
    with pytest.raises(RateLimited, match="concurrent") as raised:
        await late.task
    assert (raised.value.provider, raised.value.code) == ("vendor", "queue_too_long")
    await first.leave()


@pytest.mark.parametrize("refuses", ["settings", "caller"])
async def test_without_a_queue_excess_is_refused_at_once(time: LoopTime, refuses: str) -> None:
    limits, emit = limits_of(requests_per_minute=6, queue_excess=refuses != "settings")
    for _ in range(12):
        async with limits.acquire(0):
            pass
    with pytest.raises(RateLimited) as raised:
        async with limits.acquire(0, can_wait=refuses != "caller"):
            pass
    assert (raised.value.code, raised.value.retry_after_s) == ("rate_limited", pytest.approx(10))
    assert [told["wait_s"] for _, told in emit.events] == [pytest.approx(10)]


async def test_a_full_queue_refuses_and_the_others_keep_their_places(time: LoopTime) -> None:
    limits, emit = limits_of(requests_per_minute=60, max_queue_size=2)
    for _ in range(120):
        async with limits.acquire(0):
            pass
    first, second = Caller(limits), Caller(limits)
    await settle()
    with pytest.raises(RateLimited, match="2 requests wait already") as raised:
        async with limits.acquire(0):
            pass
    assert (raised.value.code, raised.value.retry_after_s) == ("queue_full", pytest.approx(3))
    assert [told["wait_s"] for _, told in emit.events] == [pytest.approx(each) for each in (1, 2, 3)]
    await time.advance(1.01)
    assert (first.passed.is_set(), second.passed.is_set()) == (True, False)
    await time.advance(1.01)
    assert second.passed.is_set()
    await first.leave()
    await second.leave()


async def test_a_request_that_leaves_the_queue_moves_the_others_up(time: LoopTime) -> None:
    limits, _ = limits_of(requests_per_minute=60)
    for _ in range(120):
        async with limits.acquire(0):
            pass
    callers = [Caller(limits) for _ in range(3)]
    await settle()
    callers[0].task.cancel()
    callers[1].task.cancel()
    await time.advance(1.01)
    assert callers[2].passed.is_set()
    await callers[2].leave()


async def test_the_seeds_limits_queue_ten_requests_for_30_s(time: LoopTime) -> None:
    limits, _ = limits_of(
        requests_per_minute=20, tokens_per_minute=50_000, max_concurrent=50, max_queue_size=10
    )
    callers = [Caller(limits, 10) for _ in range(52)]
    await settle()
    assert sum(each.passed.is_set() for each in callers) == 40
    refused = [each for each in callers if each.task.done()]
    assert refused == callers[50:]
    for at in range(40, 50):
        await time.advance(3.0, steps=30)
        assert [each.passed.is_set() for each in callers[40:50]] == [number <= at for number in range(40, 50)]
    for each in callers[:50]:
        each.left.set()
    outcomes = await asyncio.gather(*(each.task for each in callers), return_exceptions=True)
    assert [type(each) for each in outcomes if each is not None] == [RateLimited, RateLimited]


async def test_tokens_are_counted_too(time: LoopTime) -> None:
    limits, emit = limits_of(tokens_per_minute=600)
    async with limits.acquire(1200):
        pass
    late = Caller(limits, 100)
    await time.advance(9.9)
    assert not late.passed.is_set()
    await time.advance(0.2)
    assert late.passed.is_set()
    await late.leave()
    assert emit.events[0][1]["limit"] == "tokens"


async def test_a_request_larger_than_the_limit_passes_when_all_of_it_is_free(time: LoopTime) -> None:
    limits, _ = limits_of(tokens_per_minute=100)
    async with limits.acquire(1_000_000):
        pass


async def test_first_come_first_served_whatever_they_weigh(time: LoopTime) -> None:
    limits, _ = limits_of(tokens_per_minute=600)
    async with limits.acquire(1200):
        pass
    heavy = Caller(limits, 250)
    await settle()
    light = Caller(limits, 1)
    await time.advance(20)
    assert not heavy.passed.is_set()
    assert not light.passed.is_set(), "the light one does not overtake"
    await time.advance(6)
    assert heavy.passed.is_set()
    assert light.passed.is_set()
    await heavy.leave()
    await light.leave()


async def test_only_so_many_are_under_way_at_once() -> None:
    limits, emit = limits_of(max_concurrent=2)
    first, second, third, fourth = (Caller(limits) for _ in range(4))
    await settle()
    assert [each.passed.is_set() for each in (first, second, third, fourth)] == [True, True, False, False]
    await second.leave()
    await settle()
    assert (third.passed.is_set(), fourth.passed.is_set()) == (True, False)
    for each in (first, third, fourth):
        each.left.set()
    await asyncio.gather(first.task, third.task, fourth.task)
    assert {told["limit"] for _, told in emit.events} == {"concurrent"}


async def test_a_cancelled_request_gives_its_place_to_the_next() -> None:
    limits, _ = limits_of(max_concurrent=1)
    first, second, third = (Caller(limits) for _ in range(3))
    await settle()
    second.task.cancel()
    await asyncio.gather(second.task, return_exceptions=True)
    await first.leave()
    await asyncio.wait_for(third.passed.wait(), 5)
    await third.leave()


async def test_without_limits_no_request_waits() -> None:
    limits, emit = limits_of()
    callers = [Caller(limits, 10_000) for _ in range(50)]
    await settle()
    assert all(each.passed.is_set() for each in callers)
    for each in callers:
        await each.leave()
    assert emit.events == []


@examples(50, deadline=None)
@given(st.integers(1, 60), st.lists(st.floats(0, 40), min_size=1, max_size=15))
async def test_no_minute_has_more_than_its_rate_and_the_burst(per_minute: int, gaps_s: list[float]) -> None:
    loop = asyncio.get_running_loop()
    time = LoopTime(loop.time())
    limits, _ = limits_of(requests_per_minute=per_minute)
    passed_s: list[float] = []

    async def ask() -> None:
        async with limits.acquire(0):
            passed_s.append(time.now)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "time", lambda: time.now)
        asking = []
        for gap_s in gaps_s:
            asking.append(asyncio.create_task(ask()))
            await time.advance(gap_s, steps=10)
        await time.advance(31)
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, RateLimited) for outcome in outcomes)
    assert len(passed_s) >= min(len(gaps_s), 2 * per_minute)
    for at, since_s in enumerate(passed_s):
        for to, until_s in enumerate(passed_s[at:], 1):
            assert to <= 2 * per_minute + (until_s - since_s) * per_minute / 60 + 1e-6
