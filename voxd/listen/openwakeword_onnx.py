"""Wake words in ONNX files, through the `openwakeword` package: the one module that imports it, late."""

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from voxd.config.files.access import reason_not_readable
from voxd.errors import ModelError, third_party
from voxd.frames import Frame, samples_from_ms
from voxd.listen.openwakeword import CONTEXT_SAMPLES
from voxd.listen.wake_engine import Reblocker, Score

_HOP_SAMPLES = samples_from_ms(80)
_MELSPECTROGRAM = "melspectrogram.onnx"
_EMBEDDING = "embedding_model.onnx"


class OnnxWakeWordEngine:
    """Any number of ``.onnx`` openWakeWord models over one front end; a step is one hop of 80 ms.

    The package costs 94 MB (SciPy, scikit-learn), so it is imported when the first such word is made.
    """

    context_samples = CONTEXT_SAMPLES

    def __init__(self, words: Mapping[str, str], models_dir: Path) -> None:
        """Load ``words`` (name and file); the front end lies in ``models_dir``. Raises `ModelError`."""
        self.words = tuple(words)
        self._labels = {Path(path).stem: word for word, path in words.items()}
        if len(self._labels) < len(words):
            raise ModelError("two wake words use files of the same name", hint="rename one of the files")
        self._model: Any = _load(list(words.values()), models_dir)
        self._blocks = Reblocker(_HOP_SAMPLES)

    def feed(self, frame: Frame) -> list[Score]:
        """See `voxd.listen.wake_engine.WakeEngine.feed`."""
        scores: list[Score] = []
        for block, end in self._blocks.feed(frame):
            predicted = self._model.predict(np.frombuffer(block, np.int16))
            scores += [Score(word, float(predicted[label]), end) for label, word in self._labels.items()]
        return scores

    def reset(self) -> None:
        """See `voxd.listen.wake_engine.WakeEngine.reset`."""
        self._model.reset()
        self._blocks.reset()

    def close(self) -> None:
        """See `voxd.listen.wake_engine.WakeEngine.close`."""
        self._model = None


def available() -> bool:
    """Return whether the `openwakeword` package is installed."""
    return importlib.util.find_spec("openwakeword") is not None


def _load(files: list[str], models_dir: Path) -> Any:
    if not available():
        # In the environment of the daemon, which need not be that of the user's `pip`.
        pip = f"{sys.executable} -m pip install"
        raise ModelError(
            "wake words in .onnx files need the openwakeword package",
            hint=f"run `{pip} onnxruntime scipy scikit-learn tqdm requests` "
            f"and `{pip} --no-deps openwakeword`",
        )
    for name in (_MELSPECTROGRAM, _EMBEDDING):
        if reason := reason_not_readable(models_dir / name):
            raise ModelError(
                f"{models_dir / name} {reason}", hint=f"run `voxctl models pull {Path(name).stem}`"
            )
    for file in files:
        if reason := reason_not_readable(Path(file)):
            raise ModelError(
                f"wake word model {file} {reason}",
                hint="set `model` of that word to a file that voxd can read",
            )
    # onnxruntime 1.29 and later report to their vendor unless this is set before the import (measured).
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # onnxruntime raises a dozen unrelated classes for a broken file, and the import raises what SciPy raises.
    with third_party(
        lambda error: ModelError(
            f"cannot load {', '.join(files)}: {error}", hint="replace the file; run `voxctl models verify`"
        )
    ):
        from openwakeword.model import Model

        # Without "custom_verifier_models": those are pickles, which may run any code.
        return Model(
            wakeword_models=list(files),
            inference_framework="onnx",
            melspec_model_path=str(models_dir / _MELSPECTROGRAM),
            embedding_model_path=str(models_dir / _EMBEDDING),
        )
