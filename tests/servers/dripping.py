"""A fault that both fakes can play: a frame that arrives one byte at a time and never ends."""

import asyncio
import itertools

from websockets.asyncio.server import ServerConnection


def drip(socket: ServerConnection, interval_s: float) -> None:
    """Read nothing more, so answer no ping, and send a frame one byte every ``interval_s``, for ever."""
    socket.transport.pause_reading()
    # A text frame that says it is 60 000 bytes long.
    data = itertools.chain(b"\x81\x7e\xea\x60", itertools.repeat(ord(" ")))
    loop = asyncio.get_running_loop()

    def one() -> None:
        if not socket.transport.is_closing():
            socket.transport.write(bytes([next(data)]))
            loop.call_later(interval_s, one)

    one()
