"""The latency ledger: when each step of a turn happened, and how long each stage took."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from voxd import reports
from voxd.clock import Clock


class TurnStage(StrEnum):
    """The moments of a turn that are recorded; few turns pass all.

    The last two only happen with a provider in the cloud, mostly while the user still speaks.
    """

    BEGAN = "began"
    END_OF_SPEECH = "end_of_speech"
    ENDPOINT = "endpoint"
    ASKED = "asked"
    """A typed or recorded question was given, complete."""
    TRANSCRIPT = "transcript"
    FIRST_TOKEN = "first_token"
    FIRST_AUDIO = "first_audio"
    FIRST_SAMPLE = "first_sample"
    ENDED = "ended"
    SESSION_READY = "session_ready"
    AUDIO_SENT = "audio_sent"


# The bars of `voxctl last` in order: from the first of these stages that the turn passed, to that one.
#
# A bar whose ends were not both passed is not there: a text has no transcription, silence no speech.
BARS: tuple[tuple[str, tuple[TurnStage, ...], TurnStage], ...] = (
    ("speech", (TurnStage.BEGAN,), TurnStage.END_OF_SPEECH),
    ("endpoint", (TurnStage.END_OF_SPEECH,), TurnStage.ENDPOINT),
    ("transcribe", (TurnStage.ENDPOINT, TurnStage.ASKED), TurnStage.TRANSCRIPT),
    ("think", (TurnStage.TRANSCRIPT, TurnStage.ENDPOINT, TurnStage.ASKED), TurnStage.FIRST_TOKEN),
    ("synthesise", (TurnStage.FIRST_TOKEN,), TurnStage.FIRST_AUDIO),
    ("play", (TurnStage.FIRST_AUDIO,), TurnStage.FIRST_SAMPLE),
    ("speak", (TurnStage.FIRST_SAMPLE,), TurnStage.ENDED),
)

# The response time, beside the other bars: from the end of the question to the first sample at the device.
RESPONSE = "response"

_COMPLETE = (TurnStage.END_OF_SPEECH, TurnStage.ASKED)

# Bars that overlap the others, in the same form.
BESIDE: tuple[tuple[str, tuple[TurnStage, ...], TurnStage], ...] = (
    ("connect", (TurnStage.BEGAN,), TurnStage.SESSION_READY),
    ("send", (TurnStage.SESSION_READY,), TurnStage.AUDIO_SENT),
    ("cloud", _COMPLETE, TurnStage.FIRST_AUDIO),
    (RESPONSE, _COMPLETE, TurnStage.FIRST_SAMPLE),
)

# Bars of turns that a provider in the cloud has answered.
_CLOUD = frozenset({"connect", "send", "cloud"})

# A cloud may send the text after its audio: then the text delayed nothing and has no bar.
_MAY_COME_LATE = frozenset({TurnStage.TRANSCRIPT, TurnStage.FIRST_TOKEN})


@dataclass(slots=True)
class _Turn:
    turn: str
    source: str
    began_s: float
    wall_s: float
    outcome: str = ""
    stamps_s: dict[TurnStage, float] = field(default_factory=dict)


class LatencyLedger:
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
    def finished(self) -> tuple[reports.LastTurn, ...]:
        """The finished turns, newest first."""
        return tuple(_view(turn) for turn in reversed(self._finished))

    def last(self) -> reports.LastTurn | None:
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

    def stamp(self, stage: TurnStage, at_s: float | None = None, /) -> None:
        """Note that ``stage`` of the turn under way was reached, now or at ``at_s``."""
        if self._current is not None:
            # The first of a kind counts: first token, first sample.
            self._current.stamps_s.setdefault(stage, self._clock.monotonic() if at_s is None else at_s)

    def end(self, outcome: str) -> float | None:
        """Close the turn under way; return its response time in ms, None without a question or a reply."""
        finished, self._current = self._current, None
        if finished is None:
            return None
        finished.stamps_s.setdefault(TurnStage.ENDED, self._clock.monotonic())
        finished.outcome = outcome
        self._finished.append(finished)
        return stages_ms(_view(finished)).get(RESPONSE)


def stages_ms(turn: reports.LastTurn) -> dict[str, float]:
    """Return the length of each bar of ``turn``, in milliseconds to a tenth."""
    return {bar.name: round(bar.end_ms - bar.start_ms, 1) for bar in turn.stages}


def _view(turn: _Turn) -> reports.LastTurn:
    passed_ms = {stage: (at_s - turn.began_s) * 1000 for stage, at_s in turn.stamps_s.items()}
    # All bars are relative to it.
    passed_ms[TurnStage.BEGAN] = 0.0
    bars: list[reports.LedgerStage] = []
    first_sound_ms = passed_ms.get(TurnStage.FIRST_AUDIO, float("inf"))
    before_ms = 0.0
    for name, starts, end in BARS:
        start = _first(starts, passed_ms)
        if (
            start is None
            or end not in passed_ms
            or (end in _MAY_COME_LATE and passed_ms[end] > first_sound_ms)
        ):
            continue
        # The end of speech is counted in samples, the rest by the clock: they may cross by a block.
        start_ms = max(before_ms, passed_ms[start])
        before_ms = max(start_ms, passed_ms[end])
        bars.append(reports.LedgerStage(name, start_ms, before_ms))
    in_cloud = TurnStage.SESSION_READY in passed_ms
    for name, starts, end in BESIDE:
        start = _first(starts, passed_ms)
        if start is not None and end in passed_ms and (in_cloud or name not in _CLOUD):
            end_ms = max(0.0, passed_ms[end])
            bars.append(reports.LedgerStage(name, min(max(0.0, passed_ms[start]), end_ms), end_ms))
    return reports.LastTurn(turn.turn, turn.source, turn.outcome, turn.wall_s, tuple(bars))


def _first(stages: tuple[TurnStage, ...], passed_ms: dict[TurnStage, float]) -> TurnStage | None:
    return next((stage for stage in stages if stage in passed_ms), None)
