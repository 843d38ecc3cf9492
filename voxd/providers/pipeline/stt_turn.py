"""One spoken question: heard while it is spoken, and answered early if its words seem settled."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from voxd.clock import Clock
from voxd.errors import ProviderError
from voxd.providers.audio_buffer import AudioBuffer
from voxd.providers.pipeline.stage_stream import Crew
from voxd.providers.pipeline.stages.contract import TranscriptionRequest
from voxd.providers.pipeline.stt_chain import RecordUsage, SttChain, SttUpdate

SETTLED_S = 0.3
"""Words that have not changed for so long are likely to be all."""

OnGuess = Callable[[str | None], None]
"""Is told what the user has probably said, None when that was wrong."""


class SttTurn:
    """Listens from the first sound on. ``partial`` is told what is understood meanwhile.

    ``guess`` is told words that seem settled: unchanged for `SETTLED_S`, or called stable by the vendor.
    """

    def __init__(
        self,
        chain: SttChain,
        told: TranscriptionRequest,
        *,
        partial: Callable[[SttUpdate], None],
        guess: OnGuess | None,
        used: RecordUsage,
        crew: Crew,
        clock: Clock,
    ) -> None:
        self.utterance = AudioBuffer()
        self.budget = told.budget
        self._chain = chain
        self._told = told
        self._partial = partial
        self._guess = guess
        self._used = used
        self._crew = crew
        self._clock = clock
        self._words = ""
        self._settling: asyncio.Task[None] | None = None
        self._task = crew.start(self._hear(), "hearing")

    def end(self, now_s: float, until_s: float) -> None:
        """The user has finished; something is to be heard of an answer by ``until_s``."""
        self.budget.until_s = until_s
        self.utterance.close(now_s=now_s)

    async def understood(self) -> SttUpdate:
        """Return what he said. Raises `VoxdError`."""
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if self._task.cancelled():
                raise ProviderError("the question was given up") from None
            raise

    def give_up(self) -> None:
        """Stop listening at once; idempotent."""
        self._task.cancel()
        self._unsettle()

    async def _hear(self) -> SttUpdate:
        chain = self._chain
        async with aclosing(chain.hear(self.utterance, self._told, self._crew, self._used)) as heard:
            async for understood in heard:
                if understood.final:
                    self._unsettle()
                    return understood
                self._partial(understood)
                self._consider(understood)
        raise ProviderError("nobody said what he understood")

    def _consider(self, understood: SttUpdate) -> None:
        """Guess now, or after a while, or not at all."""
        if self._guess is None:
            return
        words, before = normalize(understood.text), self._words
        if words != before:
            self._words = words
            self._unsettle()
            self._guess(None)
        if not words:
            return
        if understood.stable:
            self._guess(understood.text)
        elif words != before:
            self._settling = self._crew.start(self._settle(understood.text, self._guess), "settling")

    async def _settle(self, text: str, guess: OnGuess) -> None:
        await self._clock.sleep(SETTLED_S)
        guess(text)

    def _unsettle(self) -> None:
        if self._settling is not None:
            self._settling.cancel()


def normalize(text: str) -> str:
    """Return the words of ``text`` alone: two transcripts that only differ in commas ask the same."""
    letters = (letter if letter.isalnum() or letter in "'+-%$€£°" else " " for letter in text.lower())
    return " ".join("".join(letters).split())
