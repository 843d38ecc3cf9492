"""One WebSocket to a vendor: bounded in memory and in time, with every fault mapped to an error."""

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from voxd.errors import ConnectionFailed
from voxd.net import faults
from voxd.net.dns import Resolver
from voxd.net.faults import CloseReason, redact
from voxd.net.sockets import load_tls_context, look_up, open_socket, proxy_of
from voxd.tasks import TaskScope

# The longest frame: OpenAI's own limit for one piece of sound is 15 MiB.
MAX_FRAME_BYTES = 16 * 1024 * 1024

# The send buffer, four seconds of 24 kHz sound as base64; beyond it `send` waits.
WRITE_LIMIT_BYTES = 256 * 1024

# Two pongs may be lost or late before the connection counts as dead.
_PINGS_PER_LIMIT = 3

_wire_log = logging.getLogger(f"{__name__}.wire")
# At DEBUG the library logs request headers, which hold the key, and frames, which hold what was said.
_wire_log.setLevel(logging.CRITICAL)

_LIBRARY_OPTIONS: dict[str, Any] = {
    "user_agent_header": "voxd",
    "logger": _wire_log,
    "max_size": MAX_FRAME_BYTES,
    "write_limit": WRITE_LIMIT_BYTES,
    # A deflate context (RFC 7692) costs memory and CPU, for frames that are mostly sound.
    "compression": None,
    # Ours cover the name look-up as well, and notice a dead peer sooner: see `_watch`.
    "open_timeout": None,
    "ping_interval": None,
}


