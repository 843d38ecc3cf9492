"""Transcribes one utterance by a chain of STT providers: each reads it from the beginning, the first final
text wins.

`SttTurn` runs the chain for one question of the user and guesses early what the question will be.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from voxd.clock import Clock
from voxd.errors import ProviderError, StreamError, VoxdError
from voxd.providers.audio_buffer import AudioBuffer
from voxd.providers.events import SpeakerPart
from voxd.providers.pipeline.candidates import Candidates, RecordUsage, StageChain
from voxd.providers.pipeline.deadlines import StageBudget
from voxd.providers.pipeline.stage_stream import StreamEnd, pump, run_until
from voxd.providers.pipeline.stages.contract import (
    SpeechToText,
    StageKind,
    Transcription,
    TranscriptionRequest,
)
from voxd.spoken.transcripts import said
from voxd.tasks import TaskScope

REPLY_RESERVE_S = 1.0
"""Time at the end of the turn that the last STT provider leaves to the model and text-to-speech."""

MAX_WAITING = 256
"""Partial transcripts that wait for the reader; with more of them the providers have to wait."""

STABLE_S = 0.3
"""Words that did not change for this time are probably the whole question."""


@dataclass(frozen=True, slots=True)
class SttUpdate:
    """The transcript so far; ``engine`` is the provider's name in the configuration."""

    text: str
    engine: str
    final: bool = False
    stable: bool = False
    speakers: tuple[SpeakerPart, ...] = ()


class SttChain(StageChain[SpeechToText]):
    """The providers in order; ``hedge`` is the local engine that starts as well when one of them is late."""

    kind = StageKind.STT

    def __init__(
        self, stages: Sequence[SpeechToText], *, hedge: SpeechToText | None = None, **common: Any
    ) -> None:
        super().__init__(stages, **common)
        self.hedge = hedge

    @property
    def is_available(self) -> bool:
        """Whether a provider, or the hedge, may be tried."""
        return self.hedge is not None or super().is_available

    def prepare(self) -> None:
        """Let the first provider open its connection, and the hedge load its model."""
        super().prepare()
        if self.hedge is not None:
            self.hedge.prepare()

    async def transcribe(
        self,
        utterance: AudioBuffer,
        request: TranscriptionRequest,
        tasks: TaskScope,
        record_usage: RecordUsage,
    ) -> AsyncGenerator[SttUpdate]:
        """Yield the transcript as it grows; only the last item is final. Raises the last provider's error."""
        race = _Race(self.candidates, self.hedge, utterance, request, tasks)
        try:
            while True:
                item = await race.next()
                if item.final:
                    record_usage(race.leader, item.usage)
                yield SttUpdate(said(item.text), race.leader.name, item.final, item.stable, item.speakers)
                if item.final:
                    return
        finally:
            race.cancel()

    async def close(self) -> None:
        """Close every stage."""
        await super().close()
        if self.hedge is not None:
            await self.hedge.close()


@dataclass(slots=True, eq=False)
class _SttAttempt:
    """One provider at work since ``started_s``."""

    stage: SpeechToText
    started_s: float
    task: "asyncio.Task[None] | None" = None
    is_late: bool = False
    """It missed its deadline; the next one leads, but this one may still win."""


