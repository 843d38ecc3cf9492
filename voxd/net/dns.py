"""Looks up the addresses of hosts in two threads of its own, and keeps the last good ones."""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# The default deadline of a look-up.
NAME_S = 2.0

# The deadline where an address is known: then that one is used again, as vendors rarely change theirs.
KNOWN_S = 0.5

# A dead name server blocks `getaddrinfo` for 10 s, and nothing can cancel it. In asyncio's shared pool eight
# such calls held up every other user for 9.9 s, and the end of the program after that (measured). So these
# are threads of their own: two, so that one dead name does not delay another.
WORKERS = 2

# The longest queue of look-ups. A voice appliance needs a handful of names; more are refused at once.
MOST_WAITING = 32

MOST_KNOWN = 64

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
Addresses = Sequence[AddressInfo]
_Key = tuple[str, int]


@dataclass(slots=True)
class _Lookup:
    """A look-up under way, shared by all callers that wait for the same name."""

    key: _Key
    waiting: list[asyncio.Future[Addresses | Exception]] = field(default_factory=list)


class Resolver:
    """Looks names up; one is shared by the whole process. Its threads live only while there is work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lookups: dict[_Key, _Lookup] = {}
        self._queue: deque[_Lookup] = deque()
        self._workers = 0
        self._known: OrderedDict[_Key, Addresses] = OrderedDict()

    async def look_up(self, host: str, port: int, *, within_s: float = NAME_S) -> Addresses:
        """Return the addresses of ``host``, at least one; those of last time when the name server fails.

        Raises `TimeoutError`, `socket.gaierror`, `UnicodeError` (no possible name).
        """
        numeric = _without_look_up(host, port)
        if numeric:
            return numeric
        known = self._known.get((host, port))
        try:
            async with asyncio.timeout(min(within_s, KNOWN_S) if known else within_s):
                return await self._request((host, port))
        except (TimeoutError, OSError):
            if not known:
                raise
            return known

    async def _request(self, key: _Key) -> Addresses:
        future: asyncio.Future[Addresses | Exception] = asyncio.get_running_loop().create_future()
        with self._lock:
            lookup = self._lookups.get(key)
            # Callers of the same name share one look-up, as after a reconnect of several sessions.
            if lookup is None:
                if len(self._queue) >= MOST_WAITING:
                    raise TimeoutError("too many names are being looked up")
                lookup = self._lookups[key] = _Lookup(key)
                self._queue.append(lookup)
                if self._workers < WORKERS:
                    self._workers += 1
                    # Daemons: a look-up that hangs must not delay the end of the program.
                    threading.Thread(target=self._work, name="resolver", daemon=True).start()
            lookup.waiting.append(future)
        try:
            outcome = await future
        finally:
            with self._lock, contextlib.suppress(ValueError):
                # A caller that gave up is taken off, so that a name without a caller is not looked up.
                lookup.waiting.remove(future)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _work(self) -> None:
        while (lookup := self._next()) is not None:
            outcome = _look_up(*lookup.key)
            with self._lock:
                self._lookups.pop(lookup.key, None)
                if not isinstance(outcome, Exception):
                    self._remember(lookup.key, outcome)
                waiting, lookup.waiting = lookup.waiting, []
            for future in waiting:
                with contextlib.suppress(RuntimeError):  # the loop is closed, the result is not needed
                    future.get_loop().call_soon_threadsafe(_settle, future, outcome)

    def _next(self) -> _Lookup | None:
        with self._lock:
            while self._queue:
                lookup = self._queue.popleft()
                if lookup.waiting:
                    return lookup
                self._lookups.pop(lookup.key, None)  # no caller waits any more
            self._workers -= 1
            return None

    def _remember(self, key: _Key, found: Addresses) -> None:
        self._known[key] = found
        # The least recently confirmed name is the first to go.
        self._known.move_to_end(key)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


def _look_up(host: str, port: int) -> Addresses | Exception:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error
    # At least one address is what `look_up` promises.
    return [*found] or socket.gaierror(socket.EAI_NONAME, "the host has no address")


def _settle(future: asyncio.Future[Addresses | Exception], outcome: Addresses | Exception) -> None:
    if not future.done():
        future.set_result(outcome)


def _without_look_up(host: str, port: int) -> Addresses:
    """Return the addresses of a host that needs no name server, [] for other names."""
    # RFC 6761, section 6.3: resolvers should return the loopback address for it without asking a name server.
    if host == "localhost":
        return [_numeric("127.0.0.1", port), _numeric("::1", port)]
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return []
    return [_numeric(host, port)]


def _numeric(host: str, port: int) -> AddressInfo:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address: Any = (host, port, 0, 0) if family == socket.AF_INET6 else (host, port)
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address
