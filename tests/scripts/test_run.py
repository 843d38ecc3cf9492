"""./scripts/run starts a daemon and ./scripts/voxctl finds it, in a checkout of their own."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from voxd.audio.files import write_wav
from voxd.frames import SAMPLE_RATE_HZ, Clip

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0

pytestmark = pytest.mark.skipif(
    not list((ROOT / ".venv").glob("voxd-*")), reason="./scripts/setup has not made .venv"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that shares the environment with this one, and nothing else."""
    for name in ("scripts", "config"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    write_wav(tmp_path / "quiet.wav", Clip(bytes(32_000), SAMPLE_RATE_HZ))
    return tmp_path


@pytest.fixture
def environment() -> dict[str, str]:
    """What a fresh login has."""
    ours = ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "VOXD")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture
def running(checkout: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    sets = ('audio.input="virtual"', 'audio.output="virtual"', f'audio.virtual_input="{checkout}/quiet.wav"')
    command = [checkout / "scripts/run", *(word for key in sets for word in ("--set", key))]
    with subprocess.Popen(
        command, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        # However long it hangs, the test ends.
        watch = threading.Timer(PATIENCE_S, process.kill)
        watch.start()
        try:
            yield process
        finally:
            watch.cancel()
            process.terminate()
            assert process.wait(PATIENCE_S) == 0


def voxctl(checkout: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "scripts/voxctl", *arguments],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_voxctl_reaches_the_daemon_that_run_started(
    checkout: Path, environment: dict[str, str], running: subprocess.Popen[str]
) -> None:
    assert running.stdout is not None
    hint = next(line for line in running.stdout if "in another terminal" in line)
    assert f"{checkout}/scripts/voxctl status" in hint
    assert any("ready" in line for line in running.stdout)
    status = voxctl(checkout, environment, "status")
    assert (status.returncode, status.stderr) == (0, "")
    assert "hey jarvis" in status.stdout
    assert voxctl(checkout, environment, "ask", "what can you do").returncode == 0
    assert (checkout / "var/run/voxd.sock").is_socket()


def test_voxctl_says_so_when_run_has_not_started_one(checkout: Path, environment: dict[str, str]) -> None:
    status = voxctl(checkout, environment, "status")
    assert status.returncode == 69
    assert f"{checkout}/var/run/voxd.sock" in status.stderr
