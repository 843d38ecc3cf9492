"""Where the models and recordings beside the project lie, and the marks that skip tests without them."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
MODELS = SHARED / "models"
AUDIO = SHARED / "audio"

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared is absent: no models and recordings to test on"
)
