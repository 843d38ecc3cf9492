"""Hears a recording with the `openwakeword` package, run by that package's own Python; prints JSON."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from openwakeword.model import Model

CHUNK_SAMPLES = 1280


def main() -> None:
    """Time the whole recording after its first two seconds, at the package's defaults."""
    models, pcm = Path(sys.argv[1]), Path(sys.argv[2])
    model = Model(
        wakeword_models=[str(models / "hey_jarvis_v0.1.onnx")],
        inference_framework="onnx",
        melspec_model_path=str(models / "melspectrogram.onnx"),
        embedding_model_path=str(models / "embedding_model.onnx"),
    )
    samples = np.frombuffer(pcm.read_bytes(), np.int16)
    chunks = [
        samples[at : at + CHUNK_SAMPLES] for at in range(0, len(samples) - CHUNK_SAMPLES + 1, CHUNK_SAMPLES)
    ]
    for chunk in chunks[:25]:
        model.predict(chunk)
    began_s = time.process_time()
    for chunk in chunks:
        model.predict(chunk)
    cpu_s = time.process_time() - began_s
    print(json.dumps({"cpu_s": cpu_s, "audio_s": len(chunks) * CHUNK_SAMPLES / 16_000}))


if __name__ == "__main__":
    main()
