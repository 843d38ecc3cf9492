"""Enters what providers used into the account book, in order, beside the conversation."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from voxd.config.provider_schema import LOCAL
from voxd.errors import StoreError
from voxd.events import Event
from voxd.providers.facts import facts
from voxd.reports import UsageEntry
from voxd.store.usage import UsageLog

_log = logging.getLogger(__name__)

STAGES = frozenset({"stt", "llm", "tts"})
"""What members of pipelines do."""


class UsageRecorder:
    """A handler of the bus; writing never keeps anybody waiting. ``keyed`` says who needs a key."""

    def __init__(self, log: UsageLog, *, keyed: Callable[[str], bool]) -> None:
        self._book = log
        self._keyed = keyed
        self._keys: dict[str, int] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def __call__(self, event: Event) -> None:
        """Enter what ``event`` says was used."""
        match event.type:
            case "provider.key_changed":
                self._keys[event.data["provider"]] = event.data["to"]
            case "provider.used" if event.data["provider"] != LOCAL:
                # The device itself, a member of many pipelines, costs nothing.
                task = asyncio.create_task(self._write(self._entry(event.data)))
                self._writing.add(task)
                task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._writing)

    def _entry(self, data: dict[str, Any]) -> UsageEntry:
        used, cost, provider = data["usage"], data["cost_usd"], data["provider"]
        priced = "" if cost is None else data.get("prices_of", facts().prices.date.isoformat())
        return UsageEntry(
            day="",
            provider=provider,
            sessions=used.total_sessions,
            # A member of a pipeline tells each request by itself, and knows nothing of replies.
            responses=used.responses or int(data["stage"] in STAGES),
            audio_s=used.audio_seconds or used.transcribed_seconds,
            text_tokens=used.text_tokens,
            audio_tokens=used.input_audio_tokens + used.output_audio_tokens,
            cost_usd=cost,
            prices_of=priced,
            stage=data["stage"],
            key=data["key"] or self._keys.get(provider, int(self._keyed(provider))),
            characters=used.characters,
        )

    async def _write(self, entry: UsageEntry) -> None:
        try:
            await self._book.add(entry)
        except StoreError as error:
            _log.warning("what %s used is not entered: %s", entry.provider, error)
