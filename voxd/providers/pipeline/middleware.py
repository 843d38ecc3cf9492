"""Code of the user's own on the way of what is said and answered: a chain that may change or stop it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from voxd.clock import Clock
from voxd.errors import ProviderError, VoxdError
from voxd.providers.pipeline.stage_stream import run_until
from voxd.providers.tools import describe_exception

STOPPED = "message_stopped"
"""The code of a question that middleware did not let through."""

FAILED = "middleware_failed"

LONGEST_S = 2.0
"""Middleware that takes longer has failed: somebody waits for an answer."""

_HINT = "mend it, or take it out of middleware.message"


@dataclass(frozen=True, slots=True)
class MiddlewareMessage:
    """What the user said, or a clause of what is answered; ``metadata`` is for the middleware itself."""

    role: Literal["user", "assistant"]
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


Next = Callable[[MiddlewareMessage], Awaitable[MiddlewareMessage | None]]
"""Passes a message to the rest of the chain and returns the result, None when it was stopped."""

MessageMiddleware = Callable[[MiddlewareMessage, Next], Awaitable[MiddlewareMessage | None]]
"""Takes a message and what comes next.

It returns ``await next(message)``, with another message if it likes, or does something with what that
returns; without calling ``next`` what it returns is the end of it: None stops the message.
"""


async def run_middleware(
    chain: Sequence[MessageMiddleware], message: MiddlewareMessage, clock: Clock
) -> MiddlewareMessage | None:
    """Return ``message`` as ``chain`` leaves it, None when one of it stopped it.

    Raises `VoxdError` as middleware raises it; anything else it raises, or that it does not come to an end,
    becomes a `ProviderError`.
    """
    if not chain:
        return message

    async def at(index: int, message: MiddlewareMessage) -> MiddlewareMessage | None:
        if index == len(chain):
            return message
        return await chain[index](message, lambda changed: at(index + 1, changed))

    try:
        return await run_until(clock, at(0, message), clock.monotonic() + LONGEST_S)
    except VoxdError:
        raise
    except TimeoutError:
        msg = f"message middleware did not finish within {LONGEST_S:g} s"
        raise ProviderError(msg, code=FAILED, hint=_HINT) from None
    except Exception as error:
        # A stranger's code: its mistake must end one turn with a reason, not the session.
        msg = f"message middleware failed: {describe_exception(error)}"
        raise ProviderError(msg, code=FAILED, hint=_HINT) from error


def stopped_error() -> ProviderError:
    """Return the error of a question that was not let through: nobody else may answer it either."""
    error = ProviderError("message middleware stopped the question", code=STOPPED)
    error.retryable = False
    return error
