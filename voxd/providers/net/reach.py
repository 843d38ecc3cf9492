"""Finds a host and opens a TCP socket to it, so that a dead name server delays nobody but the caller."""

import asyncio
import socket
from typing import Any

from voxd.errors import ConnectionFailed
from voxd.providers.threads import in_thread

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

    def ask() -> list[AddressInfo]:
        return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

    return await in_thread(ask, name=f"look up {host}")
