"""One playback: the handle its caller gets, and the pump that feeds its clips to the loudspeaker."""

import asyncio
import contextlib
import logging
import wave
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from voxd.audio.output import Output
from voxd.audio.output_ring import BYTES_PER_SAMPLE
from voxd.audio.sound import Resampler
from voxd.clock import Clock
from voxd.errors import DeviceError, VoxdError
from voxd.events import Emit
from voxd.frames import Clip

_log = logging.getLogger(__name__)

_KEPT_HANDOFFS = 4096

# Long clips are resampled in pieces, so that a minute of speech is not in memory twice.
_PIECE_S = 0.5


class Playback:
    """The handle that `voxd.audio.speaker.Speaker.play` returns: wait for its start or end, or stop it."""

    def __init__(self, clips: AsyncIterator[Clip], kind: str, turn: str | None) -> None:
        self.clips = clips
        self.kind = kind
        self.turn = turn
        self.wav_path: Path | None = None
        """Where the virtual loudspeaker records what it played; None for a real one."""
        self.played_ms = 0.0
        """How much sound the device has taken so far."""
        self.handoff_ms: deque[float] = deque(maxlen=_KEPT_HANDOFFS)
        """For each clip: the time from its arrival until its first sample was in the queue."""
        self.first_clip_s: float | None = None
        """CLOCK_MONOTONIC at which the first clip arrived."""
        self.task: asyncio.Task[None] | None = None
        self.error: VoxdError | None = None
        self._began = asyncio.Event()
        self._done = asyncio.Event()
        self._started_s: float | None = None

    @property
    def done(self) -> bool:
        """Whether it is over, however it ended."""
        return self._done.is_set()

    async def started(self) -> float:
        """Return the CLOCK_MONOTONIC time (s) at which the first sample entered the device callback.

        Raises the error that ended it before, or `DeviceError` when it was stopped or empty.
        """
        await self._began.wait()
        if self._started_s is None:
            raise self.error or DeviceError("the playback ended before its first sample", code="not_played")
        return self._started_s

    async def finished(self) -> None:
        """Wait until the last sample was played, or `stop`. Raises `VoxdError` when it failed on the way."""
        await self._done.wait()
        if self.error is not None:
            raise self.error

    async def stop(self) -> float:
        """Stop it at once; return how many milliseconds were played. Idempotent, never raises."""
        if self.task is None:
            # Not begun: the worker will find it done and skip it.
            self.end(None)
        elif not self.done:
            self.task.cancel()
        await self._done.wait()
        return self.played_ms

    def start(self, at_s: float) -> bool:
        """Note the first sample; True the first time."""
        if self._started_s is not None:
            return False
        self._started_s = at_s
        self._began.set()
        return True

    def end(self, error: VoxdError | None) -> None:
        """Note the end."""
        self.error = error
        self._began.set()
        self._done.set()


class PlayedWavWriter:
    """Writes the samples that a virtual loudspeaker has played, and no others, into a WAV file."""

    def __init__(self, path: Path, rate_hz: int) -> None:
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 - closed by `close`
        self._file.setnchannels(1)
        self._file.setsampwidth(BYTES_PER_SAMPLE)
        self._file.setframerate(rate_hz)
        self._queued = bytearray()
        self._played = 0
        self._broken = False

    def queue(self, pcm: bytes | memoryview) -> None:
        """Buffer queued samples until they are played."""
        self._queued += pcm

    def play(self, samples: int) -> None:
        """Write until the file holds the first ``samples``."""
        size = (samples - self._played) * BYTES_PER_SAMPLE
        if size <= 0:
            return
        try:
            if not self._broken:
                self._file.writeframes(self._queued[:size])
        except OSError as error:
            self._broken = True
            _log.warning("cannot write the reply: %s", error)
        del self._queued[:size]
        self._played = samples

    def close(self) -> None:
        """Complete the file; samples that were not played are not in it."""
        with contextlib.suppress(OSError):
            self._file.close()


class PlaybackPump:
    """Feeds the clips of one playback into the queue of the device and follows its progress."""

    def __init__(
        self, output: Output, playback: Playback, clock: Clock, emit: Emit, wav: PlayedWavWriter | None
    ) -> None:
        self._output = output
        self._playback = playback
        self._clock = clock
        self._emit = emit
        self._wav = wav
        self._base = output.written
        output.on_progress = self._note

    async def run(self) -> None:
        """Play everything and wait until the device has played it."""
        resampler: Resampler | None = None
        rate_hz = 0
        async for clip in self._playback.clips:
            received_s = self._clock.monotonic()
            if self._playback.first_clip_s is None:
                self._playback.first_clip_s = received_s
            if resampler is None or clip.rate_hz != rate_hz:
                if resampler is not None:
                    await self._write(resampler.feed(b"", last=True), None)
                rate_hz, resampler = clip.rate_hz, Resampler(clip.rate_hz, self._output.rate_hz)
            step = round(_PIECE_S * rate_hz) * BYTES_PER_SAMPLE
            for at in range(0, len(clip.pcm), step):
                await self._write(resampler.feed(clip.pcm[at : at + step]), None if at else received_s)
        if resampler is not None:
            await self._write(resampler.feed(b"", last=True), None)
        while self._output.consumed < self._output.written:
            await self._output.progress()
        if self._output.written > self._base:
            # Consumed is not audible yet: the rest is in the buffer of the device.
            await self._clock.sleep(self._output.latency_s)
            self._emit("playback.finished", turn=self._playback.turn, kind=self._playback.kind)

    async def cut(self) -> None:
        """Discard what was not played yet and count what was. Raises `DeviceError`."""
        self._output.on_progress = lambda: None
        self._note(await self._output.cut())

    def close(self) -> None:
        """Complete the recording and stop following the device."""
        self._output.on_progress = lambda: None
        if self._wav is not None:
            self._wav.close()

    async def _write(self, pcm: bytes, received_s: float | None) -> None:
        rest = memoryview(pcm)
        while rest:
            taken = self._output.write(rest)
            if self._wav is not None:
                self._wav.queue(rest[:taken])
            rest = rest[taken:]
            if taken and received_s is not None:
                self._playback.handoff_ms.append((self._clock.monotonic() - received_s) * 1000)
                received_s = None
            if rest:
                await self._output.progress()

    def _note(self, end: int | None = None) -> None:
        """Update the progress: up to what the device consumed, or up to ``end``, where it stopped."""
        played = max(0, (self._output.consumed if end is None else end) - self._base)
        self._playback.played_ms = played * 1000 / self._output.rate_hz
        if self._wav is not None:
            self._wav.play(played)
        if not played:
            return
        first = next((at_s for end, at_s in self._output.stamps if end > self._base), None)
        if first is not None and self._playback.start(first):
            playback = self._playback
            wav = str(playback.wav_path or "")
            self._emit("playback.started", turn=playback.turn, kind=playback.kind, wav=wav)
