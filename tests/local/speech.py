"""Spoken commands for tests: flite makes them, a grammar contains them."""

import asyncio
import re

from tests.shared import MODELS
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.local.programs import ProgramSynthesizer, flite

CLOSED_SET = MODELS / "whisper_closed_set"
WHISPER_MODEL = CLOSED_SET / "ggml-closed-set.en.bin"
BROKEN_WHISPER = MODELS / "whisper_dummy" / "for-tests-ggml-tiny.en.bin"
PIPER_VOICE = MODELS / "piper_table_voice" / "voice.onnx"
SILENT_PIPER = MODELS / "piper_dummy" / "test_voice.onnx"

SENTENCES = (
    "what time is it",
    "what is the date today",
    "set a timer for five minutes",
    "cancel the timer",
    "turn the volume up",
    "turn on the kitchen light",
    "good morning",
    "stop",
    "set the volume to fifty percent",
)


def words_of(text: str) -> str:
    return " ".join(re.sub(r"[^a-z' ]", "", text.lower()).split())


def grammar(sentences: tuple[str, ...] = SENTENCES) -> str:
    return "#JSGF V1.0;\ngrammar commands;\npublic <command> = " + " | ".join(sentences) + ";\n"


def padded(clip: Clip) -> Clip:
    """The clip with 0.3 s of silence before it and 0.5 s after, as the endpointer cuts."""
    assert clip.rate_hz == SAMPLE_RATE_HZ
    return Clip(bytes(9600) + clip.pcm + bytes(16_000), clip.rate_hz)


async def say(text: str, voice: str = "slt") -> Clip:
    engine = ProgramSynthesizer(flite(voice), timeout_s=20)
    return padded(await anext(engine.synthesize(text)))


async def say_all(texts: list[str], voice: str = "slt") -> list[Clip]:
    gate = asyncio.Semaphore(2)

    async def one(text: str) -> Clip:
        async with gate:
            return await say(text, voice)

    return list(await asyncio.gather(*map(one, texts)))
