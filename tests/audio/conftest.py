"""The virtual sound card, put into the environment that the audio programs inherit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.soundcard import SoundCard, missing, sound_card


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundCard]:
    if reason := missing():
        pytest.skip(reason)
    directory = tmp_path / "card"
    directory.mkdir()
    for started in sound_card(directory):
        for name, value in started.env.items():
            monkeypatch.setenv(name, value)
        yield started
