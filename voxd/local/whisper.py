"""Whisper in its worker process, by pywhispercpp, with guards against invented words."""

import math
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pywhispercpp.model import Model

from voxd.audio.sound import MIN_SPEECH_DBFS, loudest_dbfs
from voxd.errors import LocalEngineError, ModelError
from voxd.frames import SAMPLE_RATE_HZ
from voxd.local.serve import EngineOutput

# Mean token probability under which a transcript counts as invented; whisper's -1.0 log limit is 0.37.
MIN_PROBABILITY = 0.3

# Whisper's own no-speech threshold.
NO_SPEECH_PROBABILITY = 0.6

# Positions of 20 ms: shorter contexts than 5 s make published models repeat themselves.
MIN_AUDIO_CTX = 256

# 30 s, the window Whisper was trained on.
FULL_AUDIO_CTX = 1500
_MARGIN_CTX = 64
# "ggml", little endian.
_GGML_MAGIC = 0x67676D6C
_TAG = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|[♪♫]+")


class WhisperEngine:
    """One loaded model; no context is carried from clip to clip."""

    def __init__(self) -> None:
        self._model: Any = None

    def load(self, settings: dict[str, Any], payload: bytes) -> None:
        """Load ``settings``: model (path), threads, language. Raises `ModelError`."""
        path = Path(settings["model"])
        check_ggml(path)
        self._model = Model(
            str(path),
            n_threads=settings["threads"],
            language=settings["language"],
            # One utterance says nothing about the next; carried context repeats itself.
            no_context=True,
            single_segment=True,
            no_timestamps=True,
            suppress_blank=True,
            suppress_nst=True,
            no_speech_thold=NO_SPEECH_PROBABILITY,
            # A second decoding at a higher temperature invents words, and takes as long again.
            temperature_inc=0.0,
            print_progress=False,
            print_realtime=False,
            print_timestamps=False,
        )

    def work(
        self, op: str, data: dict[str, Any], payload: bytes, cancelled: Callable[[], bool]
    ) -> Iterator[EngineOutput]:
        """Transcribe ``payload``, int16 mono at 16 kHz."""
        if self._model is None or op != "transcribe":
            raise LocalEngineError(f"whisper cannot {op}")
        samples = np.frombuffer(payload, dtype="<i2").astype(np.float32) / 32768.0
        text, probability = "", None
        if loudest_dbfs(samples) > MIN_SPEECH_DBFS:
            segments = self._model.transcribe(
                samples,
                audio_ctx=audio_ctx_for(samples.size),
                extract_probability=True,
                abort_callback=cancelled,
            )
            # pywhispercpp gives NaN for a segment without tokens.
            known = [segment.probability for segment in segments if not math.isnan(segment.probability)]
            probability = sum(known) / len(known) if known else None
            # On noise Whisper invents sentences, with a low probability.
            if probability is None or probability >= MIN_PROBABILITY:
                text = strip_tags(" ".join(segment.text for segment in segments))
        if not cancelled():
            yield EngineOutput("transcript", text.encode(), {"confidence": probability if text else None})


def audio_ctx_for(samples: int) -> int:
    """Return how many of the encoder's 1500 positions (20 ms each) a clip of ``samples`` needs."""
    # Encoding all 30 s costs the same for every clip; whisper.cpp's `-ac` shortens it (examples/command).
    # Rounded up to 64, which keeps its matrices aligned.
    positions = math.ceil(samples * 50 / SAMPLE_RATE_HZ) + _MARGIN_CTX
    return min(FULL_AUDIO_CTX, max(MIN_AUDIO_CTX, math.ceil(positions / 64) * 64))


def strip_tags(text: str) -> str:
    """Return ``text`` without what Whisper writes for other than speech, such as "[BLANK_AUDIO]"."""
    text = " ".join(_TAG.sub(" ", text).split())
    return text if any(letter.isalnum() for letter in text) else ""


def check_ggml(path: Path) -> None:
    """Raise `ModelError` unless ``path`` is a ggml file with weights."""
    try:
        with path.open("rb") as file:
            header = file.read(12 * 4)
            size = path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    if len(header) < 48 or struct.unpack_from("<I", header)[0] != _GGML_MAGIC:
        raise ModelError(f"{path} is not a Whisper model in ggml format", hint=_hint(path))
    vocabulary, text_state = struct.unpack_from("<i", header, 4)[0], struct.unpack_from("<i", header, 28)[0]
    # whisper.cpp accepts a file that ends after the vocabulary, and then never recognises anything. The token
    # embedding alone (vocabulary x text width) needs more than 0.4 bytes per weight in the smallest
    # quantisation.
    if size < 0.4 * vocabulary * text_state:
        raise ModelError(f"{path} has no weights: {size} bytes", hint=_hint(path))


def _hint(path: Path) -> str:
    return f"delete {path} and run `voxctl models pull`"
