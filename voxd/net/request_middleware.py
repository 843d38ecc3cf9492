"""The user's functions around every request: they may change it or its response, or stop it."""

from collections.abc import Awaitable, Callable, Sequence

from voxd.errors import ProviderError, third_party
from voxd.net.transport import HttpRequest, HttpResponse

Next = Callable[[HttpRequest], Awaitable[HttpResponse]]

RequestMiddleware = Callable[[HttpRequest, Next], Awaitable[HttpResponse]]
"""Gets the request and the next function; returns a response, its own or that of the next function.

It stops a request by raising `ProviderError` (with ``retryable`` False, or the request is retried), or by
returning a response of its own. It runs once for every attempt, after the configured headers were added, and
not for sockets.
"""


async def pass_through(
    chain: Sequence[RequestMiddleware], request: HttpRequest, send: Next, *, provider: str
) -> HttpResponse:
    """Return the response to ``request`` through ``chain``, its first outermost. Raises `ProviderError`."""
    if not chain:
        return await send(request)
    first, *rest = chain

    def failure_of(error: Exception) -> ProviderError:
        # Only the class: the text of the exception may hold the request, and so the key.
        msg = f"a request middleware failed: {type(error).__name__}"
        hint = "report this to the middleware's author"
        failure = ProviderError(msg, provider=provider, code="middleware_failed", hint=hint)
        # A bug in the user's code fails the same way each time.
        failure.retryable = False
        return failure

    with third_party(failure_of):
        return await first(request, lambda changed: pass_through(rest, changed, send, provider=provider))
