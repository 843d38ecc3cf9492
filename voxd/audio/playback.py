"""One sound on its way to the loudspeaker, as whoever plays it sees it."""

import asyncio
import contextlib
import logging
import wave
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from voxd.audio.output_ring import BYTES_PER_SAMPLE
from voxd.errors import DeviceError, VoxdError
from voxd.frames import Clip

_log = logging.getLogger(__name__)

_KEPT_HANDOFFS = 4096


class Playback:
    """What `voxd.audio.speaker.Speaker.play` returns: wait for its start or end, or stop it."""

    def __init__(self, clips: AsyncIterator[Clip], kind: str, turn: str | None) -> None:
        self.clips = clips
        self.kind = kind
        self.turn = turn
        self.wav_path: Path | None = None
        """Where the virtual loudspeaker writes what was heard; None for a real one."""
        self.played_ms = 0.0
        """How much the device has taken so far."""
        self.handoff_ms: deque[float] = deque(maxlen=_KEPT_HANDOFFS)
        """For each clip: from its arrival until its first sample lay before the device callback."""
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
        """Wait until the last sample was heard, or `stop`. Raises `VoxdError` when it failed on the way."""
        await self._done.wait()
        if self.error is not None:
            raise self.error

    async def stop(self) -> float:
        """Silence it at once; returns how many milliseconds were played. Idempotent, never raises."""
        if self.task is None:
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
    """Writes what a virtual loudspeaker has really played into a WAV file."""

    def __init__(self, path: Path, rate_hz: int) -> None:
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 - closed by `close`
        self._file.setnchannels(1)
        self._file.setsampwidth(BYTES_PER_SAMPLE)
        self._file.setframerate(rate_hz)
        self._queued = bytearray()
        self._played = 0
        self._broken = False

    def queue(self, pcm: bytes | memoryview) -> None:
        """Remember what was queued."""
        self._queued += pcm

    def play(self, samples: int) -> None:
        """Write on until ``samples`` since the beginning are in the file."""
        size = (samples - self._played) * BYTES_PER_SAMPLE
        if size <= 0:
            return
        try:
            if not self._broken:
                self._file.writeframes(self._queued[:size])
        except OSError as error:
            self._broken = True
            _log.warning("the reply cannot be written: %s", error)
        del self._queued[:size]
        self._played = samples

    def close(self) -> None:
        """Complete the file; what was not played is not in it."""
        with contextlib.suppress(OSError):
            self._file.close()
