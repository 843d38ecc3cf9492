"""From the heartbeat of a captured block to its bytes on the provider's socket, and in the vendor's hands."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from scripts.benchmarks import sounds
from scripts.benchmarks.doubles import live_provider
from scripts.benchmarks.hearing import Hearing
from scripts.benchmarks.options import Options
from scripts.benchmarks.rows import Row, spread
from scripts.benchmarks.vendor import APPEND, Vendor, vendor
from voxd.config.schema import Endpoint, Wake
from voxd.frames import SAMPLE_RATE_HZ, Frame, samples_from_ms
from voxd.net.websocket import WebSocketConnection
from voxd.providers.contract import Request

BENCH = "sending"
BUDGET_MS = 5
SEED = "< 10 ms"
_SETTLE_SAMPLES = SAMPLE_RATE_HZ
_OFFSETS = range(0, 640, 80)
"""Samples: an utterance begins anywhere in a block."""


@dataclass
class Journey:
    """Of each frame of one utterance: when its last block was captured, and when its bytes were handed on."""

    captured_s: list[float] = field(default_factory=list)
    sent_s: list[float] = field(default_factory=list)


def measure(options: Options) -> list[Row]:
    """Speak for most of a minute, through capture process, ring, ears and provider, to a vendor next door."""
    each_s = 2.0 if options.quick else 5.0
    wav = sounds.write(options.directory(BENCH) / "room.wav", sounds.noise(each_s * len(_OFFSETS) + 8))
    with vendor() as fake:
        journey, arrived_s = asyncio.run(_spoken(wav, each_s, fake))
    to_socket = waits_ms(journey.captured_s, journey.sent_s)
    to_vendor = waits_ms(journey.captured_s, arrived_s)
    return [
        *spread(
            BENCH,
            "block captured to bytes on the provider's socket",
            to_socket,
            (50, 99),
            budget=BUDGET_MS,
            seed=SEED,
        ),
        *spread(BENCH, "block captured to the vendor's process", to_vendor, (50, 99)),
    ]


def waits_ms(from_s: list[float], to_s: list[float]) -> list[float]:
    """Return what lies between the times of two lists; where nothing was noted (nan) nothing waited."""
    return [(to - start) * 1000 for start, to in zip(from_s, to_s, strict=True) if not math.isnan(start)]


async def _spoken(wav: Path, each_s: float, fake: Vendor) -> tuple[Journey, list[float]]:
    whole = Journey()
    arrived_s: list[float] = []
    send = WebSocketConnection.send
    now: Journey = Journey()

    async def noted(self: WebSocketConnection, text: str) -> None:
        await send(self, text)
        if APPEND in text[:120]:
            now.sent_s.append(hearing.clock.monotonic())

    hearing = Hearing(wav, Wake(), Endpoint(max_s=each_s))
    live = live_provider(fake)
    with patch.object(WebSocketConnection, "send", noted):
        try:
            async with hearing:
                await hearing.reached(_SETTLE_SAMPLES)
                for number, offset in enumerate(_OFFSETS):
                    now = Journey()
                    request = Request(f"t{number}", "default", audio=_frames(hearing, offset, now))
                    async with aclosing(live.converse(request)) as replies:
                        async for _ in replies:
                            pass
                    count = _whole_frames(now)
                    whole.captured_s += now.captured_s[:count]
                    whole.sent_s += now.sent_s[:count]
                    arrived_s += fake.seen().arrived_s[:count]
        finally:
            await live.close()
    return whole, arrived_s


def _whole_frames(journey: Journey) -> int:
    """The last frame is what is left of the utterance, and what the resampler kept follows it."""
    return min(len(journey.captured_s), len(journey.sent_s)) - 1


async def _frames(hearing: Hearing, offset: int, journey: Journey) -> AsyncIterator[Frame]:
    """Yield the utterance, noting when the block that completed each frame was captured."""
    ring, clock = hearing.ring, hearing.clock
    block = samples_from_ms(hearing.audio.block_ms)
    start = ring.head - offset
    async for frame in hearing.speech_input.capture(start, hold=True):
        head, heartbeat_s = ring.head, ring.heartbeat_s
        # Blocks end at multiples of their length, because this ring is new; the child keeps to absolute
        # deadlines, so older blocks are whole block lengths older.
        complete = -(-frame.end // block) * block
        captured_s = heartbeat_s - (head - complete) / SAMPLE_RATE_HZ
        # Sound from before the button was pressed was there already, and did not have to be captured first.
        journey.captured_s.append(captured_s if captured_s > clock.monotonic() - 0.5 else math.nan)
        yield frame
