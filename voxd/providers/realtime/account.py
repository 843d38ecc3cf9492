"""Keeps the account of one provider: what was used since the last entry, and what that costs."""

import asyncio
from collections.abc import Callable

from voxd.providers.realtime.session import Session
from voxd.providers.usage import Cost, Usage

Record = Callable[[str, Usage, Cost | None], None]
"""Takes the provider's name, what was used since it was last called, and its price if that is known."""


class UsageReporter:
    """Asks a session for its totals and passes on what they grew by."""

    def __init__(self, name: str, session: Session, record: Record) -> None:
        self.name = name
        self._session = session
        self._record = record
        self._usage = Usage()
        self._cost = Cost()
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def update(self) -> None:
        """Something was used: enter it soon."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"account {self.name}")

    async def rename(self, name: str) -> None:
        """What is used from now on goes to the account of ``name``."""
        await self.settle()
        self.name = name

    async def settle(self) -> None:
        """Enter what is not entered yet."""
        self.update()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._again:
            self._again = False
            await self._enter()

    async def _enter(self) -> None:
        usage, cost = await self._session.usage(), await self._session.cost()
        used = _minus(usage, self._usage)
        if used == Usage():
            return
        price = None
        if cost is not None:
            audio, text = cost.audio_cost - self._cost.audio_cost, cost.text_cost - self._cost.text_cost
            price = Cost(audio_cost=max(0.0, audio), text_cost=max(0.0, text), prices_of=cost.prices_of)
            self._cost = cost
        self._usage += used
        self._record(self.name, used, price)


def _minus(now: Usage, before: Usage) -> Usage:
    """Return what was added field by field; a total that is less for once, in a replacement, is no refund."""
    names = now.__struct_fields__
    return Usage(**{name: max(0, getattr(now, name) - getattr(before, name)) for name in names})
