"""The ordered candidates of one stage: which provider is available, its deadline, and its health record."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Generic, Protocol, TypeVar

from voxd.clock import Clock
from voxd.config.provider_schema import LOCAL
from voxd.errors import ContextTooLong, NoAnswer, ProviderError, VoxdError
from voxd.preference import order_candidates
from voxd.providers.pipeline.deadlines import LIMITS, Latencies
from voxd.providers.pipeline.stages.contract import (
    LanguageModel,
    PipelineStage,
    SpeechToText,
    StageKind,
    TextToSpeech,
)
from voxd.providers.usage import Usage

S = TypeVar("S", SpeechToText, LanguageModel, TextToSpeech)

RecordUsage = Callable[[PipelineStage, Usage], None]
"""Records what one request of a stage used."""

TIMEOUT = "timeout"

NO_TIME = "no_time"
"""The code of a candidate that was abandoned before its shortest deadline: this is not its failure."""

FAIR_FRACTION = 0.95
"""Part of the shortest deadline that counts as a full chance: timers are not exact."""

STAGE_NAMES: Mapping[StageKind, str] = MappingProxyType(
    {StageKind.STT: "speech-to-text", StageKind.LLM: "language model", StageKind.TTS: "text-to-speech"}
)
"""The stages as messages name them."""


class StageHealth(Protocol):
    """The health of providers by name: `voxd.providers.routing.health.CircuitBreaker`."""

    def is_healthy(self, name: str) -> bool:
        """Whether ``name`` may be used now."""
        ...

    def can_try(self, name: str) -> bool:
        """Whether ``name`` may be tried when no healthy candidate is left."""
        ...

    def record_failure(self, name: str, error: VoxdError) -> None:
        """Record that a request to ``name`` failed."""
        ...

    def record_success(self, name: str) -> None:
        """Record that a request to ``name`` succeeded."""
        ...


class Candidates(Generic[S]):
    """The ``stages`` of kind ``kind``, in order of preference."""

    def __init__(
        self, kind: StageKind, stages: Sequence[S], *, health: StageHealth, latencies: Latencies, clock: Clock
    ) -> None:
        self.stages: tuple[S, ...] = tuple(stages)
        self.latencies = latencies
        self.clock = clock
        self._kind = kind
        self._health = health

    def available(self) -> list[S]:
        """Return the candidates to try now, in order: the healthy ones, else those that may be tried."""
        return list(
            order_candidates(
                self.stages,
                # The circuit breaker is for the network: local engines have their own supervision.
                is_healthy=lambda stage: stage.config.kind == LOCAL or self._health.is_healthy(stage.name),
                can_try=lambda stage: self._health.can_try(stage.name),
                # A stage has no other way to answer: even an unhealthy one is better than none.
                is_last_resort=True,
            )
        )

    def prepare(self) -> None:
        """Let the first candidate open its connection."""
        for stage in self.available()[:1]:
            stage.prepare()

    def due_s(self, stage: S, started_s: float, others: int, until_s: float | None) -> float | None:
        """Return when the first result of ``stage``, started at ``started_s``, is due.

        ``others`` candidates follow; the last one has all the time until ``until_s``.
        """
        if not others:
            return until_s
        kind, limit_s = stage.stage, self.latencies.deadline_s(stage.stage, stage.name)
        if until_s is not None and self.latencies.p95_s(kind, stage.name) is None:
            # The longest deadline of an unmeasured candidate could use up the time of all that follow.
            share_s = (until_s - started_s) / (others + 1)
            limit_s = min(limit_s, max(share_s, LIMITS[kind].floor_s))
        due_s = started_s + limit_s
        return due_s if until_s is None else min(due_s, until_s)

    def record_success(self, stage: S, seconds: float) -> None:
        """Record that the first result of ``stage`` came after ``seconds``."""
        self.latencies.record(stage.stage, stage.name, seconds)
        if stage.config.kind != LOCAL:
            self._health.record_success(stage.name)

    def record_failure(self, stage: S, error: VoxdError) -> None:
        """Record that ``stage`` failed with ``error``."""
        # Neither a conversation that is too long, nor an answer without words, nor too little time says
        # anything about the provider.
        is_neutral = isinstance(error, ContextTooLong | NoAnswer) or error.code == NO_TIME
        if stage.config.kind != LOCAL and not is_neutral:
            self._health.record_failure(stage.name, error)

    def record_timeout(self, stage: S, seconds: float) -> ProviderError:
        """Record that ``stage`` was abandoned after ``seconds``, and return the error for it."""
        msg = f"{stage.name} did not answer within {seconds:.1f} s"
        # It never had a fair chance: an earlier stage used up the time, so its own record stays as it is.
        if seconds < FAIR_FRACTION * LIMITS[stage.stage].floor_s:
            return ProviderError(msg, provider=stage.name, code=NO_TIME)
        self.latencies.record(stage.stage, stage.name, seconds)
        return ProviderError(msg, provider=stage.name, code=TIMEOUT)

    def unavailable_error(self) -> ProviderError:
        """Return the error for a list without an available candidate."""
        what = f"{STAGE_NAMES[self._kind]} provider"
        if not self.stages:
            hint = f'add a provider to "{self._kind}" of the pipeline'
            return ProviderError(f"the pipeline has no {what}", hint=hint)
        names = ", ".join(stage.name for stage in self.stages)
        return ProviderError(f"no {what} is available: {names}")

    async def close(self) -> None:
        """Close every stage."""
        for stage in self.stages:
            await stage.close()


class StageChain(Generic[S]):
    """The stages of one kind, in order of preference, and what becomes of each request to them."""

    kind: ClassVar[StageKind]

    def __init__(
        self, stages: Sequence[S], *, health: StageHealth, latencies: Latencies, clock: Clock
    ) -> None:
        self.candidates: Candidates[S] = Candidates(
            self.kind, stages, health=health, latencies=latencies, clock=clock
        )

    @property
    def is_available(self) -> bool:
        """Whether a stage may be tried."""
        return bool(self.candidates.available())

    def prepare(self) -> None:
        """Let the first stage open its connection."""
        self.candidates.prepare()

    async def close(self) -> None:
        """Close every stage."""
        await self.candidates.close()
