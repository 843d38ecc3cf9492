"""The lanes of the suite: what the fast one leaves out, and which tests must not run beside each other."""

import gc
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling

from tests.conformance import request_gate
from tests.properties import load_fast_profile

HERE = Path(__file__).parent

NEEDS_FULL_SETUP = ("conformance", "systemd")
"""Folders whose tests need the vendors' clients, other servers or a booted systemd."""

SLOW_MODULES = (
    # They start the daemon, or another program for nearly every test.
    "test_daemon*.py",
    "test_stopping.py",
    "test_panel.py",
    "scripts/*.py",
    "store/test_*kill.py",
    "store/test_db.py",
    "cli/test_voxctl.py",
    "cli/test_doctor*.py",
    "local/test_worker.py",
    # They run real speech through real engines.
    "local/test_transcribers.py",
    "local/test_synthesizers.py",
    "local/test_chain.py",
    "local/test_telemetry.py",
    "listen/test_wake_end.py",
    "listen/test_wake_engines.py",
    "listen/test_evaluate.py",
    "cli/test_wake_eval.py",
    "device/test_recorded_question.py",
    # They break sockets at every point of a conversation.
    "providers/routing/test_flapping.py",
    "providers/pipeline/test_faults.py",
    # They try every sentence of the grammar, or every phrase of the lists.
    "skills/understanding/test_jsgf.py",
    "skills/evaluation/test_phrase_lists.py",
    "skills/understanding/test_understander_property.py",
    # They wait for a sound card in real time, or start a process for nearly every test.
    "audio/test_microphone.py",
    "audio/test_speaker.py",
    "engine/test_microphone.py",
    "test_entry_points.py",
    "test_idle_imports.py",
    # They speak with the server of each vendor on loopback: `scripts/test PATH` for the vendor that changes.
    "providers/vendors/test_third_party.py",
    "providers/vendors/*/test_*.py",
    "providers/pipeline/test_vendors.py",
    "providers/pipeline/stages/test_stt_stream.py",
    "providers/realtime/test_faults.py",
    "net/test_http.py",
    "net/test_vendor_client_faults.py",
    # They run seconds of sound through the rules of listening, or whole turns of the device.
    "listen/test_speech_input.py",
    "listen/test_endpoint.py",
    "device/test_deferred_answers.py",
    "device/test_appliance.py",
    "test_children.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast",
        action="store_true",
        help="leave out sound cards, services, real daemons and what is marked slow",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fast"):
        load_fast_profile()
        # The clients would take 8 s to import in each worker, where an earlier full lane has installed them.
        request_gate.enabled = False


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # Not even imported: the fast lane does not install the vendors' clients, and every import costs time.
    if not config.getoption("--fast") or not collection_path.is_relative_to(HERE):
        return None
    if collection_path.is_dir():
        return (collection_path.parent == HERE and collection_path.name in NEEDS_FULL_SETUP) or None
    return is_slow(collection_path) or None


@cache
def is_slow(module: Path) -> bool:
    # Asked for every test: without the cache this took a quarter of the collection.
    return any(module.relative_to(HERE).match(pattern) for pattern in SLOW_MODULES)


class ModuleScheduling(LoadGroupScheduling):
    """Hands out whole modules, but the tests of slow modules one by one, and last."""

    # With a unit for each test the controller handed out 7,000, and both workers started what the tests of
    # one module share: litellm's server takes 14 s to start. The units with the most tests go out first.
    def _split_scope(self, nodeid: str) -> str:
        scope: str = super()._split_scope(nodeid)
        module = nodeid.partition("::")[0]
        return scope if scope != nodeid or is_slow(HERE.parent / module) else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadGroupScheduling | None:
    return ModuleScheduling(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "card" in getattr(item, "fixturenames", ()):
            # PulseAudio serves a stream in real time: two such tests at once on two cores starve each other.
            item.add_marker(pytest.mark.xdist_group("sound card"))
            item.add_marker(pytest.mark.slow)
        elif is_slow(item.path):
            item.add_marker(pytest.mark.slow)
    if config.getoption("--fast"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_collection_finish() -> None:
    # Thousands of collected tests are some 800,000 objects that live to the end. Without this each full
    # collection looks through them again: 0.5 s of every test that calls gc.collect().
    gc.collect()
    gc.freeze()
