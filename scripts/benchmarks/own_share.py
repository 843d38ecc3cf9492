"""From the end of speech to the first sample of the reply, models and network left out."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

import numpy as np

from scripts.benchmarks import sounds
from scripts.benchmarks.doubles import InstantSynthesizer, InstantTranscriber
from scripts.benchmarks.hearing import LEAD_SAMPLES
from scripts.benchmarks.options import Options
from scripts.benchmarks.rows import Row, spread
from voxd.config.schema import Audio, Config
from voxd.daemon import Daemon
from voxd.listen.endpoint import SILENCE_S
from voxd.local.chain import SynthesizerChain, TranscriberChain
from voxd.observe.ledger import stages_ms
from voxd.reports import LastTurn

BENCH = "own_share"
BUDGET_MS = 20
SEED = "< 50 ms"
OURS = ("transcribe", "think", "synthesise", "play")
_GAP_S = 2.5
"""Endpoint, reply and a breath."""


def measure(options: Options) -> list[Row]:
    """Speak questions to a whole daemon in this process, in real time, with instant engines in it."""
    directory = options.directory(BENCH)
    said = np.concatenate([sounds.flite("hey jarvis"), sounds.noise(0.3), sounds.flite("what can you do")])
    samples, _ = sounds.stream([sounds.Word(said, len(said))] * (4 if options.quick else 16), _GAP_S)
    wav = sounds.write(directory / "questions.wav", samples)
    config = Config(audio=Audio(input="virtual", output="virtual", virtual_input=str(wav)))
    turns = reversed(asyncio.run(_conversed(config, directory, len(samples))))
    answered = [stages_ms(turn) for turn in turns if turn.outcome == "answered"]
    pause_ms = 1000 * SILENCE_S[config.endpoint.mode]
    rows = spread(
        BENCH,
        "end of speech to first sample, own share",
        own_ms(answered),
        (50, 95),
        budget=BUDGET_MS,
        seed=SEED,
    )
    late_ms = [turn["endpoint"] - pause_ms for turn in answered]
    rows += spread(BENCH, f"end of speech noticed, beyond {pause_ms:.0f} ms of silence", late_ms, (50, 95))
    rows += spread(
        BENCH, "of our share: first sound to device", [turn["play"] for turn in answered], (50, 95)
    )
    return rows


def own_ms(answered: Iterable[dict[str, float]]) -> list[float]:
    """Return of each turn what lies between the decision that speech has ended and the first sample."""
    return [sum(turn.get(stage, 0.0) for stage in OURS) for turn in answered]


async def _conversed(config: Config, directory: Path, samples: int) -> tuple[LastTurn, ...]:
    with (
        patch(
            "voxd.daemon.build_transcriber",
            lambda *_, emit, clock, **__: TranscriberChain([InstantTranscriber()], emit, clock),
        ),
        patch(
            "voxd.daemon.build_synthesizer",
            lambda *_, emit, clock, **__: SynthesizerChain([InstantSynthesizer()], emit, clock),
        ),
    ):
        daemon = Daemon(config, lambda: config, state_dir=directory, models_dir=directory)
    try:
        await daemon.start([])
        while daemon.ring.head < LEAD_SAMPLES + samples:
            await daemon.clock.sleep(0.1)
        return daemon.ledger.finished
    finally:
        await daemon.stop()
