"""Puts a question that was kept to a vendor: he is told that it is late, and can do nothing about it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from voxd.providers.contract import Provider, ReplyItem, Request
from voxd.providers.routing.attempt import ELSEWHERE
from voxd.providers.routing.health import CircuitBreaker

_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60))

_LATE = (
    "The user asked what follows {ago}, while you could not be reached. He does not wait for it any more; "
    "your answer is told to him later. You cannot do anything on this device now: never say that you did. "
    "If he wanted something done then, such as a timer or a light, tell him that it was not done."
)


def late_instructions(instructions: str, age_s: float) -> str:
    """Return ``instructions`` for a model that answers what was asked ``age_s`` ago."""
    return f"{instructions}\n\n{_LATE.format(ago=ago(age_s))}"


def ago(seconds: float) -> str:
    """Return about how long ago something was, in words: "about 3 hours ago"."""
    for unit, length_s in _UNITS:
        if count := int(seconds // length_s):
            return f"about {count} {unit}{'s' if count > 1 else ''} ago"
    return "a moment ago"


async def ask_late(provider: Provider, request: Request, health: CircuitBreaker) -> AsyncGenerator[ReplyItem]:
    """Yield the answer of ``provider``, who is made for this question, and closed at its end.

    Raises what he raises.
    """
    try:
        async with aclosing(provider.converse(request)) as replies:
            async for item in replies:
                yield item
        health.record_success(provider.name)
    except ELSEWHERE as error:
        health.record_failure(provider.name, error)
        raise
    finally:
        await provider.close()
