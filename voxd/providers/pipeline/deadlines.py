"""How long a stage may take: deadlines learned from measured latencies, and its view of a turn's budget."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType

from voxd.clock import Clock
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageKind

SAMPLES = 50
"""Number of latencies kept for each stage and provider."""

MIN_SAMPLES = 5
"""With fewer samples the P95 means nothing, and the longest deadline applies."""

MARGIN = 1.5
"""The deadline is this multiple of the P95."""


@dataclass(frozen=True, slots=True)
class DeadlineRange:
    """The shortest and the longest deadline of a stage, in seconds."""

    floor_s: float
    ceiling_s: float


# STT: from the end of speech to the final text. LLM: from the request to the first token. TTS: from a clause
# to its first audio. Two of the longest deadlines in one turn still leave time for the error message.
LIMITS: Mapping[StageKind, DeadlineRange] = MappingProxyType(
    {
        StageKind.STT: DeadlineRange(0.5, 1.2),
        StageKind.LLM: DeadlineRange(0.8, 2.0),
        StageKind.TTS: DeadlineRange(0.5, 1.0),
    }
)


def p95(samples: Sequence[float]) -> float:
    """Return the 95th percentile of ``samples`` by the nearest-rank method; there is at least one."""
    return sorted(samples)[math.ceil(0.95 * len(samples)) - 1]


class Latencies:
    """Measured latencies by stage and provider, one object for the process. Reads no clock."""

    def __init__(self) -> None:
        self._samples: dict[tuple[StageKind, str], deque[float]] = {}

    def record(self, kind: StageKind, name: str, seconds: float) -> None:
        """Record that ``name`` took ``seconds``, or was abandoned after them.

        Timeouts count as samples, otherwise a deadline that is too short could never grow.
        """
        self._samples.setdefault((kind, name), deque(maxlen=SAMPLES)).append(seconds)

    def p95_s(self, kind: StageKind, name: str) -> float | None:
        """Return the P95, None with fewer than `MIN_SAMPLES` samples."""
        samples = self._samples.get((kind, name), ())
        return p95(samples) if len(samples) >= MIN_SAMPLES else None

    def deadline_s(self, kind: StageKind, name: str) -> float:
        """Return how long ``name`` may take before the next candidate starts."""
        limits, p95_s = LIMITS[kind], self.p95_s(kind, name)
        if p95_s is None:
            return limits.ceiling_s
        return min(max(MARGIN * p95_s, limits.floor_s), limits.ceiling_s)

    def hedge_delay_s(self, name: str) -> float:
        """Return the time from the end of speech to the start of a hedge beside STT provider ``name``.

        It is the P95 itself, so a hedge starts for about one utterance in twenty.
        """
        p95_s = self.p95_s(StageKind.STT, name)
        limits = LIMITS[StageKind.STT]
        return limits.floor_s if p95_s is None else min(p95_s, limits.ceiling_s)


class StageBudget(Budget):
    """A view of the turn's budget ``whole`` for one candidate: time and retries are shared.

    ``has_next`` returns whether another candidate follows now: if so, this one is not retried after a pause.
    ``reserve_s`` at the end of the turn is kept for later stages: the last candidate is not retried in it.
    """

    # Back-off cost 1.3 s before the next model was tried. Another key or endpoint of the same provider needs
    # no pause and is still tried.
    __slots__ = ("_has_next", "_reserve_s", "_whole")

    def __init__(self, whole: Budget, has_next: Callable[[], bool], *, reserve_s: float = 0.0) -> None:
        self._whole = whole
        self._has_next = has_next
        self._reserve_s = reserve_s

    @property
    def until_s(self) -> float | None:
        """The end of the turn."""
        return self._whole.until_s

    # A stage may start before the user has finished, when the end of the turn is not known yet. So the
    # values are read from the turn's budget each time, and never copied.
    @until_s.setter
    def until_s(self, until_s: float | None) -> None:
        self._whole.until_s = until_s

    @property
    def queued_s(self) -> float:
        """For how long requests of the turn have waited in queues of ours."""
        return self._whole.queued_s

    def queued(self, clock: Clock) -> AbstractContextManager[None]:
        """Count the time of the block as spent in a queue."""
        return self._whole.queued(clock)

    @property
    def retries(self) -> int:
        """How many retries the turn has left."""
        return self._whole.retries

    @retries.setter
    def retries(self, retries: int) -> None:
        self._whole.retries = retries

    @property
    def is_last(self) -> bool:
        """Whether no other candidate follows."""
        return self._whole.is_last and not self._has_next()

    @property
    def retry_until_s(self) -> float | None:
        """The time after which no retry begins."""
        until_s = self._whole.retry_until_s
        return None if until_s is None else until_s - self._reserve_s