class _Race:
    """The attempts at one utterance. Partial transcripts count from the leader only, a final one from all."""

    def __init__(
        self,
        candidates: Candidates[SpeechToText],
        hedge: SpeechToText | None,
        utterance: AudioBuffer,
        request: TranscriptionRequest,
        tasks: TaskScope,
    ) -> None:
        self._candidates = candidates
        self._utterance = utterance
        self._request = request
        self._tasks = tasks
        self._clock = candidates.clock
        self._waiting = candidates.available()
        # None once it has started, or when there is none.
        self._hedge = hedge
        self._attempts: dict[SpeechToText, _SttAttempt] = {}
        self._items: asyncio.Queue[tuple[_SttAttempt, Transcription | StreamEnd] | None] = asyncio.Queue(
            MAX_WAITING
        )
        self._leader: _SttAttempt | None = None
        self._error: VoxdError = candidates.unavailable_error()
        self._end_of_speech = tasks.start(self._wake_at_end_of_speech(), name="end of speech")

    @property
    def leader(self) -> SpeechToText:
        """The stage of the leading attempt."""
        assert self._leader is not None
        return self._leader.stage

    async def next(self) -> Transcription:
        """Return the next transcript that counts. Raises `VoxdError` when no candidate is left."""
        while True:
            if self._leader is None and not self._promote():
                raise self._error
            assert self._leader is not None
            try:
                due_s = self._due_s(self._leader)
                item = await run_until(self._clock, self._items.get(), due_s, self._request.budget)
            except TimeoutError:
                self._handle_deadline(self._leader)
                continue
            transcript = self._accept(*item) if item is not None else None
            if transcript is not None:
                return transcript

    def cancel(self) -> None:
        """End all attempts at once."""
        self._end_of_speech.cancel()
        for attempt in tuple(self._attempts.values()):
            self._drop(attempt)

    def _promote(self) -> bool:
        """Make the next candidate the leader, else a late one that still runs; False when none is left."""
        # Last a late attempt that still runs: its text is better than none.
        stage = self._waiting.pop(0) if self._waiting else self._hedge or next(iter(self._attempts), None)
        if stage is None:
            return False
        if stage is self._hedge:
            self._hedge = None
        self._leader = self._attempts.get(stage) or self._start(stage)
        return True

    def _start(self, stage: SpeechToText) -> _SttAttempt:
        attempt = _SttAttempt(stage, self._clock.monotonic())
        self._attempts[stage] = attempt

        async def put(item: Transcription | StreamEnd) -> None:
            # One queue for all attempts: what arrives first decides the race.
            await self._items.put((attempt, item))

        budget = StageBudget(self._request.budget, self._has_next, reserve_s=REPLY_RESERVE_S)
        transcripts = stage.transcribe(self._utterance.play(), replace(self._request, budget=budget))
        attempt.task = self._tasks.start(pump(transcripts, stage.name, put), name=f"stt {stage.name}")
        return attempt

    def _has_next(self) -> bool:
        # While the user speaks a retry costs no time, so the hedge alone does not prevent it.
        return bool(self._waiting) or (self._hedge is not None and self._utterance.ended_s is not None)

    def _accept(self, attempt: _SttAttempt, item: Transcription | StreamEnd) -> Transcription | None:
        """Return ``item`` if it counts; otherwise record what it means for ``attempt``."""
        name = attempt.stage.name
        if attempt.stage not in self._attempts:
            # The queue can hold items of an attempt that was dropped.
            return None
        if isinstance(item, StreamEnd):
            missing = StreamError(f"{name} sent no final transcript", provider=name)
            self._fail(attempt, item.error or missing)
            return None
        if not item.final:
            return item if attempt is self._leader else None
        if self._utterance.ended_s is None:
            # The vendor closed the stream too early: the rest of the question would be missing.
            msg = f"{name} ended its transcript before the end of speech"
            self._fail(attempt, StreamError(msg, provider=name))
            return None
        if self._leader is not None and attempt is not self._leader:
            # The leader was slow, which is not a failure: its latency makes its next deadline longer.
            slow = self._leader
            self._candidates.latencies.record(slow.stage.stage, slow.stage.name, self._waited_s(slow))
        self._leader = attempt
        self._candidates.record_success(attempt.stage, self._waited_s(attempt))
        return item

    def _fail(self, attempt: _SttAttempt, error: VoxdError) -> None:
        self._error = error
        # A late one is on record already: it missed its deadline.
        if not attempt.is_late:
            self._candidates.record_failure(attempt.stage, error)
        self._drop(attempt)
        self._waiting = [stage for stage in self._waiting if stage is not attempt.stage]
        if attempt is self._leader:
            self._leader = None

    def _handle_deadline(self, leader: _SttAttempt) -> None:
        """Start the hedge if it has not started; otherwise the next candidate leads."""
        if self._hedge is not None and self._hedge not in self._attempts:
            hedge, self._hedge = self._hedge, None
            if hedge not in self._waiting:
                self._waiting.append(hedge)
            self._start(hedge)
            return
        error = self._candidates.record_timeout(leader.stage, self._waited_s(leader))
        if not leader.is_late:
            self._candidates.record_failure(leader.stage, error)
        leader.is_late = True
        if not self._waiting:
            raise error
        self._promote()

    def _due_s(self, leader: _SttAttempt) -> float | None:
        """Return when `_handle_deadline` is due, None while the user speaks."""
        if self._utterance.ended_s is None:
            return None
        since_s = max(self._utterance.ended_s, leader.started_s)
        latencies, stage = self._candidates.latencies, leader.stage
        if self._hedge is not None and stage is not self._hedge:
            # The P95 of the leader: the hedge runs for about one utterance in twenty.
            return since_s + latencies.hedge_delay_s(stage.name)
        until_s = self._request.budget.until_s
        left_s = None if until_s is None else until_s - REPLY_RESERVE_S
        not_started = sum(each not in self._attempts for each in self._waiting)
        if self._waiting and not not_started:
            # The next one, a hedge, runs already and needs no share of the leader's time.
            return since_s + latencies.deadline_s(stage.stage, stage.name)
        return self._candidates.due_s(stage, since_s, not_started, left_s)

    def _waited_s(self, attempt: _SttAttempt) -> float:
        """Return the time since the end of speech, or since the start of an attempt that began later."""
        since_s = attempt.started_s
        if self._utterance.ended_s is not None:
            since_s = max(since_s, self._utterance.ended_s)
        # The time in a queue of ours says nothing about the vendor.
        return max(0.0, self._clock.monotonic() - since_s - self._request.budget.queued_s)

    def _drop(self, attempt: _SttAttempt) -> None:
        self._attempts.pop(attempt.stage, None)
        if attempt.task is not None:
            attempt.task.cancel()

    async def _wake_at_end_of_speech(self) -> None:
        # `next` waits without a deadline while the user speaks: it has to compute one now.
        await self._utterance.ended.wait()
        await self._items.put(None)


