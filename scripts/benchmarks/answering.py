"""What a pipeline adds to its vendors' time, what a cached phrase saves, and what a failover costs."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from scripts.benchmarks.options import Options
from scripts.benchmarks.paced import FIRST_TOKEN_S, TOKEN_S, Paced, paced
from scripts.benchmarks.rows import Row, spread
from tests.fakes import RecordingEmit
from voxd.clock import SystemClock
from voxd.events import EventType as E
from voxd.providers.base import ProviderEvent
from voxd.providers.net.http import Http
from voxd.providers.net.line import Line, LineSettings
from voxd.providers.net.wire import Budget
from voxd.providers.phrases import PhraseCache
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.settings import SessionConfig
from voxd.providers.stages import StageConfig
from voxd.providers.tts.elevenlabs import ElevenLabs

BENCH = "answering"
BUDGET_MS = 20
_MB = 1_000_000


def measure(options: Options) -> list[Row]:
    """Ask a pipeline whose model and voice are on loopback and have a fixed speed."""
    rounds = 10 if options.quick else 40
    with paced() as vendors:
        own_ms, direct_ms = asyncio.run(_asked(vendors, rounds, ("",)))
        _, second_ms = asyncio.run(_asked(vendors, rounds, ("/broken", "")))
        misses_ms, hits_ms = asyncio.run(_spoken(vendors, rounds, options.directory(BENCH)))
    speed = f"fake model: first word after {FIRST_TOKEN_S * 1000:.0f} ms, {TOKEN_S * 1000:.0f} ms a word"
    extra_ms = [later - sum(direct_ms) / len(direct_ms) for later in second_ms[:1]]
    rows = spread(
        BENCH,
        "model's first clause complete to first sound, own share",
        own_ms,
        (50, 95),
        budget=BUDGET_MS,
        seed="< 50 ms",
    )
    rows += spread(BENCH, f"question to first sound ({speed})", direct_ms, (50, 95))
    rows += spread(BENCH, "what a model that fails at once adds, first time", extra_ms, (50,))
    rows += spread(
        BENCH, "the same while it rests", [each - _mean(direct_ms) for each in second_ms[1:]], (50,)
    )
    rows += spread(BENCH, "a phrase's first sound, asked of the vendor", misses_ms, (50, 95))
    return rows + spread(BENCH, "a phrase's first sound, from the cache", hits_ms, (50, 95))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


async def _asked(vendors: Paced, rounds: int, models: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """Return, in ms, our share and the whole time from question to first sound, of each round."""
    own_ms, whole_ms = [], []
    async with _pipeline(vendors, models) as provider:
        first = asyncio.Event()
        done = asyncio.Event()
        heard_s: list[float] = []

        def hear(event: ProviderEvent) -> None:
            if event.type is E.AUDIO_OUTPUT_CHUNK and not first.is_set():
                heard_s.append(time.monotonic())
                first.set()
            elif event.type in (E.RESPONSE_COMPLETED, E.ERROR_GENERAL):
                done.set()

        provider.on_event = hear
        for _ in range(rounds):
            first.clear()
            done.clear()
            asked_s = time.monotonic()
            await provider.send_text("say something")
            await done.wait()
            wrote = await asyncio.to_thread(vendors.wrote)
            whole_ms.append((heard_s[-1] - asked_s) * 1000)
            own_ms.append((heard_s[-1] - wrote.clauses_s[0]) * 1000)
    return own_ms, whole_ms


@asynccontextmanager
async def _pipeline(vendors: Paced, models: tuple[str, ...]) -> AsyncIterator[PipelineProvider]:
    metadata: dict[str, Any] = {
        "stt": [{"kind": "deepgram", "api_key": "unused-key", "endpoint": "ws://127.0.0.1:9"}],
        "llm": [
            {"kind": "openai", "name": f"model{number}", "endpoint": f"{vendors.url}{path}/v1"}
            for number, path in enumerate(models)
        ],
        "tts": [
            {"kind": "elevenlabs", "api_key": "any-key-at-all", "endpoint": vendors.url, "voice": "rachel"}
        ],
    }
    provider = PipelineProvider({"metadata": metadata})
    await provider.configure_session(SessionConfig(instructions="Be brief."))
    await provider.connect()
    try:
        yield provider
    finally:
        await provider.disconnect()


async def _spoken(vendors: Paced, rounds: int, directory: Path) -> tuple[list[float], list[float]]:
    """Return, in ms, how long the first sound of a phrase takes when it is new and when it is known."""
    http = Http()
    line = Line(
        "voice",
        "tts",
        LineSettings("bench", keys=("any-key-at-all",), endpoints=(vendors.url,)),
        http=http,
        emit=RecordingEmit(),
        clock=SystemClock(),
    )
    stage = ElevenLabs(StageConfig("voice", "elevenlabs", voice="rachel"), line)
    cache = PhraseCache(directory / "phrases", limit_bytes=50 * _MB, emit=RecordingEmit())
    times_ms: dict[bool, list[float]] = {False: [], True: []}
    for known in (False, True):
        for number in range(rounds):
            began_s, first_s = time.monotonic(), 0.0
            async with aclosing(cache.cached(stage, f"phrase number {number}.", Budget())) as clips:
                async for _ in clips:
                    first_s = first_s or time.monotonic()
            times_ms[known].append((first_s - began_s) * 1000)
    await cache.close()
    await stage.close()
    await http.close()
    return times_ms[False], times_ms[True]
