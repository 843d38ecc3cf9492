"""A reply that is read ahead of its listener."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from tests.fakes import settle
from voxd.errors import ConnectionFailed
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.providers.contract import ReplyAudio, ReplyEnd, ReplyItem, ReplyText
from voxd.providers.routing.relay import AHEAD, Relay

SOUND = ReplyAudio(Clip(bytes(320), SAMPLE_RATE_HZ))
WAIT_S = 5.0


class Source:
    """Gives ``items`` out, notes how many and whether it was closed, and fails with ``error``."""

    def __init__(self, items: list[ReplyItem], error: Exception | None = None) -> None:
        self.items = items
        self.error = error
        self.given = 0
        self.closed = False

    async def replies(self) -> AsyncGenerator[ReplyItem]:
        try:
            for item in self.items:
                self.given += 1
                yield item
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


async def test_it_reads_while_nobody_listens_but_not_without_end() -> None:
    source = Source([SOUND] * 100)
    async with asyncio.timeout(WAIT_S), Relay(source.replies()) as relay:
        await settle()
        await relay.ready()
        assert AHEAD <= source.given <= AHEAD + 1
        found = [await relay.next() for _ in range(101)]
    assert found == [*source.items, None]


async def test_whoever_answers_is_closed_when_the_reply_was_heard_and_not_before() -> None:
    source = Source([ReplyText("Noon."), SOUND, ReplyEnd()])
    async with asyncio.timeout(WAIT_S), Relay(source.replies()) as relay:
        for item in source.items:
            assert await relay.next() == item
        await settle()
        assert not source.closed
    assert source.closed


async def test_a_fault_comes_after_what_came_before_it() -> None:
    source = Source([SOUND], ConnectionFailed("broken"))
    async with asyncio.timeout(WAIT_S), Relay(source.replies()) as relay:
        await settle()
        assert await relay.next() == SOUND
        with pytest.raises(ConnectionFailed):
            await relay.next()


async def test_waiting_for_an_item_may_be_given_up() -> None:
    go_on = asyncio.Event()

    async def slow() -> AsyncGenerator[ReplyItem]:
        await go_on.wait()
        yield SOUND
        yield ReplyEnd()

    async with asyncio.timeout(WAIT_S), Relay(slow()) as relay:
        waiting = asyncio.create_task(relay.ready())
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        go_on.set()
        assert [await relay.next(), await relay.next()] == [SOUND, ReplyEnd()]
