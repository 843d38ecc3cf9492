"""Plays sounds one after another on one loudspeaker, and reopens it after a failure."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from voxd.audio.output import Output
from voxd.audio.output_ring import GAIN_ONE
from voxd.audio.playback import Playback, PlaybackPump, PlayedWavWriter
from voxd.clock import Clock
from voxd.config.schema import Audio
from voxd.errors import Busy, DeviceError, VoxdError, isolate, third_party
from voxd.events import Emit
from voxd.frames import Clip
from voxd.tasks import TaskScope, cancel_and_wait

_log = logging.getLogger(__name__)

VIRTUAL = "virtual"
_LIMIT_QUEUED = 32
_BACKOFF_S = (1.0, 2.0, 5.0, 10.0)
_KEPT_WAVS = 32


def gain_of(percent: int) -> int:
    """Return the fixed-point gain of a volume in percent (50 gives -12 dB)."""
    # Squared, because loudness is perceived in ratios.
    return round(GAIN_ONE * (percent / 100) ** 2)


class Speaker:
    """Owns the playback process: started when needed, ended when idle, replaced when it fails."""

    def __init__(
        self, config: Audio, clock: Clock, emit: Emit, *, wav_dir: Path | None = None, idle_s: float = 10.0
    ) -> None:
        """``wav_dir`` is where the virtual loudspeaker records each playback of kind "reply"."""
        self._config = config
        self._clock = clock
        self._emit = emit
        self._wav_dir = wav_dir
        self._idle_s = idle_s
        self._percent = config.volume_percent
        self._pinned = VIRTUAL if config.output == VIRTUAL else ""
        self._output: Output | None = None
        self._old: Output | None = None
        """The output being closed: if that is cancelled, the next `_drop_output` completes it."""
        self._queue: asyncio.Queue[Playback | asyncio.Event] = asyncio.Queue()
        self._current: Playback | None = None
        self._tasks = TaskScope("speaker")
        self._worker: asyncio.Task[None] | None = None
        self._failures = 0
        self._closed = False
        self._wavs = 0
        self.problem = ""

    @property
    def device(self) -> str:
        """The stable name of the device; before the first opening, the value of audio.output."""
        return self._pinned or self._config.output

    @property
    def ok(self) -> bool:
        """Whether the device worked when it was last used."""
        return not self._failures

    @property
    def virtual(self) -> bool:
        """Whether playback is silent: no loudspeaker found, or `virtual` configured."""
        return self._pinned == VIRTUAL

    @property
    def pid(self) -> int | None:
        """The playback process, None while there is none."""
        return self._output.pid if self._output is not None else None

    @property
    def volume_percent(self) -> int:
        """The volume; a change also acts on what is queued already."""
        return self._percent

    @volume_percent.setter
    def volume_percent(self, percent: int) -> None:
        self._percent = min(100, max(0, percent))
        if self._output is not None:
            self._output.set_gain(gain_of(self._percent))

    async def start(self) -> None:
        """Open the device once, so that a missing one is reported before it is needed; never raises."""
        opened = asyncio.Event()
        self._put(opened)
        await opened.wait()

    def prepare(self) -> None:
        """Start the playback process in the background, so that the next sound does not wait for it."""
        if self._current is None and self._queue.empty():
            self._put(asyncio.Event())

    def play(self, clips: AsyncIterator[Clip], *, kind: str, turn: str | None = None) -> Playback:
        """Queue a sound; ``clips`` is pulled less than a second ahead of the device, then closed.

        Raises `Busy` when too many sounds wait.
        """
        if self._queue.qsize() >= _LIMIT_QUEUED or self._closed:
            raise Busy("too many sounds are queued" if not self._closed else "the speaker is closed")
        playback = Playback(clips, kind, turn)
        self._put(playback)
        return playback

    async def close(self) -> None:
        """Stop everything and end the process; idempotent."""
        self._closed = True
        # Not the whole scope: the worker cancels the playback, once, so that it can count what was played.
        await cancel_and_wait(self._worker)
        while not self._queue.empty():
            waiting = self._queue.get_nowait()
            if isinstance(waiting, Playback):
                await _close(waiting.clips)
                waiting.end(DeviceError("the speaker was closed"))
            else:
                waiting.set()
        await self._drop_output()

    def _put(self, item: Playback | asyncio.Event) -> None:
        if self._worker is None:
            self._worker = self._tasks.start(self._work())
        self._queue.put_nowait(item)

    async def _work(self) -> None:
        while True:
            pause_s: float | None = self._idle_s if self._output is not None else None
            if self._failures:
                pause_s = _BACKOFF_S[min(self._failures, len(_BACKOFF_S)) - 1]
            # One wait for three events: the next sound, the next attempt to open, the end of the idle time.
            try:
                async with asyncio.timeout(pause_s):
                    item = await self._queue.get()
            except TimeoutError:
                if self._failures:
                    await self._try_output()
                else:
                    await self._drop_output()
                continue
            if isinstance(item, asyncio.Event):
                await self._try_output()
                item.set()
            elif item.done:
                await _close(item.clips)
            else:
                await self._perform(item)

    async def _perform(self, playback: Playback) -> None:
        self._current = playback
        playback.task = self._tasks.start(self._play(playback), name=f"playback {playback.kind}")
        try:
            await asyncio.wait({playback.task})
        finally:
            # Only a closing speaker leaves the wait early.
            await cancel_and_wait(playback.task)
            playback.end(playback.error)
            self._current = None

    async def _play(self, playback: Playback) -> None:
        error: VoxdError | None = None
        pump: PlaybackPump | None = None

        def failure_of(caught: Exception) -> DeviceError:
            _log.exception("playback of kind %s failed", playback.kind)
            return DeviceError(f"playback failed: {caught}")

        try:
            # The clips come from a provider, which may be third-party code.
            with third_party(failure_of):
                output = await self._ensure_output()
                pump = PlaybackPump(output, playback, self._clock, self._emit, self._record(playback, output))
                await pump.run()
        except asyncio.CancelledError:
            if pump is not None:
                await self._cut(pump)
        except VoxdError as caught:
            error = caught
            if pump is not None:
                await self._cut(pump)
        finally:
            if pump is not None:
                pump.close()
            await _close(playback.clips)
            playback.end(error)

    async def _cut(self, pump: PlaybackPump) -> None:
        try:
            await pump.cut()
        except DeviceError as error:
            await self._lose(error)

    async def _ensure_output(self) -> Output:
        """Return the open device, opened first if necessary. Raises `DeviceError`, after reporting it."""
        try:
            if self._output is not None:
                self._output.check()
                return self._output
        except DeviceError:
            # Lost while nothing was played: not worth a report if it opens again.
            await self._drop_output()
        try:
            self._output = await self._open()
        except DeviceError as error:
            await self._lose(error)
            raise
        if self._failures:
            self._failures = 0
            self.problem = ""
            _log.warning("the loudspeaker %s is back", self.device)
            self._emit("output.restored", device=self.device)
        return self._output

    async def _open(self) -> Output:
        gain = gain_of(self._percent)
        try:
            output = await Output.open(self.device, virtual=self.virtual, gain=gain)
        except DeviceError as error:
            if self._config.output != "auto" or self._pinned or error.code != "no_device":
                raise
            _log.warning("%s: using the virtual loudspeaker, set audio.output to change that", error)
            self._pinned = VIRTUAL
            output = await Output.open(VIRTUAL, virtual=True, gain=gain)
        # The device that was opened: after a failure only this one is opened again.
        self._pinned = output.device
        # Again: the volume may have been changed while the device was opened.
        output.set_gain(gain_of(self._percent))
        return output

    async def _try_output(self) -> None:
        with contextlib.suppress(DeviceError):
            await self._ensure_output()

    async def _lose(self, error: DeviceError) -> None:
        await self._drop_output()
        self._failures += 1
        self.problem = f"{error}; {error.hint}"
        if self._failures == 1:
            _log.error("the loudspeaker %s is lost: %s", self.device, self.problem)
            self._emit("output.lost", device=self.device, reason=str(error))

    async def _drop_output(self) -> None:
        output, self._output = self._output, None
        if output is not None:
            self._old = output
        if self._old is not None:
            await self._old.close()
            self._old = None

    def _record(self, playback: Playback, output: Output) -> PlayedWavWriter | None:
        if not self.virtual or self._wav_dir is None or playback.kind != "reply":
            return None
        self._wavs += 1
        path = self._wav_dir / f"reply-{int(self._clock.wall() * 1000)}-{self._wavs:06d}.wav"
        try:
            self._wav_dir.mkdir(parents=True, exist_ok=True)
            for old in sorted(self._wav_dir.glob("reply-*.wav"))[: -_KEPT_WAVS + 1]:
                old.unlink(missing_ok=True)
            wav = PlayedWavWriter(path, output.rate_hz)
        except OSError as error:
            _log.warning("cannot write the reply to %s: %s", path, error)
            return None
        playback.wav_path = path
        return wav


async def _close(clips: AsyncIterator[Clip]) -> None:
    close = getattr(clips, "aclose", None)
    if close is not None:
        # It may be the generator of a third party's provider.
        with isolate(lambda error: _log.exception("cannot close the source of a playback")):
            await close()
