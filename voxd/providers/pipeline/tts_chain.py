"""The chain of TTS providers: clause after clause, with failover, and never the same words twice."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol

from voxd.audio.sound import Resampler, is_audible
from voxd.config.provider_schema import LOCAL
from voxd.errors import StreamError, VoxdError
from voxd.frames import Clip
from voxd.net.transport import Budget
from voxd.providers.pipeline.candidates import TIMEOUT, Candidates, RecordUsage, StageChain
from voxd.providers.pipeline.deadlines import StageBudget
from voxd.providers.pipeline.llm_chain import STALL_S
from voxd.providers.pipeline.stage_stream import StageStream
from voxd.providers.pipeline.stages.contract import StageKind, TextToSpeech
from voxd.tasks import TaskScope
from voxd.text import cut_at

END_RESERVE_S = 0.1
"""The last provider's deadline is this long before the turn's, so that the error names the slow provider."""

RATE_HZ = 24_000
"""The rate of all reply audio of a pipeline, whatever the provider's rate."""


CHARS_PER_S = 15.0
"""How fast voices speak, about; only for what was delivered of a text that was broken off."""


def spoken_part(text: str, seconds: float) -> str:
    """Return about that part of ``text`` that is spoken in ``seconds``."""
    return text[: max(1, round(seconds * CHARS_PER_S))]


class PhraseSource(Protocol):
    """The cache of spoken phrases: `voxd.providers.pipeline.phrase_cache.PhraseCache`."""

    def synthesize(
        self,
        stage: TextToSpeech,
        text: str,
        budget: Budget,
        previous: str,
        *,
        on_request: Callable[[], None],
    ) -> AsyncGenerator[Clip]:
        """Yield the audio of ``text``, from the cache if possible, else by ``stage`` after ``on_request``."""
        ...


class TtsChain(StageChain[TextToSpeech]):
    """The providers in order; ``phrases`` is None without a cache."""

    kind = StageKind.TTS

    def __init__(
        self, stages: Sequence[TextToSpeech], *, phrases: PhraseSource | None = None, **common: Any
    ) -> None:
        super().__init__(stages, **common)
        self._common = common
        self._phrases = phrases

    def with_voice(self, voice: str) -> "TtsChain":
        """Return the chain whose first provider uses ``voice``, "" for the configured one.

        A chain other than ``self`` is closed by `close_first`.
        """
        if not self.candidates.stages or self.candidates.stages[0].config.kind == LOCAL:
            return self
        first, *rest = self.candidates.stages
        if voice in ("", first.voice):
            return self
        # With the same transport: keys, limits and open connections are shared.
        changed = type(first)(replace(first.config, voice=voice), first.transport)
        return TtsChain([changed, *rest], phrases=self._phrases, **self._common)

    async def close_first(self) -> None:
        """Close the first stage only: the others belong to the original chain."""
        await self.candidates.stages[0].close()

    def start_turn(self, budget: Budget, tasks: TaskScope, record_usage: RecordUsage) -> "TtsTurn":
        """Return the speaker of one answer."""
        return TtsTurn(self.candidates, self._phrases, budget, tasks, record_usage)


