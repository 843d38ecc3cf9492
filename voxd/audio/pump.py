"""Carries one sound from its source into the device's queue, no further ahead than need be."""

from voxd.audio.output import Output
from voxd.audio.output_ring import BYTES_PER_SAMPLE
from voxd.audio.playback import Playback, PlayedWavWriter
from voxd.audio.resample import Resampler
from voxd.clock import Clock
from voxd.events import Emit

_PIECE_S = 0.5
"""Long clips are resampled in pieces, so that a minute of speech is never held twice."""


class Pump:
    """Carries one playback's clips into the device's queue and watches them being played."""

    def __init__(
        self, output: Output, playback: Playback, clock: Clock, emit: Emit, heard: PlayedWavWriter | None
    ) -> None:
        self._output = output
        self._playback = playback
        self._clock = clock
        self._emit = emit
        self._heard = heard
        self._base = output.written
        output.on_progress = self._note

    async def run(self) -> None:
        """Play everything and wait until it was heard."""
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
            await self._clock.sleep(self._output.latency_s)
            self._emit("playback.finished", turn=self._playback.turn, kind=self._playback.kind)

    async def cut(self) -> None:
        """Throw away what was not played yet and count what was. Raises `DeviceError`."""
        self._output.on_progress = lambda: None
        self._note(await self._output.cut())

    def close(self) -> None:
        """Complete the recording and stop watching the device."""
        self._output.on_progress = lambda: None
        if self._heard is not None:
            self._heard.close()

    async def _write(self, pcm: bytes, received_s: float | None) -> None:
        rest = memoryview(pcm)
        while rest:
            taken = self._output.write(rest)
            if self._heard is not None:
                self._heard.queue(rest[:taken])
            rest = rest[taken:]
            if taken and received_s is not None:
                self._playback.handoff_ms.append((self._clock.monotonic() - received_s) * 1000)
                received_s = None
            if rest:
                await self._output.progress()

    def _note(self, end: int | None = None) -> None:
        """Take over how far the device is, or that it stopped at ``end``."""
        played = max(0, (self._output.consumed if end is None else end) - self._base)
        self._playback.played_ms = played * 1000 / self._output.rate_hz
        if self._heard is not None:
            self._heard.play(played)
        if not played:
            return
        first = next((at_s for end, at_s in self._output.stamps if end > self._base), None)
        if first is not None and self._playback.start(first):
            playback = self._playback
            wav = str(playback.wav_path or "")
            self._emit("playback.started", turn=playback.turn, kind=playback.kind, wav=wav)
