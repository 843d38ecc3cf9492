"""Functions of the user's that every request passes through: they may change it, its answer, or stop it."""

from collections.abc import Awaitable, Callable, Sequence

from voxd.errors import ProviderError, third_party
from voxd.net.transport import HttpRequest, HttpResponse

Next = Callable[[HttpRequest], Awaitable[HttpResponse]]

RequestMiddleware = Callable[[HttpRequest, Next], Awaitable[HttpResponse]]
"""Is given the request and what comes after; returns an answer, its own or that of what comes after.

It stops a request by raising `ProviderError` (``retryable`` False, or it is asked again), or by returning
an answer of its own. It runs once for every attempt, after the configured headers were added, and not for
sockets.
"""


async def pass_through(
    chain: Sequence[RequestMiddleware], request: HttpRequest, send: Next, *, provider: str
) -> HttpResponse:
    """Return the answer to ``request`` after ``chain``, the first of it outermost. Raises `ProviderError`."""
    if not chain:
        return await send(request)
    first, *rest = chain

    def failure_of(error: Exception) -> ProviderError:
        msg = f"a request middleware failed: {type(error).__name__}"
        hint = "report this to the middleware's author"
        failure = ProviderError(msg, provider=provider, code="middleware_failed", hint=hint)
        failure.retryable = False
        return failure

    with third_party(failure_of):
        return await first(request, lambda changed: pass_through(rest, changed, send, provider=provider))
