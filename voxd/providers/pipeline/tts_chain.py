"""The list of voices: one clause after the other, by the next voice where one fails, and never twice."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol

from voxd.audio.sound import Resampler
from voxd.clock import Clock
from voxd.config.provider_schema import LOCAL
from voxd.errors import StreamError, VoxdError
from voxd.frames import Clip
from voxd.net.transport import Budget
from voxd.providers.pipeline.budget import StageBudget
from voxd.providers.pipeline.candidates import TIMEOUT, Candidates, StageHealth
from voxd.providers.pipeline.latency import Latencies
from voxd.providers.pipeline.llm_chain import STALL_S
from voxd.providers.pipeline.stage_stream import Crew, StageStream
from voxd.providers.pipeline.stages.contract import TextToSpeech
from voxd.providers.usage import Usage
from voxd.text import cut_at

LEFT_AT_END_S = 0.1
"""The last voice is given up so long before the turn is: only then is it known who was too slow."""

RATE_HZ = 24_000
"""The rate of everything a pipeline says, whatever the voice."""

RecordUsage = Callable[[TextToSpeech, Usage], None]


class PhraseSource(Protocol):
    """Spoken phrases that are kept: `voxd.providers.pipeline.phrase_cache`."""

    def cached(self, stage: TextToSpeech, text: str, budget: Budget, previous: str) -> AsyncGenerator[Clip]:
        """Yield the sound of ``text`` as ``stage`` speaks it, from the cache if it is there."""
        ...


class TtsChain:
    """``stages`` in order; ``phrases`` is None where nothing is kept."""

    def __init__(
        self,
        stages: Sequence[TextToSpeech],
        *,
        health: StageHealth,
        latencies: Latencies,
        clock: Clock,
        phrases: PhraseSource | None = None,
    ) -> None:
        self._common: dict[str, Any] = {"health": health, "latencies": latencies, "clock": clock}
        self.candidates: Candidates[TextToSpeech] = Candidates("speaks", stages, **self._common)
        self._phrases = phrases

    @property
    def is_open(self) -> bool:
        """Whether anybody may be asked to speak."""
        return self.candidates.is_open

    def prepare(self) -> None:
        """Make ready who will speak first."""
        self.candidates.prepare()

    def voiced(self, voice: str) -> "TtsChain":
        """Return the list with ``voice`` for the first of it, "" for its own; close it by `close_first`."""
        if not self.candidates.stages or self.candidates.stages[0].config.kind == LOCAL:
            return self
        first, *rest = self.candidates.stages
        if voice in ("", first.voice):
            return self
        changed = type(first)(replace(first.config, voice=voice), first.transport)
        return TtsChain([changed, *rest], phrases=self._phrases, **self._common)

    async def close_first(self) -> None:
        """Free the first voice: the others are those of the list it was made from."""
        await self.candidates.stages[0].close()

    def reading(self, budget: Budget, crew: Crew, used: RecordUsage) -> "TtsTurn":
        """Return what speaks one answer."""
        return TtsTurn(self.candidates, self._phrases, budget, crew, used)

    async def close(self) -> None:
        """Free every stage."""
        await self.candidates.close()


class TtsTurn:
    """One answer being spoken: who failed in it is not asked again before its end."""

    def __init__(
        self,
        candidates: Candidates[TextToSpeech],
        phrases: PhraseSource | None,
        budget: Budget,
        crew: Crew,
        used: RecordUsage,
    ) -> None:
        self._candidates = candidates
        self._phrases = phrases
        self._budget = budget
        self._crew = crew
        self._used = used
        self._left = candidates.available()
        self._previous = ""

    async def speak(self, clause: str) -> AsyncGenerator[Clip]:
        """Yield the sound of ``clause`` at `RATE_HZ`. Raises what the last voice raised.

        The next voice says it when one fails before anything of it came. After that what came is all of it,
        and the next clause is the next voice's: nobody hears a word twice.
        """
        error: VoxdError = self._candidates.unavailable()
        while self._left:
            stage = self._left[0]
            begun = False
            try:
                async with aclosing(self._spoken(stage, clause)) as clips:
                    async for clip in clips:
                        begun = True
                        yield clip
                self._previous = clause
                return
            except VoxdError as raised:
                error = raised
                self._left.pop(0)
                self._candidates.failed(stage, raised)
                if begun:
                    self._previous = clause
                    return
        raise error

    async def _spoken(self, stage: TextToSpeech, clause: str) -> AsyncGenerator[Clip]:
        """Yield the sound of ``stage``. Raises `VoxdError`."""
        resampler: Resampler | None = None
        rate_hz, rest = 0, clause
        while rest:
            at = cut_at(rest, stage.max_chars) if len(rest) > stage.max_chars else len(rest)
            text, rest = rest[:at].strip(), rest[at:].strip()
            async with aclosing(self._one(stage, text)) as clips:
                async for clip in clips:
                    if resampler is None or clip.rate_hz != rate_hz:
                        resampler, rate_hz = Resampler(clip.rate_hz, RATE_HZ), clip.rate_hz
                    if pcm := resampler.feed(clip.pcm):
                        yield Clip(pcm, RATE_HZ)
        if resampler is not None and (pcm := resampler.feed(b"", last=True)):
            yield Clip(pcm, RATE_HZ)

    async def _one(self, stage: TextToSpeech, text: str) -> AsyncGenerator[Clip]:
        clock = self._candidates.clock
        asked_s = clock.monotonic()
        metered = _Metered(stage, self._used)
        stream = StageStream(self._source(metered, text), name=stage.name, crew=self._crew, clock=clock)
        due_s = self._first_due_s(stage, asked_s)
        begun = False
        try:
            while True:
                clip = await stream.next(due_s)
                due_s = clock.monotonic() + STALL_S
                if clip.pcm and not begun:
                    begun = True
                    if metered.asked:
                        self._candidates.answered(stage, clock.monotonic() - asked_s)
                yield clip
        except StopAsyncIteration:
            if not begun:
                raise StreamError(f"{stage.name} made no sound", provider=stage.name) from None
        except TimeoutError:
            if not begun:
                raise self._candidates.too_late(stage, clock.monotonic() - asked_s) from None
            msg = f"{stage.name} stopped in the middle of a sentence"
            raise StreamError(msg, provider=stage.name, code=TIMEOUT) from None
        finally:
            stream.give_up()

    def _first_due_s(self, stage: TextToSpeech, asked_s: float) -> float | None:
        """Return when the first sound is due: in the turn's time, or while it is heard in that of a pause."""
        until_s = self._budget.until_s
        left_s = asked_s + STALL_S if until_s is None else until_s - LEFT_AT_END_S
        return self._candidates.due_s(stage, asked_s, len(self._left) - 1, left_s)

    def _source(self, metered: "_Metered", text: str) -> AsyncGenerator[Clip]:
        share = StageBudget(self._budget, lambda: len(self._left) > 1, reserve_s=LEFT_AT_END_S)
        if self._phrases is None:
            return metered.synthesize(text, share, previous=self._previous)
        return self._phrases.cached(metered, text, share, self._previous)


class _Metered(TextToSpeech):
    """A voice that tells what it was really asked to say: what comes from a cache costs nothing."""

    def __init__(self, stage: TextToSpeech, used: RecordUsage) -> None:
        self.config = stage.config
        self.asked = False
        self._stage = stage
        self._used = used

    @property
    def model(self) -> str:
        """The model of the voice."""
        return self._stage.model

    @property
    def voice(self) -> str:
        """The voice itself."""
        return self._stage.voice

    @property
    def variant(self) -> Mapping[str, Any]:
        """What changes its sound."""
        return self._stage.variant

    @property
    def heeds_previous(self) -> bool:
        """Whether it sounds different after something else."""
        return self._stage.heeds_previous

    async def check(self, budget: Budget) -> None:
        """Ask the voice itself."""
        await self._stage.check(budget)

    def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Speak, and note what that is billed as."""
        self.asked = True
        self._used(self._stage, self._stage.bill(text))
        return self._stage.synthesize(text, budget, previous=previous)
