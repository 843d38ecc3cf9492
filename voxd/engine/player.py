"""Plays replies as they arrive, behind a jitter buffer, and measures how much of them was played."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator

from voxd.audio.playback import Playback
from voxd.audio.speaker import Speaker
from voxd.clock import Clock
from voxd.config.schema import Audio
from voxd.engine.devices import stable_name
from voxd.errors import Busy, VoxdError
from voxd.events import Emit
from voxd.frames import Clip
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

MAX_WAITING_S = 600.0
"""A vendor sends faster than speech; a reply longer than this is cut, and what is cut is counted."""


class PlayingReply:
    """The sound of one reply between the provider and the loudspeaker."""

    def __init__(self, response_id: str, jitter_ms: float) -> None:
        self.response_id = response_id
        self.playback: Playback | None = None
        """None when the loudspeaker had too much to play already."""
        self.dropped_clips = 0
        self._jitter_s = jitter_ms / 1000
        self._clips: deque[Clip] = deque()
        self._waiting_s = 0.0
        self._complete = False
        self._changed = asyncio.Event()

    def add(self, clip: Clip) -> None:
        """Queue the next piece, unless too much waits or playback has ended."""
        unheard = self.playback is None or self.playback.done
        if unheard or self._waiting_s + clip.duration_s > MAX_WAITING_S:
            self.dropped_clips += 1
            return
        self._clips.append(clip)
        self._waiting_s += clip.duration_s
        self._changed.set()

    def takes(self, response_id: str) -> bool:
        """Whether a piece of ``response_id`` goes on from here."""
        return response_id == self.response_id and not self._complete

    def complete(self) -> None:
        """No more pieces come."""
        self._complete = True
        self._changed.set()

    async def clips(self) -> AsyncIterator[Clip]:
        """Yield the pieces in order, the first once the jitter buffer is full or the reply complete."""
        while self._waiting_s < self._jitter_s and not self._complete:
            await self._change()
        while True:
            while self._clips:
                clip = self._clips.popleft()
                self._waiting_s -= clip.duration_s
                yield clip
            if self._complete:
                return
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Player:
    """One loudspeaker for the replies of an engine, one reply after another."""

    def __init__(self, speaker: Speaker, clock: Clock, *, jitter_ms: float) -> None:
        self._speaker = speaker
        self._clock = clock
        self._jitter_ms = jitter_ms
        self._replies: deque[PlayingReply] = deque(maxlen=8)
        self._silenced = ""
        self._tasks = TaskScope("voice engine playback")
        self.latency_ms = 0.0
        """From the first piece of the last reply to its first sample at the device."""

    @property
    def playing(self) -> bool:
        """Whether a reply is heard or about to be."""
        return any(reply.playback is not None and not reply.playback.done for reply in self._replies)

    def prepare(self) -> None:
        """Start the playback process in the background: the next reply need not wait for it."""
        self._speaker.prepare()

    def feed(self, response_id: str, clip: Clip) -> None:
        """Play ``clip`` after what came before it; nothing of a reply that `stop` has silenced."""
        if response_id == self._silenced and response_id:
            return
        if not self._replies or not self._replies[-1].takes(response_id):
            self._begin(response_id)
        self._replies[-1].add(clip)

    def complete(self, response_id: str) -> None:
        """All sound of ``response_id`` has come."""
        for reply in self._replies:
            if reply.response_id == response_id:
                reply.complete()

    async def stop(self) -> float | None:
        """Silence everything at once; returns the milliseconds heard of the last reply, None when idle."""
        playing = [r for r in self._replies if r.playback is not None and not r.playback.done]
        if not playing:
            return None
        self._silenced = playing[-1].response_id
        for reply in playing:
            reply.complete()
        # The last first, or it would begin when the one before it ends.
        heard_ms = [await each.playback.stop() for each in reversed(playing) if each.playback is not None]
        return heard_ms[0]

    async def drain(self) -> None:
        """Wait until what was given is heard. Raises `VoxdError` when it failed on the way."""
        for reply in tuple(self._replies):
            if reply.playback is not None:
                await reply.playback.finished()

    async def close(self) -> None:
        """Silence it and end the process; idempotent."""
        await self.stop()
        await self._speaker.close()
        await self._tasks.close()

    def _begin(self, response_id: str) -> None:
        if self._replies:
            self._replies[-1].complete()
        reply = PlayingReply(response_id, self._jitter_ms)
        self._replies.append(reply)
        try:
            reply.playback = self._speaker.play(reply.clips(), kind="reply")
        except Busy as error:
            _log.warning("a reply is not played: %s", error)
            return
        self._tasks.start(self._watch(reply.playback, self._clock.monotonic()), name="latency")

    async def _watch(self, playback: Playback, begun_s: float) -> None:
        try:
            self.latency_ms = (await playback.started() - begun_s) * 1000
        except VoxdError as error:
            # The speaker has announced what is wrong with the device.
            _log.debug("a reply was not heard: %s", error)


async def open_player(device: int | str, *, jitter_ms: float, clock: Clock, emit: Emit) -> Player:
    """Return a player on ``device``. Raises `DeviceError` for an index that does not exist."""
    name = await stable_name(device, "output")
    speaker = Speaker(Audio(output=name, volume_percent=100), clock, emit)
    player = Player(speaker, clock, jitter_ms=jitter_ms)
    player.prepare()
    return player
