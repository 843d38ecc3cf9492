"""Keeps what a finished turn leaves behind: a row of the history and its place in the histograms."""

import asyncio
import logging

from voxd.clock import Clock
from voxd.errors import StoreError
from voxd.observe.metrics import Metrics
from voxd.reports import HistoryEntry
from voxd.store.history import HistoryStore
from voxd.turn.reply_player import TurnRecord

_log = logging.getLogger(__name__)

PRUNE_S = 6 * 3600.0
"""How often turns are looked through for old ones when nobody speaks; each look writes some 16 KiB."""


class Recorder:
    """Takes finished turns; writing goes on beside the next turn, in order."""

    def __init__(self, history: HistoryStore, metrics: Metrics, clock: Clock) -> None:
        self._history = history
        self._metrics = metrics
        self._clock = clock
        self._writing: set[asyncio.Task[None]] = set()
        self._pruning: asyncio.Task[None] | None = None
        self._forgetful = False
        self.turns = 0

    def start(self) -> None:
        """Begin to forget what is too old, whether or not there are new turns."""
        self._pruning = asyncio.create_task(self._prune(), name="history")

    def __call__(self, turn: TurnRecord) -> None:
        """Record ``turn``; one in which nothing was said is only counted."""
        self.turns += 1
        self._metrics.stages(turn.stages_ms)
        if not (turn.result.transcript or turn.result.reply):
            return
        entry = HistoryEntry(
            id=0,
            turn=turn.id,
            time=self._clock.wall(),
            source=turn.source.value,
            agent=turn.agent,
            transcript=turn.result.transcript,
            reply=turn.result.reply,
            outcome=turn.outcome,
            stages_ms=turn.stages_ms,
        )
        task = asyncio.create_task(self._write(entry))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Wait for what is being written; idempotent."""
        if self._pruning:
            self._pruning.cancel()
            await asyncio.gather(self._pruning, return_exceptions=True)
        await asyncio.gather(*self._writing)

    async def _prune(self) -> None:
        while True:
            try:
                await self._history.prune()
            except StoreError as error:
                _log.warning("old turns cannot be forgotten: %s", error)
            await self._clock.sleep(PRUNE_S)

    async def _write(self, entry: HistoryEntry) -> None:
        try:
            await self._history.add(entry)
        except StoreError as error:
            # Once, not at every turn: a full card must not fill the log as well.
            if not self._forgetful:
                _log.warning("turn %s and those after it are not remembered: %s", entry.turn, error)
            self._forgetful = True
        else:
            if self._forgetful:
                _log.warning("turns are remembered again, from %s on", entry.turn)
            self._forgetful = False
