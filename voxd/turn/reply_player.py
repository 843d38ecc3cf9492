"""Plays one reply of a provider as it arrives, and records its text and the time of each stage."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from voxd.audio.playback import Playback
from voxd.audio.speaker import Speaker
from voxd.errors import DeadlineExceeded, NoAnswer, VoxdError
from voxd.events import Emit
from voxd.frames import Clip
from voxd.observe.ledger import TurnStage
from voxd.providers.contract import (
    TYPED,
    PlaybackResult,
    ReplyAudio,
    ReplyEnd,
    ReplyItem,
    ReplyText,
    StepReached,
    Transcript,
)
from voxd.tasks import TaskScope, cancel_and_wait
from voxd.turn.inputs import Source

# Clips between provider and speaker; a provider that is faster than speech waits here.
QUEUE_CLIPS = 16


@dataclass(slots=True)
class Outcome:
    """What a conversation came to, filled in as it goes."""

    transcript: str = ""
    reply: str = ""
    expects_answer: bool = False
    refusal: str = ""
    unheard: str = ""
    """The code of the error for which its sound was not, or not wholly, played."""


@dataclass(slots=True)
class TurnRecord:
    """One utterance and its reply, while it runs and when it is over."""

    id: str
    source: Source
    agent: str
    aloud: bool = True
    result: Outcome = field(default_factory=Outcome)
    outcome: str = ""
    stages_ms: dict[str, float] = field(default_factory=dict)
    done: asyncio.Event = field(default_factory=asyncio.Event)


class StampStage(Protocol):
    """Notes when a stage was reached (now, or at a CLOCK_MONOTONIC time in seconds)."""

    def __call__(self, stage: TurnStage, at_s: float | None = None, /) -> None:
        """Note ``stage``."""
        ...


class ReplyPlayer:
    """One reply on its way from a provider to the speaker."""

    def __init__(
        self,
        turn: str,
        outcome: Outcome,
        *,
        speaker: Speaker,
        emit: Emit,
        stamp: StampStage,
        on_started: Callable[[], None],
        playback_result: PlaybackResult | None = None,
    ) -> None:
        self.outcome = outcome
        # For the provider: its history must hold what the user heard, not what it had sent.
        self._playback_result = playback_result or PlaybackResult()
        self._turn = turn
        self._speaker = speaker
        self._emit = emit
        self._stamp = stamp
        self._on_started = on_started
        self._clips: asyncio.Queue[Clip | None] = asyncio.Queue(QUEUE_CLIPS)
        self._playback: Playback | None = None
        self._abandoned = False
        self._is_playing = False
        self._complete = False
        self._tasks = TaskScope("reply")
        self._deadline: asyncio.Timeout | None = None
        self._reply_timeout_s: float | None = None
        # When the user will have heard everything that has come (time of the loop).
        self._heard_s = 0.0
        # Words or audio have come, or silence is the answer.
        self._has_answer = False

    async def run(self, replies: AsyncGenerator[ReplyItem]) -> None:
        """Consume ``replies`` to the end and return once the last sample was played.

        Raises what the provider raises, `DeadlineExceeded` when the user hears nothing for the time set by
        `expect_reply`, and `NoAnswer` for a reply without words or audio. Without a loudspeaker the reply
        goes on without sound. However it ends, the loudspeaker holds nothing of it afterwards.
        """
        try:
            async with asyncio.timeout(self._reply_timeout_s) as self._deadline, aclosing(replies):
                await self._take(replies)
        except TimeoutError as error:
            msg = "no reply in time"
            raise DeadlineExceeded(msg) from error

    async def _take(self, replies: AsyncGenerator[ReplyItem]) -> None:
        player: asyncio.Task[None] | None = None
        try:
            async for item in replies:
                self._record(item)
                if isinstance(item, ReplyEnd):
                    # `replies` stays open until all was played: the provider needs the played length.
                    break
                if isinstance(item, ReplyAudio):
                    player = player or self._tasks.start(self._play(), is_awaited=True)
                    now_s = asyncio.get_running_loop().time()
                    self._heard_s = max(self._heard_s, now_s) + item.clip.duration_s
                    # From here on playback sets the pace, not the provider.
                    self._wait_for_provider(False)
                    await self._clips.put(item.clip)
                # A transcript or a step is not a piece of the reply: the deadline of the first one goes on.
                if not isinstance(item, Transcript | StepReached):
                    self._wait_for_provider(True)
            if not self._has_answer:
                # No provider may answer with silence, whatever it calls its reply.
                raise NoAnswer("the reply is empty")
            self._wait_for_provider(False)
            await self._clips.put(None)
            if player:
                await player
            self._complete = True
        finally:
            # Whatever happened, a playback that waits for clips would block the loudspeaker for the apology.
            await cancel_and_wait(player)
            await self.stop()

    def expect_reply(self, timeout_s: float) -> None:
        """The question is complete: from now on the user may hear nothing for ``timeout_s`` at most."""
        self._reply_timeout_s = timeout_s
        if self._deadline and not self._is_playing:
            self._wait_for_provider(True)

    def abandon(self) -> None:
        """Record nothing more: what arrives from now on belongs to no turn."""
        self._abandoned = True

    async def stop(self) -> float:
        """Silence the reply; returns how many milliseconds of it were played. Idempotent."""
        is_cut = not self._complete and (self._playback is None or not self._playback.done)
        played_ms = await self._playback.stop() if self._playback else 0.0
        # The first stop counts: a second one, in `_take`, would find a playback that was stopped already.
        if is_cut and self._playback_result.played_ms is None:
            self._playback_result.played_ms = played_ms
        return played_ms

    def _wait_for_provider(self, waiting: bool) -> None:
        self._is_playing = not waiting
        if self._deadline and self._reply_timeout_s is not None:
            # A deadline per piece, not for the whole reply: a long story is not a fault. Nor is a vendor that
            # sends a minute of audio at once and then waits for its end.
            now_s = max(asyncio.get_running_loop().time(), self._heard_s)
            self._deadline.reschedule(now_s + self._reply_timeout_s if waiting else None)

    def _record(self, item: ReplyItem) -> None:
        match item:
            case ReplyText(text):
                self._has_answer = self._has_answer or bool(text.strip())
            case ReplyAudio():
                self._has_answer = True
            case ReplyEnd(silent=True):
                self._has_answer = True
        if self._abandoned:
            return
        match item:
            # Final transcripts only: partial ones would be events several times a second.
            case Transcript(text, True, engine):
                self.outcome.transcript = text
                # A typed question passed no speech recognition: the ledger gets no bar for it.
                if engine != TYPED:
                    self._stamp(TurnStage.TRANSCRIPT)
                self._emit("turn.transcript", turn=self._turn, text=text, engine=engine)
            case ReplyText(text):
                self._stamp(TurnStage.FIRST_TOKEN)
                self.outcome.reply = f"{self.outcome.reply} {text}".strip()
                self._emit("turn.reply", turn=self._turn, text=text)
            case ReplyAudio():
                self._stamp(TurnStage.FIRST_AUDIO)
            case StepReached(step, at_s):
                self._stamp(TurnStage(step), at_s)
            case ReplyEnd(expects_answer, refusal):
                self.outcome.expects_answer = expects_answer
                self.outcome.refusal = refusal

    async def _play(self) -> None:
        turn = self._turn or None
        try:
            self._playback = playback = self._speaker.play(self._queued(), kind="reply", turn=turn)
            self._started(await playback.started())
            await playback.finished()
        except VoxdError as error:
            self.outcome.unheard = error.code
            # The speaker has reported its loss. The clips are discarded, so that `_take` does not wait;
            # the text of the reply is still shown, stored and returned.
            self._started(None)
            async for _ in self._queued():
                pass

    def _started(self, at_s: float | None) -> None:
        if not self._abandoned:
            if at_s is not None:
                self._stamp(TurnStage.FIRST_SAMPLE, at_s)
            self._on_started()

    async def _queued(self) -> AsyncIterator[Clip]:
        while (clip := await self._clips.get()) is not None:
            yield clip
