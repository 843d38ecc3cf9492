"""An ordered list of engines of one stage: who is asked, for how long, and what is told of his failures."""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from voxd.clock import Clock
from voxd.config.provider_schema import LOCAL
from voxd.errors import ContextTooLong, ProviderError, VoxdError
from voxd.preference import order_candidates
from voxd.providers.pipeline.latency import LIMITS, Latencies
from voxd.providers.pipeline.stages.contract import LanguageModel, SpeechToText, TextToSpeech

S = TypeVar("S", SpeechToText, LanguageModel, TextToSpeech)

TIMEOUT = "timeout"

NO_TIME = "no_time"
"""The code of who was given up before he had a fair chance: that is no fault of his."""


FAIR_FRACTION = 0.95
"""Part of the shortest deadline that is a fair chance: clocks are not exact."""


class StageHealth(Protocol):
    """Who is well: `voxd.providers.routing.health.CircuitBreaker`."""

    def is_healthy(self, name: str) -> bool:
        """Whether ``name`` is to be asked."""
        ...

    def can_try(self, name: str) -> bool:
        """Whether ``name`` may be asked when nobody who is well is left."""
        ...

    def record_failure(self, name: str, error: VoxdError) -> None:
        """Note that ``name`` was asked and did not answer."""
        ...

    def record_success(self, name: str) -> None:
        """Note that ``name`` has answered."""
        ...


class Candidates(Generic[S]):
    """``stages`` in the order they are asked; ``what`` is what they are, for messages."""

    def __init__(
        self, what: str, stages: Sequence[S], *, health: StageHealth, latencies: Latencies, clock: Clock
    ) -> None:
        self.stages: tuple[S, ...] = tuple(stages)
        self.latencies = latencies
        self.clock = clock
        self._what = what
        self._health = health

    @property
    def is_open(self) -> bool:
        """Whether anybody may be asked, well or not."""
        return bool(self.available())

    def available(self) -> list[S]:
        """Return who may be asked now, in order: the well ones, and if there are none who may be tried."""
        return list(
            order_candidates(
                self.stages,
                is_healthy=lambda stage: stage.config.kind == LOCAL or self._health.is_healthy(stage.name),
                can_try=lambda stage: self._health.can_try(stage.name),
                is_last_resort=True,
            )
        )

    def prepare(self) -> None:
        """Have the first candidate make ready."""
        for stage in self.available()[:1]:
            stage.prepare()

    def due_s(self, stage: S, asked_s: float, others: int, until_s: float | None) -> float | None:
        """Return when the first of ``stage``, asked at ``asked_s``, is due.

        ``others`` wait behind him: who comes last has all that is left until ``until_s``. Of whom nothing
        is known yet, he may not use up what the others need.
        """
        if not others:
            return until_s
        kind, limit_s = stage.stage, self.latencies.deadline_s(stage.stage, stage.name)
        if until_s is not None and self.latencies.usual_s(kind, stage.name) is None:
            share_s = (until_s - asked_s) / (others + 1)
            limit_s = min(limit_s, max(share_s, LIMITS[kind].floor_s))
        due_s = asked_s + limit_s
        return due_s if until_s is None else min(due_s, until_s)

    def answered(self, stage: S, seconds: float) -> None:
        """``stage`` answered after ``seconds``."""
        self.latencies.note(stage.stage, stage.name, seconds)
        if stage.config.kind != LOCAL:
            self._health.record_success(stage.name)

    def failed(self, stage: S, error: VoxdError) -> None:
        """``stage`` did not answer; too long a conversation, or too little time, is nobody's illness."""
        if stage.config.kind != LOCAL and not isinstance(error, ContextTooLong) and error.code != NO_TIME:
            self._health.record_failure(stage.name, error)

    def too_late(self, stage: S, seconds: float) -> ProviderError:
        """Note that ``stage`` was given up after ``seconds``, and return the error for that."""
        msg = f"{stage.name} did not answer within {seconds:.1f} s"
        if seconds < FAIR_FRACTION * LIMITS[stage.stage].floor_s:
            return ProviderError(msg, provider=stage.name, code=NO_TIME)
        self.latencies.note(stage.stage, stage.name, seconds)
        return ProviderError(msg, provider=stage.name, code=TIMEOUT)

    def unavailable(self) -> ProviderError:
        """Return the error for a list none of which can be asked."""
        if not self.stages:
            return ProviderError(
                f"the pipeline has no stage that {self._what}",
                hint="add a provider to that list of the pipeline",
            )
        names = ", ".join(stage.name for stage in self.stages)
        return ProviderError(f"no stage that {self._what} is available: {names}")

    async def close(self) -> None:
        """Free every stage."""
        for stage in self.stages:
            await stage.close()
