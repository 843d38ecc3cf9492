"""The first stage: microWakeWord, cheap enough to process all sound."""

import statistics
from collections import deque
from pathlib import Path
from typing import Any

import msgspec
import pymicro_wakeword
from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures

from voxd.errors import ModelError
from voxd.frames import Frame, samples_from_s
from voxd.listen.tflite import library_path
from voxd.listen.wake_engine import Reblocker, Score

_MODELS = Path(pymicro_wakeword.__file__).parent / "models"
# The front end makes one slice of features of every 10 ms.
_STEP_SAMPLES = 160

# Probabilities averaged into a score, 30 ms each. microWakeWord itself averages five, which a cutoff of 0.9
# needs; with a second stage behind it that only costs time. Measured over 17 minutes of recordings, two
# instead of five open 6 instead of 4 candidates that are then rejected, and bring the 95th percentile from
# the end of a spoken "hey jarvis" to the decision from 300 to 199 ms.
_WINDOW = 2


class _Description(msgspec.Struct):
    wake_word: str
    model: str


def builtin_words() -> tuple[str, ...]:
    """Return the names of the words in the wheel."""
    return tuple(sorted(path.stem for path in _MODELS.glob("*.json")))


class MicroWakeWordEngine:
    """Any number of microWakeWord models over one front end; a step is 30 ms."""

    context_samples = samples_from_s(1.5)

    def __init__(self, words: tuple[str, ...]) -> None:
        """Load the built-in ``words``. Raises `ModelError` for a name that is not built in."""
        self.words = words
        self._features = MicroWakeWordFeatures()
        self._models = [_Model(word) for word in words]
        self._blocks = Reblocker(_STEP_SAMPLES)

    def feed(self, frame: Frame) -> list[Score]:
        """See `voxd.listen.wake_engine.WakeEngine.feed`."""
        scores: list[Score] = []
        for block, end in self._blocks.feed(frame):
            for features in self._features.process_streaming(block):
                for model in self._models:
                    score = model.feed(features)
                    if score is not None:
                        scores.append(Score(model.word, score, end))
        return scores

    def reset(self) -> None:
        """See `voxd.listen.wake_engine.WakeEngine.reset`."""
        self._features.reset()
        self._blocks.reset()
        for model in self._models:
            model.reset()

    def close(self) -> None:
        """See `voxd.listen.wake_engine.WakeEngine.close`."""
        for model in self._models:
            model.close()
        self._models = []


class _Model:
    """One word: its network, which returns single probabilities, and the window they are averaged in."""

    def __init__(self, word: str) -> None:
        path = _MODELS / f"{word}.json"
        if not path.is_file():
            raise ModelError(
                f"{word} has no first-stage model", hint=f"use one of {', '.join(builtin_words())}"
            )
        description = msgspec.json.decode(path.read_bytes(), type=_Description)
        self.word = word
        self._slices = 0
        self._window: deque[float] = deque(maxlen=_WINDOW)
        self._network = MicroWakeWord(
            word,
            wake_word=description.wake_word,
            tflite_model=_MODELS / description.model,
            # Its own decision is not used: the gate decides, on the mean of the last probabilities.
            probability_cutoff=1.0,
            sliding_window_size=1,
            trained_languages=[],
            # The same file as the second stage, so that it is loaded once.
            libtensorflowlite_c_path=library_path(),
        )

    def feed(self, features: Any) -> float | None:
        """Return the mean probability when ``features`` complete a step and the window is full."""
        probability = self._network.process_streaming_prob(features) or 0.0
        self._slices += 1
        # A network with a stride infers only when a whole step of slices has come.
        if self._slices % self._network.stride:
            return None
        self._window.append(probability)
        if len(self._window) < _WINDOW:
            return None
        return statistics.fmean(self._window)

    def reset(self) -> None:
        self._network.reset()
        self._window.clear()
        self._slices = 0

    def close(self) -> None:
        self._network.close()
