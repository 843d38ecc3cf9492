"""One TCP connection to a peer in this network that speaks neither HTTP nor WebSocket, such as Wyoming."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from voxd.errors import ConnectionFailed, StreamError
from voxd.net import faults
from voxd.net.dns import Resolver
from voxd.net.sockets import open_socket

# The longest line or block: the peer announces its length, and it must fit into memory.
MAX_PIECE_BYTES = 16 * 1024 * 1024

# A peer that accepts nothing for this long is gone.
SEND_S = 5.0

# The time for the peer to acknowledge the end.
CLOSE_S = 1.0


class TcpStream:
    """A reader and a writer in one, with asyncio's method names. All raise `ProviderError`."""

    # The names let `wyoming.event.async_read_event` and `async_write_event` use it.

    def __init__(self, provider: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.provider = provider
        self.sent_bytes = 0
        self.received_bytes = 0
        self.ended = False
        """Whether the peer has closed the connection and all data is read."""
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, provider: str, url: str, *, resolver: Resolver, within_s: float) -> "TcpStream":
        """Connect to ``url``, which is ``tcp://host:port``. Raises `ProviderError`."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or not port or parts.scheme != "tcp":
            raise faults.bad_endpoint(provider, "the endpoint is not an address like tcp://host:port")
        try:
            async with asyncio.timeout(within_s):
                sock = await open_socket(host, port, resolver=resolver, provider=provider)
                reader, writer = await asyncio.open_connection(sock=sock, limit=MAX_PIECE_BYTES)
        except (OSError, TimeoutError) as error:
            raise faults.connect_error(provider, error) from None
        return cls(provider, reader, writer)

    async def readline(self) -> bytes:
        """Return the next line with its end, b"" when the peer has closed the connection."""
        with self._as_ours():
            line = await self._reader.readline()
        self.received_bytes += len(line)
        self.ended = not line
        return line

    async def readexactly(self, size_bytes: int) -> bytes:
        """Return the next ``size_bytes``."""
        if not 0 <= size_bytes <= MAX_PIECE_BYTES:
            raise StreamError("the peer announces too much", provider=self.provider, code="too_big")
        with self._as_ours():
            data = await self._reader.readexactly(size_bytes)
        self.received_bytes += size_bytes
        return data

    def write(self, data: bytes) -> None:
        """Queue ``data`` to be sent; `drain` waits for it."""
        self.sent_bytes += len(data)
        self._writer.write(data)

    def writelines(self, lines: Iterable[bytes]) -> None:
        """Send ``lines`` as they are."""
        self.write(b"".join(lines))

    async def drain(self) -> None:
        """Wait while too much is unsent; aborts the connection when that takes too long."""
        try:
            async with asyncio.timeout(SEND_S):
                with self._as_ours():
                    await self._writer.drain()
        except TimeoutError:
            # `close` would first wait for the peer to take what is buffered.
            self._writer.transport.abort()
            msg = "the peer takes no more data"
            raise ConnectionFailed(msg, provider=self.provider, code="send_stalled") from None

    async def close(self) -> None:
        """Close the connection; idempotent."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._writer.wait_closed()

    @contextlib.contextmanager
    def _as_ours(self) -> Iterator[None]:
        try:
            yield
        except ValueError:
            # `StreamReader.readline` turns a LimitOverrunError into this.
            msg = "the peer sent a line without end"
            raise StreamError(msg, provider=self.provider, code="too_big") from None
        except (OSError, EOFError):
            raise ConnectionFailed("the connection broke", provider=self.provider) from None
