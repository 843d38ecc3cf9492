"""Has questions that nobody could answer at once asked again: in order, and beside the conversation."""

import asyncio
import functools
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress

from voxd import reports
from voxd.audio.flac import encode
from voxd.clock import Clock
from voxd.config import schema
from voxd.errors import AudioError, Busy, NotFound, StoreError, VoxdError
from voxd.events import Emit, Event
from voxd.events import EventType as E
from voxd.frames import Clip
from voxd.providers.routing.deferred import Ask, Asker, GaveWay, blame_for
from voxd.store.history import HistoryStore
from voxd.store.kept import DeferredAnswer, DroppedUtterance, Fault, QueuedUtterance
from voxd.store.queue import UtteranceQueue

_log = logging.getLogger(__name__)

ROUND_S = 30.0
"""How soon it is tried again while something waits, besides whenever a provider is well again."""

LONGEST_ROUND_S = 3600.0
"""Rounds in vain come less and less often: each attempt is two writes to the card."""

FIRST_S = 5.0
"""So long after the start nothing is delivered: whoever listens on the socket has to come back first."""

SAY_ATTEMPTS = 5

BY_HAND = "requested"
"""The reason in ``provider.changed`` when a person has chosen another one."""


def spoken_late(late: DeferredAnswer) -> str:
    """Return the announcement of an answer that comes late."""
    asked = late.transcript.rstrip(" .?!")
    return f"Earlier you asked: {asked}. {late.reply}" if asked else f"To your earlier question: {late.reply}"


