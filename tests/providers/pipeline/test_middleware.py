"""Message middleware runs in order, changes, stops, and its mistakes have a code."""

import asyncio

import pytest

from tests.fakes import FakeClock, settle
from voxd.errors import NotPermitted, ProviderError
from voxd.providers.pipeline.middleware import LONGEST_S, MiddlewareMessage, Next, run_middleware

CLOCK = FakeClock()


async def upper(message: MiddlewareMessage, next: Next) -> MiddlewareMessage | None:
    return await next(
        MiddlewareMessage(message.role, message.text.upper(), {**message.metadata, "seen": True})
    )


async def exclaim(message: MiddlewareMessage, next: Next) -> MiddlewareMessage | None:
    said = await next(MiddlewareMessage(message.role, message.text + "a", message.metadata))
    return MiddlewareMessage(said.role, said.text + "!", said.metadata) if said else None


async def short(message: MiddlewareMessage, next: Next) -> MiddlewareMessage | None:
    return MiddlewareMessage("user", "short")


async def stop(message: MiddlewareMessage, next: Next) -> MiddlewareMessage | None:
    return None


async def test_the_first_is_outermost() -> None:
    assert await run_middleware((exclaim, upper), MiddlewareMessage("user", "b"), CLOCK) == MiddlewareMessage(
        "user", "BA!", {"seen": True}
    )
    assert await run_middleware((upper, exclaim), MiddlewareMessage("user", "b"), CLOCK) == MiddlewareMessage(
        "user", "Ba!", {"seen": True}
    )
    assert await run_middleware((), MiddlewareMessage("user", "b"), CLOCK) == MiddlewareMessage("user", "b")


async def test_one_may_stop_or_answer_for_the_rest() -> None:
    assert await run_middleware((exclaim, stop, upper), MiddlewareMessage("user", "b"), CLOCK) is None
    assert await run_middleware(
        (exclaim, short, upper), MiddlewareMessage("user", "b"), CLOCK
    ) == MiddlewareMessage("user", "short!")


async def test_its_mistakes_are_a_providers_and_its_refusals_its_own() -> None:
    async def mistaken(message: MiddlewareMessage, next: Next) -> MiddlewareMessage | None:
        raise KeyError("x")

    async def refusing(message: MiddlewareMessage, next: Next) -> MiddlewareMessage | None:
        raise NotPermitted("not here")

    with pytest.raises(ProviderError) as raised:
        await run_middleware((mistaken,), MiddlewareMessage("user", "b"), CLOCK)
    assert raised.value.code == "middleware_failed"
    with pytest.raises(NotPermitted):
        await run_middleware((refusing,), MiddlewareMessage("user", "b"), CLOCK)


async def test_one_that_never_ends_has_failed() -> None:
    async def hanging(message: MiddlewareMessage, next: Next) -> MiddlewareMessage | None:
        await asyncio.Event().wait()
        return message

    clock = FakeClock()
    work = asyncio.create_task(run_middleware((exclaim, hanging), MiddlewareMessage("user", "b"), clock))
    await settle()
    await clock.advance(LONGEST_S)
    with pytest.raises(ProviderError, match="did not finish"):
        await work
