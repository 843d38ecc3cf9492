"""Keeps answers for a while: the same question in the same conversation is not paid for twice."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from voxd.clock import Clock
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.providers.pipeline.llm_chain import AnswerEnd, AnswerEvent, Restart
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, Prompt, TextChunk

MAX_ANSWERS = 128
"""The one that was not used for longest is forgotten."""

CACHE = "answers"
"""The name in ``cache.used``."""


@dataclass(frozen=True, slots=True)
class _Kept:
    text: str
    until_s: float


def key_of(prompt: Prompt, models: Sequence[str]) -> str:
    """Return what identifies an answer: everything that was told, and to whom."""
    told = (
        list(models),
        prompt.instructions,
        [_line(message) for message in prompt.messages],
        prompt.tools,
        prompt.temperature,
        prompt.max_output_tokens,
    )
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


class AnswerCache:
    """One for each pipeline. Only whole answers in words are kept, none that call tools."""

    def __init__(self, ttl_s: float, *, emit: Emit, clock: Clock) -> None:
        self._ttl_s = ttl_s
        self._emit = emit
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._underway: dict[str, asyncio.Future[str | None]] = {}
        self._forgotten = 0

    async def through(self, key: str, asked: AsyncGenerator[AnswerEvent]) -> AsyncGenerator[AnswerEvent]:
        """Yield the answer kept under ``key``, else what ``asked`` yields.

        Who asks the same while somebody already does waits for that answer, and asks himself if it fails.
        """
        text = await self._known(key)
        self._emit(E.CACHE_USED, cache=CACHE, hit=text is not None)
        if text is not None:
            await asked.aclose()
            yield TextChunk(text)
            yield AnswerEnd(Completion("stop"), "")
            return
        async with aclosing(self._recorded(key, asked)) as thoughts:
            async for thought in thoughts:
                yield thought

    def forget(self) -> None:
        """Forget everything; what is being answered now will not be kept either."""
        self._forgotten += 1
        self._kept.clear()

    async def _known(self, key: str) -> str | None:
        kept = self._kept.get(key)
        if kept is not None and self._clock.monotonic() < kept.until_s:
            self._kept.move_to_end(key)
            return kept.text
        underway = self._underway.get(key)
        return await asyncio.shield(underway) if underway is not None else None

    async def _recorded(self, key: str, asked: AsyncGenerator[AnswerEvent]) -> AsyncGenerator[AnswerEvent]:
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._underway.setdefault(key, future)
        text, whole, forgotten = "", None, self._forgotten
        try:
            async with aclosing(asked) as thoughts:
                async for thought in thoughts:
                    if isinstance(thought, TextChunk):
                        text += thought.text
                    elif isinstance(thought, Restart):
                        text = ""
                    elif thought.end.reason == "stop" and not thought.end.calls and text.strip():
                        whole = text
                    yield thought
        finally:
            future.set_result(whole)
            if self._underway.get(key) is future:
                del self._underway[key]
            if whole is not None and forgotten == self._forgotten:
                self._keep(key, whole)

    def _keep(self, key: str, text: str) -> None:
        self._kept[key] = _Kept(text, self._clock.monotonic() + self._ttl_s)
        self._kept.move_to_end(key)
        if len(self._kept) > MAX_ANSWERS:
            self._kept.popitem(last=False)


def _line(message: ChatMessage) -> tuple[object, ...]:
    calls = [(call.name, call.arguments) for call in message.calls]
    return (message.role, message.text, calls, message.tool, message.ok)
