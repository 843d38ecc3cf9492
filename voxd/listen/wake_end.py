"""Estimates the sample at which the wake word ended; everything after it belongs to the command."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from voxd.frames import Frame, samples_from_ms
from voxd.listen.gate import WakeDecision

_Floats = np.ndarray[Any, np.dtype[np.float64]]
_Indices = np.ndarray[Any, np.dtype[np.int64]]

_HOP = samples_from_ms(10)
_EARLIEST = samples_from_ms(320)
_LATEST = samples_from_ms(120)
_WORD = samples_from_ms(600)
# Sound before the decision that `wake_end` needs.
NEEDED_SAMPLES = samples_from_ms(1000)

# Quieter than this below the word is silence; how quiet does not matter.
_DEPTH_DB = 30.0

# Taken off the guess: a recogniser forgives the last of the wake word (Whisper and pocketsphinx up to 100 ms
# of it) sooner than a missing first sound, and in one breath the dip may be a stop of the command.
MARGIN_SAMPLES = samples_from_ms(50)

# Cost of one dB: a full dip outweighs 3.5 spreads of distance.
_PER_DB = 0.2


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind the end of the word the engines usually are, and how far either way that varies."""

    ms: float
    before_ms: float
    after_ms: float


# Fitted to 4 flite and 2 espeak-ng voices saying the word and one of 12 commands with 0 to 1 s between, where
# the end is known. The spread after is narrow where a late guess would cut into the command.
LAGS = {"hey_jarvis": Lag(50, 90, 90), "alexa": Lag(80, 50, 40)}

_OTHER = Lag(60, 70, 60)


def detection_sample(decision: WakeDecision) -> int:
    """Return the sample at which the first of the two stages was sure."""
    candidate = decision.candidate
    return min(candidate.opened, candidate.opened if candidate.reached is None else candidate.reached)


def wake_end(decision: WakeDecision, sound: Frame) -> int:
    """Return the estimated end of the accepted word.

    ``sound`` ends at the decision and is `NEEDED_SAMPLES` long; with less the estimate is less exact.
    """
    lag = LAGS.get(decision.candidate.word, _OTHER)
    enough = detection_sample(decision)
    expected = enough - samples_from_ms(lag.ms)
    first = max(sound.start + _HOP, enough - _EARLIEST)
    last = min(sound.end - _HOP, enough + _LATEST)
    places = np.arange(first, last, _HOP)
    if not len(places):
        return expected
    samples = np.frombuffer(sound.pcm, np.int16).astype(np.float32)
    # A running sum, so that each window is one subtraction.
    power = np.concatenate(([0.0], np.cumsum(samples * samples, dtype=np.float64)))
    loudness = _loudness_db(power, places - sound.start)
    word = np.arange(max(sound.start + _HOP, enough - _WORD), enough, _HOP)
    # Relative to the word itself: the distance to the microphone is unknown.
    loud = np.percentile(_loudness_db(power, word - sound.start), 90) if len(word) else np.max(loudness)
    quiet = np.clip(loudness - loud, -_DEPTH_DB, 0.0)
    # A Gaussian prior around the expected place, with a narrower spread on the side of the command.
    away = places - expected
    spread = np.where(away < 0, samples_from_ms(lag.before_ms), samples_from_ms(lag.after_ms))
    # The engines show only roughly when a word ended, with a lag that depends on word and speaker. A dip in
    # loudness between word and command shows it exactly, where there is one. So the end is where the sum of
    # both costs is lowest: loudness, and distance from the expected place.
    cost = _PER_DB * quiet + 0.5 * (away / spread) ** 2
    return int(places[np.argmin(cost)]) - MARGIN_SAMPLES


def _loudness_db(power: _Floats, centres: _Indices) -> _Floats:
    """Return the level in dB of the 20 ms around each of ``centres``; ``power`` is a running sum."""
    low = np.clip(centres - _HOP, 0, len(power) - 1)
    high = np.clip(centres + _HOP, 0, len(power) - 1)
    mean = (power[high] - power[low]) / np.maximum(high - low, 1)
    return np.asarray(10 * np.log10(mean + 1.0))
