"""From the end of a spoken wake word to the event ``wake.detected``."""

import asyncio
from pathlib import Path
from typing import Any

from scripts.benchmarks import sounds
from scripts.benchmarks.hearing import LEAD_SAMPLES, Hearing
from scripts.benchmarks.options import Options, Skip
from scripts.benchmarks.rows import Row, spread
from voxd.config.schema import Endpoint, Wake, WakeWord
from voxd.frames import SAMPLE_RATE_HZ, samples_from_s

BENCH = "waking"
BUDGET_MS = 250
GAP_S = 1.7
"""A little longer than the words' refractory time."""

FLITE_VOICES = ("slt", "rms", "awb", "kal16")
_EARLY_MS = 400
"""Heard earlier than this: the noise behind the word was taken for its end, the delay means nothing."""

_BEFORE_SAMPLES = samples_from_s(1.5)
_AFTER_SAMPLES = samples_from_s(1.2)


def measure(options: Options) -> list[Row]:
    """Play many wake words in one stream, in real time, to the real ears."""
    recorded = sounds.recorded_words("alexa", 6 if options.quick else 30)
    rows = (
        _rows(options, "alexa", recorded, "recorded")
        if recorded
        else [Row(bench=BENCH, what='recorded "alexa"', skipped="../shared is absent: no recordings")]
    )
    try:
        said = [sounds.flite_word("hey jarvis", voice) for voice in FLITE_VOICES]
    except Skip as reason:
        return [*rows, Row(bench=BENCH, what='flite "hey jarvis"', skipped=str(reason))]
    return [*rows, *_rows(options, "hey_jarvis", said * (1 if options.quick else 4), "flite")]


def _rows(options: Options, word: str, said: list[sounds.Word], source: str) -> list[Row]:
    samples, ends = sounds.stream(said, GAP_S)
    wav = sounds.write(options.directory(f"{BENCH}-{word}") / "words.wav", samples)
    heard = asyncio.run(_heard(wav, word, len(samples)))
    delays = delays_ms([end + LEAD_SAMPLES for end in ends], heard)
    late_ms = [delay for delay in delays if delay > -_EARLY_MS]
    rows = spread(BENCH, f'{source} "{word}" ends to event', late_ms, (50, 95), budget=BUDGET_MS)
    return [
        *rows,
        Row(bench=BENCH, what=f'{source} "{word}" heard', unit=f"of {len(said)}", value=len(delays)),
    ]


async def _heard(wav: Path, word: str, samples: int) -> list[float]:
    """Return for each detection the sample that entered the microphone when the event reached the loop."""
    heard: list[float] = []

    def note(type: str, data: dict[str, Any]) -> None:
        if type == "wake.detected":
            ring = hearing.ring
            heard.append(ring.head + (hearing.clock.monotonic() - ring.heartbeat_s) * SAMPLE_RATE_HZ)

    hearing = Hearing(wav, Wake(words=(WakeWord(name=word),)), Endpoint(), note)
    async with hearing:
        await hearing.reached(LEAD_SAMPLES + samples)
    return heard


def delays_ms(ends: list[int], heard: list[float]) -> list[float]:
    """Return how long after each word's end it was detected; words that were not detected are left out."""
    found = []
    for end in ends:
        near = [at for at in heard if end - _BEFORE_SAMPLES <= at <= end + _AFTER_SAMPLES]
        if near:
            found.append((near[0] - end) * 1000 / SAMPLE_RATE_HZ)
    return found
