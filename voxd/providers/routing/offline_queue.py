"""Keeps questions that no provider could answer, asks them again later, and delivers the deferred answers."""

import asyncio
import functools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from traceback import format_tb

from voxd import reports
from voxd.audio.files import decode_flac, encode_flac
from voxd.clock import Clock
from voxd.config import schema
from voxd.errors import AudioError, Busy, DeadlineExceeded, NotFound, StoreError, StreamError, VoxdError
from voxd.events import Emit, Event
from voxd.events import EventType as E
from voxd.frames import Clip
from voxd.providers.contract import ReplyEnd, ReplyItem, ReplyText, Transcript
from voxd.providers.routing.health import FailureCause, failure_cause
from voxd.store.history import HistoryStore
from voxd.store.queue import DeferredAnswer, DroppedUtterance, Fault, QueuedUtterance, UtteranceQueue
from voxd.tasks import TaskScope, cancel_and_wait

_log = logging.getLogger(__name__)

ROUND_S = 30.0
"""The time between two rounds while something waits; a provider that recovers starts one at once."""

MAX_ROUND_S = 3600.0
"""Rounds without an answer become rarer up to this: each attempt is two writes to the card."""

START_DELAY_S = 5.0
"""Nothing is delivered before this: clients of the socket reconnect first, after a restart of the device."""

ANSWER_LIMIT_S = 120.0
"""Deadline of a deferred answer. Long, because the user is not waiting."""

SAY_ATTEMPTS = 5

BY_HAND = "requested"
"""The reason in ``provider.changed`` when the user has chosen another provider."""

Ask = Callable[[str, Clip | str, float], tuple[str, AsyncGenerator[ReplyItem]]]
"""Puts a question (agent, sound or text, age in seconds) to a provider; only text is wanted.

Returns the name of the provider and its reply. Raises `VoxdError`.
"""

# No provider can answer this utterance.
_HOPELESS = frozenset(
    {"audio_failed", "nothing_said", "audio_too_short", "input_audio_buffer_commit_empty", "message_stopped"}
)

# The vendor may refuse this question, or all of them.
_DOUBTFUL = frozenset({"refused", "middleware_failed"})

# Another question would be answered: this one alone is counted against its attempts.
_ITS_OWN = frozenset({"context_too_long", "internal"})


def blame_for(error: VoxdError) -> Fault | None:
    """Return what is at fault for an utterance without an answer; None when it can never be answered."""
    if error.code in _HOPELESS:
        return None
    if error.code in _ITS_OWN:
        return Fault.UTTERANCE
    # A server that breaks off, or a refusal: that may concern all questions or only this one.
    causes = (FailureCause.SILENCE, FailureCause.SERVER)
    return Fault.UNKNOWN if failure_cause(error) in causes or error.code in _DOUBTFUL else Fault.NONE


def spoken_late(late: DeferredAnswer) -> str:
    """Return the announcement of a deferred answer."""
    question = late.transcript.rstrip(" .?!")
    if question:
        return f"Earlier you asked: {question}. {late.reply}"
    return f"To your earlier question: {late.reply}"


@dataclass(frozen=True, slots=True)
class CollectedReply:
    """The transcript of a question that waited, and the ``reply`` of ``provider``."""

    provider: str
    transcript: str
    reply: str


class _Interrupted(Exception):
    """A turn began, or the question was dropped, while a provider worked on it."""


