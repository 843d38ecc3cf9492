"""A third party's speech-to-speech provider: the example of the README, installed as a package of its own."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import voxd.providers
from tests.providers.test_registry import install
from voxd import VoiceEngine, VoiceEngineConfig
from voxd.providers import registry
from voxd.providers.base import BaseProvider

README = (Path(voxd.providers.__file__).parent / "README.md").read_text()


@pytest.fixture
def parrot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Install the example, and return its source."""
    found = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    entry = re.search(r"^parrot = \"(.+)\"$", README, re.MULTILINE)
    assert found is not None
    assert entry is not None
    # The process-wide registry reads the entry points once, at first use: another test may have been first.
    monkeypatch.setattr(registry, "_REGISTRY", registry.Registry(BaseProvider))
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "parrot-provider", "parrot_provider", found[1], f"parrot = {entry[1]}")
    yield found[1]
    sys.modules.pop("parrot_provider", None)


async def test_a_third_party_provider_answers_in_the_engine(parrot: str) -> None:
    texts: list[str] = []
    async with VoiceEngine(config=VoiceEngineConfig(provider="parrot")) as engine:
        engine.on_text_response = texts.append
        audio = await engine.text_2_audio_response("hello")
        assert [message.text for message in engine.history] == ["hello", "You said hello."]
    assert len(audio) == 4800, "100 ms at 24 kHz"
    assert texts == ["You said hello."]


def test_a_third_party_provider_imports_nothing_but_the_plugin_module(parrot: str) -> None:
    imported = re.findall(r"^(?:from|import) (voxd\S*)", parrot, re.MULTILINE)
    assert imported == ["voxd.plugin"]
