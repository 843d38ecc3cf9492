"""Opens a TCP socket to a host, reads the TLS context and checks the proxy that is configured.

All addresses of a host race, so that a broken one costs a quarter of a second.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohappyeyeballs import AddrInfoType, start_connection

from voxd.errors import ConnectionFailed, ProviderError
from voxd.net import faults
from voxd.net.dns import NAME_S, Addresses, Resolver
from voxd.tasks import in_thread

# The deadline of the last address. Earlier ones still run beside it, so they have a little longer.
ADDRESS_S = 2.0

# The delay before the next address is tried as well (RFC 8305, section 5: "Connection Attempt Delay"; its
# recommended value).
STAGGER_S = 0.25

# A peer that acknowledges nothing for this long is gone; the user waits at most 3 s within a turn. By default
# the kernel retransmits for 15 minutes and more (tcp(7), tcp_retries2).
SILENT_MS = 3000

SOCKET_OPTIONS = (
    # Audio and JSON frames are small; Nagle's algorithm would hold each back for a round trip.
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # The kernel detects a dead peer: by probes on an idle connection, by the timeout on a busy one (tcp(7)).
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_MS),
)


async def open_socket(
    host: str, port: int, *, resolver: Resolver, name_s: float = NAME_S, provider: str = ""
) -> socket.socket:
    """Return a socket connected to ``host``; the name look-up may take ``name_s`` seconds.

    Raises `ConnectionFailed` when the name server does
    not answer, `socket.gaierror` or `UnicodeError` for an unusable name, `OSError` when no address accepts.
    """
    addresses = await look_up(host, port, resolver=resolver, name_s=name_s, provider=provider)
    async with asyncio.timeout(ADDRESS_S + STAGGER_S * (len(addresses) - 1)):
        # It lets the address families take turns (RFC 8305, section 4), so that broken IPv6 costs one delay.
        return await start_connection(
            addresses, happy_eyeballs_delay=STAGGER_S, socket_factory=_create_socket
        )


async def look_up(
    host: str, port: int, *, resolver: Resolver, name_s: float = NAME_S, provider: str = ""
) -> Addresses:
    """Return the addresses of ``host``. Raises `ConnectionFailed`, `socket.gaierror`, `UnicodeError`."""
    try:
        return await resolver.look_up(host, port, within_s=name_s)
    except TimeoutError:
        hint = "check the network's name server: `resolvectl status`"
        msg = "the name server does not answer"
        raise ConnectionFailed(msg, provider=provider, code="dns_failed", hint=hint) from None


def _create_socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    for option in SOCKET_OPTIONS:
        sock.setsockopt(*option)
    return sock


async def load_tls_context(ca_file: str) -> ssl.SSLContext:
    """Return the TLS context for ``ca_file``, "" for the system's. Raises `OSError` when it is unreadable."""
    # In a thread: reading the system's certificates takes tens of milliseconds.
    return await in_thread(
        lambda: ssl.create_default_context(cafile=ca_file or None), name="read certificates"
    )


_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that speaks HTTP; ``account`` is "name:password@" or ""."""

    scheme: str
    host: str
    port: int
    account: str = field(default="", repr=False)

    def url(self, host: str) -> str:
        """Return its URL, with the address ``host`` in the place of its name."""
        return f"{self.scheme}://{self.account}{f'[{host}]' if ':' in host else host}:{self.port}"


def proxy_of(provider: str, url: str) -> Proxy:
    """Return the proxy at ``url``. Raises `ProviderError`; its text never holds the password."""
    # SOCKS is not supported: httpcore and websockets would each need another library for it.
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _unusable(provider) from None
    account, _, _ = parts.netloc.rpartition("@")
    # "name@host" without a password: the proxy would refuse each request with 407.
    whole = not account or parts.password is not None
    if parts.scheme not in _USUAL_PORTS or not parts.hostname or parts.path.strip("/") or not whole:
        raise _unusable(provider)
    return Proxy(
        parts.scheme, parts.hostname, port or _USUAL_PORTS[parts.scheme], f"{account}@" if account else ""
    )


def _unusable(provider: str) -> ProviderError:
    error = faults.bad_endpoint(provider, "the proxy is not an address like http://host:port")
    error.hint = "correct options.proxy of the provider in the configuration"
    return error
