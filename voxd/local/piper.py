"""Piper (GPL-3) in its worker process; the only module that imports it."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# onnxruntime 1.29 and later report to their vendor unless this is set before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

from voxd.errors import LocalEngineError, ModelError, third_party
from voxd.local.serve import EngineOutput


class PiperEngine:
    """One loaded voice."""

    def __init__(self) -> None:
        self._voice: Any = None
        self._config: Any = None

    def load(self, settings: dict[str, Any], payload: bytes) -> None:
        """Load ``settings``: voice (path of the .onnx), length_scale, speaker_id. Raises `ModelError`."""
        path = Path(settings["voice"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # onnxruntime and piper raise many unrelated classes for a damaged voice.
        with third_party(
            lambda error: ModelError(
                f"the voice {path} cannot be loaded: {error}",
                hint=f"delete {path} and run `voxctl models pull`",
            )
        ):
            config = PiperConfig.from_dict(json.loads(path.with_name(path.name + ".json").read_bytes()))
            # From bytes, not from the path: a model cannot then name other files to be read.
            session = onnxruntime.InferenceSession(
                path.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"]
            )
        self._voice = PiperVoice(session=session, config=config)
        self._config = SynthesisConfig(
            length_scale=settings["length_scale"], speaker_id=settings.get("speaker_id")
        )

    def work(
        self, op: str, data: dict[str, Any], payload: bytes, cancelled: Callable[[], bool]
    ) -> Iterator[EngineOutput]:
        """Speak ``payload``, one sentence of UTF-8 text."""
        if self._voice is None or op != "synthesize":
            raise LocalEngineError(f"piper cannot {op}")
        for chunk in self._voice.synthesize(payload.decode(), syn_config=self._config):
            if cancelled():
                return
            samples = chunk.audio_int16_array
            if not np.any(samples):
                raise ModelError("the voice gives no sound", hint="choose another voice in tts.piper.voice")
            yield EngineOutput("audio", samples.astype("<i2").tobytes(), {"rate_hz": chunk.sample_rate})
