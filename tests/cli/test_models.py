"""`voxctl models`, without a daemon, against a hub on loopback."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.local.hub import CONTENT, SHA256, Hub
from voxd.cli.main import main


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("VOXD_CONFIG", "CONFIGURATION_DIRECTORY", "NO_COLOR", "VOXD_MODEL_CATALOGUE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "voxd.toml"
    file.write_text(f'[paths]\nmodels = "{tmp_path}/models"\n')
    return file


def catalogue(tmp_path: Path, url: str, sha256: str = SHA256) -> str:
    file = {"file": "toy.bin", "url": f"{url}/toy.bin", "bytes": len(CONTENT), "sha256": sha256}
    models = [{"name": "toy", "kind": "whisper", "licence": "CC BY-NC-SA 4.0", "files": [file]}]
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps({"models": models}))
    return str(path)


async def voxctl(config: Path, *args: str) -> int:
    return await asyncio.to_thread(main, ["--config", str(config), "models", *args])


async def test_the_list_names_size_and_licence(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await voxctl(config, "list") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "77.7 MB" in lines["tiny.en"]
    assert "CC BY-NC-SA" in lines["hey_jarvis_v0.1"]


async def test_a_model_is_pulled_listed_and_verified(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Hub() as hub:
        monkeypatch.setenv("VOXD_MODEL_CATALOGUE", catalogue(tmp_path, hub.url))
        assert await voxctl(config, "pull", "toy") == 0
    said = capsys.readouterr()
    assert "CC BY-NC-SA" in said.out
    assert "toy.bin: 100 %" in said.err
    assert (tmp_path / "models" / "toy.bin").read_bytes() == CONTENT
    assert await voxctl(config, "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["installed"] is True
    assert await voxctl(config, "verify") == 0
    (tmp_path / "models" / "toy.bin").write_bytes(bytes(len(CONTENT)))
    capsys.readouterr()
    assert await voxctl(config, "verify", "--json") == 1
    assert json.loads(capsys.readouterr().out)[0]["problem"] == "toy.bin does not match its SHA-256"


async def test_a_wrong_file_is_an_error_and_not_installed(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Hub() as hub:
        monkeypatch.setenv("VOXD_MODEL_CATALOGUE", catalogue(tmp_path, hub.url, "0" * 64))
        assert await voxctl(config, "pull", "toy", "--json") == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "model_unavailable"
    assert list((tmp_path / "models").iterdir()) == []


async def test_an_unknown_model_is_an_error(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await voxctl(config, "pull", "nothing") == 1
    assert "voxctl models list" in capsys.readouterr().err


async def test_verifying_one_that_is_not_installed_fails(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await voxctl(config, "verify", "tiny.en") == 1
    assert "not installed" in capsys.readouterr().out
