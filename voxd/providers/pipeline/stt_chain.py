"""The list of those who listen: each hears the utterance from its beginning; the first final words win."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace

from voxd.clock import Clock
from voxd.errors import StreamError, VoxdError
from voxd.providers.audio_buffer import AudioBuffer
from voxd.providers.pipeline.budget import StageBudget
from voxd.providers.pipeline.candidates import Candidates, StageHealth
from voxd.providers.pipeline.latency import Latencies
from voxd.providers.pipeline.stage_stream import Crew, StreamEnd, pump, run_until
from voxd.providers.pipeline.stages.contract import SpeechToText, Transcription, TranscriptionRequest
from voxd.providers.usage import Usage

RecordUsage = Callable[[SpeechToText, Usage], None]
"""Takes note of what a request used."""

LEFT_FOR_ANSWER_S = 1.0
"""The last listener leaves so much of the turn to the model and the voice."""

MAX_WAITING = 256
"""Partial transcripts that wait to be read; who sends more has to wait."""


@dataclass(frozen=True, slots=True)
class SttUpdate:
    """What was understood so far, and by whom (his name in the configuration)."""

    text: str
    engine: str
    final: bool = False
    stable: bool = False


class SttChain:
    """``stages`` in order; ``hedge`` is the device's own engine, which listens too when another is late."""

    def __init__(
        self,
        stages: Sequence[SpeechToText],
        *,
        health: StageHealth,
        latencies: Latencies,
        clock: Clock,
        hedge: SpeechToText | None = None,
    ) -> None:
        self.candidates: Candidates[SpeechToText] = Candidates(
            "listens", stages, health=health, latencies=latencies, clock=clock
        )
        self.hedge = hedge

    @property
    def is_open(self) -> bool:
        """Whether anybody may be asked to listen."""
        return self.hedge is not None or self.candidates.is_open

    def prepare(self) -> None:
        """Make ready who will listen first, and who steps in."""
        self.candidates.prepare()
        if self.hedge is not None:
            self.hedge.prepare()

    async def hear(
        self, utterance: AudioBuffer, told: TranscriptionRequest, crew: Crew, used: RecordUsage
    ) -> AsyncGenerator[SttUpdate]:
        """Yield what is understood; the last item is the final one. Raises what the last listener raised."""
        race = _Race(self.candidates, self.hedge, utterance, told, crew)
        try:
            while True:
                heard = await race.next()
                if heard.final:
                    used(race.lead, heard.usage)
                yield SttUpdate(heard.text, race.lead.name, heard.final, heard.stable)
                if heard.final:
                    return
        finally:
            race.give_up()

    async def close(self) -> None:
        """Free every stage."""
        await self.candidates.close()
        if self.hedge is not None:
            await self.hedge.close()


@dataclass(slots=True)
class _Attempt:
    """One listener at work, since ``begun_s``."""

    stage: SpeechToText
    begun_s: float
    task: "asyncio.Task[None] | None" = None
    is_late: bool = False
    """He was given up as the leader, and may still win."""


