"""One connection to the fake Gemini Live: what came, what went out, how to wait and how to break it."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.servers.gemini_steps import Message


@dataclass
class Served:
    """One connection: what came over it, and what can still be sent."""

    socket: ServerConnection
    headers: dict[str, str]
    path: str
    received: list[Message] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    open_calls: set[str] = field(default_factory=set)
    sound: bytearray = field(default_factory=bytearray)
    binary: bool = True

    @property
    def setup(self) -> Message:
        """The first message."""
        return dict(self.received[0]["setup"])

    async def send(self, message: Message) -> None:
        """Send ``message`` as the vendor does: JSON in a binary frame."""
        self.sent.append(message)
        text = json.dumps(message)
        await self.socket.send(text.encode() if self.binary else text)

    def freeze(self) -> None:
        """Read nothing any more, not even pings: the other side of a half-open connection."""
        self.socket.transport.pause_reading()

    async def until(self, *keys: str, count: int = 1) -> list[Any]:
        """Wait until ``count`` messages hold ``keys`` inside one another; return what is there."""

        def found() -> list[Any]:
            values: list[Any] = list(self.received)
            for key in keys:
                values = [value[key] for value in values if isinstance(value, dict) and key in value]
            return values

        async with asyncio.timeout(5), self.arrived:
            await self.arrived.wait_for(lambda: len(found()) >= count)
        return found()


def camel(value: Any) -> Any:
    """Keys as the vendor documents them; snake case is accepted too, and is what its own client sends."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if isinstance(value, dict):
        return {
            re.sub(r"_([a-z])", lambda at: at[1].upper(), key): camel(each) for key, each in value.items()
        }
    return value