OnGuess = Callable[[str | None], None]
"""Takes the probable question, None when the last guess was wrong."""


class SttTurn:
    """Transcribes one question from its first sound on, in ``tasks``.

    ``on_partial`` takes each partial transcript. ``on_guess`` takes a text that is probably the question:
    unchanged for `STABLE_S`, or called stable by the vendor; None disables guesses.
    """

    def __init__(
        self,
        chain: SttChain,
        request: TranscriptionRequest,
        *,
        on_partial: Callable[[SttUpdate], None],
        on_guess: OnGuess | None,
        record_usage: RecordUsage,
        tasks: TaskScope,
        clock: Clock,
    ) -> None:
        self.utterance = AudioBuffer()
        self.budget = request.budget
        self._chain = chain
        self._request = request
        self._on_partial = on_partial
        self._on_guess = on_guess
        self._record_usage = record_usage
        self._tasks = tasks
        self._clock = clock
        self._words = ""
        self._guess_timer: asyncio.Task[None] | None = None
        self._task = tasks.start(self._transcribe(), name="stt", is_awaited=True)

    def end(self, now_s: float, until_s: float) -> None:
        """End the utterance; the reply must be audible by ``until_s``."""
        self.budget.until_s = until_s
        self.utterance.close(now_s=now_s)

    async def result(self) -> SttUpdate:
        """Return the final transcript. Raises `VoxdError`."""
        try:
            # Shielded: a caller that stops waiting does not end the transcription, `cancel` does.
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            # Either the transcription was cancelled, which is an error of the question, or the caller.
            if self._task.cancelled():
                raise ProviderError("the question was cancelled") from None
            raise

    def cancel(self) -> None:
        """End the transcription at once; idempotent."""
        self._task.cancel()
        if self._task.done() and not self._task.cancelled():
            # A question that is dropped before `result` would leave its error for asyncio to report.
            self._task.exception()
        self._stop_guess_timer()

    async def _transcribe(self) -> SttUpdate:
        chain = self._chain
        async with aclosing(
            chain.transcribe(self.utterance, self._request, self._tasks, self._record_usage)
        ) as updates:
            async for update in updates:
                if update.final:
                    self._stop_guess_timer()
                    return update
                self._on_partial(update)
                self._guess(update)
        raise ProviderError("the transcription ended without a final text")

    def _guess(self, update: SttUpdate) -> None:
        """Report a stable text as the guess now, and another one once it has not changed for a while."""
        if self._on_guess is None:
            return
        words, before = normalize(update.text), self._words
        if words != before:
            self._words = words
            self._stop_guess_timer()
            # The user went on: an answer that was started early is void.
            self._on_guess(None)
        if not words:
            return
        if update.stable:
            self._on_guess(update.text)
        elif words != before:
            guess = self._guess_later(update.text, self._on_guess)
            self._guess_timer = self._tasks.start(guess, name="guess timer")

    async def _guess_later(self, text: str, on_guess: OnGuess) -> None:
        await self._clock.sleep(STABLE_S)
        on_guess(text)

    def _stop_guess_timer(self) -> None:
        if self._guess_timer is not None:
            self._guess_timer.cancel()


def normalize(text: str) -> str:
    """Return the words of ``text`` in lower case: transcripts that differ in punctuation are the same."""
    # Signs that change the meaning are kept: "5 %" is not "5", "it's" is not "its".
    letters = (letter if letter.isalnum() or letter in "'+-%$€£°" else " " for letter in text.lower())
    return " ".join("".join(letters).split())
