"""One answer on its way: spoken while it is written, its words told with the sound they belong to."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from voxd.clock import Clock
from voxd.errors import ProviderError, StreamError, VoxdError
from voxd.frames import Clip
from voxd.providers import events
from voxd.providers.pipeline.candidates import TIMEOUT
from voxd.providers.pipeline.conversation import SpokenAnswer, SpokenPiece
from voxd.providers.pipeline.llm_chain import AnswerEnd, Restart
from voxd.providers.pipeline.prompt import PendingAnswer
from voxd.providers.pipeline.stage_stream import Crew, run_until
from voxd.providers.pipeline.tts_chain import RATE_HZ, TtsTurn
from voxd.providers.realtime.connect import translate_errors
from voxd.text import ClauseSplitter

BROKEN_OFF = "Sorry, I lost the thread there."
"""Said once when the model broke off in the middle of a sentence: nobody else may begin the answer again."""

MAX_PIECES = 32
"""Clauses that wait to be spoken; a model that is further ahead has to wait."""

_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", ":", '"', "”", ")")  # noqa: RUF001

FilterClause = Callable[[str], Awaitable[str | None]]
"""Passes a clause through the middleware; None when it is not to be said."""


Work = Callable[[], Awaitable[None]]


class ReplyTask:
    """``asked`` is what the model writes; ``new_reading`` returns a voice, None when only text is wanted.

    ``through`` is the middleware, None without any.
    """

    def __init__(
        self,
        response_id: str,
        asked: PendingAnswer,
        *,
        new_reading: Callable[[], TtsTurn] | None,
        through: FilterClause | None,
        report: events.OnEvent,
        crew: Crew,
        clock: Clock,
    ) -> None:
        self.response_id = response_id
        self.answer = SpokenAnswer()
        self._thoughts = asked.thoughts
        self._new_reading = new_reading
        self._through = through
        self._begun = asked.begun
        self._budget = asked.budget
        self._report_event = report
        self._crew = crew
        self._clock = clock
        self._over = asyncio.Event()
        self._error: VoxdError | None = None
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue(MAX_PIECES)
        self._last = ""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._silent = False

    async def run(self) -> None:
        """Run until the reply is complete. Raises `VoxdError`; what was said until then is in ``answer``."""
        self._report(events.ResponseStarted(self.response_id))
        self._start("output", self._put_out)
        self._start("writing", self._write)
        try:
            await run_until(self._clock, self._underway(), self._budget.until_s)
            await self._over.wait()
        except TimeoutError:
            raise ProviderError("no answer came in time", code=TIMEOUT) from None
        finally:
            self._end_tasks()
        if self._error is not None:
            raise self._error
        self._report_whole()

    def give_up(self) -> None:
        """Silence it at once: nothing more of it is told."""
        self._silent = True
        self._end_tasks()

    async def _underway(self) -> None:
        """Wait until something of the answer went out, or all is over."""
        waits = [self._crew.start(event.wait(), "wait") for event in (self._begun, self._over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _start(self, name: str, work: Work) -> None:
        self._tasks[name] = self._crew.start(self._guarded(work), name)

    async def _guarded(self, work: Work) -> None:
        try:
            with translate_errors(""):
                await work()
        except VoxdError as error:
            self._error = self._error or error
            self._over.set()

    def _end_tasks(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    # --- writing ----------------------------------------------------------------------------------

    async def _write(self) -> None:
        splitter = ClauseSplitter()
        try:
            async with aclosing(self._thoughts) as thoughts:
                async for thought in thoughts:
                    if isinstance(thought, Restart):
                        if self._begun.is_set():
                            # It was heard just before the other model was asked.
                            raise StreamError("the answer was broken off")
                        splitter = ClauseSplitter()
                        self._begin_again()
                    elif isinstance(thought, AnswerEnd):
                        self.answer.completed(thought.end, thought.vendor)
                    elif self._is_raw:
                        await self._pieces.put(thought.text)
                    else:
                        await self._say(splitter.feed(thought.text))
            await self._say(splitter.finish())
        except VoxdError as error:
            if not self._begun.is_set():
                raise
            # What was cut off is not spoken: half a sentence can mean the opposite.
            if self._new_reading is not None and (splitter.rest or self._is_mid_sentence):
                await self._say([BROKEN_OFF])
            else:
                self._error = error
        await self._pieces.put(None)

    @property
    def _is_raw(self) -> bool:
        """Whether the words go out as the model writes them: nobody speaks or changes them."""
        return self._new_reading is None and self._through is None

    @property
    def _is_mid_sentence(self) -> bool:
        return not self._last.endswith(_SENTENCE_ENDS)

    async def _say(self, clauses: list[str]) -> None:
        for clause in clauses:
            said = clause if self._through is None else await self._through(clause)
            if said and said.strip():
                self._last = said.strip()
                await self._pieces.put(self._last)

    def _begin_again(self) -> None:
        """Another model writes: what the one before wrote was not spoken, and is not going to be."""
        self._tasks["output"].cancel()
        self._pieces = asyncio.Queue(MAX_PIECES)
        self._start("output", self._put_out)

    # --- telling ----------------------------------------------------------------------------------

    async def _put_out(self) -> None:
        """Speak, or only tell, the pieces as they come; the answer is over behind the last one."""
        pieces = self._pieces
        reading = self._new_reading() if self._new_reading is not None else None
        while (piece := await pieces.get()) is not None:
            if reading is None:
                self._said(piece)
                continue
            told = False
            async with aclosing(reading.speak(piece)) as clips:
                async for clip in clips:
                    if not told:
                        told = True
                        self._said(piece)
                    self._sounded(clip)
            if told:
                self.answer.spoken[-1] = replace(self.answer.spoken[-1], whole=True)
        self._over.set()

    def _said(self, piece: str) -> None:
        """``piece`` goes out now: its words are told just before its first sound."""
        if not self._begun.is_set():
            self._begun.set()
            # Something is heard: the rest may take its time.
            self._budget.until_s = None
            if self._new_reading is not None:
                self._report(events.AudioOutputStarted(RATE_HZ, self.response_id, self._item_id))
        text = piece if self._is_raw or not self.answer.spoken else f" {piece}"
        self.answer.spoken.append(SpokenPiece(text))
        self._report(events.TextOutput(text, is_partial=True, response_id=self.response_id))

    def _sounded(self, clip: Clip) -> None:
        last = self.answer.spoken[-1]
        self.answer.spoken[-1] = replace(last, sound_ms=last.sound_ms + clip.duration_s * 1000)
        self._report(events.AudioOutputChunk(clip.pcm, clip.rate_hz, 1, self.response_id, self._item_id))

    def _report_whole(self) -> None:
        if not self.answer.spoken:
            return
        self._report(events.TextOutput(self.answer.text, response_id=self.response_id))
        if self._new_reading is not None:
            self._report(events.AudioOutputStopped(self.answer.sound_ms, self.response_id, self._item_id))

    @property
    def _item_id(self) -> str:
        return f"{self.response_id}_item"

    def _report(self, event: events.ProviderEvent) -> None:
        if not self._silent:
            self._report_event(event)
