"""Message middleware runs in order, changes, stops, and its mistakes have a code."""

import asyncio

import pytest

from tests.fakes import FakeClock, settle
from voxd.errors import NotPermitted, ProviderError
from voxd.providers.pipeline.middleware import LONGEST_S, Next, Said, passed

CLOCK = FakeClock()


async def upper(message: Said, next: Next) -> Said | None:
    return await next(Said(message.role, message.text.upper(), {**message.metadata, "seen": True}))


async def exclaim(message: Said, next: Next) -> Said | None:
    said = await next(Said(message.role, message.text + "a", message.metadata))
    return Said(said.role, said.text + "!", said.metadata) if said else None


async def short(message: Said, next: Next) -> Said | None:
    return Said("user", "short")


async def stop(message: Said, next: Next) -> Said | None:
    return None


async def test_the_first_is_outermost() -> None:
    assert await passed((exclaim, upper), Said("user", "b"), CLOCK) == Said("user", "BA!", {"seen": True})
    assert await passed((upper, exclaim), Said("user", "b"), CLOCK) == Said("user", "Ba!", {"seen": True})
    assert await passed((), Said("user", "b"), CLOCK) == Said("user", "b")


async def test_one_may_stop_or_answer_for_the_rest() -> None:
    assert await passed((exclaim, stop, upper), Said("user", "b"), CLOCK) is None
    assert await passed((exclaim, short, upper), Said("user", "b"), CLOCK) == Said("user", "short!")


async def test_its_mistakes_are_a_providers_and_its_refusals_its_own() -> None:
    async def mistaken(message: Said, next: Next) -> Said | None:
        raise KeyError("x")

    async def refusing(message: Said, next: Next) -> Said | None:
        raise NotPermitted("not here")

    with pytest.raises(ProviderError) as raised:
        await passed((mistaken,), Said("user", "b"), CLOCK)
    assert raised.value.code == "middleware_failed"
    with pytest.raises(NotPermitted):
        await passed((refusing,), Said("user", "b"), CLOCK)


async def test_one_that_never_ends_has_failed() -> None:
    async def hanging(message: Said, next: Next) -> Said | None:
        await asyncio.Event().wait()
        return message

    clock = FakeClock()
    work = asyncio.create_task(passed((exclaim, hanging), Said("user", "b"), clock))
    await settle()
    await clock.advance(LONGEST_S)
    with pytest.raises(ProviderError, match="did not finish"):
        await work
