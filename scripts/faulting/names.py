"""A name server of our own, inside a network of our own: it answers, refuses, or says nothing."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum
from socket import AF_INET, AF_INET6, inet_pton

_A, _AAAA = 1, 28
_HEADER = struct.Struct(">HHHHHH")


class Code(IntEnum):
    """What a name server answers (RFC 1035, 4.1.1)."""

    NOERROR = 0
    SERVFAIL = 2
    NXDOMAIN = 3


class NameServer(asyncio.DatagramProtocol):
    """Answers every question alike; ``code`` None: not at all."""

    def __init__(self) -> None:
        self.code: Code | None = Code.NOERROR
        self.addresses: dict[int, list[str]] = {_A: ["127.0.0.1"], _AAAA: []}

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Keep the way out."""
        self._transport = transport

    def announce(self, *, v4: str, v6: str = "") -> None:
        """Give every name these addresses, and answer again."""
        self.code = Code.NOERROR
        self.addresses = {_A: [v4], _AAAA: [v6] if v6 else []}

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Answer a question."""
        if self.code is None:
            return
        number = _HEADER.unpack_from(data)[0]
        end = data.index(b"\0", _HEADER.size) + 5
        question, kind = data[_HEADER.size : end], int.from_bytes(data[end - 4 : end - 2], "big")
        found = self.addresses.get(kind, []) if self.code is Code.NOERROR else []
        answer = _HEADER.pack(number, 0x8180 | self.code, 1, len(found), 0, 0) + question
        for each in found:
            packed = inet_pton(AF_INET if kind == _A else AF_INET6, each)
            answer += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(packed)) + packed
        self._transport.sendto(answer, address)


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """Run one at port 53 of 127.0.0.1."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 53))
    try:
        yield server
    finally:
        transport.close()
