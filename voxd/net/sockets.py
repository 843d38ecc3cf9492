"""Opens a TCP socket to a host: all its addresses race, so that a broken one costs a quarter of a second."""

import asyncio
import itertools
import socket
import ssl
from collections import deque
from contextlib import ExitStack

from voxd.errors import ConnectionFailed
from voxd.net.dns import NAME_S, Addresses, AddressInfo, Resolver
from voxd.tasks import cancel_and_wait, in_thread

ADDRESS_S = 2.0
"""The deadline of one address."""

STAGGER_S = 0.25
"""The delay before the next address is tried as well (RFC 8305, section 5: Connection Attempt Delay)."""

SILENT_MS = 3000
"""A peer that acknowledges nothing for so long is gone; the user waits at most 3 s within a turn."""

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
    waiting = deque(
        interleave_families(await look_up(host, port, resolver=resolver, name_s=name_s, provider=provider))
    )
    running: set[asyncio.Task[socket.socket]] = set()
    problem = OSError("the host has no address")
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_connect(waiting.popleft()), name="connect"))
            done, _ = await asyncio.wait(
                running, timeout=STAGGER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                running.remove(task)
                try:
                    return task.result()
                except OSError as error:
                    problem = error
        raise problem
    finally:
        await cancel_and_wait(*running)
        # Two may connect in the same pass of the loop: the second is open, and not needed.
        for task in running:
            if not task.cancelled() and task.exception() is None:
                task.result().close()


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


def interleave_families(addresses: Addresses) -> list[AddressInfo]:
    """Return ``addresses`` with the families taking turns, the first family first (RFC 8305, section 4)."""
    families: dict[int, list[AddressInfo]] = {}
    for each in addresses:
        families.setdefault(each[0], []).append(each)
    rows = itertools.zip_longest(*families.values())
    return [each for row in rows for each in row if each is not None]


async def _connect(to: AddressInfo) -> socket.socket:
    family, kind, protocol, _, address = to
    with ExitStack() as stack:
        sock = stack.enter_context(socket.socket(family, kind, protocol))
        sock.setblocking(False)
        for option in SOCKET_OPTIONS:
            sock.setsockopt(*option)
        async with asyncio.timeout(ADDRESS_S):
            await asyncio.get_running_loop().sock_connect(sock, address)
        stack.pop_all()
    return sock


async def load_tls_context(ca_file: str) -> ssl.SSLContext:
    """Return what to trust. Raises `OSError` when ``ca_file`` cannot be read."""
    # In a thread: reading the system's certificates takes tens of milliseconds.
    return await in_thread(
        lambda: ssl.create_default_context(cafile=ca_file or None), name="read certificates"
    )
