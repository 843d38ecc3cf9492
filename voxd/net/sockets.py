"""Opens a TCP socket to a host: all its addresses race, so that a broken one costs a quarter of a second."""

import asyncio
import socket
import ssl

from aiohappyeyeballs import AddrInfoType, start_connection

from voxd.errors import ConnectionFailed
from voxd.net.dns import NAME_S, Addresses, Resolver
from voxd.tasks import in_thread

# The deadline of the last address. Earlier ones run on beside it, so they have a little longer.
ADDRESS_S = 2.0

# The delay before the next address is tried as well (RFC 8305, section 5: Connection Attempt Delay).
STAGGER_S = 0.25

# A peer that acknowledges nothing for so long is gone; the user waits at most 3 s within a turn.
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

    The address families take turns (RFC 8305, section 4). Raises `ConnectionFailed` when the name server does
    not answer, `socket.gaierror` or `UnicodeError` for an unusable name, `OSError` when no address accepts.
    """
    addresses = await look_up(host, port, resolver=resolver, name_s=name_s, provider=provider)
    async with asyncio.timeout(ADDRESS_S + STAGGER_S * (len(addresses) - 1)):
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
    """Return what to trust. Raises `OSError` when ``ca_file`` cannot be read."""
    # In a thread: reading the system's certificates takes tens of milliseconds.
    return await in_thread(
        lambda: ssl.create_default_context(cafile=ca_file or None), name="read certificates"
    )
