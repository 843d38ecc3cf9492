"""The HTTP client of the process, shared by all vendors; httpx is loaded with the first request."""

import asyncio
import logging
import ssl
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxd.errors import ProviderError
from voxd.net import faults
from voxd.net.body import HttpRoute, StreamedResponse, check_response
from voxd.net.dns import Resolver
from voxd.net.sockets import load_tls_context, proxy_of
from voxd.net.transport import HttpRequest
from voxd.tasks import TaskScope, in_thread

if TYPE_CHECKING:
    from voxd.net.http_client import HttpPools

_log = logging.getLogger(__name__)

# The default deadline of the first byte of a body: a language model thinks before its first token.
FIRST_BYTE_S = 10.0

# The default deadline of a whole response.
WHOLE_S = 60.0


@dataclass(frozen=True, slots=True)
class RequestTerms:
    """How one request is sent. ``key`` is redacted in the response.

    ``first_byte_s`` is how long the first byte of the response's body may take, the connection included;
    ``whole_s`` covers the whole response.
    """

    provider: str
    key: str = field(default="", repr=False)
    read_refusal: faults.RefusalReader = faults.error_for_refusal
    first_byte_s: float = FIRST_BYTE_S
    whole_s: float = WHOLE_S
    ca_file: str = ""
    proxy: str | None = field(default=None, repr=False)


class HttpClient:
    """Created by the composition root; all connections share its resolver."""

    def __init__(self, resolver: Resolver | None = None) -> None:
        self.resolver = resolver or Resolver()
        self._client: HttpPools | None = None
        self._loading = asyncio.Lock()
        self._tasks = TaskScope("http")
        self._trust: dict[str, ssl.SSLContext] = {}

    async def send(self, request: HttpRequest, terms: RequestTerms) -> StreamedResponse:
        """Send ``request``; return its response when the first byte of its body, or its end, is there.

        The caller closes the response. Raises `ProviderError`, also for a refusal and for a log-in page.
        """
        until_s = asyncio.get_running_loop().time() + terms.whole_s
        try:
            async with asyncio.timeout(min(terms.first_byte_s, terms.whole_s)):
                route = HttpRoute(terms.ca_file, terms.proxy)
                client = await self._pools_for(terms.provider, route)
                head, sent_bytes = await client.send(terms.provider, request, route)
                response = StreamedResponse(
                    terms.provider, head, until_s=until_s, key=terms.key, sent_bytes=sent_bytes
                )
                async with AsyncExitStack() as stack:
                    # On any error or cancellation the connection is closed: half a response makes it useless.
                    stack.push_async_callback(response.close)
                    await check_response(response, terms.provider, terms.read_refusal)
                    await response.begin()
                    stack.pop_all()
                return response
        except (OSError, TimeoutError) as error:
            raise faults.connect_error(terms.provider, error) from None

    async def trust(self, ca_file: str) -> ssl.SSLContext:
        """Return the TLS context for ``ca_file``, read once. Raises `OSError` when it cannot be read."""
        if ca_file not in self._trust:
            self._trust[ca_file] = await load_tls_context(ca_file)
        return self._trust[ca_file]

    async def prepare(self) -> None:
        """Load what the first request needs: 3 MB, and a second on a small device."""
        # Called while the user still speaks, so that the first request does not pay for the import.
        await self._load_pools()

    def connect_ahead(self, provider: str, stage: str, url: str, route: HttpRoute) -> None:
        """Connect to the host of ``url`` in the background, unless a connection waits; never raises.

        Nothing is sent, so nothing is billed. The next request of ``route`` to that host uses it.
        """
        self._tasks.start(self._connect_ahead(provider, stage, url, route), name="connect ahead")

    async def close(self) -> None:
        """Close all connections; idempotent."""
        await self._tasks.close()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _load_pools(self) -> "HttpPools":
        async with self._loading:
            if self._client is None:
                # In a thread: an import of a second would stop the audio queues of the loop.
                pools = await in_thread(_load, name="load http")
                self._client = pools(self.resolver)
            return self._client

    async def _pools_for(self, provider: str, route: HttpRoute) -> "HttpPools":
        client = await self._load_pools()
        if not client.has_route(route):
            if route.proxy is not None:
                proxy_of(provider, route.proxy)
            trust = await self.trust(route.ca_file)
            if not client.has_route(route):
                # Asked again after the await: another request may have added the route meanwhile.
                client.add_route(route, trust)
        return client

    async def _connect_ahead(self, provider: str, stage: str, url: str, route: HttpRoute) -> None:
        try:
            client = await self._pools_for(provider, route)
        except (OSError, ProviderError) as error:
            # The next request fails with the same error and reports it.
            _log.debug("no connection was opened ahead: %s", type(error).__name__)
            return
        client.prepare(url, route, f"{provider} {stage}")


def _load() -> "type[HttpPools]":
    # httpx does without its command line if it cannot be imported: click and rich would cost 5 MB.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    from voxd.net.http_client import HttpPools

    return HttpPools
