"""From the heartbeat of a captured block to the frame in the hands of an utterance's consumer."""

import asyncio
from pathlib import Path

from scripts.benchmarks import sounds
from scripts.benchmarks.hearing import Hearing
from scripts.benchmarks.options import Options
from scripts.benchmarks.rows import Row, spread
from voxd.config.schema import Endpoint, Wake
from voxd.frames import SAMPLE_RATE_HZ, samples_from_ms

BENCH = "blocks"
BUDGET_MS = 5
SEED = "< 10 ms"
_SETTLE_SAMPLES = SAMPLE_RATE_HZ
_OFFSETS = range(0, 640, 80)
"""Samples: a wake word ends anywhere in a block, and so does a capture begin anywhere."""


def measure(options: Options) -> list[Row]:
    """Capture for most of a minute, as while a held button records, and time every frame."""
    each_s = 2.0 if options.quick else 5.0
    wav = sounds.write(options.directory(BENCH) / "room.wav", sounds.noise(each_s * len(_OFFSETS) + 5))
    waits_ms = asyncio.run(_captured(wav, each_s))
    return spread(
        BENCH, "block captured to the utterance's consumer", waits_ms, (50, 99), budget=BUDGET_MS, seed=SEED
    )


async def _captured(wav: Path, each_s: float) -> list[float]:
    """Return for each frame how long the block that completed it already lay in the ring."""
    async with Hearing(wav, Wake(), Endpoint(max_s=each_s)) as hearing:
        await hearing.reached(_SETTLE_SAMPLES)
        ring, clock, block = hearing.ring, hearing.clock, samples_from_ms(hearing.audio.block_ms)
        waits_ms = []
        for offset in _OFFSETS:
            taken_ms = []
            async for frame in hearing.speech_input.capture(ring.head - offset, hold=True):
                now_s, head, heartbeat_s = clock.monotonic(), ring.head, ring.heartbeat_s
                # Blocks end at multiples of their length, because this ring is new; the child keeps to
                # absolute deadlines, so older blocks are whole block lengths older.
                complete = -(-frame.end // block) * block
                taken_ms.append((now_s - heartbeat_s) * 1000 + (head - complete) * 1000 / SAMPLE_RATE_HZ)
            waits_ms += taken_ms[:-1]
        return waits_ms
