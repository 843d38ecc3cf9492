"""Background tasks: logged when they fail, joined when their owner is closed."""

import asyncio
import logging

import pytest

from voxd.tasks import TaskScope, cancel_and_wait


async def _wait_for_ever() -> None:
    await asyncio.Event().wait()


async def _fail(message: str) -> None:
    raise ValueError(message)


async def test_a_failed_task_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    scope = TaskScope("speaker")
    with caplog.at_level(logging.ERROR, "voxd.tasks"):
        task = scope.start(_fail("words of the user"), name="worker")
        await asyncio.wait({task})
        await asyncio.sleep(0)
    assert "speaker: worker failed: ValueError" in caplog.text
    assert "_fail" in caplog.text
    assert "words of the user" not in caplog.text
    assert len(scope) == 0


async def test_an_awaited_task_raises_to_its_caller_and_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scope = TaskScope("speaker")
    with pytest.raises(ValueError, match="to the caller"):
        await scope.start(_fail("to the caller"), is_awaited=True)
    assert not caplog.records


async def test_close_cancels_what_runs_and_waits_for_it() -> None:
    scope = TaskScope("speaker")
    ended = False

    async def work() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended = True

    scope.start(work())
    await asyncio.sleep(0)
    await scope.close()
    assert ended
    assert len(scope) == 0
    await scope.close()


async def test_a_task_may_close_its_own_scope() -> None:
    scope = TaskScope("speaker")
    other = scope.start(_wait_for_ever())
    await scope.start(scope.close(), is_awaited=True)
    assert other.cancelled()


async def test_cancel_and_wait_skips_none_and_ended_tasks() -> None:
    done = asyncio.create_task(asyncio.sleep(0))
    await done
    running = asyncio.create_task(_wait_for_ever())
    await cancel_and_wait(None, done, running)
    assert running.cancelled()
