"""Writes the usage of providers into the usage log, without delaying a turn."""

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

# The stages of a pipeline.
STAGES = frozenset({"stt", "llm", "tts"})


class UsageRecorder:
    """A handler of the bus. ``has_key`` returns whether a provider is configured with an API key."""

    def __init__(self, log: UsageLog, *, has_key: Callable[[str], bool]) -> None:
        self._log = log
        self._has_key = has_key
        self._keys: dict[str, int] = {}
        self._tasks = TaskScope("usage log")

    def __call__(self, event: Event) -> None:
        """Record a ``provider.used`` event."""
        match event.type:
            case "provider.key_changed":
                self._keys[event.data["provider"]] = event.data["to"]
            case "provider.used" if event.data["provider"] != LOCAL:
                # Local engines are members of many pipelines and cost nothing.
                self._tasks.start(self._write(self._entry(event.data)))

    async def close(self) -> None:
        """Wait for the writes under way."""
        await self._tasks.join()

    def _entry(self, data: dict[str, Any]) -> UsageEntry:
        usage, cost, provider = data["usage"], data["cost_usd"], data["provider"]
        # The day of the price list, so that a sum by old prices is not taken for one by new prices.
        priced = "" if cost is None else data.get("prices_of", facts().prices.as_of)
        return UsageEntry(
            day="",
            provider=provider,
            sessions=usage.total_sessions,
            # A stage reports each request; only a whole provider counts replies.
            responses=usage.responses or int(data["stage"] in STAGES),
            audio_s=usage.audio_seconds or usage.transcribed_seconds,
            text_tokens=usage.text_tokens,
            audio_tokens=usage.input_audio_tokens + usage.output_audio_tokens,
            cost_usd=cost,
            prices_of=priced,
            stage=data["stage"],
            # 1 is the first key, 0 no key. A session does not report its key: the last change counts.
            key=data["key"] or self._keys.get(provider, int(self._has_key(provider))),
            characters=usage.characters,
            upper_usd=(cost or 0.0) if data.get("is_upper_estimate") else 0.0,
        )

    async def _write(self, entry: UsageEntry) -> None:
        try:
            await self._log.add(entry)
        except StoreError as error:
            _log.warning("cannot record what %s used: %s", entry.provider, error)
