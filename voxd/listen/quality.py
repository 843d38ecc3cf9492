"""Measures the sound quality of an utterance, and lists its problems with hints."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxd.audio.sound import FLOOR_DBFS
from voxd.frames import samples_from_ms

# Two samples in a row as large as this were cut off: a wave that only just fits has one at its peak.
CLIPPED = 32_600

# So many zeros in the middle of a wave are a gap in the stream, not silence.
GAP_SAMPLES = samples_from_ms(5)

# A gap begins and ends in the middle of a wave; a noise gate fades.
_EDGE = 64

_FRAME_SAMPLES = samples_from_ms(20)
_NOISE_PERCENTILE = 10
# A frame with twice the power of the noise (3 dB more) holds more than noise.
_SPEECH_OVER_NOISE = 2.0

# Half a second: less does not distinguish speech from noise.
_LEAST_FRAMES = 25

QUIET_DBFS = -45.0
LOUD_NOISE_DBFS = -40.0
SILENT_DBFS = -90.0
MANY_CLIPPED_PERCENT = 0.1
POOR_SNR_DB = 10.0
SPEECH_SNR_DB = 6.0


@dataclass(frozen=True, slots=True)
class Quality:
    """The sound of an utterance.

    ``level_dbfs`` is the RMS level of what is louder than the noise, by the measure of
    `voxd.audio.sound.dbfs`; ``noise_dbfs`` that of the tenth quietest 20 ms. ``snr_db`` is None where it
    cannot be measured. ``dropouts`` counts the places at which sound is missing.
    """

    level_dbfs: float
    peak_dbfs: float
    noise_dbfs: float
    clipped_percent: float
    snr_db: float | None
    dropouts: int


def measure(pcm: bytes, *, lost: int = 0) -> Quality:
    """Return the quality of ``pcm`` (16 kHz); ``lost`` is how often the device lost samples meanwhile.

    Takes 2 ms for 5 s of sound.
    """
    samples = np.frombuffer(pcm, "<i2")
    if not len(samples):
        return Quality(FLOOR_DBFS, FLOOR_DBFS, FLOOR_DBFS, 0.0, None, lost)
    powers = _powers(samples)
    # A percentile rather than the minimum: a dropout or a gated microphone has frames of exact zeros.
    noise = float(np.percentile(powers, _NOISE_PERCENTILE))
    loud = powers[powers > _SPEECH_OVER_NOISE * noise]
    speech = float(loud.mean() if len(loud) else powers.mean())
    peak = max(abs(int(samples.max())), abs(int(samples.min())))
    noise_dbfs = _db(noise / 2**30)
    snr_db = None
    if len(powers) >= _LEAST_FRAMES and noise_dbfs > SILENT_DBFS:
        # Speech only, so less the noise that is in it; 0 where nothing is louder than the noise.
        snr_db = max(0.0, 10 * float(np.log10(max(speech - noise, noise) / noise)))
    return Quality(
        level_dbfs=_db(speech / 2**30),
        peak_dbfs=_db(peak**2 / 2**30),
        noise_dbfs=noise_dbfs,
        clipped_percent=_clipped_percent(samples),
        snr_db=snr_db,
        dropouts=lost + _gaps(samples),
    )


def find_problems(quality: Quality) -> list[tuple[str, str]]:
    """Return what is wrong with the sound of a microphone and what to do, the most serious first."""
    found = []
    if quality.dropouts:
        hint = "use another USB port or a better power supply, and raise audio.block_ms"
        found.append((f"sound is missing in {quality.dropouts} places", hint))
    if quality.clipped_percent > MANY_CLIPPED_PERCENT:
        hint = "lower the capture volume with `alsamixer`"
        found.append((f"{quality.clipped_percent:.1f} % of it is cut off: it is too loud", hint))
    if quality.level_dbfs <= SILENT_DBFS:
        hint = "raise the capture volume with `alsamixer`, and see whether the microphone has a switch"
        found.append(("it is silent", hint))
    if quality.noise_dbfs > LOUD_NOISE_DBFS:
        hint = "move the microphone away from fans and loudspeakers, or lower the capture volume"
        found.append((f"there is much noise: {quality.noise_dbfs:.0f} dBFS", hint))
    if quality.snr_db is not None and quality.snr_db >= SPEECH_SNR_DB:
        # There was speech, so its level can be checked too.
        if quality.snr_db < POOR_SNR_DB:
            hint = "move closer to the microphone, or away from what is noisy"
            found.append((f"speech is only {quality.snr_db:.0f} dB above the noise", hint))
        if quality.level_dbfs < QUIET_DBFS:
            hint = "raise the capture volume with `alsamixer`, or move closer"
            found.append((f"speech is quiet: {quality.level_dbfs:.0f} dBFS", hint))
    return found


def _powers(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the mean square of every 20 ms."""
    # A clip shorter than one frame is one frame of its own length.
    whole = len(samples) // _FRAME_SAMPLES * _FRAME_SAMPLES or len(samples)
    frames = samples[:whole].astype(np.float32).reshape(-1, min(_FRAME_SAMPLES, whole))
    powers: NDArray[np.float64] = np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / frames.shape[1]
    return powers


def _db(power: float) -> float:
    return max(FLOOR_DBFS, 10 * float(np.log10(power))) if power > 0 else FLOOR_DBFS


def _clipped_percent(samples: NDArray[np.int16]) -> float:
    large = (samples >= CLIPPED) | (samples <= -CLIPPED)
    if not large.any():
        return 0.0
    joined = np.zeros(len(samples), bool)
    pairs = large[1:] & large[:-1]
    joined[1:] |= pairs
    joined[:-1] |= pairs
    return 100.0 * int(joined.sum()) / len(samples)


def _gaps(samples: NDArray[np.int16]) -> int:
    sounding = np.flatnonzero(samples)
    if len(sounding) < 2:
        return 0
    ends = np.flatnonzero(np.diff(sounding) > GAP_SAMPLES)
    before, after = samples[sounding[ends]], samples[sounding[ends + 1]]
    return int(np.sum((np.abs(before.astype(int)) >= _EDGE) & (np.abs(after.astype(int)) >= _EDGE)))
