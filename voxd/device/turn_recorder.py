"""Writes finished turns into the history and the latency histograms, and deletes old turns."""

import logging

from voxd.clock import Clock
from voxd.errors import StoreError
from voxd.observe.metrics import Metrics
from voxd.reports import HistoryEntry
from voxd.store.history import HistoryStore
from voxd.tasks import TaskScope
from voxd.turn.reply_player import TurnRecord

_log = logging.getLogger(__name__)

# The interval at which old turns are deleted; each time writes some 16 KiB to the card.
PRUNE_S = 6 * 3600.0


class TurnRecorder:
    """Call it with each finished turn. The writes run in the background, in order."""

    def __init__(self, history: HistoryStore, metrics: Metrics, clock: Clock) -> None:
        self._history = history
        self._metrics = metrics
        self._clock = clock
        self._writes = TaskScope("history")
        self._pruning = TaskScope("history pruning")
        self._is_failing = False
        self.turns = 0

    def start(self) -> None:
        """Start to delete old turns at intervals, also while there are no new ones."""
        self._pruning.start(self._prune())

    def __call__(self, turn: TurnRecord) -> None:
        """Record ``turn``; one without words is only counted."""
        self.turns += 1
        self._metrics.stages(turn.stages_ms)
        # A turn without words, such as a false wake, has nothing to show or to repeat.
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
        self._writes.start(self._write(entry))

    async def close(self) -> None:
        """Wait for the writes under way; idempotent."""
        await self._pruning.close()
        # Joined, not cancelled: the turn that the stop has just ended is among them.
        await self._writes.join()

    async def _prune(self) -> None:
        while True:
            try:
                await self._history.prune()
            except StoreError as error:
                _log.warning("cannot delete old turns: %s", error)
            await self._clock.sleep(PRUNE_S)

    async def _write(self, entry: HistoryEntry) -> None:
        try:
            await self._history.add(entry)
        except StoreError as error:
            # Logged once, not at every turn: a full card must not fill the log as well.
            if not self._is_failing:
                _log.warning("turn %s and later ones are not written to the history: %s", entry.turn, error)
            self._is_failing = True
        else:
            if self._is_failing:
                _log.warning("turns are written to the history again, from %s on", entry.turn)
            self._is_failing = False
