"""Computes the earcons, the short sounds of the device: sine notes with a little of the octave above."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from voxd.frames import Clip

# -12 dBFS at the peak of a note: about -18 dBFS RMS with its attack and decay.
_PEAK = 10 ** (-12 / 20)
_ATTACK_S = 0.008
_RELEASE_S = 0.02

_CHORD = ((880.0, 0.15), (1108.7, 0.15), (1318.5, 0.25))

# The notes (Hz, s) of each `voxd.turn.inputs.Earcon`. Rising: the microphone opens; falling: it closes.
_NOTES: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        "wake": ((659.3, 0.06), (880.0, 0.09)),
        "error": ((311.1, 0.09), (233.1, 0.11)),
        "muted": ((587.3, 0.07), (392.0, 0.10)),
        "unmuted": ((392.0, 0.07), (587.3, 0.10)),
        "ring": (*_CHORD, (0.0, 0.25), *_CHORD, (0.0, 0.65)),
    }
)


def render(earcon: str, rate_hz: int) -> Clip:
    """Return ``earcon`` at ``rate_hz``: 0.1 to 0.2 s, the ring 2 s so that it can be repeated."""
    notes = [_note(pitch_hz, length_s, rate_hz) for pitch_hz, length_s in _NOTES[earcon]]
    # A rest is a note of 0 Hz: its sine is zero throughout.
    return Clip((np.concatenate(notes) * 32_767).astype("<i2").tobytes(), rate_hz)


def _note(pitch_hz: float, length_s: float, rate_hz: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    # Ramps at both ends: a note that starts or stops abruptly clicks.
    time_s = np.arange(round(length_s * rate_hz)) / rate_hz
    attack = np.minimum(1.0, time_s / _ATTACK_S)
    release = np.clip((length_s - time_s) / _RELEASE_S, 0.0, 1.0)
    tone = 0.85 * np.sin(2 * np.pi * pitch_hz * time_s) + 0.15 * np.sin(4 * np.pi * pitch_hz * time_s)
    return _PEAK * np.minimum(attack, release) * tone
