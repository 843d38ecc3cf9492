"""Sorts the recordings of a folder into positives and negatives of each wake word, for `voxctl wake eval`."""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from voxd.errors import InvalidRequest
from voxd.frames import SAMPLE_RATE_HZ

SUFFIXES = (".wav", ".flac")

RULE = (
    "A recording is a positive of a word when the name of its file, or of the folder it lies in, begins "
    "or ends with the word (case, '-', '_' and spaces aside; a number, '_test' or '__voice' may follow, "
    "and 'pv_' stand before). It is a negative of a word when its path does not hold the word at all. "
    "What holds it elsewhere is left out. --positive WORD=GLOB names the positives instead."
)


@dataclass(frozen=True, slots=True)
class LabelledRecording:
    """One file, the words it is a positive of and the words it is a negative of."""

    path: Path
    positive: frozenset[str]
    negative: frozenset[str]


class UnreadableRecording(InvalidRequest):
    """A recording that no decoder can read."""


def find(
    folder: Path, words: tuple[str, ...], positives: Mapping[str, tuple[str, ...]]
) -> Iterator[LabelledRecording]:
    """Yield every recording under ``folder``, sorted; ``positives`` maps a word to globs that decide."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        inside = path.relative_to(folder)
        # The folder itself may be named after the word.
        named = Path(folder.name) / inside
        positive = {word for word in words if _is_positive(named, inside, word, positives.get(word, ()))}
        negative = {word for word in words if word not in positive and _plain(word) not in _plain(str(named))}
        yield LabelledRecording(path, frozenset(positive), frozenset(negative))


def load(path: Path) -> bytes:
    """Return ``path`` as 16 kHz mono 16-bit samples, its first channel. Raises `UnreadableRecording`."""
    try:
        # Not `voxd.audio.files`, which limits formats and length.
        import soundfile

        channels, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
        samples = channels[:, 0].copy()
    except (OSError, RuntimeError) as error:
        # soundfile's errors are RuntimeErrors.
        raise UnreadableRecording(f"cannot read {path}: {error}", hint="convert it to 16-bit WAV") from error
    if rate_hz != SAMPLE_RATE_HZ:
        floats = soxr.resample(samples.astype(np.float32), rate_hz, SAMPLE_RATE_HZ)
        # Band-limited interpolation overshoots: without the limits a full-scale peak would wrap around.
        samples = np.clip(np.rint(floats), -32768, 32767).astype(np.int16)
    pcm: bytes = samples.tobytes()
    return pcm


def _is_positive(named: Path, inside: Path, word: str, globs: tuple[str, ...]) -> bool:
    if globs:
        return any(fnmatch.fnmatchcase(str(inside), glob) for glob in globs)
    plain = re.escape(_plain(word))
    folder = re.compile(rf"(pv_)?{plain}(_\d+)?")
    file = re.compile(rf"(pv_)?{plain}(_\d+|_test.*|__.*)?|.*_{plain}")
    return bool(file.fullmatch(_plain(named.stem)) or folder.fullmatch(_plain(named.parent.name)))


def _plain(name: str) -> str:
    return re.sub(r"[- ]", "_", name.lower())