class TtsTurn:
    """Speaks the clauses of one answer. A provider that fails is not tried again in the same answer."""

    def __init__(
        self,
        candidates: Candidates[TextToSpeech],
        phrases: PhraseSource | None,
        budget: Budget,
        tasks: TaskScope,
        record_usage: RecordUsage,
    ) -> None:
        self._candidates = candidates
        self._phrases = phrases
        self._budget = budget
        self._tasks = tasks
        self._record_usage = record_usage
        self._left = candidates.available()
        self._previous = ""

    async def speak(self, clause: str) -> AsyncGenerator[Clip]:
        """Yield the audio of ``clause`` at `RATE_HZ`. Raises the last provider's error."""
        error: VoxdError = self._candidates.unavailable_error()
        while self._left:
            stage = self._left[0]
            has_begun = False
            try:
                async with aclosing(self._speak_with(stage, clause)) as clips:
                    async for clip in clips:
                        has_begun = True
                        yield clip
                self._previous = clause
                return
            except VoxdError as raised:
                error = raised
                self._left.pop(0)
                self._candidates.record_failure(stage, raised)
                if has_begun:
                    # The user has heard the beginning of the clause and must not hear it again: the next
                    # provider continues with the next clause.
                    self._previous = clause
                    return
        raise error

    async def _speak_with(self, stage: TextToSpeech, clause: str) -> AsyncGenerator[Clip]:
        """Yield the audio of ``stage`` at `RATE_HZ`, in requests of at most its ``max_chars``."""
        resampler: Resampler | None = None
        rate_hz, rest = 0, clause
        while rest:
            # Vendors refuse a text that is too long; they do not cut it.
            at = cut_at(rest, stage.max_chars) if len(rest) > stage.max_chars else len(rest)
            text, rest = rest[:at].strip(), rest[at:].strip()
            async with aclosing(self._request(stage, text)) as clips:
                async for clip in clips:
                    # Another request, or the header of a WAV file, may bring another rate.
                    if resampler is None or clip.rate_hz != rate_hz:
                        resampler, rate_hz = Resampler(clip.rate_hz, RATE_HZ), clip.rate_hz
                    if pcm := resampler.feed(clip.pcm):
                        yield Clip(pcm, RATE_HZ)
        # The resampler's filter still holds the last samples.
        if resampler is not None and (pcm := resampler.feed(b"", last=True)):
            yield Clip(pcm, RATE_HZ)

    async def _request(self, stage: TextToSpeech, text: str) -> AsyncGenerator[Clip]:
        clock = self._candidates.clock
        started_s, queued_s = clock.monotonic(), self._budget.queued_s
        is_requested = False

        def took_s() -> float:
            # The time in a queue of ours says nothing about the vendor.
            return clock.monotonic() - started_s - (self._budget.queued_s - queued_s)

        def note_request() -> None:
            # Not for a cached phrase, which costs nothing.
            nonlocal is_requested
            is_requested = True

        budget = StageBudget(self._budget, lambda: len(self._left) > 1, reserve_s=END_RESERVE_S)
        if self._phrases is None:
            note_request()
            source = stage.synthesize(text, budget, previous=self._previous)
        else:
            source = self._phrases.synthesize(stage, text, budget, self._previous, on_request=note_request)
        stream = StageStream(source, name=stage.name, tasks=self._tasks, clock=clock, budget=budget)
        # Once the answer is audible the turn has no deadline; a pause of `STALL_S` is the limit.
        until_s = self._budget.until_s
        left_s = started_s + STALL_S if until_s is None else until_s - END_RESERVE_S
        due_s = self._candidates.due_s(stage, started_s, len(self._left) - 1, left_s)
        has_begun, delivered_s, is_whole = False, 0.0, False
        # Held until something follows that can be heard: words of silence only are a fault of the vendor.
        silence: list[Clip] = []
        try:
            while True:
                clip = await stream.next(due_s)
                due_s = clock.monotonic() + STALL_S
                delivered_s += clip.duration_s
                if not has_begun:
                    silence.append(clip)
                    if not is_audible(clip.pcm):
                        continue
                    has_begun = True
                    # The cache's latency would make the provider's deadline too short.
                    if is_requested:
                        self._candidates.record_success(stage, took_s())
                for each in silence or [clip]:
                    yield each
                silence.clear()
        except StopAsyncIteration:
            if not has_begun:
                what = "only silence" if any(clip.pcm for clip in silence) else "no audio"
                msg = f"{stage.name} sent {what}"
                raise StreamError(msg, provider=stage.name, code="no_sound") from None
            is_whole = True
        except TimeoutError:
            if not has_begun:
                raise self._candidates.record_timeout(stage, took_s()) from None
            msg = f"{stage.name} stopped in the middle of a sentence"
            raise StreamError(msg, provider=stage.name, code=TIMEOUT) from None
        finally:
            stream.cancel()
            if is_requested and delivered_s:
                self._record_usage(stage, stage.bill(text if is_whole else spoken_part(text, delivered_s)))
