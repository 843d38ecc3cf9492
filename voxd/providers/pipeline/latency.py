"""How long each stage may take: learned from how long it took, within limits that keep a turn short."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from voxd.providers.pipeline.stages.contract import StageKind

SAMPLES = 50
"""So many of the last answers of one name count."""

ENOUGH = 5
"""With fewer samples nothing is known: the longest deadline holds."""

MARGIN = 1.5
"""A stage may take so many times as long as it usually does."""


@dataclass(frozen=True, slots=True)
class DeadlineRange:
    """The shortest and the longest deadline of a stage, in seconds."""

    floor_s: float
    ceiling_s: float


LIMITS: Mapping[StageKind, DeadlineRange] = MappingProxyType(
    {
        StageKind.STT: DeadlineRange(0.5, 1.2),
        StageKind.LLM: DeadlineRange(0.8, 2.0),
        StageKind.TTS: DeadlineRange(0.5, 1.0),
    }
)
"""From the end of speech to the final text, from the question to the first token, from a clause to its first
sound. A turn that meets two of the longest still leaves time for somebody else to say why."""


def p95(samples: Sequence[float]) -> float:
    """Return the value that 95 of 100 ``samples`` do not exceed (nearest rank); there is at least one."""
    return sorted(samples)[math.ceil(0.95 * len(samples)) - 1]


class Latencies:
    """What was measured, by stage and name; one for the whole process. It reads no clock."""

    def __init__(self) -> None:
        self._samples: dict[tuple[StageKind, str], deque[float]] = {}

    def note(self, kind: StageKind, name: str, seconds: float) -> None:
        """An answer took ``seconds``, or was given up after them: then the next may take longer."""
        self._samples.setdefault((kind, name), deque(maxlen=SAMPLES)).append(seconds)

    def usual_s(self, kind: StageKind, name: str) -> float | None:
        """Return the P95, None while too little is known."""
        samples = self._samples.get((kind, name), ())
        return p95(samples) if len(samples) >= ENOUGH else None

    def deadline_s(self, kind: StageKind, name: str) -> float:
        """Return how long ``name`` may take before the next one is asked."""
        limits, usual_s = LIMITS[kind], self.usual_s(kind, name)
        if usual_s is None:
            return limits.ceiling_s
        return min(max(MARGIN * usual_s, limits.floor_s), limits.ceiling_s)

    def patience_s(self, name: str) -> float:
        """Return after how long a second listener starts beside ``name``: when he is later than usual."""
        usual_s = self.usual_s(StageKind.STT, name)
        limits = LIMITS[StageKind.STT]
        return limits.floor_s if usual_s is None else min(usual_s, limits.ceiling_s)
