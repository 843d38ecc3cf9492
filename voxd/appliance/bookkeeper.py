"""Enters what providers used into the account book, in order, beside the conversation."""

import asyncio
import logging

from voxd.api import UsageEntry
from voxd.errors import StoreError
from voxd.providers.usage import Cost, Usage
from voxd.store.usage import UsageLog

_log = logging.getLogger(__name__)


class Bookkeeper:
    """Takes what was used, as `voxd.providers.account.Record` says; writing never keeps anybody waiting."""

    def __init__(self, log: UsageLog) -> None:
        self._book = log
        self._writing: set[asyncio.Task[None]] = set()

    def __call__(self, provider: str, used: Usage, cost: Cost | None) -> None:
        """Enter ``used`` by ``provider`` today."""
        entry = UsageEntry(
            day="",
            provider=provider,
            sessions=used.total_sessions,
            responses=used.responses,
            audio_s=used.audio_seconds,
            text_tokens=used.text_tokens,
            audio_tokens=used.input_audio_tokens + used.output_audio_tokens,
            cost_usd=cost.total if cost is not None else None,
            prices_of=cost.prices_of if cost is not None else "",
        )
        task = asyncio.create_task(self._write(entry))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._writing)

    async def _write(self, entry: UsageEntry) -> None:
        try:
            await self._book.add(entry)
        except StoreError as error:
            _log.warning("what %s used is not entered: %s", entry.provider, error)
