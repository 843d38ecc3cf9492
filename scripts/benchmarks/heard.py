"""Hears a recording with one engine of our own environment, in a process of its own; prints JSON."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

from voxd.config.schema import WakeWord
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Frame, samples_from_ms
from voxd.listen.capture import VAD_CHUNK_SAMPLES, Vad
from voxd.listen.gate import WakeGate
from voxd.listen.wake_detector import WakeDetector
from voxd.listen.wake_words import build, rule

Hear = Callable[[int, int], object]
"""Hears the sound from one sample to another."""

_WARM_UP_SAMPLES = 2 * SAMPLE_RATE_HZ


def alone(pcm: bytes) -> tuple[Hear, int]:
    """Return pyopen-wakeword as its own documentation uses it, and the samples it is fed at a time."""
    features, word = OpenWakeWordFeatures.from_builtin(), OpenWakeWord.from_builtin(Model.HEY_JARVIS)

    def hear(start: int, end: int) -> None:
        for embedding in features.process_streaming(_cut(pcm, start, end)):
            for _ in word.process_streaming(embedding):
                pass

    return hear, samples_from_ms(80)


def ears(pcm: bytes, *, vad: bool = False) -> tuple[Hear, int]:
    """Return the ears' two stages, with the voice detector on every frame if ``vad``."""
    word, gate = WakeWord(name="hey_jarvis"), WakeGate()
    stages, _ = build((word,), Path())
    gate.configure({word.name: rule(word)})
    silence = bytes(10 * SAMPLE_RATE_HZ * BYTES_PER_SAMPLE)
    whole = silence + pcm
    ahead = len(silence) // BYTES_PER_SAMPLE
    detector = WakeDetector(
        stages, gate, lambda start, count: Frame(start, _cut(whole, start + ahead, start + ahead + count))
    )
    voice, heard_until = Vad(), 0

    def hear(start: int, end: int) -> None:
        nonlocal heard_until
        detector.feed(Frame(start, _cut(pcm, start, end)))
        while vad and end - heard_until >= VAD_CHUNK_SAMPLES:
            voice.probability(_cut(pcm, heard_until, heard_until + VAD_CHUNK_SAMPLES))
            heard_until += VAD_CHUNK_SAMPLES

    # The daemon's default block.
    return hear, samples_from_ms(40)


def main() -> None:
    """Time the whole recording but for its first two seconds, which warm the engine up."""
    pcm = Path(sys.argv[2]).read_bytes()
    hear, block = {"alone": alone, "ears": ears, "ears+vad": lambda pcm: ears(pcm, vad=True)}[sys.argv[1]](
        pcm
    )
    samples = len(pcm) // BYTES_PER_SAMPLE // block * block
    warm = _WARM_UP_SAMPLES // block * block
    for start in range(0, warm, block):
        hear(start, start + block)
    began_s = time.process_time()
    for start in range(warm, samples, block):
        hear(start, start + block)
    cpu_s = time.process_time() - began_s
    print(json.dumps({"cpu_s": cpu_s, "audio_s": (samples - warm) / SAMPLE_RATE_HZ}))


def _cut(pcm: bytes, start: int, end: int) -> bytes:
    return pcm[start * BYTES_PER_SAMPLE : end * BYTES_PER_SAMPLE]


if __name__ == "__main__":
    main()
