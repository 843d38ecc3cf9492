"""Programs written for VoxEngine import its names."""

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_its_names_are_those_of_voxd() -> None:
    code = """
import voxd.voxengine
import voxd, voxengine
from voxengine import VoiceEngine, EventType, register_provider
from voxengine.providers.base import BaseProvider
import voxengine.errors as errors
import voxd.providers.base, importlib
assert voxengine is voxd and VoiceEngine is voxd.VoiceEngine
assert BaseProvider is voxd.BaseProvider is voxd.providers.base.BaseProvider
assert errors.VoxdError is voxd.VoxdError
assert voxd.__name__ == voxd.__spec__.name == "voxd"
assert voxd.providers.base.__spec__.name == "voxd.providers.base"
importlib.reload(voxd.voxengine)
import sys
print(sum(type(finder).__name__ == "_AliasFinder" for finder in sys.meta_path))
"""
    assert run(code) == "1"


@pytest.mark.parametrize("name", ["voxengine.nothing", "voxengine.providers.nothing", "voxenginex"])
def test_what_voxd_does_not_have_is_not_found(name: str) -> None:
    code = f"""
import voxd.voxengine
try:
    import {name}
except ModuleNotFoundError as error:
    print(error)
"""
    assert "No module named" in run(code)


def test_without_the_module_it_is_not_importable() -> None:
    assert run("import voxd, importlib.util\nprint(importlib.util.find_spec('voxengine'))") == "None"
