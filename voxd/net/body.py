"""The body of an HTTP response: bounded in bytes and in time, with every fault mapped to `ProviderError`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from voxd.errors import ConnectionFailed, ProviderError, StreamError
from voxd.json_text import decode_json
from voxd.net import faults
from voxd.net.faults import redact
from voxd.net.sse import EventDecoder, LineDecoder

# The largest response: six minutes of 16 kHz, 16-bit sound as base64.
MAX_BODY_BYTES = 16 * 1024 * 1024

# The part of a refusal that is read: error objects are a few hundred bytes, error pages can be long.
MAX_REFUSAL_BYTES = 64 * 1024

# The time for the body of a refusal; after it the status alone decides.
REFUSAL_S = 1.0

# A stream that was read to its last event gets this long to end. HTTP/1.1 can use a connection again only
# when the response was read completely (RFC 9112, section 9.3).
REMAINDER_S = 0.05

_REMAINDER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """What distinguishes connections to one host: which certificates they trust, and their proxy."""

    ca_file: str = ""
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response whose body is still to come; ``pieces`` raises `ProviderError`."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]


class StreamedResponse:
    """An `HttpResponse`. ``until_s`` is its deadline as a whole, in the time of the event loop."""

    def __init__(
        self, provider: str, head: ResponseHead, *, until_s: float, key: str = "", sent_bytes: int = 0
    ) -> None:
        self.status = head.status
        self.headers: Mapping[str, str] = {
            # Field names are case-insensitive (RFC 9110, section 5.1).
            name.lower(): redact(value, key)
            for name, value in head.headers.items()
        }
        self.sent_bytes = sent_bytes
        self.received_bytes = 0
        self._provider = provider
        self._key = key
        self._head = head
        self._until_s = until_s
        self._first = b""
        self._is_over = False

    async def begin(self) -> None:
        """Wait for the first byte of the body, or for its end. Raises `ProviderError`."""
        # Kept for `chunks`. A vendor sends the head early and starts to compute only then, so it is the first
        # byte of the body that shows that the response is on its way.
        self._first = await self._next()

    async def json(self) -> Any:
        """Return the body as JSON. Raises `ProviderError` when it is invalid."""
        body = await self.read()
        try:
            return decode_json(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # An access point's log-in page, sent with status 200 and without its media type.
            if body.lstrip()[:1] == b"<":
                raise faults.captive_portal(self._provider) from None
            msg = "the vendor sent invalid JSON"
            raise StreamError(msg, provider=self._provider, code="bad_answer") from None

    async def read(self) -> bytes:
        """Return the body, without the key if it is repeated there. Raises `ProviderError`."""
        body = bytearray()
        async for piece in self.chunks():
            body += piece
        return redact(bytes(body), self._key)

    async def read_some(self, most_bytes: int) -> bytes:
        """Return the first ``most_bytes`` of the body, fewer after a fault or the deadline; never raises."""
        body = bytearray()
        with contextlib.suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(REFUSAL_S):
                async for piece in self.chunks():
                    body += piece
                    if len(body) >= most_bytes:
                        break
        return redact(bytes(body[:most_bytes]), self._key)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises `ProviderError`."""
        first, self._first = self._first, b""
        if first:
            yield first
        while piece := await self._next():
            yield piece

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines of the body. Raises `ProviderError`."""
        lines = LineDecoder()
        async for piece in self.chunks():
            for line in lines.feed(piece):
                yield redact(line, self._key)
        for line in lines.end():
            yield redact(line, self._key)

    async def events(self) -> AsyncIterator[tuple[str, str]]:
        """Yield the events, server-sent ones or JSON texts. Raises `ProviderError`."""
        events = EventDecoder()
        async for piece in self.chunks():
            for type, data in events.feed(piece):
                yield type, redact(data, self._key)
            if events.is_markup:
                raise faults.captive_portal(self._provider)
        for type, data in events.end():
            yield type, redact(data, self._key)

    async def finish(self) -> None:
        """Read the rest if it is short, so that the connection can be used again."""
        with contextlib.suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(REMAINDER_S):
                left = _REMAINDER_BYTES
                while left > 0 and (piece := await self._next()):
                    left -= len(piece)

    async def close(self) -> None:
        """Free the connection; idempotent."""
        await self._head.close()

    async def _next(self) -> bytes:
        """Return the next piece, b"" at the end. Raises `ProviderError`."""
        if self._is_over:
            return b""
        try:
            # The absolute deadline of the whole response: a vendor that sends one byte a second does not
            # extend it.
            async with asyncio.timeout_at(self._until_s):
                piece = await anext(self._head.pieces, b"")
        except TimeoutError as error:
            raise faults.connect_error(self._provider, error) from None
        self._is_over = not piece
        self.received_bytes += len(piece)
        if self.received_bytes > MAX_BODY_BYTES:
            raise StreamError("the vendor's response is too long", provider=self._provider, code="too_big")
        return piece


async def check_response(
    response: StreamedResponse, provider: str, read_refusal: faults.RefusalReader
) -> None:
    """Raise `ProviderError` unless ``response`` is a 2xx response in a format that was requested."""
    if not 200 <= response.status < 300:
        body = await response.read_some(MAX_REFUSAL_BYTES)
        raise faults.read_refusal(read_refusal, provider, response.status, response.headers, body)
    if response.headers.get("content-type", "").lower().startswith("text/html"):
        raise faults.captive_portal(provider)
    # RFC 9110, section 12.5.3: "Accept-Encoding: identity" was sent. Decompressing would also let 16 MiB on
    # the wire become gigabytes in memory.
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        msg = "the vendor compressed its response although it was asked not to"
        raise ConnectionFailed(msg, provider=provider, code="bad_answer")
