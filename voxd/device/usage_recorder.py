"""Writes what providers used into the usage log, beside the conversation."""

import logging
from collections.abc import Callable
from typing import Any

from voxd.config.provider_schema import LOCAL
from voxd.errors import StoreError
from voxd.events import Event
from voxd.providers.facts import facts
from voxd.reports import UsageEntry
from voxd.store.usage import UsageLog
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

STAGES = frozenset({"stt", "llm", "tts"})
"""The stages of a pipeline."""


class UsageRecorder:
    """A handler of the bus; no turn waits for a write. ``keyed`` says whether a provider has a key."""

    def __init__(self, log: UsageLog, *, keyed: Callable[[str], bool]) -> None:
        self._log = log
        self._keyed = keyed
        self._keys: dict[str, int] = {}
        self._tasks = TaskScope("usage log")

    def __call__(self, event: Event) -> None:
        """Record a ``provider.used`` event."""
        match event.type:
            case "provider.key_changed":
                self._keys[event.data["provider"]] = event.data["to"]
            case "provider.used" if event.data["provider"] != LOCAL:
                # The device itself, a member of many pipelines, costs nothing.
                self._tasks.start(self._write(self._entry(event.data)))

    async def close(self) -> None:
        """Wait for the writes under way."""
        await self._tasks.join()

    def _entry(self, data: dict[str, Any]) -> UsageEntry:
        used, cost, provider = data["usage"], data["cost_usd"], data["provider"]
        priced = "" if cost is None else data.get("prices_of", facts().prices.date.isoformat())
        return UsageEntry(
            day="",
            provider=provider,
            sessions=used.total_sessions,
            # A stage reports each request; only a whole provider counts replies.
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
            await self._log.add(entry)
        except StoreError as error:
            _log.warning("cannot record what %s used: %s", entry.provider, error)
