"""What a pipeline adds to its vendors' time: our own share, a failover, a first turn over TLS, the cache."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import msgspec

from scripts.benchmarks.far import ROUND_TRIP_S
from scripts.benchmarks.options import Options
from scripts.benchmarks.paced import FIRST_TOKEN_S, TOKEN_S, Paced, paced
from scripts.benchmarks.rows import Row, spread
from tests.fakes import RecordingEmit
from voxd.clock import SystemClock
from voxd.events import EventType as E
from voxd.net.http import HttpClient
from voxd.net.transport import Budget
from voxd.net.vendor_client import VendorClient, VendorClientSettings
from voxd.providers.events import ProviderEvent
from voxd.providers.pipeline.phrase_cache import PhraseCache
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.settings import SessionConfig
from voxd.providers.vendors.elevenlabs.tts import ElevenLabsTts

BENCH = "answering"
BUDGET_MS = 20
SPEECH_S = 0.4
"""So long the user speaks at least, from the wake word to the question: vendors are prepared meanwhile."""

_MB = 1_000_000


def measure(options: Options) -> list[Row]:
    """Ask a pipeline whose model and voice are on loopback and have a fixed speed."""
    rounds, sessions = (10, 4) if options.quick else (40, 12)
    with paced(options.directory(BENCH)) as vendors:
        own_ms = asyncio.run(_own_shares(vendors, rounds))
        well_ms = asyncio.run(_questions(vendors, sessions, ("",)))
        ill_ms = asyncio.run(_questions(vendors, sessions, ("/broken", "")))
        ahead_ms = asyncio.run(_first_turns(vendors, sessions))
        with patch.object(VendorClient, "prepare", lambda *_: None):
            late_ms = asyncio.run(_first_turns(vendors, sessions))
        misses_ms, hits_ms = asyncio.run(_spoken(vendors, rounds, options.directory(f"{BENCH}-phrases")))
    speed = f"first word after {FIRST_TOKEN_S * 1000:.0f} ms, {TOKEN_S * 1000:.0f} ms a word"
    own = "word behind the first clause written to first sound, own share"
    rows = spread(BENCH, own, own_ms, (50, 95), budget=BUDGET_MS, seed="< 50 ms")
    asked = "question to first sound"
    rows += spread(BENCH, f"{asked}; model: {speed}", well_ms[1], (50, 95))
    rows += compared(f"{asked}, the first model fails at once", ill_ms[0], well_ms[0])
    rows += compared(f"{asked}, the first model is known to be ill", ill_ms[1], well_ms[1])
    far = f"{asked}, first turn, TLS {ROUND_TRIP_S * 1000:.0f} ms away"
    rows += spread(BENCH, f"{far}, not connected ahead", late_ms, (50,))
    rows += compared(f"{far}, connected at the wake word", ahead_ms, late_ms)
    rows += spread(BENCH, "a phrase's first sound, asked of the vendor", misses_ms, (50, 95))
    return rows + spread(BENCH, "a phrase's first sound, from the cache", hits_ms, (50, 95))


def compared(what: str, values_ms: Sequence[float], to_ms: Sequence[float]) -> list[Row]:
    """Return the median of ``values_ms``, and in the note by how much it differs from that of ``to_ms``."""
    (row,) = spread(BENCH, what, values_ms, (50,))
    difference_ms = statistics.median(values_ms) - statistics.median(to_ms)
    return [msgspec.structs.replace(row, note=f"{difference_ms:+.0f} ms; {row.note}")]


class _Session:
    """One pipeline that is asked one question after the other."""

    def __init__(self, provider: PipelineProvider) -> None:
        self._provider = provider
        self._done = asyncio.Event()
        self._first_s = 0.0
        provider.on_event = self._hear

    async def ask(self) -> tuple[float, float]:
        """Return when the question was put and when its first sound came, once the answer is over."""
        self._done.clear()
        self._first_s = 0.0
        asked_s = time.monotonic()
        await self._provider.send_text("say something")
        await self._done.wait()
        return asked_s, self._first_s

    def _hear(self, event: ProviderEvent) -> None:
        if event.type is E.AUDIO_OUTPUT_CHUNK:
            self._first_s = self._first_s or time.monotonic()
        elif event.type in (E.RESPONSE_COMPLETED, E.ERROR_GENERAL):
            self._done.set()


async def _own_shares(vendors: Paced, rounds: int) -> list[float]:
    """Return, in ms, what lies between the word that completes the first clause and the first sound."""
    own_ms = []
    async with _session(vendors.url) as session:
        for _ in range(rounds):
            _, heard_s = await session.ask()
            wrote = await asyncio.to_thread(vendors.wrote)
            own_ms.append((heard_s - wrote.clauses_s[0]) * 1000)
    return own_ms


async def _questions(
    vendors: Paced, sessions: int, models: tuple[str, ...]
) -> tuple[list[float], list[float]]:
    """Return, in ms, how long the first and the second question of new sessions took to the first sound."""
    firsts_ms, seconds_ms = [], []
    for _ in range(sessions):
        async with _session(vendors.url, models) as session:
            await asyncio.sleep(SPEECH_S)
            for taken_ms in (firsts_ms, seconds_ms):
                asked_s, heard_s = await session.ask()
                taken_ms.append((heard_s - asked_s) * 1000)
    return firsts_ms, seconds_ms


async def _first_turns(vendors: Paced, sessions: int) -> list[float]:
    """Return, in ms, how long the first question of new sessions with far vendors took."""
    taken_ms = []
    for _ in range(sessions):
        async with _session(vendors.far_url, ca_file=vendors.ca_file) as session:
            await asyncio.sleep(SPEECH_S)
            asked_s, heard_s = await session.ask()
            taken_ms.append((heard_s - asked_s) * 1000)
    return taken_ms


@asynccontextmanager
async def _session(
    url: str, models: tuple[str, ...] = ("",), *, ca_file: str = ""
) -> AsyncIterator[_Session]:
    common = {"options": {"ca_file": ca_file}} if ca_file else {}
    metadata = {
        "stt": [{"kind": "deepgram", "api_key": "unused-key", "endpoint": "ws://127.0.0.1:9"}],
        "llm": [
            {"kind": "openai", "name": f"model{number}", "endpoint": f"{url}{path}/v1", **common}
            for number, path in enumerate(models)
        ],
        "tts": [
            {"kind": "elevenlabs", "api_key": "any-key-at-all", "endpoint": url, "voice": "rachel", **common}
        ],
    }
    provider = PipelineProvider({"metadata": metadata})
    await provider.configure_session(SessionConfig(instructions="Be brief."))
    await provider.connect()
    try:
        yield _Session(provider)
    finally:
        await provider.disconnect()


async def _spoken(vendors: Paced, rounds: int, directory: Path) -> tuple[list[float], list[float]]:
    """Return, in ms, how long the first sound of a phrase takes when it is new and when it is known."""
    http = HttpClient()
    line = VendorClient(
        "voice",
        "tts",
        VendorClientSettings("bench", keys=("any-key-at-all",), endpoints=(vendors.url,)),
        http=http,
        emit=RecordingEmit(),
        clock=SystemClock(),
    )
    stage = ElevenLabsTts(StageConfig("voice", "elevenlabs", voice="rachel"), line)
    cache = PhraseCache(directory / "phrases", limit_bytes=50 * _MB, emit=RecordingEmit())
    times_ms: dict[bool, list[float]] = {False: [], True: []}
    for known in (False, True):
        for number in range(rounds):
            began_s, first_s = time.monotonic(), 0.0
            async with aclosing(cache.synthesize(stage, f"phrase number {number}.", Budget())) as clips:
                async for _ in clips:
                    first_s = first_s or time.monotonic()
            times_ms[known].append((first_s - began_s) * 1000)
    await cache.close()
    await stage.close()
    await http.close()
    return times_ms[False], times_ms[True]
