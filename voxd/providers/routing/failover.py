"""Tries providers in order until one replies; each gets the same utterance, so it is not repeated."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Self

from voxd.clock import Clock
from voxd.errors import (
    ConfigError,
    DeadlineExceeded,
    LocalEngineError,
    ModelError,
    NotFound,
    NotUnderstood,
    ProviderError,
    SpendLimitReached,
    VoxdError,
)
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.frames import Clip
from voxd.preference import order_candidates
from voxd.providers.audio_buffer import record
from voxd.providers.contract import (
    ActionTaken,
    PlaybackResult,
    Provider,
    ReplyAudio,
    ReplyEnd,
    ReplyItem,
    ReplyText,
    Request,
    StepReached,
    Transcript,
)
from voxd.providers.routing.announcements import announce_failover, announce_queued, explain
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.question import FailoverTurn
from voxd.providers.routing.spend import SpendGuard
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

Keep = Callable[[str, Clip | None, str], Awaitable[bool]]
"""Queues a question: agent, sound, or text; True only when it is safe on disk."""

EXPLAIN_AFTER_S = 2.5
"""When no reply is audible after this time, the reason is announced before it."""

VENDOR_LIMIT_S = 4.0
"""After this time no further vendor is tried if the device itself can answer."""

READ_AHEAD = 32
"""Items of a reply that are buffered: some seconds of sound. Then the provider has to wait."""

FAILOVER_ERRORS = (
    ProviderError,
    DeadlineExceeded,
    ConfigError,
    NotFound,
    NotUnderstood,
    LocalEngineError,
    ModelError,
)
"""Errors after which another provider may answer: all but those of the microphone and bugs."""

# Deliberate refusals, which hold for every provider.
_FINAL_CODES = frozenset({"message_stopped"})


class FailedBeforeReply(Exception):
    """A provider failed before any of its reply was audible, so another one can still answer."""

    def __init__(self, error: VoxdError) -> None:
        super().__init__(str(error))
        self.error = error


class ReadAhead:
    """Reads ``replies`` in the background inside ``async with``, and closes them at its end.

    A provider can then work while an announcement is played.
    """

    def __init__(self, replies: AsyncGenerator[ReplyItem]) -> None:
        self._replies = replies
        self._items: deque[ReplyItem] = deque()
        self._is_over = False
        self._changed = asyncio.Condition()
        self._tasks = TaskScope("read ahead")
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._reading = self._tasks.start(self._read(), is_awaited=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.close()
        if self._reading is not None and not self._reading.cancelled():
            # Retrieved, in case the reply is closed before its error was reached.
            self._reading.exception()

    async def wait_ready(self) -> None:
        """Return when `next` need not wait."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._items or self._is_over)

    async def next(self) -> ReplyItem | None:
        """Return the next item, None where the reply breaks off; raises what the reply raised.

        After `ReplyEnd` there is none.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._items or self._is_over)
            if self._items:
                self._changed.notify_all()
                return self._items.popleft()
        if self._reading is not None:
            await self._reading
        return None

    async def _read(self) -> None:
        try:
            async with aclosing(self._replies) as replies:
                async for item in replies:
                    async with self._changed:
                        await self._changed.wait_for(lambda: len(self._items) < READ_AHEAD)
                        self._items.append(item)
                        self._changed.notify_all()
                    if isinstance(item, ReplyEnd):
                        # Closing the generator reports how much was played, which is not known yet.
                        await asyncio.Event().wait()
        finally:
            # Also after an error, which `next` raises from the task.
            self._is_over = True
            async with self._changed:
                self._changed.notify_all()


class FailoverProvider:
    """Tries ``candidates`` in order until some of a reply is audible; after that an error ends the turn.

    ``local``, the device itself, may be one of them, and speaks the announcements. Unhealthy providers and
    those at their spending limit are skipped while there is another one. ``keep`` queues a question that no
    provider answered.
    """

    def __init__(
        self,
        candidates: Sequence[Provider],
        local: Provider,
        *,
        health: CircuitBreaker,
        spend: SpendGuard,
        emit: Emit,
        clock: Clock,
        keep: Keep | None = None,
    ) -> None:
        self.candidates = tuple(candidates)
        self._local = local
        self._health = health
        self._spend = spend
        self._emit = emit
        self._clock = clock
        self._keep = keep
        self._answering = self.name

    @property
    def name(self) -> str:
        """The name of the preferred provider."""
        return self.candidates[0].name

    @property
    def answering(self) -> str:
        """The name of the provider that would answer now."""
        return next((each.name for each in self.candidates if self._problem(each) is None), self.name)

    @property
    def problem(self) -> VoxdError | None:
        """Why the preferred provider would not answer now, None when it would."""
        return self._problem(self.candidates[0])

    def prepare(self) -> None:
        """Prepare the provider that will answer, and the device itself during an outage: it may be next."""
        first = next((each for each in self.candidates if self._problem(each) is None), None)
        if first is not None:
            first.prepare()
        if self.problem is not None and first is not self._local:
            self._local.prepare()

    async def converse(self, request: Request) -> AsyncGenerator[ReplyItem]:
        """Answer ``request``. Raises the first provider's error if none answered and it was not queued."""
        async with AsyncExitStack() as stack:
            recording = None
            if request.audio is not None:
                recording = await stack.enter_async_context(record(request.audio))
            turn = await stack.enter_async_context(FailoverTurn(request, recording, self._clock))
            # Each provider reads the utterance from its beginning, in its own pace.
            for provider in self._order(turn):
                self._report_change(provider, turn)
                try:
                    async with aclosing(self._reply(provider, turn)) as replies:
                        async for item in replies:
                            yield item
                    return
                except FailedBeforeReply as failure:
                    self._record_failure(provider, failure.error, turn)
            async with aclosing(self._give_up(turn)) as replies:
                async for item in replies:
                    yield item

    def vendor(self) -> str:
        """Return the name of the vendor that would answer now. Raises why there is none."""
        vendors = [each for each in self.candidates if each is not self._local]
        problems = {each.name: self._problem(each) for each in vendors}
        for name, problem in problems.items():
            if problem is None:
                return name
        raise next(filter(None, problems.values()), NotFound("no vendor is configured for this agent"))

    def speak(self, text: str) -> AsyncGenerator[Clip]:
        """Speak ``text`` with the device's own voice."""
        return self._local.speak(text)

    async def close(self) -> None:
        """Close the vendors; ``local`` is shared by all agents and closed by its owner."""
        await asyncio.gather(*(each.close() for each in self.candidates if each is not self._local))

    # --- the order --------------------------------------------------------------------------------

    def _problem(self, provider: Provider) -> VoxdError | None:
        if provider is self._local:
            return None
        if stopped := self._spend.stopped(provider.name):
            return stopped
        outage = self._health.outage(provider.name)
        return None if outage is None or self._health.is_healthy(provider.name) else outage.error

    def _order(self, turn: FailoverTurn) -> Iterator[Provider]:
        """Yield the providers to try. Lazy: what became of one decides whether the next is tried."""
        has_local = self._local in self.candidates

        def is_healthy(provider: Provider) -> bool:
            problem = self._problem(provider)
            if problem is not None:
                turn.failures.append((provider.name, problem))
            return problem is None

        def can_try(provider: Provider) -> bool:
            stopped = self._spend.stopped(provider.name) is not None
            return not has_local and not stopped and self._health.can_try(provider.name)

        for provider in order_candidates(
            self.candidates, is_healthy=is_healthy, can_try=can_try, is_last_resort=False
        ):
            # The user has waited long enough: the device itself answers at once, a further vendor may not.
            is_late = has_local and bool(turn.failures) and turn.waited_s > VENDOR_LIMIT_S
            if provider is self._local or not is_late:
                yield provider

    def _report_change(self, provider: Provider, turn: FailoverTurn) -> None:
        """Emit an event when another provider answers than before."""
        before, name = self._answering, provider.name
        # The device answers the preferred vendor's empty utterances too: that is not a failover.
        if name == before or not (turn.has_failed or provider is self.candidates[0]):
            return
        reason = turn.reason[1].code if turn.failures else "restored"
        self._answering = name
        self._emit(E.PROVIDER_CHANGED, **{"from": before, "to": name, "reason": reason})

    def _record_failure(self, provider: Provider, error: VoxdError, turn: FailoverTurn) -> None:
        # The device is in order: the question was simply not for it.
        if isinstance(error, NotUnderstood):
            return
        turn.failures.append((provider.name, error))
        if provider is not self._local:
            self._health.record_failure(provider.name, error)
            if self._local in self.candidates:
                self._local.prepare()

    # --- the reply --------------------------------------------------------------------------------

    async def _reply(self, provider: Provider, turn: FailoverTurn) -> AsyncGenerator[ReplyItem]:
        """Yield the reply of ``provider``, and once per outage why it is not the preferred one's.

        The reason follows the reply if that is there in time; else it is said while the provider works.
        """
        if not turn.failures:
            async with aclosing(self._attempt(provider, turn)) as replies:
                async for item in replies:
                    yield item
            return
        is_audible = False
        async with ReadAhead(self._attempt(provider, turn)) as ahead:
            while True:
                if not is_audible and await turn.is_late(ahead.wait_ready, EXPLAIN_AFTER_S):
                    async with aclosing(self._announce(turn, provider.name, first=True)) as items:
                        async for item in items:
                            yield item
                    is_audible = True
                next_item = await ahead.next()
                if next_item is None:
                    return
                if isinstance(next_item, ReplyEnd) and not next_item.expects_answer:
                    async with aclosing(self._announce(turn, provider.name)) as items:
                        async for item in items:
                            yield item
                is_audible = is_audible or not isinstance(next_item, Transcript | StepReached)
                yield next_item
                if isinstance(next_item, ReplyEnd):
                    return

    async def _attempt(self, provider: Provider, turn: FailoverTurn) -> AsyncGenerator[ReplyItem]:
        """Yield the reply of ``provider``.

        Raises `FailedBeforeReply` when it fails before any of it is audible. Raises what the provider raises
        after that, and after it has acted: a second provider would set the same timer again.
        """
        original, played = turn.request, PlaybackResult()
        is_last = provider is self.candidates[-1]
        request = replace(
            original,
            audio=turn.recording.play() if turn.recording is not None else None,
            playback=played,
            # Where a vendor follows or has failed, an apology would only stand in the way.
            known_only=provider is self._local and (turn.has_failed or not is_last),
        )
        held_back: list[ReplyItem] = []
        is_audible = has_acted = False
        try:
            async with aclosing(provider.converse(request)) as replies:
                try:
                    async for item in replies:
                        if isinstance(item, ActionTaken):
                            has_acted = True
                            continue
                        if is_audible or isinstance(item, Transcript | StepReached):
                            yield item
                            continue
                        held_back.append(item)
                        if original.speak and isinstance(item, ReplyText):
                            continue  # text whose sound does not come must not appear in the reply
                        is_audible = True
                        if provider is not self._local:
                            self._health.record_success(provider.name)
                        for each in held_back:
                            yield each
                finally:
                    # Before the generator is closed: the provider reads it then, to cut its history.
                    played.played_ms = turn.played_ms()
        except FAILOVER_ERRORS as error:
            if is_audible or has_acted or error.code in _FINAL_CODES:
                raise
            raise FailedBeforeReply(error) from error

    async def _announce(
        self, turn: FailoverTurn, instead: str, *, first: bool = False
    ) -> AsyncGenerator[ReplyItem]:
        for name, error in turn.failures:
            if self._should_announce(name, error, turn):
                failed, turn.is_announced = self._failing_member(name, error), True
                # The device may still fail to understand the question, so the reason is all that is sure.
                if first and instead == self._local.name:
                    text = explain(error.code, failed)
                else:
                    text = announce_failover(error.code, failed, instead)
                async with aclosing(self._say(text, turn, first=first)) as items:
                    async for item in items:
                        yield item
                return

    def _should_announce(self, name: str, error: VoxdError, turn: FailoverTurn) -> bool:
        source = self._spend if isinstance(error, SpendLimitReached) else self._health
        return source.should_announce(name, aloud=turn.request.speak)

    def _failing_member(self, name: str, error: VoxdError) -> str:
        if isinstance(error, SpendLimitReached):
            return error.provider or name
        return self._health.failing_member(name)

    async def _say(self, text: str, turn: FailoverTurn, *, first: bool = False) -> AsyncGenerator[ReplyItem]:
        yield ReplyText(text)
        if not turn.request.speak:
            return
        try:
            async with aclosing(self._local.speak(text)) as clips:
                async for clip in clips:
                    turn.said_before_ms += clip.duration_s * 1000 if first else 0.0
                    yield ReplyAudio(clip)
        except (LocalEngineError, ModelError, DeadlineExceeded) as error:
            # The provider speaks with its own voice: an announcement that fails must not cost the answer.
            _log.warning("cannot speak an announcement: %s; %s", error, error.hint)

    async def _give_up(self, turn: FailoverTurn) -> AsyncGenerator[ReplyItem]:
        """Queue the question and say so, or raise why it is not answered."""
        name, error = turn.reason
        if not turn.has_failed or not await self._is_queued(turn):
            raise error
        self._should_announce(name, error, turn)
        text = announce_queued(error.code, self._failing_member(name, error), is_known=turn.is_announced)
        async with aclosing(self._say(text, turn)) as items:
            async for item in items:
                yield item
        yield ReplyEnd()

    async def _is_queued(self, turn: FailoverTurn) -> bool:
        # Waits for the end of speech: a provider may have failed while the user still spoke.
        clip = await turn.recording.whole() if turn.recording is not None else None
        try:
            return self._keep is not None and await self._keep(
                turn.request.agent, clip, turn.request.text or ""
            )
        except VoxdError as error:
            _log.warning("cannot queue a question: %s; %s", error, error.hint)
            return False
