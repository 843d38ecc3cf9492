"""The second stage: openWakeWord's own models on the TFLite C library."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import pyopen_wakeword
from pyopen_wakeword import OpenWakeWord, OpenWakeWordFeatures
from pyopen_wakeword.openwakeword import (
    BATCH_SIZE,
    EMB_SHAPE,
    MEL_SAMPLES,
    SAMPLES_PER_CHUNK,
    WW_FEATURES,
)

from voxd.errors import ModelError
from voxd.frames import Frame, samples_from_s
from voxd.listen.tflite import Delegate, check_model, input_shape, library_path
from voxd.listen.wake_engine import Reblocker, Score

_MODELS = Path(pyopen_wakeword.__file__).parent / "models"
_FRONT_END: Final = ("melspectrogram", "embedding_model")
# 30 hops of 80 ms: 76 mel slices for the first embedding, 16 embeddings for the first score, and then more
# scores, so that a word that ended up to 0.3 s ago is scored at its end.
CONTEXT_SAMPLES: Final = samples_from_s(2.4)


def builtin_words() -> tuple[str, ...]:
    """Return the names of the words in the wheel."""
    return tuple(sorted(path.stem for path in _MODELS.glob("*.tflite") if path.stem not in _FRONT_END))


def builtin_model(word: str) -> Path:
    """Return the model of ``word`` in the wheel. Raises `ModelError` when there is none."""
    if word not in builtin_words():
        raise ModelError(
            f"{word} is not a built-in wake word",
            hint=f"set `model` of that word to a file, or use one of {', '.join(builtin_words())}",
        )
    return _MODELS / f"{word}.tflite"


def read_ahead(words: Iterable[str]) -> None:
    """Have the kernel read the files of the built-in ``words`` ahead of the engine's construction."""
    # The engine is made while a word is spoken; with cold files that takes twice as long. The page cache is
    # not charged to the process.
    for name in (*_FRONT_END, *words):
        with (_MODELS / f"{name}.tflite").open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


class OpenWakeWordEngine:
    """Any number of openWakeWord models over one front end; a step is one hop of 80 ms."""

    context_samples = CONTEXT_SAMPLES

    def __init__(self, words: Mapping[str, str]) -> None:
        """Load ``words``: a name and its ``.tflite`` file, or "" for the built-in model of that name.

        Raises `ModelError` when a file is missing or is not an openWakeWord model.
        """
        self.words = tuple(words)
        self._blocks = Reblocker(SAMPLES_PER_CHUNK)
        self._delegates: list[Delegate] = []
        self._features = OpenWakeWordFeatures.from_builtin(libtensorflowlite_c_path=library_path())
        self._models: dict[str, OpenWakeWord] = {}
        try:
            self._delegates.append(Delegate(self._features, "mel", (BATCH_SIZE, MEL_SAMPLES)))
            self._delegates.append(Delegate(self._features, "emb", EMB_SHAPE))
            for word, path in words.items():
                self._models[word] = _load(word, path)
        # Half-built engines hold native memory that no garbage collector frees.
        except ModelError:
            self.close()
            raise
        self._start_empty()

    def feed(self, frame: Frame) -> list[Score]:
        """See `voxd.listen.wake_engine.WakeEngine.feed`."""
        scores: list[Score] = []
        for block, end in self._blocks.feed(frame):
            for embedding in self._features.process_streaming(block):
                scores += [
                    Score(word, float(score), end)
                    for word, model in self._models.items()
                    for score in model.process_streaming(embedding)
                ]
        return scores

    def reset(self) -> None:
        """See `voxd.listen.wake_engine.WakeEngine.reset`."""
        self._start_empty()
        for model in self._models.values():
            model.reset()

    def close(self) -> None:
        """See `voxd.listen.wake_engine.WakeEngine.close`."""
        self._features.close()
        for model in self._models.values():
            model.close()
        # After their interpreters: TFLite requires a delegate to outlive them.
        for delegate in self._delegates:
            delegate.close()
        self._delegates = []
        self._models = {}

    def _start_empty(self) -> None:
        self._features.reset()
        # Confirming a candidate is a reset and then one long frame. The binding's reset fills the front end
        # with 8 s of silence, 100 hops of work; nothing here depends on it, so it starts empty.
        self._features.new_audio_samples = 0
        self._blocks.reset()


def _load(word: str, path: str) -> OpenWakeWord:
    file = Path(path) if path else builtin_model(word)
    check_model(file)
    model = OpenWakeWord.from_model(file, libtensorflowlite_c_path=library_path())
    shape = input_shape(model)
    if len(shape) != 3 or shape[0] != 1 or shape[2] != WW_FEATURES:
        model.close()
        raise ModelError(
            f"wake word model {file} is not an openWakeWord model: its input is {shape}",
            hint=f"train it with openWakeWord: its input must be (1, N, {WW_FEATURES})",
        )
    return model
