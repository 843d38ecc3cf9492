"""One attempt at a vendor: with what it was made, what it opened, and what the log is told of it."""

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from voxd.errors import VoxdError
from voxd.net.body import StreamedResponse
from voxd.net.endpoint import host_of
from voxd.net.keys import ApiKey
from voxd.net.tcp import TcpStream
from voxd.net.transport import Access
from voxd.net.websocket import WebSocketConnection


@dataclass(slots=True)
class Attempt:
    """An attempt; ``stack`` gives its place among the others back."""

    attempt: int
    kind: str
    key: ApiKey = field(default_factory=lambda: ApiKey(0, ""))
    endpoint: str = ""
    url: str = field(default="", repr=False)
    code: str = "ok"
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _began_s: float = 0.0
    _first_byte_ms: float | None = None
    _links: list[StreamedResponse | WebSocketConnection | TcpStream] = field(default_factory=list)

    @property
    def access(self) -> Access:
        """With what it is made."""
        return Access(self.endpoint, self.key.text)

    def begin(self, key: ApiKey, endpoint: str) -> None:
        """The attempt begins now: waiting for its turn is no part of it."""
        self.key, self.endpoint, self.url = key, endpoint, endpoint
        self._began_s = time.monotonic()

    def opened(self, link: StreamedResponse | WebSocketConnection | TcpStream) -> None:
        """The first byte has come. A middleware may open several links, one after the other."""
        self._first_byte_ms = self._passed_ms()
        self._links.append(link)

    async def close(self, *, finish: bool) -> None:
        """Close what was opened; with ``finish`` so that the connection can be used again."""
        async with self.stack:
            for link in self._links:
                if finish and isinstance(link, StreamedResponse):
                    await link.finish()
                await link.close()

    def told(self) -> dict[str, Any]:
        """Return what `provider.call` says of it."""
        return {
            "kind": self.kind,
            "endpoint": host_of(self.url),
            "key": self.key.number,
            "attempt": self.attempt,
            "code": self.code,
            "first_byte_ms": self._first_byte_ms,
            "duration_ms": self._passed_ms(),
            "sent_bytes": sum(link.sent_bytes for link in self._links),
            "received_bytes": sum(link.received_bytes for link in self._links),
        }

    def _passed_ms(self) -> float:
        return (time.monotonic() - self._began_s) * 1000


def outcome_code(error: BaseException | None) -> str:
    """Return what the log calls ``error``; who leaves before the end "cancelled" the request."""
    if error is None:
        return "ok"
    if isinstance(error, VoxdError):
        return error.code
    return "internal" if isinstance(error, Exception) else "cancelled"
