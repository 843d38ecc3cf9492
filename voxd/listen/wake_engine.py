"""The contract of a wake engine: frames go in, one score per word and step comes out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from voxd.frames import BYTES_PER_SAMPLE, Frame


@dataclass(frozen=True, slots=True)
class Score:
    """How closely the sound up to ``sample`` (exclusive) matches ``word``, from 0 to 1."""

    word: str
    score: float
    sample: int


class WakeEngine(Protocol):
    """One wake engine with all its words, which share one feature front end.

    The first stage gets all sound. The second is reset and given the last seconds of the ring when the
    first opens a candidate; where a word has no first stage, the second gets all sound too.
    """

    words: tuple[str, ...]
    context_samples: int
    """How much sound the engine needs before its scores can be trusted."""

    def feed(self, frame: Frame) -> list[Score]:
        """Score the sound of ``frame``, which follows the last one without a gap.

        Frames may have any length; what does not fill a step waits for the next frame. Scores come
        in the order of their samples.
        """

    def reset(self) -> None:
        """Reset the engine: the next frame may start anywhere."""

    def close(self) -> None:
        """Free the models; idempotent. The stage cannot be used afterwards."""


class Reblocker:
    """Cuts frames of any length into blocks of the length an engine takes, and keeps the rest."""

    def __init__(self, block_samples: int) -> None:
        self._block_samples = block_samples
        self._block_bytes = block_samples * BYTES_PER_SAMPLE
        self._rest = b""
        self._end: int | None = None

    def feed(self, frame: Frame) -> Iterator[tuple[bytes, int]]:
        """Yield each complete block and the index of the sample after it.

        ``frame`` follows the last one without a gap; after `reset` it may start anywhere.
        """
        end = frame.start if self._end is None else self._end
        pcm = self._rest + frame.pcm
        whole = len(pcm) - len(pcm) % self._block_bytes
        self._rest = pcm[whole:]
        self._end = end + whole // BYTES_PER_SAMPLE
        for offset in range(0, whole, self._block_bytes):
            end += self._block_samples
            yield pcm[offset : offset + self._block_bytes], end

    def reset(self) -> None:
        """Drop the rest: the next frame may start anywhere."""
        self._rest = b""
        self._end = None