@dataclass(frozen=True, slots=True)
class WebSocketAddress:
    """The address of a vendor; ``ca_file`` names the certificates to trust instead of the system's.

    ``key`` is redacted where a vendor repeats it in a refusal, a frame or a close reason.
    """

    # Not in the repr: URL and headers may hold the key.
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str = ""
    proxy: str | None = field(default=None, repr=False)
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The longest waits for a vendor, in seconds.

    ``open_s`` covers name, TCP, TLS and HTTP, ``name_s`` the name alone; ``answer_s`` the frame that
    answers one of ours; ``send_s`` a full send buffer; ``active_s`` and ``idle_s`` the time without a sign
    of life during and between turns; ``close_s`` the closing handshake.
    """

    open_s: float = 10.0
    name_s: float = 2.0
    answer_s: float = 10.0
    send_s: float = 5.0
    active_s: float = 3.0
    idle_s: float = 10.0
    close_s: float = 1.0


class WebSocketConnection:
    """An open WebSocket; `ending` is why it is closed."""

    def __init__(
        self, provider: str, socket: ClientConnection, deadlines: Deadlines, *, key: str = ""
    ) -> None:
        self._provider = provider
        self._key = key
        self._socket = socket
        self._deadlines = deadlines
        self._active = False
        self._turn_began = asyncio.Event()
        self._last_seen_s = self._now_s()
        self._ending: CloseReason | None = None
        self.sent_bytes = 0
        self.received_bytes = 0
        self._tasks = TaskScope("websocket")
        self._watcher = self._tasks.start(self._watch(), name=f"watch {provider}")

    @classmethod
    async def open(
        cls,
        provider: str,
        address: WebSocketAddress,
        deadlines: Deadlines | None = None,
        *,
        resolver: Resolver | None = None,
        trust: ssl.SSLContext | None = None,
        subprotocols: Sequence[str] = (),
        read_refusal: faults.RefusalReader = faults.error_for_refusal,
    ) -> "WebSocketConnection":
        """Connect to ``address``. Raises `ProviderError`; its class and code say why.

        Without a shared ``resolver`` no address of an earlier connection is known; without ``trust`` the
        certificates are read first.
        """
        deadlines = deadlines or Deadlines()
        try:
            async with asyncio.timeout(deadlines.open_s):
                options = await _options(provider, address, deadlines, resolver or Resolver(), trust)
                socket = await _Connect(
                    address.url,
                    additional_headers=dict(address.headers),
                    close_timeout=deadlines.close_s,
                    subprotocols=[Subprotocol(each) for each in subprotocols] or None,
                    **_LIBRARY_OPTIONS,
                    **options,
                )
        except InvalidStatus as error:
            response = error.response
            headers = {name.lower(): value for name, value in response.headers.raw_items()}
            body = redact(bytes(response.body or b""), address.key)
            raise faults.read_refusal(read_refusal, provider, response.status_code, headers, body) from None
        except InvalidHandshake as error:
            raise faults.not_websocket(provider, error.__cause__) from None
        except (OSError, TimeoutError) as error:
            raise faults.connect_error(provider, error) from error
        except (InvalidURI, ValueError):
            # Their text holds the URL, and so perhaps the key. (A bad certificate is an OSError too.)
            raise faults.bad_endpoint(provider) from None
        return cls(provider, socket, deadlines, key=address.key)

    @property
    def ending(self) -> CloseReason | None:
        """Why the connection is over, None while it is not."""
        return self._ending

    @property
    def active(self) -> bool:
        """Whether a turn is under way, in which a dead connection must be noticed sooner."""
        return self._active

    @active.setter
    def active(self, active: bool) -> None:
        if active and not self._active:
            self._turn_began.set()
        self._active = active

    async def send(self, message: str | bytes) -> None:
        """Send a text frame, or a binary one; waits while too much is unsent.

        Raises `ProviderError` when that is too long.
        """
        if self._ending is not None:
            raise faults.error_for_close(self._provider, self._ending)
        try:
            async with asyncio.timeout(self._deadlines.send_s):
                await self._socket.send(message)
                self.sent_bytes += len(message)
        except TimeoutError:
            self.abort(CloseReason("send_stalled", "the vendor takes no more data"))
            raise ConnectionFailed(
                "the vendor takes no more data", provider=self._provider, code="send_stalled"
            ) from None
        except ConnectionClosed as closed:
            raise faults.error_for_close(self._provider, self._close_reason(closed)) from None

    async def receive(self) -> str | bytes | None:
        """Return the next frame, None when the connection is over."""
        try:
            message = await self._socket.recv()
        except ConnectionClosed as closed:
            self._close_reason(closed)
            self._watcher.cancel()
            return None
        self._last_seen_s = self._now_s()
        self.received_bytes += len(message)
        return redact(message, self._key)

    def abort(self, ending: CloseReason) -> None:
        """Abort the connection; `receive` and `send` report ``ending``."""
        # Without a closing handshake: the peer is gone or stalled, and the library would wait for it.
        self._ending = self._ending or ending
        self._socket.transport.abort()

    async def close(self) -> None:
        """Close with the closing handshake if the vendor takes part in time; idempotent."""
        self._ending = self._ending or CloseReason("closed", "closed by us")
        self._watcher.cancel()
        await self._socket.close()
        await self._tasks.close()

    def _close_reason(self, closed: ConnectionClosed) -> CloseReason:
        if self._ending is None:
            received, sent = closed.rcvd, closed.sent
            self._ending = faults.close_reason(
                received.code if received else None,
                redact(received.reason, self._key) if received else "",
                sent=sent.code if sent else None,
            )
        return self._ending

    async def _watch(self) -> None:
        """Ping, and abort the connection when nothing arrived for too long."""
        # The vendor's own pings do not help: a peer that is dead but not closed must be noticed while the
        # user still waits. The library's keepalive takes 50 s by default (measured). Any frame is a sign of
        # life.
        self._last_seen_s = self._now_s()
        while True:
            limit_s = self._deadlines.active_s if self._active else self._deadlines.idle_s
            if self._now_s() - self._last_seen_s > limit_s:
                self.abort(CloseReason("half_open", "the vendor has gone silent"))
                return
            self._turn_began.clear()
            due_s = self._now_s() + limit_s / _PINGS_PER_LIMIT
            try:
                async with asyncio.timeout_at(due_s):
                    pong = await self._socket.ping()
                    asyncio.ensure_future(pong).add_done_callback(self._on_pong)
                    await self._turn_began.wait()
                    self._last_seen_s = self._now_s()  # A turn begins, with its full deadline.
            except TimeoutError:
                # Time in which this program did not run says nothing about the vendor.
                self._last_seen_s += self._now_s() - due_s
            except ConnectionClosed:
                return

    def _on_pong(self, pong: "asyncio.Future[float]") -> None:
        if not pong.cancelled() and pong.exception() is None:
            self._last_seen_s = self._now_s()

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


class _Connect(connect):
    """Follows no redirect."""

    # The key is for the configured host only. The library drops `Authorization` on the way to another host,
    # but not the headers and query parameters in which some vendors expect their keys.

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _options(
    provider: str,
    address: WebSocketAddress,
    deadlines: Deadlines,
    resolver: Resolver,
    trust: ssl.SSLContext | None,
) -> dict[str, Any]:
    """Return the library's options for the socket, TLS and the proxy."""
    # None: the default, True, would use the proxy variables of the environment.
    options: dict[str, Any] = {"proxy": None}
    where = parse_uri(address.url)
    if where.secure:
        trust = trust or await load_tls_context(address.ca_file)
        options["ssl"] = trust
        options["server_hostname"] = where.host
    if address.proxy is None:
        options["sock"] = await open_socket(
            where.host, where.port, resolver=resolver, name_s=deadlines.name_s, provider=provider
        )
        return options
    proxy = proxy_of(provider, address.proxy)
    found = await look_up(
        proxy.host, proxy.port, resolver=resolver, name_s=deadlines.name_s, provider=provider
    )
    # A number, because the library would look a name up in the shared thread pool.
    options["proxy"] = proxy.url(found[0][4][0])
    if proxy.scheme == "https":
        options["proxy_ssl"] = trust or await load_tls_context(address.ca_file)
        options["proxy_server_hostname"] = proxy.host
    return options
