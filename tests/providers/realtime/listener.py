"""A record of the events of a session, with a way to wait for more."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.payloads import problem
from tests.providers.contract import WAIT_S
from voxd.events import EventType as E


class EventLog:
    """Takes the events of a session as its `Emit`; each payload is checked against its type."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._more = asyncio.Event()

    def __call__(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        assert problem(type, data) == ""
        self.events.append((str(type), data))
        self._more.set()

    def of(self, type: E) -> list[dict[str, Any]]:
        return [data for name, data in self.events if name == type]

    def codes(self, type: E) -> list[str]:
        return [data["code"] for data in self.of(type)]

    async def until(self, type: E, count: int = 1) -> dict[str, Any]:
        await self.until_true(lambda: len(self.of(type)) >= count)
        return self.of(type)[count - 1]

    async def until_true(self, condition: Callable[[], bool]) -> None:
        """Wait for the event with which ``condition`` becomes true."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._more.clear()
                await self._more.wait()
