"""The door for third parties names every contract, and nothing inside voxd goes through it."""

import ast
from pathlib import Path

import pytest

import voxd
from voxd import plugin

PACKAGE = Path(voxd.__file__).parent


@pytest.mark.parametrize(
    "name",
    [
        "BaseProvider",
        "SpeechToText",
        "LanguageModel",
        "TextToSpeech",
        "Skill",
        "TranscribingEngine",
        "SpeakingEngine",
        "LedBackend",
    ],
)
def test_every_contract_can_be_subclassed_from_the_door(name: str) -> None:
    assert name in plugin.__all__
    assert isinstance(getattr(plugin, name), type)


def test_the_door_exports_all_it_imports() -> None:
    tree = ast.parse((PACKAGE / "plugin.py").read_text("utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == set(plugin.__all__)


def test_no_module_of_voxd_imports_the_door() -> None:
    users = [path for path in PACKAGE.rglob("*.py") if "voxd.plugin import" in path.read_text("utf-8")]
    assert users == []
