"""The catalogue in the package, and what is said about installed files."""

import hashlib
from pathlib import Path

import pytest

from tests.shared import MODELS, needs_shared
from voxd.errors import ModelError, NotFound
from voxd.local.catalogue import (
    CATALOGUE_VARIABLE,
    CatalogueModel,
    ModelFile,
    is_installed,
    load_catalogue,
    problem_of,
    sha256_of,
)
from voxd.local.engines import piper_voice, whisper_file

BUILTIN = load_catalogue({})


@pytest.mark.parametrize("model", BUILTIN.models, ids=lambda model: model.name)
def test_every_model_comes_over_https_under_the_name_its_engine_looks_for(
    model: CatalogueModel, tmp_path: Path
) -> None:
    assert all(file.url.startswith("https://") for file in model.files)
    for file in model.files:
        (tmp_path / file.file).write_bytes(b"")
    match model.kind:
        case "whisper":
            assert whisper_file(model.name, tmp_path).name == model.files[0].file
        case "piper":
            assert piper_voice(model.name, tmp_path).name == model.files[0].file
        case "openwakeword":
            assert model.files[0].file.startswith(model.name)
        case _:
            pytest.fail(f"unknown kind {model.kind}")


def test_the_defaults_of_the_schema_can_be_pulled() -> None:
    assert BUILTIN.find("tiny.en").kind == "whisper"
    assert BUILTIN.find("en_US-lessac-medium").kind == "piper"


def test_names_are_unique() -> None:
    names = [model.name for model in BUILTIN.models]
    assert len(names) == len(set(names))


@needs_shared
def test_the_wake_word_checksums_are_those_of_the_real_files() -> None:
    for model in BUILTIN.models:
        real = MODELS / "openwakeword" / model.files[0].file
        if model.kind == "openwakeword":
            assert (sha256_of(real), real.stat().st_size) == (model.files[0].sha256, model.bytes)


def test_the_non_commercial_licence_is_named() -> None:
    assert "NC" in BUILTIN.find("hey_jarvis_v0.1").licence


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(NotFound, match="no model is called nothing"):
        BUILTIN.find("nothing")


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        '{"models": [{"name": "x"}]}',
        '{"models": [{"name": "x", "kind": "whisper", "licence": "MIT", "files": '
        '[{"file": "../../etc/passwd", "url": "https://x", "bytes": 1, "sha256": "%s"}]}]}' % ("0" * 64),
    ],
)
def test_a_catalogue_of_ones_own_is_checked(tmp_path: Path, content: str) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(content)
    with pytest.raises(ModelError, match="cannot be used"):
        load_catalogue({CATALOGUE_VARIABLE: str(path)})


@pytest.mark.parametrize(
    ("content", "problem", "installed"),
    [
        (None, "not installed", False),
        (b"right", "", True),
        (b"wrong", "a.bin does not match its SHA-256", True),
        (b"too long", "a.bin has 8 bytes, not 5", False),
    ],
)
def test_installed_files_are_compared(
    tmp_path: Path, content: bytes | None, problem: str, installed: bool
) -> None:
    right = b"right"
    file = ModelFile("a.bin", "https://x/a.bin", 5, hashlib.sha256(right).hexdigest())
    model = CatalogueModel("a", "whisper", "MIT", (file,))
    if content is not None:
        (tmp_path / "a.bin").write_bytes(content)
    assert problem_of(model, tmp_path) == problem
    assert is_installed(model, tmp_path) is installed
