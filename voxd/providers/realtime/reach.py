"""Finds a host and opens a TCP socket to it, so that a dead name server delays nobody but the caller.

asyncio looks names up in the default thread pool, where a few stuck look-ups (10 s each) hold up every
other user of the pool, and the end of the program too (reference/reliability.md, fact 11).
"""

import asyncio
import socket
import threading
from typing import Any

from voxd.errors import ConnectionFailed

ADDRESS_S = 2.0
"""One address of several is tried for this long: a network may announce IPv6 and lose it."""

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


async def open_socket(host: str, port: int, *, name_s: float, provider: str = "") -> socket.socket:
    """Return a socket connected to ``host``; the name must be found within ``name_s`` seconds.

    Raises `ConnectionFailed` when it is not, `OSError` when no address of it answers.
    """
    try:
        async with asyncio.timeout(name_s):
            found = await look_up(host, port)
    except TimeoutError:
        hint = "check the network's name server: `resolvectl status`"
        msg = "the name server does not answer"
        raise ConnectionFailed(msg, provider=provider, code="dns_failed", hint=hint) from None
    problem: OSError = OSError("the host has no address")
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(ADDRESS_S):
                await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise problem


async def look_up(host: str, port: int) -> list[AddressInfo]:
    """Return the addresses of ``host``. Raises `socket.gaierror`, `UnicodeError`."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[AddressInfo]] = loop.create_future()

    def settle(found: list[AddressInfo] | None, error: Exception | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found or [])

    def ask() -> None:
        found: list[AddressInfo] | None = None
        problem: Exception | None = None
        try:
            found = [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            problem = error
        try:
            loop.call_soon_threadsafe(settle, found, problem)
        except RuntimeError:
            return  # The loop is closed: nobody asks any more.

    # A daemon thread, for a pool's threads are waited for at the end of the program.
    threading.Thread(target=ask, name=f"look up {host}", daemon=True).start()
    return await answer
