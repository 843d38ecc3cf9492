"""The sound that is played to the daemon: quiet rooms, speech in the room, wake words whose end is known."""

import shutil
import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.benchmarks.options import SHARED, Skip
from voxd.audio.files import read_wav
from voxd.audio.sound import to_rate
from voxd.frames import SAMPLE_RATE_HZ, samples_from_ms, samples_from_s
from voxd.listen.recordings import UnreadableRecording, load

Samples = np.ndarray[Any, np.dtype[np.int16]]


@dataclass(frozen=True, slots=True)
class Word:
    """A spoken word, and the sample of it at which it ended."""

    samples: Samples
    end: int


QUIET_RMS = 33
"""-60 dBFS: a quiet room with a cheap microphone."""

_WINDOW_SAMPLES = samples_from_ms(25)
_READ_ALOUD = (
    "the morning train was late again and nobody on the platform seemed to mind very much",
    "she put the blue cup back on the shelf and looked out at the rain over the harbour",
    "we counted eleven boats in the bay before the fog came in and hid the far shore",
    "there is bread in the kitchen and some cheese if you would like to have lunch here",
)


def noise(seconds: float, seed: int = 1) -> Samples:
    """Return a quiet room."""
    drawn = np.random.default_rng(seed).normal(0, QUIET_RMS, samples_from_s(seconds))
    return drawn.astype(np.int16)


def room_speech(seconds: float) -> tuple[Samples, str]:
    """Return recordings of other speech, and the names of their speakers."""
    folders = [SHARED / "audio" / "nonwake", SHARED / "audio" / "asr"]
    files = [
        path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in (".wav", ".flac")
    ]
    if files:
        return _filled((_loaded(path) for path in files), seconds), "recorded speech"
    return _filled((flite(text) for text in _READ_ALOUD * 100), seconds), "flite reading aloud"


def flite(text: str, voice: str = "slt") -> Samples:
    """Return ``text`` spoken by flite. Raises `Skip` without it."""
    if shutil.which("flite") is None:
        raise Skip("flite is not installed")
    done = subprocess.run(
        ["flite", "-voice", voice, "-t", text, "-o", "/dev/stdout"], capture_output=True, check=True
    )
    return np.frombuffer(to_rate(read_wav(done.stdout), SAMPLE_RATE_HZ).pcm, np.int16)


def flite_word(text: str, voice: str) -> Word:
    """Return ``text`` spoken by flite, with the end of its last sound as flite itself reports it."""
    samples = flite(text, voice)
    command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", "none"]
    listing = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return Word(samples, samples_from_s(last_phone_s(listing)))


def last_phone_s(listing: str) -> float:
    """Return where the last phone that is not a pause ends, from flite's list of ``phone:end in seconds``."""
    phones = [item.rpartition(":") for item in listing.split()]
    return max(float(end_s) for phone, _, end_s in phones if phone != "pau")


def recorded_words(word: str, limit: int) -> list[Word]:
    """Return recordings of ``word`` by many speakers, none where ../shared is absent."""
    found: list[Word] = []
    for path in sorted((SHARED / "audio" / f"pv_{word}").glob("*.flac")):
        if len(found) == limit:
            break
        try:
            samples = np.frombuffer(load(path), np.int16)
        except UnreadableRecording:
            continue
        found.append(Word(samples, end_of_sound(samples)))
    return found


def end_of_sound(samples: Samples) -> int:
    """Return where the last 25 ms above 1 % of the loudest 25 ms' energy end."""
    count = len(samples) // _WINDOW_SAMPLES
    energy = (samples[: count * _WINDOW_SAMPLES].astype(np.float64).reshape(count, -1) ** 2).sum(axis=1)
    return int((np.flatnonzero(energy > 0.01 * energy.max())[-1] + 1) * _WINDOW_SAMPLES)


def stream(words: list[Word], gap_s: float) -> tuple[Samples, list[int]]:
    """Return all words with a quiet gap after each, and the sample at which each ended."""
    pieces, ends, length = [], [], 0
    for index, word in enumerate(words):
        ends.append(length + word.end)
        pieces += [word.samples, noise(gap_s, seed=index)]
        length += len(word.samples) + len(pieces[-1])
    return np.concatenate(pieces), ends


def write(path: Path, samples: Samples) -> Path:
    """Write a mono WAV file at 16 kHz; returns ``path``."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(samples.tobytes())
    return path


def _loaded(path: Path) -> Samples:
    try:
        return np.frombuffer(load(path), np.int16)
    except UnreadableRecording:
        return np.zeros(0, np.int16)


def _filled(pieces: Any, seconds: float) -> Samples:
    """Return pieces with half a second between them until ``seconds`` are full."""
    wanted, taken, have = samples_from_s(seconds), [], 0
    for index, piece in enumerate(pieces):
        taken += [piece, noise(0.5, seed=index)]
        have += len(piece) + len(taken[-1])
        if have >= wanted:
            break
    return np.concatenate(taken)[:wanted]
