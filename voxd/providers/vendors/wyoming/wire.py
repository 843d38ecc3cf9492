"""Wyoming events over TCP, and the services of a server, for speech-to-text and text-to-speech.

The server is not trusted: `TcpStream` limits the sizes it announces, and an invalid event is an error.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal, TypeVar, cast

from wyoming.error import Error
from wyoming.event import Event, Eventable, async_read_event, async_write_event
from wyoming.info import Describe, Info

from voxd.errors import ConnectionFailed, ProviderError, StreamError
from voxd.net import faults
from voxd.net.tcp import TcpStream
from voxd.net.transport import Budget, Transport

DESCRIBE_S = 5.0
"""How long a server may take to describe itself."""

T = TypeVar("T")


class WyomingConnection:
    """A connection to a Wyoming server. All methods raise `ProviderError`."""

    def __init__(self, stream: TcpStream) -> None:
        self._stream = stream

    async def send(self, *events: Eventable) -> None:
        """Send ``events``."""
        for event in events:
            # wyoming needs only the methods that `TcpStream` has.
            await async_write_event(event.event(), cast(asyncio.StreamWriter, self._stream))

    async def receive(self) -> Event:
        """Return the next event. Raises `ProviderError` for an error event."""
        provider = self._stream.provider
        try:
            event = await async_read_event(cast(asyncio.StreamReader, self._stream))
        # What wyoming raises for a line that is not an event depends on the line.
        except (KeyError, TypeError, AttributeError, RecursionError):
            raise self._malformed() from None
        if event is None:
            # wyoming returns None for an invalid event too.
            if not self._stream.ended:
                raise self._malformed()
            msg = "the server closed the connection"
            raise ConnectionFailed(msg, provider=provider, code="closed_by_vendor")
        if not (isinstance(event.type, str) and isinstance(event.data, dict)):
            raise self._malformed()
        if Error.is_type(event.type):
            error = self.read(Error.from_event, event)
            raise faults.error_for_code(provider, str(error.code or ""), str(error.text))
        return event

    def read(self, kind: Callable[[Event], T], event: Event) -> T:
        """Return ``event`` parsed by ``kind``."""
        try:
            return kind(event)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._malformed() from None

    async def info(self) -> Info:
        """Request the description of the server."""
        try:
            async with asyncio.timeout(DESCRIBE_S):
                await self.send(Describe())
                while True:
                    event = await self.receive()
                    if Info.is_type(event.type):
                        return self.read(Info.from_event, event)
        except TimeoutError:
            msg = "the server does not describe its services"
            raise ConnectionFailed(msg, provider=self._stream.provider, code="timeout") from None

    def _malformed(self) -> StreamError:
        return StreamError(
            "the server sent an invalid event", provider=self._stream.provider, code="bad_answer"
        )


@asynccontextmanager
async def connect(
    transport: Transport, budget: Budget, endpoint: str, *, kind: str
) -> AsyncIterator[WyomingConnection]:
    """Connect to the configured server, or to ``endpoint``; the connection is for one request."""
    async with transport.stream(lambda access: access.endpoint or endpoint, budget, kind=kind) as stream:
        yield WyomingConnection(stream)


async def check(
    name: str, transport: Transport, budget: Budget, endpoint: str, offer: Literal["asr", "tts"], what: str
) -> None:
    """Raise `ProviderError` unless the server offers ``what``."""
    async with connect(transport, budget, endpoint, kind="check") as found:
        programs = getattr(await found.info(), offer)
    if not any(program.installed for program in programs):
        hint = "correct the provider's endpoint in the configuration"
        error = ProviderError(
            f"the server does not offer {what}", provider=name, code="not_offered", hint=hint
        )
        error.retryable = False
        raise error