class OfflineQueue:
    """Fills and empties the queue. ``announce`` says a text aloud, and returns when it was heard.

    A handler of the bus (`handle`) tells it when the room is quiet, for it gives way to every turn, and when
    somebody else can answer. What it delivers is told by ``queue.answered``, at least once under one id.
    """

    def __init__(
        self,
        queue: UtteranceQueue,
        history: HistoryStore,
        config: schema.Queue,
        *,
        ask: Ask,
        announce: Callable[[str], Awaitable[None]],
        emit: Emit,
        clock: Clock,
        resting_states: Collection[str],
    ) -> None:
        self.waiting = 0
        """How many are not delivered yet."""
        self.problem = ""
        """Why the last question could not be kept, "" when it was."""
        self._queue = queue
        self._history = history
        self._config = config
        self._asker = Asker(ask)
        self._announce = announce
        self._emit = emit
        self._clock = clock
        self._resting_states = resting_states
        self._is_first = True
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._wake = asyncio.Event()
        self._some = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin: soon deliver what was answered before a crash, then ask; the database is open."""
        self._some.set()
        self._worker = asyncio.create_task(self._work(), name="latecomers")

    def configure(self, config: schema.Queue) -> None:
        """Apply a reloaded configuration from now on; it may name somebody who can answer."""
        self._config = config
        self._queue.configure(config)
        self._begin_round()

    def handle(self, event: Event) -> None:
        """Hear what happens in the house; a handler of the bus."""
        chosen = event.type == E.PROVIDER_CHANGED and event.data["reason"] == BY_HAND
        if chosen or event.type in (E.PROVIDER_RESTORED, E.SPEND_RESUMED):
            self._begin_round()
        elif event.type == E.STATE_CHANGED:
            if event.data["to"] in self._resting_states:
                self._quiet.set()
            else:
                self._quiet.clear()
                self._asker.give_way()

    async def close(self) -> None:
        """End the work; what was being asked is asked again after the next start. Idempotent."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    # --- what the others want of it ---------------------------------------------------------------

    async def keep(self, agent: str, clip: Clip | None, text: str) -> bool:
        """Keep a question, spoken or typed; True only when it is safe on disk."""
        if not self._config.enabled or not (clip or text):
            return False
        duration_ms = round(clip.duration_s * 1000) if clip else 0
        try:
            flac = await asyncio.to_thread(encode, clip) if clip else None
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
        """Ask one, or all, again at once; returns how many. Raises `NotFound`, `StoreError`."""
        count = await self._queue.retry(id)
        self._begin_round()
        return count

    async def drop(self, id: str | None) -> int:
        """Drop one, or all; returns how many. Raises `NotFound`, `StoreError`."""
        return await self._dropped(await self._queue.drop(id), "requested")

    async def forget(self) -> int:
        """Forget everything, and overwrite it on disk; returns how many waited. Raises `StoreError`."""
        self._asker.give_way()
        return await self._dropped(await self._queue.forget(), "forgotten")

    # --- its own work -----------------------------------------------------------------------------

    async def _work(self) -> None:
        pause_s = ROUND_S
        with suppress(StoreError):  # the first round will say so
            self.waiting = await self._queue.pending()
        await self._clock.sleep(FIRST_S)
        while True:
            try:
                answered = await self._round()
                in_vain = self.waiting and not answered
                pause_s = min(2 * pause_s, LONGEST_ROUND_S) if in_vain else ROUND_S
            except StoreError as error:
                _log.warning("the queue cannot be worked on: %s; %s", error, error.hint)
            except Exception:
                _log.exception("the queue cannot be worked on")
            await self._pause(pause_s)

    def _begin_round(self) -> None:
        if self.waiting:
            self._wake.set()

    async def _pause(self, seconds: float) -> None:
        """Wait until a provider is well again, or for ``seconds`` once there is something to do."""
        if not self.waiting:
            self._some.clear()
            self._wake.clear()
        await self._some.wait()
        waits = {asyncio.create_task(self._wake.wait()), asyncio.ensure_future(self._clock.sleep(seconds))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _round(self) -> int:
        """Go once through what waits; returns how many were answered. Raises `StoreError`."""
        self._wake.clear()
        # What the disk would not take back is still given out.
        await self._dropped(await self._queue.recover(crashed=self._is_first), "failed")
        self._is_first = False
        await self._deliver()
        await self._dropped(await self._queue.prune(), "too_old")
        ill: set[str] = set()
        answered = 0
        while self.waiting:
            await self._quiet.wait()
            kept = await self._queue.take(ill)
            if kept is None:
                break
            answered += await self._try(kept, ill)
            await self._deliver()
        return answered

    async def _try(self, kept: QueuedUtterance, ill: set[str]) -> bool:
        """Ask one question; returns whether it was answered, or adds its agent to ``ill`` if nobody can."""
        code, blame = "", Fault.NOBODY
        try:
            if self._quiet.is_set():
                answer = await self._asker.answer(kept)
                return await self._queue.answer(
                    kept.id, provider=answer.provider, transcript=answer.transcript, reply=answer.reply
                )
        except GaveWay:
            _log.debug("the question %s waits for the end of a turn", kept.id)
        except StoreError:
            raise
        except VoxdError as error:
            code = error.code
            found = blame_for(error)
            if found is None:
                await self._give_up(kept.id, code)
                return False
            blame = found
            if blame is not Fault.UTTERANCE:
                ill.add(kept.agent)
        except asyncio.CancelledError:
            await self._queue.put_back(kept.id, code, blame)
            raise
        if gone := await self._queue.put_back(kept.id, code, blame):
            await self._dropped([gone], code)
        return False

    async def _give_up(self, id: str, reason: str) -> None:
        with suppress(NotFound):  # dropped by hand meanwhile, and told
            await self._dropped(await self._queue.drop(id), reason)

    async def _deliver(self) -> None:
        """Deliver what is answered. Whoever is told twice, because of a crash between, knows it by the id."""
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
            await self._queue.deliver(late.id, functools.partial(self._remember, entry=self._entry(late)))
        self.waiting = await self._queue.pending()

    async def _say(self, text: str) -> None:
        for _ in range(SAY_ATTEMPTS):
            await self._quiet.wait()
            try:
                await self._announce(text)
            except Busy:
                continue  # somebody was quicker
            except VoxdError as error:
                _log.warning("a late answer cannot be said: %s; it is in the history", error)
            return

    def _remember(self, connection: sqlite3.Connection, *, entry: reports.HistoryEntry) -> None:
        self._history.insert(connection, entry)

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

    async def _dropped(self, gone: Sequence[DroppedUtterance], reason: str) -> int:
        for each in gone:
            self._emit(E.QUEUE_DROPPED, id=each.id, agent=each.agent, reason=reason)
        self.waiting = await self._queue.pending()
        return len(gone)
