"""Where the models and recordings beside the project lie, and the marks that skip tests without them."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
MODELS = SHARED / "models"
AUDIO = SHARED / "audio"

PROOF = (MODELS / "whisper_closed_set" / "commands.txt", AUDIO / "transcripts.tsv")
"""One file of each kind: a folder may be there and empty."""

PRESENT = all(path.is_file() for path in PROOF)

needs_shared = pytest.mark.skipif(
    not PRESENT, reason="../shared is absent or empty: no models and recordings to test on"
)
