"""Answers with the first of several who can: the same utterance goes to the next, so nobody says it twice."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing

from voxd.clock import Clock
from voxd.errors import (
    DeadlineExceeded,
    EngineError,
    ModelError,
    NotFound,
    NotUnderstood,
    SpendLimitReached,
    VoxdError,
)
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.frames import Clip
from voxd.providers.audio_buffer import Tape
from voxd.providers.contract import (
    Provider,
    ReplyAudio,
    ReplyEnd,
    ReplyItem,
    ReplyText,
    Request,
    StepReached,
    Transcript,
)
from voxd.providers.routing.announcements import kept, notice, reason
from voxd.providers.routing.attempt import FailedBeforeReply, attempt
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.question import Question
from voxd.providers.routing.relay import Relay
from voxd.providers.routing.spend import SpendGuard

_log = logging.getLogger(__name__)

Keep = Callable[[str, Clip | None, str], Awaitable[bool]]
"""Keeps a question for later: agent, sound, or text; True only when it is safe on disk."""

LATE_S = 2.5
"""When nothing of an answer is heard so long after the question, the user is first told what is wrong."""

PATIENCE_S = 4.0
"""So long after the question no further vendor is asked when the device itself can answer."""


class FailoverProvider:
    """Asks ``candidates`` in order, until something of a reply is heard; after that a fault ends the turn.

    ``local``, the device itself, may be one of them, and says what has to be said. Nobody is asked who is
    ill or may cost nothing more today, unless nobody else is left. What nobody answers is given to ``keep``.
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
        """The name of the provider that is to answer."""
        return self.candidates[0].name

    @property
    def answering(self) -> str:
        """The name of the provider that would answer now."""
        able = (each.name for each in self.candidates if self._problem(each) is None)
        return next(able, self.name)

    @property
    def problem(self) -> VoxdError | None:
        """Why the one who should answer does not, None when he does."""
        return self._problem(self.candidates[0])

    def prepare(self) -> None:
        """Prepare whoever will answer, and the device itself if somebody is ill: it may be the next."""
        able = [each for each in self.candidates if self._problem(each) is None]
        for provider in able[:1]:
            provider.prepare()
        if self.problem is not None and able[:1] != [self._local]:
            self._local.prepare()

    async def converse(self, request: Request) -> AsyncGenerator[ReplyItem]:
        """Answer ``request``. Raises why the first did not, when nobody did and it could not be kept."""
        async with AsyncExitStack() as stack:
            tape = None
            if request.audio is not None:
                tape = await stack.enter_async_context(Tape(request.audio))
            turn = await stack.enter_async_context(Question(request, tape, self._clock))
            for provider in self._order(turn):
                self._turn_to(provider, turn)
                try:
                    async with aclosing(self._told(provider, turn)) as replies:
                        async for item in replies:
                            yield item
                    return
                except FailedBeforeReply as failure:
                    self._failed(provider, failure.error, turn)
            async with aclosing(self._given_up(turn)) as replies:
                async for item in replies:
                    yield item

    def vendor(self) -> str:
        """Return the name of the vendor who would answer now. Raises why there is none."""
        vendors = [each for each in self.candidates if each is not self._local]
        problems = {each.name: self._problem(each) for each in vendors}
        for name, problem in problems.items():
            if problem is None:
                return name
        raise next(filter(None, problems.values()), NotFound("there is no vendor who could answer"))

    def speak(self, text: str) -> AsyncGenerator[Clip]:
        """Speak ``text`` with the device's own voice."""
        return self._local.speak(text)

    async def close(self) -> None:
        """Close the candidates; ``local`` is everybody's."""
        others = [each for each in self.candidates if each is not self._local]
        await asyncio.gather(*(each.close() for each in others))

    # --- who --------------------------------------------------------------------------------------

    def _problem(self, provider: Provider) -> VoxdError | None:
        if provider is self._local:
            return None
        if stopped := self._spend.stopped(provider.name):
            return stopped
        illness = self._health.outage(provider.name)
        well = illness is None or self._health.is_healthy(provider.name)
        return None if well or illness is None else illness.error

    def _order(self, turn: Question) -> Iterator[Provider]:
        """Yield whom to ask; what became of one decides who is next."""
        has_local = self._local in self.candidates
        passed_over: list[Provider] = []
        for provider in self.candidates:
            if problem := self._problem(provider):
                turn.failures.append((provider.name, problem))
                passed_over.append(provider)
            elif provider is self._local or not (has_local and turn.failures and turn.waited_s > PATIENCE_S):
                yield provider
        if has_local:
            return
        for provider in passed_over:
            stopped = self._spend.stopped(provider.name) is not None
            if not stopped and self._health.can_try(provider.name):
                yield provider

    def _turn_to(self, provider: Provider, turn: Question) -> None:
        """Tell the house when another one answers than before."""
        before, name = self._answering, provider.name
        if name == before or not (turn.is_anybodys_fault or provider is self.candidates[0]):
            return
        reason = turn.reason[1].code if turn.failures else "restored"
        self._answering = name
        self._emit(E.PROVIDER_CHANGED, **{"from": before, "to": name, "reason": reason})

    def _failed(self, provider: Provider, error: VoxdError, turn: Question) -> None:
        if isinstance(error, NotUnderstood):
            return
        turn.failures.append((provider.name, error))
        if provider is not self._local:
            self._health.record_failure(provider.name, error)
            if self._local in self.candidates:
                self._local.prepare()

    # --- the reply --------------------------------------------------------------------------------

    async def _told(self, provider: Provider, turn: Question) -> AsyncGenerator[ReplyItem]:
        """Yield the reply of ``provider``, and once in an outage why it is his.

        The answer comes first if it is there in time; while the reason is told he goes on working.
        """
        if not turn.failures:
            async with aclosing(self._attempt(provider, turn)) as replies:
                async for item in replies:
                    yield item
            return
        heard = False
        async with Relay(self._attempt(provider, turn)) as relay:
            while True:
                if not heard and await turn.is_late(relay.ready, LATE_S):
                    async with aclosing(self._notice(turn, provider.name, first=True)) as said:
                        async for item in said:
                            yield item
                    heard = True
                found = await relay.next()
                if found is None:
                    return
                if isinstance(found, ReplyEnd) and not found.expects_answer:
                    async with aclosing(self._notice(turn, provider.name)) as said:
                        async for item in said:
                            yield item
                heard = heard or not isinstance(found, Transcript | StepReached)
                yield found
                if isinstance(found, ReplyEnd):
                    return

    def _attempt(self, provider: Provider, turn: Question) -> AsyncGenerator[ReplyItem]:
        is_last = provider is self.candidates[-1]
        known_only = provider is self._local and (turn.is_anybodys_fault or not is_last)
        return attempt(provider, turn, known_only=known_only, begun=lambda: self._answered(provider))

    def _answered(self, provider: Provider) -> None:
        if provider is not self._local:
            self._health.record_success(provider.name)

    async def _notice(
        self, turn: Question, instead: str, *, first: bool = False
    ) -> AsyncGenerator[ReplyItem]:
        for name, error in turn.failures:
            if self._tell(name, error, turn):
                who, turn.is_told = self._culprit(name, error), True
                # The device may still find that it does not understand.
                alone = first and instead == self._local.name
                text = reason(error.code, who) if alone else notice(error.code, who, instead)
                async with aclosing(self._said(text, turn, first=first)) as said:
                    async for item in said:
                        yield item
                return

    def _tell(self, name: str, error: VoxdError, turn: Question) -> bool:
        if isinstance(error, SpendLimitReached):
            return self._spend.should_announce(name, aloud=turn.request.speak)
        return self._health.should_announce(name, aloud=turn.request.speak)

    def _culprit(self, name: str, error: VoxdError) -> str:
        if isinstance(error, SpendLimitReached):
            return error.provider or name
        return self._health.failing_member(name)

    async def _said(self, text: str, turn: Question, *, first: bool = False) -> AsyncGenerator[ReplyItem]:
        yield ReplyText(text)
        if not turn.request.speak:
            return
        try:
            async with aclosing(self._local.speak(text)) as clips:
                async for clip in clips:
                    turn.said_before_ms += clip.duration_s * 1000 if first else 0.0
                    yield ReplyAudio(clip)
        except (EngineError, ModelError, DeadlineExceeded) as error:
            # Whoever answers has a voice of his own: a reason must not cost the answer.
            _log.warning("a reason could not be said: %s; %s", error, error.hint)

    async def _given_up(self, turn: Question) -> AsyncGenerator[ReplyItem]:
        """Keep the question and say so, or raise why it is not answered."""
        name, error = turn.reason
        if not turn.is_anybodys_fault or not await self._is_kept(turn):
            raise error
        self._tell(name, error, turn)
        text = kept(error.code, self._culprit(name, error), told=turn.is_told)
        async with aclosing(self._said(text, turn)) as said:
            async for item in said:
                yield item
        yield ReplyEnd()

    async def _is_kept(self, turn: Question) -> bool:
        clip = await turn.tape.whole() if turn.tape is not None else None
        try:
            return self._keep is not None and await self._keep(
                turn.request.agent, clip, turn.request.text or ""
            )
        except VoxdError as error:
            _log.warning("a question could not be kept: %s; %s", error, error.hint)
            return False
