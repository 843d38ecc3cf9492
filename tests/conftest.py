"""The lanes of the suite: what the fast one leaves out, and which tests must not run beside each other."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent

NEEDS_FULL_SETUP = ("conformance", "systemd")
"""Folders whose tests need the vendors' clients, other servers or a booted systemd."""

REAL_PROCESSES = (
    "test_daemon*.py",
    "test_stopping.py",
    "test_panel.py",
    "scripts/*.py",
    "store/test_*kill.py",
)
"""Modules that start the daemon or other programs for nearly every test: seconds each."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast",
        action="store_true",
        help="leave out sound cards, services, real daemons and what is marked slow",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # Not even imported: the fast lane does not install the vendors' clients, whose import takes seconds.
    if (
        config.getoption("--fast")
        and collection_path.parent == HERE
        and collection_path.name in NEEDS_FULL_SETUP
    ):
        return True
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "card" in getattr(item, "fixturenames", ()):
            # PulseAudio serves a stream in real time: two such tests at once on two cores starve each other.
            item.add_marker(pytest.mark.xdist_group("sound card"))
            item.add_marker(pytest.mark.slow)
        elif any(item.path.relative_to(HERE).match(pattern) for pattern in REAL_PROCESSES):
            item.add_marker(pytest.mark.slow)
    if config.getoption("--fast"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
