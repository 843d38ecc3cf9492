"""Drives one provider through one reply: text noted, sound played as it comes, every stage stamped."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from voxd.audio.sound import Playback
from voxd.audio.speaker import Speaker
from voxd.errors import DeadlineExceeded, DeviceError
from voxd.events import Emit
from voxd.frames import Clip
from voxd.observe.ledger import Stage
from voxd.providers.contract import Reply, ReplyAudio, ReplyEnd, ReplyText, Transcript

QUEUE_CLIPS = 16
"""Clips between provider and speaker; a provider that is faster than speech waits here."""


@dataclass(slots=True)
class Outcome:
    """What a conversation came to, filled in as it goes; ``unheard`` when there was no loudspeaker."""

    transcript: str = ""
    reply: str = ""
    expects_answer: bool = False
    unheard: bool = False


class StampStage(Protocol):
    """Notes when a stage was reached (now, or at a CLOCK_MONOTONIC time in seconds)."""

    def __call__(self, stage: Stage, at_s: float | None = None, /) -> None:
        """Note ``stage``."""
        ...


class Conversation:
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
    ) -> None:
        self.outcome = outcome
        self._turn = turn
        self._speaker = speaker
        self._emit = emit
        self._stamp = stamp
        self._on_started = on_started
        self._clips: asyncio.Queue[Clip | None] = asyncio.Queue(QUEUE_CLIPS)
        self._playback: Playback | None = None
        self._answering = False
        self._deadline: asyncio.Timeout | None = None
        self._reply_timeout_s: float | None = None

    async def run(self, replies: AsyncGenerator[Reply]) -> None:
        """Consume ``replies`` to the end and return once the last sample was heard.

        Raises what the provider raises, and `DeadlineExceeded` when it says nothing in the time that
        `expect_reply` gave it. Without a loudspeaker the reply goes on unheard.
        """
        player: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(self._reply_timeout_s) as self._deadline, aclosing(replies):
                async for item in replies:
                    self._note(item)
                    if isinstance(item, ReplyAudio):
                        player = player or asyncio.create_task(self._play())
                        await self._clips.put(item.clip)
                self._answered()
                await self._clips.put(None)
                if player:
                    await player
        except TimeoutError as error:
            msg = "no reply in time"
            raise DeadlineExceeded(msg) from error
        finally:
            if player:
                player.cancel()
                await asyncio.gather(player, return_exceptions=True)

    def expect_reply(self, timeout_s: float) -> None:
        """The question is complete: from now on the first piece of a reply may take ``timeout_s``."""
        self._reply_timeout_s = timeout_s
        if self._deadline and not self._answering:
            self._deadline.reschedule(asyncio.get_running_loop().time() + timeout_s)

    async def stop(self) -> float:
        """Silence the reply; returns how many milliseconds of it were heard."""
        return await self._playback.stop() if self._playback else 0.0

    def _answered(self) -> None:
        self._answering = True
        if self._deadline:
            self._deadline.reschedule(None)

    def _note(self, item: Reply) -> None:
        match item:
            case Transcript(text, True, engine):
                self.outcome.transcript = text
                self._stamp(Stage.TRANSCRIPT)
                self._emit("turn.transcript", turn=self._turn, text=text, engine=engine)
            case ReplyText(text):
                self._answered()
                self._stamp(Stage.FIRST_TOKEN)
                self.outcome.reply = f"{self.outcome.reply} {text}".strip()
                self._emit("turn.reply", turn=self._turn, text=text)
            case ReplyAudio():
                self._answered()
                self._stamp(Stage.FIRST_AUDIO)
            case ReplyEnd(expects_answer):
                self.outcome.expects_answer = expects_answer

    async def _play(self) -> None:
        self._playback = playback = self._speaker.play(self._queued(), kind="reply", turn=self._turn or None)
        try:
            self._stamp(Stage.FIRST_SAMPLE, await playback.started())
            self._on_started()
            await playback.finished()
        except DeviceError:
            # The speaker has announced its loss. The answer is still shown, kept and returned.
            self.outcome.unheard = True
            self._on_started()
            async for _ in self._queued():
                pass

    async def _queued(self) -> AsyncIterator[Clip]:
        while (clip := await self._clips.get()) is not None:
            yield clip