class _Race:
    """One utterance: who listens to it, and whose words count."""

    def __init__(
        self,
        candidates: Candidates[SpeechToText],
        hedge: SpeechToText | None,
        utterance: AudioBuffer,
        told: TranscriptionRequest,
        crew: Crew,
    ) -> None:
        self._candidates = candidates
        self._utterance = utterance
        self._told = told
        self._crew = crew
        self._clock = candidates.clock
        self._waiting = candidates.available()
        self._hedge = hedge
        self._runners: dict[SpeechToText, _Attempt] = {}
        self._items: asyncio.Queue[tuple[_Attempt, Transcription | StreamEnd] | None] = asyncio.Queue(
            MAX_WAITING
        )
        self._lead: _Attempt | None = None
        self._error: VoxdError = candidates.unavailable()
        self._ending = crew.start(self._tell_end(), "end of speech")

    @property
    def lead(self) -> SpeechToText:
        """Whose words count."""
        assert self._lead is not None
        return self._lead.stage

    async def next(self) -> Transcription:
        """Return the next that counts. Raises `VoxdError` when nobody is left."""
        while True:
            if self._lead is None and not self._promote():
                raise self._error
            assert self._lead is not None
            try:
                item = await run_until(self._clock, self._items.get(), self._due_s(self._lead))
            except TimeoutError:
                self._overdue(self._lead)
                continue
            heard = self._sorted(*item) if item is not None else None
            if heard is not None:
                return heard

    def give_up(self) -> None:
        """End everything that runs for this utterance."""
        self._ending.cancel()
        for runner in tuple(self._runners.values()):
            self._drop(runner)

    def _promote(self) -> bool:
        """Let the next one lead, else one who is late and still at work; False when nobody is left."""
        stage = self._waiting.pop(0) if self._waiting else self._hedge or next(iter(self._runners), None)
        if stage is None:
            return False
        if stage is self._hedge:
            self._hedge = None
        self._lead = self._runners.get(stage) or self._start(stage)
        return True

    def _start(self, stage: SpeechToText) -> _Attempt:
        runner = _Attempt(stage, self._clock.monotonic())
        self._runners[stage] = runner

        async def put(item: Transcription | StreamEnd) -> None:
            await self._items.put((runner, item))

        share = StageBudget(self._told.budget, self._is_followed, reserve_s=LEFT_FOR_ANSWER_S)
        hearing = stage.transcribe(self._utterance.play(), replace(self._told, budget=share))
        work = pump(hearing, stage.name, put)
        runner.task = self._crew.start(work, f"hear {stage.name}")
        return runner

    def _is_followed(self) -> bool:
        """Whether somebody else can listen; the device itself only helps when the user has finished."""
        return bool(self._waiting) or (self._hedge is not None and self._utterance.ended_s is not None)

    def _sorted(self, runner: _Attempt, item: Transcription | StreamEnd) -> Transcription | None:
        """Return ``item`` if it counts, else draw the consequence."""
        if runner.stage not in self._runners:
            return None
        if isinstance(item, StreamEnd):
            early = StreamError(f"{runner.stage.name} sent no final words", provider=runner.stage.name)
            self._failed(runner, item.error or early)
            return None
        if not item.final:
            return item if runner is self._lead else None
        if self._utterance.ended_s is None:
            msg = f"{runner.stage.name} had finished before the user"
            self._failed(runner, StreamError(msg, provider=runner.stage.name))
            return None
        self._won(runner)
        return item

    def _won(self, runner: _Attempt) -> None:
        if self._lead is not None and runner is not self._lead:
            # He was late, not ill: the next utterance allows for it.
            self._candidates.latencies.note(self.lead.stage, self.lead.name, self._waited_s(self._lead))
        self._lead = runner
        self._candidates.answered(runner.stage, self._waited_s(runner))

    def _failed(self, runner: _Attempt, error: VoxdError) -> None:
        self._error = error
        if not runner.is_late:
            self._candidates.failed(runner.stage, error)
        self._drop(runner)
        self._waiting = [stage for stage in self._waiting if stage is not runner.stage]
        if runner is self._lead:
            self._lead = None

    def _overdue(self, lead: _Attempt) -> None:
        """The time of ``lead`` is up, or that after which the device listens too."""
        if self._hedge is not None and self._hedge not in self._runners:
            hedge, self._hedge = self._hedge, None
            if hedge not in self._waiting:
                self._waiting.append(hedge)
            self._start(hedge)
            return
        error = self._candidates.too_late(lead.stage, self._waited_s(lead))
        if not lead.is_late:
            self._candidates.failed(lead.stage, error)
        lead.is_late = True
        if not self._waiting:
            raise error
        self._promote()

    def _due_s(self, lead: _Attempt) -> float | None:
        """Return when `_overdue` is due, None while the user speaks; the last has what the turn can spare."""
        if self._utterance.ended_s is None:
            return None
        since_s = max(self._utterance.ended_s, lead.begun_s)
        if self._hedge is not None and lead.stage is not self._hedge:
            return since_s + self._candidates.latencies.patience_s(lead.stage.name)
        until_s = self._told.budget.until_s
        left_s = None if until_s is None else until_s - LEFT_FOR_ANSWER_S
        fresh = sum(stage not in self._runners for stage in self._waiting)
        if self._waiting and not fresh:
            # Whoever comes next is at work already, and needs nothing of this one's time.
            return since_s + self._candidates.latencies.deadline_s(lead.stage.stage, lead.stage.name)
        return self._candidates.due_s(lead.stage, since_s, fresh, left_s)

    def _waited_s(self, runner: _Attempt) -> float:
        ended_s = self._utterance.ended_s
        return self._clock.monotonic() - max(
            runner.begun_s, ended_s if ended_s is not None else runner.begun_s
        )

    def _drop(self, runner: _Attempt) -> None:
        self._runners.pop(runner.stage, None)
        if runner.task is not None:
            runner.task.cancel()

    async def _tell_end(self) -> None:
        """Wake `next` when the user has finished: deadlines begin."""
        await self._utterance.ended.wait()
        await self._items.put(None)
