"""Opens a TCP socket to a host: all its addresses race, so that a broken one costs a quarter of a second."""

import asyncio
import itertools
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from voxd.errors import ConnectionFailed
from voxd.net.dns import NAME_S, Addresses, AddressInfo, Resolver
from voxd.tasks import in_thread

ADDRESS_S = 2.0
"""One address is tried for this long."""

STAGGER_S = 0.25
"""The next address joins in when those before have not answered for so long (RFC 8305, section 5)."""

SILENT_MS = 3000
"""A peer that acknowledges nothing for so long is gone; the user waits at most 3 s within a turn."""

SOCKET_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_MS),
)
"""Let the kernel detect a dead peer, also on an idle connection (tcp(7))."""

T = TypeVar("T")


async def open_socket(
    host: str, port: int, *, resolver: Resolver, name_s: float = NAME_S, provider: str = ""
) -> socket.socket:
    """Return a socket connected to ``host``; the name must be found within ``name_s`` seconds.

    Raises `ConnectionFailed` when it is not, `OSError` when no address of it answers.
    """
    found = await look_up(host, port, resolver=resolver, name_s=name_s, provider=provider)
    return await race(found, _connected, _closed)


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


def interleave_families(found: Addresses) -> list[AddressInfo]:
    """Return ``found`` with the families taking turns, the first family first (RFC 8305, section 4)."""
    families: dict[int, list[AddressInfo]] = {}
    for each in found:
        families.setdefault(each[0], []).append(each)
    rows = itertools.zip_longest(*families.values())
    return [each for row in rows for each in row if each is not None]


async def race(
    found: Addresses,
    connect: Callable[[AddressInfo], Coroutine[None, None, T]],
    discard: Callable[[T], Awaitable[None]],
) -> T:
    """Return what ``connect`` returned first for one of ``found``; ``discard`` closes what comes second.

    Raises the `OSError` of the last when all of them fail.
    """
    waiting = deque(interleave_families(found))
    running: set[asyncio.Task[T]] = set()
    problem: OSError = OSError("the host has no address")
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_in_time(connect(waiting.popleft())), name="connect"))
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
        await _call_off(running, discard)


async def _in_time(connecting: Coroutine[None, None, T]) -> T:
    async with asyncio.timeout(ADDRESS_S):
        return await connecting


async def _call_off(running: set[asyncio.Task[T]], discard: Callable[[T], Awaitable[None]]) -> None:
    for task in running:
        task.cancel()
    for outcome in await asyncio.gather(*running, return_exceptions=True):
        if not isinstance(outcome, BaseException):
            await discard(outcome)


async def _connected(to: AddressInfo) -> socket.socket:
    family, kind, protocol, _, address = to
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        for option in SOCKET_OPTIONS:
            sock.setsockopt(*option)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _closed(sock: socket.socket) -> None:
    sock.close()


async def load_tls_context(ca_file: str) -> ssl.SSLContext:
    """Return what to trust; read in a thread, for the system's certificates take tens of milliseconds.

    Raises `OSError` when ``ca_file`` cannot be read.
    """
    return await in_thread(
        lambda: ssl.create_default_context(cafile=ca_file or None), name="read certificates"
    )
