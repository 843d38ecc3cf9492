"""What the latency modes of the library change, against the same vendor."""

import asyncio

import msgspec

from scripts.benchmarks.options import Options
from scripts.benchmarks.rows import Row, spread
from scripts.benchmarks.vendor import KEY, Vendor, vendor
from voxd import VoiceEngine, VoiceEngineConfig
from voxd.clock import SystemClock
from voxd.engine import tuning
from voxd.engine.config import LatencyMode
from voxd.events import Event

BENCH = "modes"
MODES: tuple[LatencyMode, ...] = ("ultra_low", "balanced", "quality")
_DELTA_MS = 20


def measure(options: Options) -> list[Row]:
    """Time the first sample at the device, in each latency mode, of a fake vendor that sends in real time."""
    rounds = 3 if options.quick else 12
    rows: list[Row] = []
    with vendor(sound_ms=600, delta_ms=_DELTA_MS, pace_s=_DELTA_MS / 1000) as fake:
        for mode in MODES:
            asked_ms, kept_ms = asyncio.run(_asked(fake, mode, rounds))
            config = VoiceEngineConfig(latency_mode=mode)
            depth = f"{tuning.jitter_ms(config)} ms are collected first"
            pace = (
                f"captured in pieces of {tuning.chunk_ms(config)} ms, {tuning.silence_ms(config)} ms of pause"
            )
            rows += spread(BENCH, f"{mode}: question sent to first sample", asked_ms, (50,))
            kept = spread(BENCH, f"{mode}: first sound received to first sample", kept_ms, (50,))
            rows += [msgspec.structs.replace(row, note=f"{depth}; {pace}") for row in kept]
    return rows


async def _asked(fake: Vendor, mode: LatencyMode, rounds: int) -> tuple[list[float], list[float]]:
    clock = SystemClock()
    engine = VoiceEngine(
        api_key=KEY, latency_mode=mode, output_device="virtual", metadata={"endpoint": fake.url}
    )
    asked_ms, kept_ms = [], []
    async with engine:
        for number in range(rounds + 1):
            first_s: list[float] = []
            completed = asyncio.Event()

            def note(event: Event, first_s: list[float] = first_s) -> None:
                first_s.append(clock.monotonic())

            handlers = [
                engine.events.once("audio.output_chunk", note),
                engine.events.once("playback.finished", lambda event, done=completed: done.set()),
            ]
            asked_s = clock.monotonic()
            await engine.send_text("speak")
            async with asyncio.timeout(10):
                await completed.wait()
            if number:  # the first opens the loudspeaker
                kept = engine.get_metrics()["audio"]["playback_latency"]
                kept_ms.append(kept)
                asked_ms.append((first_s[0] - asked_s) * 1000 + kept)
            for handler in handlers:
                engine.events.off(handler)
    return asked_ms, kept_ms
