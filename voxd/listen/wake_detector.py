"""The two-stage detection of wake words, the same in the daemon and in `voxctl wake eval`."""

from collections.abc import Callable
from dataclasses import dataclass

from voxd.frames import Frame
from voxd.listen.gate import ScoredCandidate, WakeDecision, WakeGate
from voxd.listen.wake_engine import Score, WakeEngine

History = Callable[[int, int], Frame]
"""Returns ``count`` samples from sample ``start`` on, zeros before the first."""


@dataclass(frozen=True, slots=True)
class WakeEngines:
    """The engines of a set of words. ``confirm`` is made when it is first needed: it costs 12 MB."""

    first: WakeEngine | None
    confirm: Callable[[], WakeEngine]
    alone: tuple[WakeEngine, ...]


class WakeDetector:
    """Scores frames with the first stage and confirms with the second, over the last seconds of sound.

    Words without a first stage run on the second alone, all the time.
    """

    def __init__(self, stages: WakeEngines, gate: WakeGate, history: History) -> None:
        self._stages = stages
        self._gate = gate
        self._history = history
        self._confirm: WakeEngine | None = None
        self._confirming = False

    def feed(self, frame: Frame) -> tuple[list[ScoredCandidate], list[WakeDecision]]:
        """Process ``frame``, which follows the last one; return the candidates opened and the decisions."""
        first, alone = self._stages.first, self._stages.alone
        opened = self._gate.open_candidates(first.feed(frame)) if first else []
        scores = [score for stage in alone for score in stage.feed(frame)]
        # Words on the second stage alone: the score that opens a candidate is also the one that confirms it.
        opened += self._gate.open_candidates(scores)
        # The second stage costs several times as much CPU as the first: it runs only while a candidate is
        # open.
        if first and not self._gate.open_words.isdisjoint(first.words):
            scores += self._confirm_scores(frame)
        else:
            self._confirming = False
        return opened, self._gate.decide(scores, frame.end)

    def _confirm_scores(self, frame: Frame) -> list[Score]:
        if self._confirm is None:
            # Made when first needed and then kept: it costs 12 MB that a device which is never called does
            # not need.
            self._confirm = self._stages.confirm()
        if self._confirming:
            return self._confirm.feed(frame)
        # The engine has seen nothing for a while: it starts anew, with the sound its first score needs.
        self._confirming = True
        self._confirm.reset()
        context = self._confirm.context_samples
        return self._confirm.feed(self._history(frame.end - context, context))

    def reset(self) -> None:
        """Reset the engines: the next frame may start anywhere."""
        self._gate.reset()
        self._confirming = False
        for stage in (self._stages.first, *self._stages.alone):
            if stage:
                stage.reset()

    def close(self) -> None:
        """Free the models."""
        for stage in (self._stages.first, *self._stages.alone, self._confirm):
            if stage:
                stage.close()
