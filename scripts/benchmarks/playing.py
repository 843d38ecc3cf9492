"""From a piece of reply audio received to the same piece handed to the device."""

import asyncio
from collections.abc import AsyncIterator

from scripts.benchmarks import sounds
from scripts.benchmarks.options import Options
from scripts.benchmarks.rows import Row, spread
from voxd.audio.speaker import Speaker
from voxd.clock import SystemClock
from voxd.config.schema import Audio
from voxd.frames import Clip, samples_from_ms

BENCH = "playing"
BUDGET_MS = 5
SEED = "< 10 ms"
PIECE_MS = 40
"""Realtime providers send 20 to 100 ms at a time."""


def measure(options: Options) -> list[Row]:
    """Stream a reply as a realtime provider does, piece by piece, on the virtual loudspeaker."""
    handoff_ms = asyncio.run(_streamed(5.0 if options.quick else 20.0))
    return spread(
        BENCH, "reply audio received to device queue", handoff_ms, (50, 99), budget=BUDGET_MS, seed=SEED
    )


async def _streamed(seconds: float) -> list[float]:
    clock = SystemClock()
    speaker = Speaker(Audio(output="virtual"), clock, lambda type, /, *, turn=None, **data: None)
    pcm = sounds.noise(PIECE_MS / 1000).tobytes()

    async def pieces() -> AsyncIterator[Clip]:
        began_s = clock.monotonic()
        for index in range(int(seconds * 1000 / PIECE_MS)):
            # Clips of 24 kHz, as OpenAI and Gemini send them, so that the resampler works too.
            yield Clip(pcm, 24_000)
            due_s = began_s + (index + 1) * samples_from_ms(PIECE_MS) / 24_000
            await clock.sleep(max(0.0, due_s - clock.monotonic()))

    try:
        await speaker.start()
        playback = speaker.play(pieces(), kind="reply")
        await playback.finished()
        return list(playback.handoff_ms)
    finally:
        await speaker.close()
