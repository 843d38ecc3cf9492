"""The latency ledger: when each step of a turn happened, and how long each stage took."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from voxd import api
from voxd.clock import Clock


class Stage(StrEnum):
    """The moments of a turn that are recorded.

    The last two only happen with a provider in the cloud, mostly while the user still speaks.
    """

    END_OF_SPEECH = "end_of_speech"
    ENDPOINT = "endpoint"
    TRANSCRIPT = "transcript"
    FIRST_TOKEN = "first_token"
    FIRST_AUDIO = "first_audio"
    FIRST_SAMPLE = "first_sample"
    ENDED = "ended"
    SESSION_READY = "session_ready"
    AUDIO_SENT = "audio_sent"


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

BESIDE: tuple[tuple[str, Stage | None, Stage], ...] = (
    ("connect", None, Stage.SESSION_READY),
    ("send", Stage.SESSION_READY, Stage.AUDIO_SENT),
    ("cloud", Stage.END_OF_SPEECH, Stage.FIRST_AUDIO),
    (RESPONSE, Stage.END_OF_SPEECH, Stage.FIRST_SAMPLE),
)
"""Bars that overlap the others: name, where it begins (None: with the turn), where it ends."""

_CLOUD = frozenset({"connect", "send", "cloud"})
"""Bars of turns that a provider in the cloud has answered."""

_AT_LEISURE = frozenset({Stage.TRANSCRIPT, Stage.FIRST_TOKEN})
"""A cloud may tell the words after their sound: then they held nobody up and are no bar."""


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
    first_sound_s = turn.stamps_s.get(Stage.FIRST_AUDIO, float("inf"))
    before_ms = 0.0
    ends_ms: dict[Stage | None, float] = {None: 0.0}
    for name, stage in BARS:
        at_s = turn.stamps_s.get(stage)
        if at_s is None or (stage in _AT_LEISURE and at_s > first_sound_s):
            continue
        # The end of speech is counted in samples, the rest by the clock: they may cross by a block.
        at_ms = max(before_ms, (at_s - turn.began_s) * 1000)
        bars.append(api.Stage(name, before_ms, at_ms))
        ends_ms[stage] = before_ms = at_ms
    for stage in (Stage.SESSION_READY, Stage.AUDIO_SENT):
        if stage in turn.stamps_s:
            ends_ms[stage] = max(0.0, (turn.stamps_s[stage] - turn.began_s) * 1000)
    in_cloud = Stage.SESSION_READY in ends_ms
    for name, start, end in BESIDE:
        if start in ends_ms and end in ends_ms and (in_cloud or name not in _CLOUD):
            bars.append(api.Stage(name, min(ends_ms[start], ends_ms[end]), ends_ms[end]))
    return api.LastTurn(turn.turn, turn.source, turn.outcome, turn.wall_s, tuple(bars))
