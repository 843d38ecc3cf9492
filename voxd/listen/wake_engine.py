"""What a wake engine is to the ears: frames go in, one score per word and step comes out."""

from dataclasses import dataclass
from typing import Protocol

from voxd.frames import Frame


@dataclass(frozen=True, slots=True)
class Score:
    """How much the sound up to ``sample`` (exclusive) sounds like ``word``, from 0 to 1."""

    word: str
    score: float
    sample: int


class WakeEngine(Protocol):
    """One wake engine with all its words, which share one feature front end.

    The first stage hears everything; the second is reset and given the last seconds of the ring when
    the first suspects a word, or hears everything too where a word has no first stage.
    """

    words: tuple[str, ...]
    context_samples: int
    """How much sound the engine needs before its scores can be trusted."""

    def feed(self, frame: Frame) -> list[Score]:
        """Score the sound of ``frame``, which follows the last one without a gap.

        Frames may have any length; what does not fill a step waits for the next frame. Scores come
        in the order of their samples.
        """
        ...

    def reset(self) -> None:
        """Forget everything heard: the next frame may start anywhere."""
        ...

    def close(self) -> None:
        """Free the models; idempotent. The stage cannot be used afterwards."""
        ...
