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
from voxd.errors import Busy, DeviceError, VoxdError
from voxd.events import Emit
from voxd.frames import Clip
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

# The most audio that waits, because vendors send faster than real time; the rest is dropped and counted.
MAX_WAITING_S = 600.0


class PlayingReply:
    """The audio of one reply between the provider and the loudspeaker."""

    def __init__(self, response_id: str, jitter_ms: float) -> None:
        self.response_id = response_id
        # None when the loudspeaker's queue was full.
        self.playback: Playback | None = None
        self.dropped_clips = 0
        self._jitter_s = jitter_ms / 1000
        self._clips: deque[Clip] = deque()
        self._waiting_s = 0.0
        self._complete = False
        self._changed = asyncio.Event()

    def add(self, clip: Clip) -> None:
        """Queue the next piece, unless too much waits or playback has ended."""
        # Dropped, not raised: the text of the reply and its events go on without the loudspeaker.
        has_ended = self.playback is None or self.playback.done
        if has_ended or self._waiting_s + clip.duration_s > MAX_WAITING_S:
            self.dropped_clips += 1
            return
        self._clips.append(clip)
        self._waiting_s += clip.duration_s
        self._changed.set()

    def accepts(self, response_id: str) -> bool:
        """Whether a piece of ``response_id`` continues this reply."""
        return response_id == self.response_id and not self._complete

    def complete(self) -> None:
        """Note that no more pieces follow."""
        self._complete = True
        self._changed.set()

    async def clips(self) -> AsyncIterator[Clip]:
        """Yield the pieces in order, the first when the jitter buffer is full or the reply complete."""
        # Buffered once: audio that comes in time from then on keeps this distance.
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
        # The newest replies: those that play or wait, which `stop` and `drain` act on, are among them.
        self._replies: deque[PlayingReply] = deque(maxlen=8)
        self._stopped_id = ""
        self._tasks = TaskScope("voice engine playback")
        # From the first piece of the last reply to its first sample at the device.
        self.latency_ms = 0.0

    @property
    def playing(self) -> bool:
        """Whether a reply is being played or waits to be."""
        return any(reply.playback is not None and not reply.playback.done for reply in self._replies)

    def prepare(self) -> None:
        """Start the playback process in the background, so that the next reply does not wait for it."""
        self._speaker.prepare()

    async def open(self) -> None:
        """Open the device now. Raises `DeviceError` when that fails."""
        await self._speaker.start()
        if not self._speaker.ok:
            raise DeviceError(f"the loudspeaker cannot be opened: {self._speaker.problem}")

    def feed(self, response_id: str, clip: Clip) -> None:
        """Play ``clip`` after the clips before it, unless `stop` has ended its reply."""
        # Audio that was under way when the reply was stopped. A vendor without ids has only "".
        if response_id == self._stopped_id and response_id:
            return
        if not self._replies or not self._replies[-1].accepts(response_id):
            self._begin(response_id)
        self._replies[-1].add(clip)

    def complete(self, response_id: str) -> None:
        """Note that all audio of ``response_id`` has arrived."""
        for reply in self._replies:
            if reply.response_id == response_id:
                reply.complete()

    async def stop(self) -> float | None:
        """Stop at once; returns how much of the last reply was played, in milliseconds, None when idle."""
        playing = [r for r in self._replies if r.playback is not None and not r.playback.done]
        if not playing:
            return None
        self._stopped_id = playing[-1].response_id
        for reply in playing:
            reply.complete()
        # The last first, or it would begin when the one before it ends.
        played_ms = [await each.playback.stop() for each in reversed(playing) if each.playback is not None]
        return played_ms[0]

    async def drain(self) -> None:
        """Wait until everything is played. Raises `VoxdError` when playback fails."""
        for reply in tuple(self._replies):
            if reply.playback is not None:
                await reply.playback.finished()

    async def close(self) -> None:
        """Stop playback and end the process; idempotent."""
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
            # The speaker has published the fault of the device already.
            _log.debug("a reply was not played: %s", error)


async def open_player(device: int | str, *, jitter_ms: float, clock: Clock, emit: Emit) -> Player:
    """Return a player on ``device``. Raises `DeviceError` for an index that does not exist."""
    name = await stable_name(device, "output")
    # Full volume: the program, or the system, has the volume control.
    speaker = Speaker(Audio(output=name, volume_percent=100), clock, emit)
    player = Player(speaker, clock, jitter_ms=jitter_ms)
    player.prepare()
    return player
