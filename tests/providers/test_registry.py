"""Providers are found by entry point or registered by a call; a broken one does not affect the others."""

import sys
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeClock, RecordingEmit, settle
from voxd.errors import NotFound, ProviderError
from voxd.providers.base import BaseProvider
from voxd.providers.events import publish_to
from voxd.providers.realtime.session import Session
from voxd.providers.registry import Registry, provider_class, provider_statuses, register_provider
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox
from voxd.providers.vendors.mock.realtime import MockProvider

PARROT = '''
"""A third party's provider, in one file: it says what it hears."""

from voxd.events import EventType
from voxd.providers.base import BaseProvider


class Parrot(BaseProvider):
    api_version = 1

    is_open = False

    @property
    def is_connected(self):
        return self.is_open

    async def connect(self):
        self.is_open = True
        self.session_id = "perch"
        self.emit_event(EventType.CONNECTION_ESTABLISHED, {"provider": "parrot"})

    async def disconnect(self):
        self.is_open = False

    async def configure_session(self, config):
        self.instructions = config.instructions

    async def send_audio(self, audio_data):
        chunk = {"audio_data": audio_data, "sample_rate": 24000, "channels": 1}
        self.emit_event(EventType.RESPONSE_STARTED)
        self.emit_event(EventType.AUDIO_OUTPUT_CHUNK, {**chunk, "response_id": None, "item_id": None})
        self.emit_event(EventType.RESPONSE_COMPLETED)

    async def send_text(self, text):
        words = f"{self.config['metadata']['prefix']} {text}"
        self.emit_event(EventType.RESPONSE_STARTED, {"response_id": None})
        self.emit_event("text.output", {"text": words, "is_partial": False, "response_id": None})
        self.emit_event(EventType.RESPONSE_COMPLETED, {"response_id": None, "usage": None})

    async def interrupt(self, played_ms=None):
        pass
'''

OTHERS = """
from voxd.providers.base import BaseProvider

class Old(BaseProvider):
    api_version = 0

class Unfinished(BaseProvider):
    async def connect(self):
        pass

def not_a_class():
    pass
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of installed packages, empty yet."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("parrot_provider", "strange_provider", "crashing_provider"):
        sys.modules.pop(name, None)


def install(site: Path, distribution: str, module: str, source: str, *entries: str) -> None:
    """Put a package there as an installer does: the module, and its metadata beside it."""
    (site / f"{module}.py").write_text(source)
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[voxd.providers]", *entries]) + "\n")
    (info / "RECORD").write_text(f"{module}.py,,\n")
    (info / "INSTALLER").write_text("pip\n")


async def test_a_third_party_provider_in_one_file_holds_a_conversation(site: Path) -> None:
    install(site, "parrot-provider", "parrot_provider", PARROT, "parrot = parrot_provider:Parrot")
    cls = Registry(BaseProvider).find("parrot")
    emit = RecordingEmit()
    session = Session(
        lambda: cls({"metadata": {"prefix": "Polly says"}}),
        name="parrot",
        config=SessionConfig(instructions="squawk"),
        tools=ToolBox(),
        on_event=publish_to(emit),
        clock=FakeClock(),
    )
    await session.connect()
    await session.send_text("hello")
    await session.send_audio(bytes(480))
    await settle()
    assert [line.text for line in session.history] == ["hello", "Polly says hello"]
    assert "audio.output_chunk" in emit.types()
    assert emit.types().count("connection.established") == 1
    assert session.provider is not None
    assert session.provider.instructions == "squawk"  # type: ignore[attr-defined]
    await session.close()


def test_broken_providers_are_reported_and_skipped(site: Path) -> None:
    install(site, "parrot-provider", "parrot_provider", PARROT, "parrot = parrot_provider:Parrot")
    install(site, "crashing", "crashing_provider", "1 / 0", "crash = crashing_provider:Provider")
    install(
        site,
        "strange",
        "strange_provider",
        OTHERS,
        "old = strange_provider:Old",
        "unfinished = strange_provider:Unfinished",
        "function = strange_provider:not_a_class",
        "missing = strange_provider:Missing",
        "gone = no_such_module:Provider",
    )
    registry = Registry(BaseProvider)
    statuses = {status.name: status for status in registry.statuses()}
    assert statuses["parrot"].enabled
    assert statuses["parrot"].source == "parrot-provider"
    told = {
        name: status.load_error
        for name, status in statuses.items()
        if status.source in ("crashing", "strange")
    }
    assert told == {
        "crash": "ZeroDivisionError: division by zero",
        "old": "it was written for version 0 of the contract, this is version 1",
        "unfinished": "it lacks send_audio, send_text",
        "function": "it is not a subclass of BaseProvider",
        "missing": "AttributeError: module 'strange_provider' has no attribute 'Missing'",
        "gone": "ModuleNotFoundError: No module named 'no_such_module'",
    }
    assert not any(statuses[name].enabled for name in told)
    for name in told:
        with pytest.raises(ProviderError, match=f"the provider {name} cannot be loaded"):
            registry.find(name)
    assert registry.find("mock") is MockProvider


def test_a_package_cannot_take_the_name_of_a_built_in_provider(site: Path) -> None:
    install(site, "a-thief", "parrot_provider", PARROT, "mock = parrot_provider:Parrot")
    registry = Registry(BaseProvider)
    assert registry.find("mock") is MockProvider
    thief = next(status for status in registry.statuses() if status.source == "a-thief")
    assert (thief.enabled, thief.load_error) == (False, "the name is taken by voxd-appliance")


def test_built_in_providers_are_found_by_entry_points_too() -> None:
    names = {status.name for status in provider_statuses() if status.source == "voxd-appliance"}
    assert names == {"openai", "azure", "custom", "gemini", "gpt_live", "mock", "pipeline"}
    assert provider_class("mock") is MockProvider


def test_an_unknown_name_is_reported_with_the_known_ones() -> None:
    with pytest.raises(NotFound, match="unknown provider mork") as raised:
        Registry(BaseProvider).find("mork")
    assert "mock" in raised.value.hint


def test_a_provider_that_is_registered_by_a_call_is_used_and_listed() -> None:
    class Mine(MockProvider):
        pass

    registry = Registry(BaseProvider)
    registry.register("mock", Mine)
    registry.register("mine", Mine)
    assert registry.find("mock") is registry.find("mine") is Mine
    listed = [(status.name, status.source) for status in registry.statuses()]
    assert ("mine", "registered") in listed
    assert listed.count(("mock", "registered")) == 1
    assert ("mock", "voxd-appliance") not in listed


def test_a_class_that_is_not_a_provider_cannot_be_registered() -> None:
    with pytest.raises(ProviderError, match="not a subclass of BaseProvider"):
        register_provider("x", str)  # type: ignore[arg-type]
    with pytest.raises(ProviderError, match="it lacks"):
        register_provider("x", BaseProvider)


def test_a_lookup_waits_while_another_thread_reads_the_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry[BaseProvider] = Registry(BaseProvider)
    read, found = metadata.entry_points, []
    asking = threading.Thread(target=lambda: found.append("mock" in registry))

    def slowly(**group: str) -> Any:
        entries = read(**group)
        # Without the wait the wrong result is there long before that.
        monkeypatch.setattr(metadata, "entry_points", read)
        asking.start()
        asking.join(0.2)
        return entries

    monkeypatch.setattr(metadata, "entry_points", slowly)
    assert "mock" in registry
    asking.join(5)
    assert found == [True]
