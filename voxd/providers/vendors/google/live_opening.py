"""Opens one connection of a Gemini Live session: socket, setup, the vendor's consent, the earlier turns."""

import asyncio

from voxd.net.dns import Resolver
from voxd.net.faults import CloseReason
from voxd.net.websocket import Deadlines, WebSocketAddress, WebSocketConnection
from voxd.providers.vendors.google import live_wire as wire

_SILENCE = CloseReason("timeout", "the vendor did not answer in time")


async def open_session(
    address: WebSocketAddress,
    setup: wire.Message,
    seed: wire.Message | None,
    deadlines: Deadlines,
    resolver: Resolver | None = None,
) -> tuple[WebSocketConnection, str | None]:
    """Return a connection on which input is accepted, and the vendor's name of the session if it tells.

    ``seed`` is what ``setup`` announced as initial history. Raises `ProviderError`, leaving nothing open.
    """
    connection = await WebSocketConnection.open(wire.NAME, address, deadlines, resolver=resolver)
    try:
        await connection.send(wire.encode(setup))
        async with asyncio.timeout(deadlines.answer_s):
            session_id = await _greeting(connection)
        if seed is not None:
            await connection.send(wire.encode(seed))
    except TimeoutError:
        connection.abort(_SILENCE)
        await connection.close()
        raise wire.error_of(_SILENCE) from None
    except BaseException:
        await connection.close()
        raise
    return connection, session_id


async def _greeting(connection: WebSocketConnection) -> str | None:
    while (frame := await connection.receive()) is not None:
        message = wire.decode(frame)
        if (error := wire.refusal(message)) is not None:
            raise error
        if "setupComplete" in message:
            done = message["setupComplete"]
            return str(done.get("sessionId") or "") or None if isinstance(done, dict) else None
    raise wire.error_of(connection.ending or CloseReason("network_error", "the connection broke"))
