"""`voxctl config get`, `set`, `unset` and `edit`: one key changes, the rest of the file stays."""

import asyncio
from pathlib import Path

import pytest
import tomli

from tests.cli.conftest import Device, Ran, Voxctl
from voxd.cli.main import main
from voxd.config.editing import read_key, set_key, unset_key
from voxd.config.toml_writer import sample
from voxd.errors import InvalidRequest, NotFound


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "voxd.toml"
    file.write_text(sample())
    monkeypatch.setenv("VOXD_CONFIG", str(file))
    monkeypatch.setenv("VOXD_SOCKET", str(tmp_path / "none.sock"))
    return file


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("audio.channels", ("audio", "channels")),
        ("version", ("version",)),
        ("wake.words[0].name", ("wake", "words", 0, "name")),
        ('providers."odd name".kind', ("providers", "odd name", "kind")),
    ],
)
def test_a_key_is_read(written: str, path: tuple[str | int, ...]) -> None:
    assert read_key(written) == path


@pytest.mark.parametrize(
    "written", ["", ".", "audio.", "audio..x", "audio channels", "[0]", "audio[x]", "a=b"]
)
def test_what_is_not_a_key_is_refused(written: str) -> None:
    with pytest.raises(InvalidRequest):
        read_key(written)


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("audio.volume_percent", "40", 40),
        ("log.level", "debug", "debug"),
        ("log.level", '"debug"', "debug"),
        ("agents.default.persona", "You are brief = true", "You are brief = true"),
        ("agents.default.fallback", '["local"]', ["local"]),
        ("providers.x.kind", "mock", "mock"),
        ("wake.words[0].name", "alexa", "alexa"),
        ("skills.commands[0].name", "lamp", "lamp"),
    ],
)
def test_a_key_is_set_and_nothing_else_changes(key: str, raw: str, value: object) -> None:
    before = sample()
    after = set_key(before, read_key(key), raw)
    found = tomli.loads(after)
    for part in read_key(key):
        found = found[part]  # type: ignore[index]
    assert found == value
    lines = before.splitlines()
    added = [line for line in after.splitlines() if line not in lines]
    assert len(added) <= 2, "the line, and perhaps the header of its table"
    changed = set_key(after, read_key(key), raw)
    assert tomli.loads(changed) == tomli.loads(after)
    unset = tomli.loads(unset_key(after, read_key(key)))
    for part in read_key(key)[:-1]:
        unset = unset[part]  # type: ignore[index]
    assert read_key(key)[-1] not in unset


def test_a_commented_key_is_set_in_its_place() -> None:
    after = set_key(
        "[a]\n# why\n#x = 1\n\n#[b]\n#x = 2\n\n[audio]\n#channels = 1 # mono\n", ("audio", "channels"), "2"
    )
    assert after == "[a]\n# why\n#x = 1\n\n#[b]\n#x = 2\n\n[audio]\nchannels = 2\n"


def test_what_is_not_set_cannot_be_unset() -> None:
    with pytest.raises(NotFound):
        unset_key("version = 1\n", ("audio", "channels"))


def test_a_broken_file_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        set_key("version = \n", ("audio", "channels"), "2")


def test_get_prints_what_is_in_force(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "set", "audio.volume_percent", "40"]) == 0
    assert "it applies when voxd starts" in capsys.readouterr().out
    assert main(["config", "get", "audio.volume_percent"]) == 0
    assert main(["config", "get", "wake.words[0].name"]) == 0
    assert capsys.readouterr().out == "40\nhey_jarvis\n"
    assert main(["config", "get", "audio.volume_prcent"]) == 1
    assert 'did you mean "volume_percent"?' in capsys.readouterr().err
    assert main(["config", "unset", "audio.volume_percent"]) == 0
    assert main(["config", "get", "audio.volume_percent", "--json"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "70"


def test_a_value_that_cannot_be_used_leaves_the_file_as_it_was(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file.read_bytes()
    assert main(["config", "set", "audio.volume_percent", "400"]) == 78
    assert main(["config", "set", "audio.volum", "4"]) == 78
    said = capsys.readouterr().err
    assert f"{file}:" in said
    assert "expected an integer from 0 to 100" in said
    assert file.read_bytes() == before
    assert [each.name for each in file.parent.iterdir()] == ["voxd.toml"]


def test_mode_and_links_of_the_file_stay(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    assert main(["--config", str(link), "config", "set", "log.level", "debug"]) == 0
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert 'level = "debug"' in file.read_text()


def test_a_file_is_made_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new" / "voxd.toml"
    monkeypatch.setenv("VOXD_SOCKET", str(tmp_path / "none.sock"))
    assert main(["--config", str(file), "config", "set", "log.level", "debug"]) == 0
    assert tomli.loads(file.read_text()) == {"version": 1, "log": {"level": "debug"}}


@pytest.mark.parametrize(
    ("script", "answers", "code", "level"),
    [
        ('s/#level = .*/level = "debug"/', "", 0, "debug"),
        ("s/nothing/at all/", "", 0, None),
        ("s/#level = .*/level = 5/", "n\n", 78, None),
        ("s/#level = .*/level = 5/", "", 78, None),
    ],
)
async def test_edit_saves_only_what_is_right(
    file: Path,
    voxctl: Voxctl,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    answers: str,
    code: int,
    level: str | None,
) -> None:
    monkeypatch.setenv("EDITOR", f"sed -i '{script}'")
    monkeypatch.delenv("VISUAL", raising=False)
    ran = await voxctl("--config", str(file), "config", "edit", stdin=answers.encode())
    assert ran.code == code, ran.err
    assert tomli.loads(file.read_text()).get("log", {}).get("level") == level  # noqa: ASYNC240


async def test_a_running_daemon_applies_the_change(device: Device, voxctl: Voxctl, tmp_path: Path) -> None:
    file = tmp_path / "voxd.toml"
    await asyncio.to_thread(file.write_text, f'version = 1\n[control]\nsocket = "{device.socket}"\n')

    async def change(*arguments: str) -> Ran:
        return await voxctl("--config", str(file), "--socket", str(device.socket), "config", *arguments)

    ran = await change("set", "log.level", "debug")
    assert (ran.code, ran.out.strip().endswith("applied")) == (0, True)
    ran = await change("reload")
    assert (ran.code, "applied:" in ran.out) == (0, True)