class OfflineQueue:
    """Fills and empties the queue. ``announce`` speaks a text, and returns when it was played.

    A handler of the bus (`handle`): every turn interrupts it, and a provider that recovers starts a round.
    Each answer is delivered by ``queue.answered``, at least once under one id.
    """

    def __init__(
        self,
        queue: UtteranceQueue,
        history: HistoryStore,
        config: schema.Queue,
        *,
        ask: Ask,
        announce: Callable[[str], Awaitable[object]],
        emit: Emit,
        clock: Clock,
        resting_states: Collection[str],
    ) -> None:
        self.waiting = 0
        """The number of questions that are not delivered yet."""
        self.problem = ""
        """Why the last question could not be stored; empty when it was."""
        self._queue = queue
        self._history = history
        self._config = config
        self._ask = ask
        self._announce = announce
        self._emit = emit
        self._clock = clock
        self._resting_states = resting_states
        # The first round finds what a crash left marked as being asked.
        self._is_first = True
        # Set while no turn is under way.
        self._quiet = asyncio.Event()
        self._quiet.set()
        # ``_wake`` starts a round, ``_some`` says that anything waits at all.
        self._wake = asyncio.Event()
        self._some = asyncio.Event()
        self._asking: asyncio.Task[CollectedReply] | None = None
        self._tasks = TaskScope("offline queue")

    def start(self) -> None:
        """Begin: deliver what was answered before a crash, then ask; the database is open."""
        self._some.set()
        self._tasks.start(self._work())

    def configure(self, config: schema.Queue) -> None:
        """Apply a reloaded configuration, and start a round: it may name a provider that can answer."""
        self._config = config
        self._queue.configure(config)
        self._begin_round()

    def handle(self, event: Event) -> None:
        """Follow the state of the turn and of the providers; a handler of the bus."""
        chosen = event.type == E.PROVIDER_CHANGED and event.data["reason"] == BY_HAND
        if chosen or event.type in (E.PROVIDER_RESTORED, E.SPEND_RESUMED):
            self._begin_round()
        elif event.type == E.STATE_CHANGED:
            if event.data["to"] in self._resting_states:
                self._quiet.set()
            else:
                self._quiet.clear()
                self._interrupt()

    async def close(self) -> None:
        """End the work; what was being asked is asked again after the next start. Idempotent."""
        await self._tasks.close()

    # --- its methods for the device ---------------------------------------------------------------

    async def keep(self, agent: str, clip: Clip | None, text: str) -> bool:
        """Keep a question, spoken or typed; True only when it is safe on disk."""
        if not self._config.enabled or not (clip or text):
            return False
        duration_ms = round(clip.duration_s * 1000) if clip else 0
        try:
            # In a thread: encoding would delay the blocks of the microphone.
            flac = await asyncio.to_thread(encode_flac, clip) if clip else None
            id = await self._queue.add(agent, flac=flac, text=text, duration_ms=duration_ms)
        except (AudioError, StoreError) as error:
            self.problem = f"a question could not be kept: {error}"
            self._emit(E.ERROR_GENERAL, code=error.code, message=self.problem, hint=error.hint)
            return False
        self.problem = ""
        self.waiting += 1
        self._some.set()
        self._emit(E.QUEUE_ADDED, id=id, agent=agent, duration_ms=duration_ms)
        return True

    async def entries(self) -> list[reports.QueueEntry]:
        """Return what is in the queue, the oldest first. Raises `StoreError`."""
        return await self._queue.entries()

    async def retry(self, id: str | None) -> int:
        """Ask one question, or all, again at once; returns how many. Raises `NotFound`, `StoreError`."""
        count = await self._queue.retry(id)
        self._begin_round()
        return count

    async def drop(self, id: str | None) -> int:
        """Drop one question, or all; returns how many. Raises `NotFound`, `StoreError`."""
        return await self._report_dropped(await self._queue.drop(id), "requested")

    async def forget(self) -> int:
        """Forget everything, and overwrite it on disk; returns how many waited. Raises `StoreError`."""
        self._interrupt()
        return await self._report_dropped(await self._queue.forget(), "forgotten")

    # --- its own work -----------------------------------------------------------------------------

    async def _work(self) -> None:
        pause_s = ROUND_S
        with suppress(StoreError):  # the first round logs it
            self.waiting = await self._queue.pending()
        await self._clock.sleep(START_DELAY_S)
        while True:
            try:
                answered = await self._round()
                is_fruitless = self.waiting and not answered
                pause_s = min(2 * pause_s, MAX_ROUND_S) if is_fruitless else ROUND_S
            except StoreError as error:
                _log.warning("a round of the offline queue failed: %s; %s", error, error.hint)
            except Exception:
                # A task boundary: a bug in one round must not end the rounds until the next restart.
                _log.exception("a round of the offline queue failed")
            await self._pause(pause_s)

    def _begin_round(self) -> None:
        if self.waiting:
            self._wake.set()

    async def _pause(self, seconds: float) -> None:
        """Wait for something to do, then until a provider recovers, at most for ``seconds``."""
        if not self.waiting:
            self._some.clear()
            self._wake.clear()
        await self._some.wait()
        timer = self._tasks.start(self._begin_round_after(seconds))
        try:
            await self._wake.wait()
        finally:
            await cancel_and_wait(timer)

    async def _begin_round_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._wake.set()

    async def _round(self) -> int:
        """Go once through what waits; returns how many were answered. Raises `StoreError`."""
        self._wake.clear()
        # Questions whose result the disk did not take are still marked as being asked.
        await self._report_dropped(await self._queue.recover(crashed=self._is_first), "failed")
        self._is_first = False
        await self._deliver()
        await self._report_dropped(await self._queue.prune(), "too_old")
        unavailable: set[str] = set()
        answered = 0
        while self.waiting:
            await self._quiet.wait()
            utterance = await self._queue.take(unavailable)
            if utterance is None:
                break
            answered += await self._try(utterance, unavailable)
            await self._deliver()
        return answered

    async def _try(self, utterance: QueuedUtterance, unavailable: set[str]) -> bool:
        """Ask one question; return whether it was answered.

        An agent whose providers are all out is added to ``unavailable``.
        """
        code, blame = "", Fault.NONE
        try:
            # A turn may have begun while the question was fetched.
            if self._quiet.is_set():
                answer = await self._answer(utterance)
                return await self._queue.answer(
                    utterance.id, provider=answer.provider, transcript=answer.transcript, reply=answer.reply
                )
        except _Interrupted:
            _log.debug("the question %s waits for the end of a turn", utterance.id)
        except StoreError:
            raise
        except VoxdError as error:
            code = error.code
            fault = blame_for(error)
            if fault is None:
                with suppress(NotFound):  # the user has dropped it meanwhile
                    await self._report_dropped(await self._queue.drop(utterance.id), code)
                return False
            blame = fault
            if blame is not Fault.UTTERANCE:
                unavailable.add(utterance.agent)
        except asyncio.CancelledError:
            await self._queue.put_back(utterance.id, code, blame)
            raise
        if dropped := await self._queue.put_back(utterance.id, code, blame):
            await self._report_dropped([dropped], code)
        return False

    def _interrupt(self) -> None:
        """Cancel the request under way; its question stays in the queue."""
        if self._asking is not None:
            self._asking.cancel()

    async def _answer(self, utterance: QueuedUtterance) -> CollectedReply:
        """Ask a question. Raises `VoxdError`, or `_Interrupted`."""
        self._asking = asking = self._tasks.start(self._collect(utterance), is_awaited=True)
        try:
            await asyncio.wait({asking})
        finally:
            self._asking = None
            await cancel_and_wait(asking)
        if asking.cancelled():
            raise _Interrupted
        error = asking.exception()
        if error is not None and not isinstance(error, VoxdError):
            # The type and the place, but not the message: it may hold the user's words.
            message = f"a deferred question failed: {type(error).__name__}"
            _log.error("%s\n%s", message, "".join(format_tb(error.__traceback__)))
            raise VoxdError(message) from error
        return asking.result()

    async def _collect(self, utterance: QueuedUtterance) -> CollectedReply:
        question: Clip | str = utterance.text
        if utterance.flac is not None:
            question = await asyncio.to_thread(decode_flac, utterance.flac)
        transcript, pieces = utterance.text, []
        provider, answer = self._ask(utterance.agent, question, utterance.age_s)
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S), aclosing(answer) as replies:
                async for item in replies:
                    match item:
                        case Transcript(text, True):
                            transcript = text
                        case ReplyText(text):
                            pieces.append(text)
                        case ReplyEnd():
                            break
        except TimeoutError as error:
            raise DeadlineExceeded(f"no answer within {ANSWER_LIMIT_S:.0f} s") from error
        if not pieces and not transcript:
            raise AudioError("the recording has no words", code="nothing_said")
        if not pieces:
            raise StreamError("the answer is empty")
        return CollectedReply(provider, transcript, " ".join(pieces))

    async def _deliver(self) -> None:
        """Deliver what is answered. After a crash in between it is delivered twice, under the same id."""
        for late in await self._queue.undelivered():
            self._emit(
                E.QUEUE_ANSWERED,
                id=late.id,
                agent=late.agent,
                provider=late.provider,
                transcript=late.transcript,
                reply=late.reply,
                age_s=late.age_s,
            )
            if self._config.speak:
                await self._say(spoken_late(late))
            # Within the transaction that marks the answer as delivered: it is in the history exactly once.
            remember = functools.partial(self._history.insert, entry=self._entry(late))
            await self._queue.deliver(late.id, remember)
        self.waiting = await self._queue.pending()

    async def _say(self, text: str) -> None:
        for _ in range(SAY_ATTEMPTS):
            await self._quiet.wait()
            try:
                await self._announce(text)
            except Busy:
                continue  # a turn has just begun
            except VoxdError as error:
                _log.warning("cannot say a deferred answer: %s; it is in the history", error)
            return

    def _entry(self, late: DeferredAnswer) -> reports.HistoryEntry:
        return reports.HistoryEntry(
            id=0,
            turn=late.id,
            time=self._clock.wall(),
            source="queue",
            agent=late.agent,
            transcript=late.transcript,
            reply=late.reply,
            outcome="answered",
            stages_ms={},
        )

    async def _report_dropped(self, dropped: Sequence[DroppedUtterance], reason: str) -> int:
        for each in dropped:
            self._emit(E.QUEUE_DROPPED, id=each.id, agent=each.agent, reason=reason)
        self.waiting = await self._queue.pending()
        return len(dropped)
