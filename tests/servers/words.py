"""Speech that a fake vendor can really recognise: each word is a level of its own, with a pause after it.

What a fake understands follows from the samples it was sent and from nothing else. So a word that was lost
on the way, or was sent twice, is lost or doubled in the transcript too.
"""

import array
import math
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from voxd.frames import SAMPLE_RATE_HZ, Frame

WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("red", "orange", "yellow", "green", "blue", "violet", "black", "white"),
    *("kitchen", "light", "lamp", "door", "window", "off"),
)
"""What can be said; the level of a word follows from its place."""

WORD_S = 0.3
PAUSE_S = 0.1
SPACE_S = WORD_S + PAUSE_S
"""From the beginning of a word to the beginning of the next."""

_STEP = 1000
_LOOK_S = 0.01
_LEAST_S = 0.6 * WORD_S
"""So much of a word has to be heard; less is a noise. Two parts of a word are never both words."""


@dataclass(frozen=True)
class Word:
    """A word, and where it lies in the sound of one connection."""

    text: str
    start_s: float
    end_s: float


def speaker_of(text: str) -> int:
    """Return who says ``text``: one speaker says numbers, the other one all other words."""
    return 0 if text.split()[0] in WORDS[:11] else 1


def spoken(text: str) -> bytes:
    """Return ``text`` as 16 kHz s16le PCM."""
    pcm = bytearray()
    for word in text.split():
        level = (WORDS.index(word) + 1) * _STEP
        pcm += array.array("h", [level]) * round(WORD_S * SAMPLE_RATE_HZ)
        pcm += bytes(2 * round(PAUSE_S * SAMPLE_RATE_HZ))
    return bytes(pcm)


def frames(pcm: bytes, block_ms: int = 20) -> list[Frame]:
    """Return ``pcm`` as a microphone delivers it."""
    size = 2 * SAMPLE_RATE_HZ * block_ms // 1000
    return [Frame(at // 2, pcm[at : at + size]) for at in range(0, len(pcm), size)]


async def played(pcm: bytes, block_ms: int = 20) -> AsyncIterator[Frame]:
    """Yield ``pcm`` as fast as it is taken."""
    for frame in frames(pcm, block_ms):
        yield frame


class Recogniser:
    """Understands the sound it is fed, at ``rate_hz``; ``processed_s`` is its length so far."""

    def __init__(self, rate_hz: int = SAMPLE_RATE_HZ) -> None:
        self._rate_hz = rate_hz
        self._step = round(_LOOK_S * rate_hz)
        self._rest = array.array("h")
        self._position = 0
        self._level = 0
        self._began = 0
        self._fed = 0
        self.words: list[Word] = []

    @property
    def processed_s(self) -> float:
        return self._fed / self._rate_hz

    @property
    def pausing(self) -> bool:
        """Whether no word is in progress."""
        return self._level == 0

    def feed(self, pcm: bytes) -> None:
        self._rest.frombytes(pcm)
        self._fed += len(pcm) // 2
        at = 0
        for at in range(self._step, len(self._rest) + 1, self._step):
            block = self._rest[at - self._step : at]
            self._look(round(math.fsum(block) / len(block) / _STEP), len(block))
        del self._rest[:at]

    def finish(self) -> None:
        """The sound is over: a word may end with it."""
        self._look(0, 0)

    def _look(self, level: int, samples: int) -> None:
        if level != self._level:
            self._end()
            self._level, self._began = level, self._position
        self._position += samples

    def _end(self) -> None:
        start_s, end_s = self._began / self._rate_hz, self._position / self._rate_hz
        if 0 < self._level <= len(WORDS) and end_s - start_s >= _LEAST_S:
            self.words.append(Word(WORDS[self._level - 1], start_s, end_s))


def text_of(words: Iterable[Word]) -> str:
    """Return ``words`` as a transcript."""
    return " ".join(word.text for word in words)


def recognised(pcm: bytes, rate_hz: int = SAMPLE_RATE_HZ) -> str:
    """Return what is said in the whole of ``pcm``."""
    recogniser = Recogniser(rate_hz)
    recogniser.feed(pcm)
    recogniser.finish()
    return text_of(recogniser.words)
