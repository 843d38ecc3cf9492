"""What speech-to-text and text-to-speech share of Wyoming: events over a `TcpStream`, and who offers what.

Wire facts: reference/providers.md, section 11. A peer on the network is not believed: what he announces is
bounded by `TcpStream`, and what cannot be read is a fault, not the end of the connection.
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
"""A peer has so long to say what he offers."""

T = TypeVar("T")


class WyomingConnection:
    """Whoever is at the other end of ``stream``. All methods raise `ProviderError`."""

    def __init__(self, stream: TcpStream) -> None:
        self._stream = stream

    async def say(self, *events: Eventable) -> None:
        """Send ``events``."""
        for event in events:
            await async_write_event(event.event(), cast(asyncio.StreamWriter, self._stream))

    async def hear(self) -> Event:
        """Return the next event; the peer's complaint is raised."""
        provider = self._stream.provider
        try:
            event = await async_read_event(cast(asyncio.StreamReader, self._stream))
        except (KeyError, TypeError, AttributeError, RecursionError):
            raise self._garbled() from None
        if event is None:
            if not self._stream.ended:
                raise self._garbled()
            msg = "the peer hung up"
            raise ConnectionFailed(msg, provider=provider, code="closed_by_vendor")
        if not (isinstance(event.type, str) and isinstance(event.data, dict)):
            raise self._garbled()
        if Error.is_type(event.type):
            error = self.read(Error.from_event, event)
            raise faults.error_for_code(provider, str(error.code or ""), str(error.text))
        return event

    def read(self, kind: Callable[[Event], T], event: Event) -> T:
        """Return ``event`` as what ``kind`` makes of it."""
        try:
            return kind(event)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._garbled() from None

    async def info(self) -> Info:
        """Ask what the peer offers."""
        try:
            async with asyncio.timeout(DESCRIBE_S):
                await self.say(Describe())
                while True:
                    event = await self.hear()
                    if Info.is_type(event.type):
                        return self.read(Info.from_event, event)
        except TimeoutError:
            msg = "the peer does not say what it offers"
            raise ConnectionFailed(msg, provider=self._stream.provider, code="timeout") from None

    def _garbled(self) -> StreamError:
        return StreamError(
            "the peer sent what is no event", provider=self._stream.provider, code="bad_answer"
        )


@asynccontextmanager
async def connect(
    wire: Transport, budget: Budget, endpoint: str, *, kind: str
) -> AsyncIterator[WyomingConnection]:
    """Connect to the configured peer, or to the one at ``endpoint``; the connection is for one request."""
    async with wire.stream(lambda access: access.endpoint or endpoint, budget, kind=kind) as stream:
        yield WyomingConnection(stream)


async def check(
    name: str, wire: Transport, budget: Budget, endpoint: str, offer: Literal["asr", "tts"], what: str
) -> None:
    """Ask the peer whether it offers ``what``. Raises `ProviderError`, also when it does not."""
    async with connect(wire, budget, endpoint, kind="check") as found:
        programs = getattr(await found.info(), offer)
    if not any(program.installed for program in programs):
        hint = "correct the provider's endpoint in the configuration"
        error = ProviderError(f"the peer offers no {what}", provider=name, code="not_offered", hint=hint)
        error.retryable = False
        raise error
