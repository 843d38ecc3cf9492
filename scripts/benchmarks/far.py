"""Makes a server on loopback seem far away: everything that passes takes half a round trip."""

import asyncio
import contextlib
import time

ROUND_TRIP_S = 0.05
"""From a house to a data centre of the same continent."""


async def far(port: int) -> asyncio.Server:
    """Return a server behind which that at ``port`` stands. The handshake of TCP itself takes no time."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_carry(reader, inner_writer), _carry(inner_reader, writer))

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Give ``writer`` what comes, each piece half a round trip later."""
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due_s, data = await under_way.get()
            await asyncio.sleep(due_s - time.monotonic())
            if not data:
                writer.close()
                return
            writer.write(data)

    delivering = asyncio.create_task(deliver())
    data = b"-"
    while data:
        data = b""
        with contextlib.suppress(OSError):
            data = await reader.read(65536)
        under_way.put_nowait((time.monotonic() + ROUND_TRIP_S / 2, data))
    await delivering
