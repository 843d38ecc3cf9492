"""Prepares a recorded question: cuts off the wake word with which a recording may begin."""

from pathlib import Path

from voxd.audio.files import read_sound
from voxd.audio.sound import to_rate
from voxd.config.schema import WakeWord
from voxd.errors import InvalidRequest
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Clip, Frame, samples_from_ms, samples_from_s
from voxd.listen.gate import CONFIRM_SAMPLES, WakeGate
from voxd.listen.wake_detector import WakeDetector
from voxd.listen.wake_end import NEEDED_SAMPLES, wake_end
from voxd.listen.wake_words import build, rule

# The longest recorded question; local engines need memory in proportion to it.
MAX_QUESTION_S = 60.0

# A wake word that ends later is part of the question.
BEGINNING_SAMPLES = samples_from_s(3.0)

_BLOCK_SAMPLES = samples_from_ms(40)
# Silence added before and after the recording: the wake engines need some context.
_QUIET_SAMPLES = samples_from_s(1.0)


def recorded_question(sound: bytes, words: tuple[WakeWord, ...], models_dir: Path) -> Clip:
    """Return the question in ``sound``, a file of any format: 16 kHz, without its wake word.

    Raises `InvalidRequest`.
    """
    clip = read_sound(sound)
    if clip.duration_s > MAX_QUESTION_S:
        raise InvalidRequest(
            f"the recording is {clip.duration_s:.0f} s long", hint=f"send at most {MAX_QUESTION_S:.0f} s"
        )
    return without_wake_word(to_rate(clip, SAMPLE_RATE_HZ), words, models_dir)


def without_wake_word(clip: Clip, words: tuple[WakeWord, ...], models_dir: Path) -> Clip:
    """Return ``clip`` (16 kHz) without the wake word at its beginning, or unchanged if there is none.

    Uses the wake engines of the microphone; words that cannot be loaded are skipped. Takes some tens of
    milliseconds of CPU: call it in a thread.
    """
    # Only the beginning is searched: the same words later are part of what the user says.
    quiet = bytes(_QUIET_SAMPLES * BYTES_PER_SAMPLE)
    searched = (BEGINNING_SAMPLES + CONFIRM_SAMPLES) * BYTES_PER_SAMPLE
    end = _wake_word_end(quiet + clip.pcm[:searched] + quiet, words, models_dir) - _QUIET_SAMPLES
    if not 0 < end <= BEGINNING_SAMPLES:
        return clip
    return Clip(clip.pcm[end * BYTES_PER_SAMPLE :], clip.rate_hz)


def _wake_word_end(pcm: bytes, words: tuple[WakeWord, ...], models_dir: Path) -> int:
    """Return the sample of ``pcm`` at which the first wake word ends, 0 without one."""

    def read(start: int, count: int) -> Frame:
        # The detector reads context from before the first sample: it gets silence, as from a fresh ring.
        missing = min(count, max(0, -start))
        sound = pcm[(start + missing) * BYTES_PER_SAMPLE : (start + count) * BYTES_PER_SAMPLE]
        return Frame(start, bytes(missing * BYTES_PER_SAMPLE) + sound)

    gate = WakeGate()
    gate.configure({word.name: rule(word) for word in words})
    stages, _ = build(words, models_dir)
    detector = WakeDetector(stages, gate, read)
    try:
        samples = len(pcm) // BYTES_PER_SAMPLE
        for start in range(0, samples, _BLOCK_SAMPLES):
            _, decisions = detector.feed(read(start, min(_BLOCK_SAMPLES, samples - start)))
            for decision in decisions:
                if decision.accepted:
                    return wake_end(decision, read(decision.sample - NEEDED_SAMPLES, NEEDED_SAMPLES))
        return 0
    finally:
        # The engines hold native memory that no collector frees.
        detector.close()
