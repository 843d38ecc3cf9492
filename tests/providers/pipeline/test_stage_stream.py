"""What a stage yields can be waited for with a deadline, and cancelled at once."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from tests.fakes import FakeClock, settle
from voxd.errors import ConnectionFailed, ProviderError
from voxd.providers.pipeline.stage_stream import StageStream, drain, run_until
from voxd.tasks import TaskScope


async def numbers(
    clock: FakeClock, gone: list[bool], error: BaseException | None = None
) -> AsyncGenerator[int]:
    try:
        yield 1
        await clock.sleep(1.0)
        yield 2
        if error is not None:
            raise error
    finally:
        gone.append(True)


async def test_items_come_in_order_and_then_the_end() -> None:
    clock, tasks, gone = FakeClock(), TaskScope("test"), list[bool]()
    stream = StageStream(numbers(clock, gone), name="s", tasks=tasks, clock=clock)
    assert await stream.next(None) == 1
    waiting = asyncio.create_task(stream.next(clock.now + 2.0))
    await clock.advance(1.0)
    assert await waiting == 2
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await stream.next(None)
    assert gone == [True]
    await tasks.close()


async def test_an_item_that_does_not_come_in_time_may_still_come_later() -> None:
    clock, tasks = FakeClock(), TaskScope("test")
    stream = StageStream(numbers(clock, []), name="s", tasks=tasks, clock=clock)
    assert await stream.next(None) == 1
    waiting = asyncio.create_task(stream.next(clock.now + 0.5))
    await clock.advance(0.5)
    with pytest.raises(TimeoutError):
        await waiting
    await clock.advance(0.5)
    assert await stream.next(None) == 2
    await tasks.close()


@pytest.mark.parametrize("error", [ConnectionFailed("gone"), KeyError("x"), asyncio.CancelledError()])
async def test_a_fault_comes_behind_what_was_said_and_names_the_stage(error: BaseException) -> None:
    clock, tasks = FakeClock(), TaskScope("test")
    stream = StageStream(numbers(clock, [], error), name="s", tasks=tasks, clock=clock)
    await clock.advance(1.0)
    assert [await stream.next(None), await stream.next(None)] == [1, 2]
    for _ in range(2):
        with pytest.raises(ProviderError) as raised:
            await stream.next(None)
        assert raised.value.provider == "s"
    await tasks.close()


async def test_a_cancelled_stream_is_closed_and_yields_nothing_more() -> None:
    clock, tasks, gone = FakeClock(), TaskScope("test"), list[bool]()
    stream = StageStream(numbers(clock, gone), name="s", tasks=tasks, clock=clock)
    assert await stream.next(None) == 1
    stream.cancel()
    await settle()
    assert gone == [True]
    with pytest.raises(ConnectionFailed):
        await stream.next(None)
    await tasks.close()


async def test_draining_cancels_the_stream_when_its_reader_stops() -> None:
    clock, tasks, gone = FakeClock(), TaskScope("test"), list[bool]()
    items = drain(StageStream(numbers(clock, gone), name="s", tasks=tasks, clock=clock))
    assert await anext(items) == 1
    await items.aclose()
    await settle()
    assert gone == [True]
    await tasks.close()


async def test_a_deadline_cancels_the_work_and_leaves_nothing() -> None:
    clock, before = FakeClock(), asyncio.all_tasks()
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    waiting = asyncio.create_task(run_until(clock, work(), clock.now + 1.0))
    await settle()
    await clock.advance(1.0)
    with pytest.raises(TimeoutError):
        await waiting
    assert ended == [True]
    assert asyncio.all_tasks() == before
