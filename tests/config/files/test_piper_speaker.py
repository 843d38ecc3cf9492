"""The speaker of a voice with many, by number and by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from voxd.config.files.piper_speaker import description_of, find_speaker
from voxd.errors import ModelError

VCTK: dict[str, Any] = {"num_speakers": 3, "speaker_id_map": {"p239": 0, "Anna": 1, "p225": 2}}
LIBRITTS: dict[str, Any] = {"num_speakers": 3, "speaker_id_map": {"3922": 0, "1": 2, "0": 1}}
UNNAMED: dict[str, Any] = {"num_speakers": 4, "speaker_id_map": {}}
ONE: dict[str, Any] = {"num_speakers": 1}


@pytest.mark.parametrize(
    ("speaker", "description", "number"),
    [
        ("", VCTK, None),
        ("", ONE, None),
        ("p225", VCTK, 2),
        ("P225", VCTK, 2),
        ("anna", VCTK, 1),
        (2, VCTK, 2),
        ("2", VCTK, 2),
        ("3922", LIBRITTS, 0),
        (3922, LIBRITTS, 0),
        ("1", LIBRITTS, 2),
        (1, LIBRITTS, 1),
        (3, UNNAMED, 3),
        (0, ONE, 0),
        (0, {}, 0),
    ],
)
def test_a_speaker_is_found(speaker: int | str, description: dict[str, Any], number: int | None) -> None:
    assert find_speaker(speaker, description) == number


@pytest.mark.parametrize(
    ("speaker", "description", "hint"),
    [
        ("p226", VCTK, "'p225'"),
        ("Bob", VCTK, "p239, Anna, p225"),
        (3, VCTK, "from 0 to 2"),
        (-1, VCTK, "from 0 to 2"),
        (4, UNNAMED, "from 0 to 3"),
        ("x", UNNAMED, "from 0 to 3"),
        (1, ONE, "one speaker"),
        ("anna", ONE, "remove tts.piper.speaker"),
    ],
)
def test_a_speaker_that_the_voice_does_not_have_is_named(
    speaker: int | str, description: dict[str, Any], hint: str
) -> None:
    with pytest.raises(ModelError, match="no speaker") as refused:
        find_speaker(speaker, description)
    assert hint in refused.value.hint


def test_the_description_lies_beside_the_voice(tmp_path: Path) -> None:
    voice = tmp_path / "voice.onnx"
    with pytest.raises(ModelError, match=r"voice\.onnx\.json"):
        description_of(voice)
    (tmp_path / "voice.onnx.json").write_text(json.dumps(VCTK))
    assert description_of(voice) == VCTK
