"""The latency ledger: when each step of a turn happened, and how long each stage took."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from voxd import api
from voxd.clock import Clock


class Stage(StrEnum):
    """The moments of a turn that are recorded, in the order in which they happen."""

    END_OF_SPEECH = "end_of_speech"
    ENDPOINT = "endpoint"
    TRANSCRIPT = "transcript"
    FIRST_TOKEN = "first_token"
    FIRST_AUDIO = "first_audio"
    FIRST_SAMPLE = "first_sample"
    ENDED = "ended"


BARS: tuple[tuple[str, Stage], ...] = (
    ("speech", Stage.END_OF_SPEECH),
    ("endpoint", Stage.ENDPOINT),
    ("transcribe", Stage.TRANSCRIPT),
    ("think", Stage.FIRST_TOKEN),
    ("synthesise", Stage.FIRST_AUDIO),
    ("play", Stage.FIRST_SAMPLE),
    ("speak", Stage.ENDED),
)
"""The bars of `voxctl last` in order. Each ends at its stage and begins where the one before it ended."""

RESPONSE = "response"
"""The bar people feel, beside the others: from the end of speech to the first sample at the device."""


@dataclass(slots=True)
class _Turn:
    turn: str
    source: str
    began_s: float
    wall_s: float
    outcome: str = ""
    stamps_s: dict[Stage, float] = field(default_factory=dict)


class Ledger:
    """Keeps the stamps of the turn under way and of the last ``keep`` finished ones.

    Times are CLOCK_MONOTONIC seconds, taken from ``clock`` where the caller gives none. A stage counts
    once: the first token, the first byte, the first sample. Stamps while no turn is under way are
    ignored, since a cancelled engine may still answer.
    """

    def __init__(self, clock: Clock, keep: int = 100) -> None:
        self._clock = clock
        self._current: _Turn | None = None
        self._finished: deque[_Turn] = deque(maxlen=keep)

    @property
    def finished(self) -> tuple[api.LastTurn, ...]:
        """The finished turns, newest first."""
        return tuple(_view(turn) for turn in reversed(self._finished))

    def last(self) -> api.LastTurn | None:
        """Return the newest turn, finished or under way (without an outcome); None before the first."""
        if self._current is not None:
            return _view(self._current)
        return _view(self._finished[-1]) if self._finished else None

    def begin(self, turn: str, source: str, at_s: float | None = None) -> None:
        """Open ``turn``; ``at_s`` is where the wake word ended or the button went down, if not now.

        A turn still open is closed as ``replaced``.
        """
        self.end("replaced")
        now_s = self._clock.monotonic()
        began_s = now_s if at_s is None else at_s
        self._current = _Turn(turn, source, began_s, self._clock.wall() - (now_s - began_s))

    def stamp(self, stage: Stage, at_s: float | None = None, /) -> None:
        """Note that ``stage`` of the turn under way was reached, now or at ``at_s``."""
        if self._current is not None:
            self._current.stamps_s.setdefault(stage, self._clock.monotonic() if at_s is None else at_s)

    def end(self, outcome: str) -> float | None:
        """Close the turn under way; return its response time in ms, None if nothing was said or heard."""
        finished, self._current = self._current, None
        if finished is None:
            return None
        finished.stamps_s.setdefault(Stage.ENDED, self._clock.monotonic())
        finished.outcome = outcome
        self._finished.append(finished)
        return stages_ms(_view(finished)).get(RESPONSE)


def stages_ms(turn: api.LastTurn) -> dict[str, float]:
    """Return the length of each bar of ``turn``, in milliseconds to a tenth."""
    return {bar.name: round(bar.end_ms - bar.start_ms, 1) for bar in turn.stages}


def _view(turn: _Turn) -> api.LastTurn:
    bars: list[api.Stage] = []
    before_ms = 0.0
    for name, stage in BARS:
        if stage not in turn.stamps_s:
            continue
        # The end of speech is counted in samples, the rest by the clock: they may cross by a block.
        at_ms = max(before_ms, (turn.stamps_s[stage] - turn.began_s) * 1000)
        bars.append(api.Stage(name, before_ms, at_ms))
        before_ms = at_ms
    ends_ms = {bar.name: bar.end_ms for bar in bars}
    if "speech" in ends_ms and "play" in ends_ms:
        bars.append(api.Stage(RESPONSE, ends_ms["speech"], ends_ms["play"]))
    return api.LastTurn(turn.turn, turn.source, turn.outcome, turn.wall_s, tuple(bars))
