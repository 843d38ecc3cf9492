"""Caches the text of answers in memory: the same question in the same conversation is paid for once."""

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
from voxd.providers.pipeline.stages.contract import Completion, Prompt, TextChunk

MAX_ANSWERS = 128
"""The least recently used answer is removed beyond this."""

CACHE = "answers"
"""The name in ``cache.used``."""


@dataclass(frozen=True, slots=True)
class _CachedAnswer:
    text: str
    until_s: float


def answer_key(prompt: Prompt, models: Sequence[str]) -> str:
    """Return the cache key: a hash of everything that is sent to ``models``."""
    messages = [
        # Vendors choose call ids at random, so ids and raw data would make every key unique.
        (
            message.role,
            message.text,
            [(call.name, call.arguments) for call in message.calls],
            message.tool,
            message.ok,
        )
        for message in prompt.messages
    ]
    # Instructions and tools too: another persona, or one more tool, gives another answer.
    identity = (
        list(models),
        prompt.instructions,
        messages,
        prompt.tools,
        prompt.may_call,
        prompt.temperature,
        prompt.max_output_tokens,
    )
    return hashlib.sha256(msgspec.json.encode(identity)).hexdigest()


class AnswerCache:
    """One for each pipeline. Holds complete text answers for ``ttl_s``, none that call tools."""

    def __init__(self, ttl_s: float, *, emit: Emit, clock: Clock) -> None:
        self._ttl_s = ttl_s
        self._emit = emit
        self._clock = clock
        self._cached: OrderedDict[str, _CachedAnswer] = OrderedDict()
        self._pending: dict[str, asyncio.Future[str | None]] = {}
        # Counts the calls of `forget`: an answer that began before one is not stored after it.
        self._generation = 0

    async def fetch(self, key: str, answer: AsyncGenerator[AnswerEvent]) -> AsyncGenerator[AnswerEvent]:
        """Yield the cached answer of ``key``, else the events of ``answer``, which are recorded.

        A second request for the same key waits for the first, and runs its own ``answer`` if that fails.
        """
        cached, pending, text = self._cached.get(key), self._pending.get(key), None
        if cached is not None and self._clock.monotonic() < cached.until_s:
            self._cached.move_to_end(key)
            text = cached.text
        elif pending is not None:
            # Shielded: the future belongs to the first request, a cancelled second one must not cancel it.
            text = await asyncio.shield(pending)
        self._emit(E.CACHE_USED, cache=CACHE, hit=text is not None)
        if text is not None:
            await answer.aclose()
            yield TextChunk(text)
            yield AnswerEnd(Completion("stop"), "")
            return
        async with aclosing(self._record(key, answer)) as events:
            async for event in events:
                yield event

    def forget(self) -> None:
        """Remove everything; answers in progress are not cached either."""
        self._generation += 1
        self._cached.clear()

    async def _record(self, key: str, answer: AsyncGenerator[AnswerEvent]) -> AsyncGenerator[AnswerEvent]:
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._pending.setdefault(key, future)
        text, whole, generation = "", None, self._generation
        try:
            async with aclosing(answer) as events:
                async for event in events:
                    if isinstance(event, TextChunk):
                        text += event.text
                    elif isinstance(event, Restart):
                        text = ""
                    # A call of a tool acts, or reads what is true now only: such an answer is not repeated.
                    elif event.completion.reason == "stop" and not event.completion.calls and text.strip():
                        whole = text
                    yield event
        finally:
            # Also after a failure: a caller that waits then requests an answer of its own.
            future.set_result(whole)
            if self._pending.get(key) is future:
                del self._pending[key]
            if whole is not None and generation == self._generation:
                self._cached[key] = _CachedAnswer(whole, self._clock.monotonic() + self._ttl_s)
                self._cached.move_to_end(key)
                if len(self._cached) > MAX_ANSWERS:
                    self._cached.popitem(last=False)
