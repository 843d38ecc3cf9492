"""Message middleware: user functions that change or stop a question or a clause of an answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Literal

from voxd.clock import Clock
from voxd.errors import ConfigError, NotFound, ProviderError, third_party
from voxd.providers.pipeline.stage_stream import run_until
from voxd.providers.tools import describe_exception

STOPPED = "message_stopped"
"""The error code of a question that middleware stopped."""

FAILED = "middleware_failed"

LONGEST_S = 2.0
"""Deadline of the whole chain for one message: the user waits for an answer meanwhile."""

_HINT = "correct it, or remove it from middleware.message"


@dataclass(frozen=True, slots=True)
class MiddlewareMessage:
    """A question of the user, or a clause of an answer; ``metadata`` is for the middleware's own use."""

    role: Literal["user", "assistant"]
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


Next = Callable[[MiddlewareMessage], Awaitable[MiddlewareMessage | None]]
"""Passes a message to the rest of the chain and returns the result, None when it was stopped."""

MessageMiddleware = Callable[[MiddlewareMessage, Next], Awaitable[MiddlewareMessage | None]]
"""Takes a message and the rest of the chain, and returns the result.

It may call ``next`` with a changed message and change what that returns. If it does not call ``next``, the
rest of the chain is skipped. None stops the message.
"""


async def run_middleware(
    chain: Sequence[MessageMiddleware], message: MiddlewareMessage, clock: Clock
) -> MiddlewareMessage | None:
    """Return ``message`` as changed by ``chain``, None when it was stopped.

    Raises `VoxdError` as the middleware raised it; any other exception, and a chain that does not end within
    `LONGEST_S`, becomes a `ProviderError`.
    """
    if not chain:
        return message

    async def call(index: int, message: MiddlewareMessage) -> MiddlewareMessage | None:
        if index == len(chain):
            return message
        # Each function decides whether the rest of the chain runs at all.
        return await chain[index](message, lambda changed: call(index + 1, changed))

    # Third-party code: its failure must end one turn with a reason, not the session.
    with third_party(_failure):
        return await run_until(clock, call(0, message), clock.monotonic() + LONGEST_S)


def _failure(error: Exception) -> ProviderError:
    if isinstance(error, TimeoutError):
        msg = f"message middleware did not finish within {LONGEST_S:g} s"
    else:
        msg = f"message middleware failed: {describe_exception(error)}"
    return ProviderError(msg, code=FAILED, hint=_HINT)


def stopped_error() -> ProviderError:
    """Return the error of a question that middleware stopped."""
    error = ProviderError("message middleware stopped the question", code=STOPPED)
    # Otherwise failover would send the question to the next provider.
    error.retryable = False
    return error


def load_middleware(name: str) -> Any:
    """Return the middleware function ``name`` of an installed package. Raises `NotFound`, `ConfigError`."""
    found = entry_points(group="voxd.middleware", name=name)
    if not found:
        raise NotFound(f"unknown middleware {name}", hint="install the package that contains it")
    # Importing runs third-party code; its failure must look like a bad setting.
    with third_party(
        lambda error: ConfigError(
            f"the middleware {name} cannot be loaded: {type(error).__name__}: {error}",
            hint=f"update or remove its package, or take {name} out of [middleware]",
        ),
        passes=(),
    ):
        return next(iter(found)).load()
