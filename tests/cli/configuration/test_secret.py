import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from voxd.cli.main import main

KEY = "sk-proj-0123456789abcdefHUNTER2"
CONFIG = """
[providers.cloud]
kind = "openai"
api_key = { credential = "openai_key" }
"""
Give = Callable[[str], None]


@pytest.fixture(autouse=True)
def directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("CONFIGURATION_DIRECTORY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    # As scripts/voxctl sets it: the daemon is one of this user.
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("VOXD_CONFIG", str(tmp_path / "voxd.toml"))
    (tmp_path / "voxd.toml").write_text(CONFIG)
    return tmp_path / "voxd" / "credentials"


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Give:
    """Set what standard input has; it is no terminal."""

    def put(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return put


def test_a_secret_is_stored_for_its_owner_alone_and_never_shown(
    directory: Path, give: Give, capsys: pytest.CaptureFixture[str]
) -> None:
    give(f"{KEY}\n")
    assert main(["secret", "set", "openai_key"]) == 0
    file = directory / "openai_key"
    assert file.read_text() == f"{KEY}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert os.listdir(directory) == ["openai_key"], "no temporary file is left"
    shown = capsys.readouterr()
    assert "providers.cloud.api_key" in shown.out
    assert "HUNTER2" not in shown.out + shown.err
    assert main(["config", "check"]) == 0
    assert capsys.readouterr().out.startswith("no problems")


def test_a_second_value_replaces_the_first(directory: Path, give: Give) -> None:
    for key in ("first", "second"):
        give(key)
        assert main(["secret", "set", "openai_key"]) == 0
    assert (directory / "openai_key").read_text() == "second\n"


@pytest.mark.parametrize(
    "pasted",
    [
        f"  {KEY} \r\n",
        f"Bearer {KEY}",
        f"Authorization: Bearer {KEY}",
        f'"{KEY}"',
        f"\u201c{KEY}\u201d",
        f"export OPENAI_API_KEY='{KEY}'",
        f"\ufeff{KEY}\u200b",
    ],
)
def test_what_does_not_belong_to_a_key_is_taken_off(directory: Path, give: Give, pasted: str) -> None:
    give(pasted)
    assert main(["secret", "set", "openai_key"]) == 0
    assert (directory / "openai_key").read_text() == f"{KEY}\n"


def test_a_service_account_keeps_its_lines(directory: Path, give: Give) -> None:
    give('{\n  "type": "service_account"\n}\n')
    assert main(["secret", "set", "google"]) == 0
    assert json.loads((directory / "google").read_text()) == {"type": "service_account"}


@pytest.mark.parametrize("given", ["", "\n", f"{KEY}\n{KEY}\n", "a\0b", '""'])
def test_what_is_no_secret_is_refused_and_nothing_is_stored(
    directory: Path, give: Give, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    give(given)
    assert main(["secret", "set", "openai_key"]) == 1
    assert not directory.exists() or not os.listdir(directory)
    assert "HUNTER2" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["openai_key", KEY], ["openai_key", "--", KEY], [KEY], ["../openai_key"], ["a/b"], [""]]
)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(
    directory: Path, give: Give, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    give(KEY)
    assert main(["secret", "set", *arguments]) == 64
    assert not directory.exists()
    shown = capsys.readouterr()
    assert "HUNTER2" not in shown.out + shown.err


def test_the_key_of_another_vendor_is_stored_and_noted(
    give: Give, capsys: pytest.CaptureFixture[str]
) -> None:
    give("sk-ant-api03-HUNTER2")
    assert main(["secret", "set", "openai_key"]) == 0
    assert "a key of Anthropic" in capsys.readouterr().out
    assert main(["config", "check"]) == 0
    out = capsys.readouterr().out
    assert "this is a key of Anthropic, and openai needs one of OpenAI" in out
    assert "HUNTER2" not in out


def test_the_list_has_names_and_what_is_missing(give: Give, capsys: pytest.CaptureFixture[str]) -> None:
    give("value")
    main(["secret", "set", "spare"])
    capsys.readouterr()
    assert main(["--json", "secret", "list"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["openai_key"]["stored"] is False
    assert rows["openai_key"]["used_by"] == ["providers.cloud.api_key"]
    assert (rows["spare"]["stored"], rows["spare"]["used_by"]) == (True, [])
    assert main(["secret", "list"]) == 0
    assert "value" not in capsys.readouterr().out


def test_a_secret_is_removed_and_a_misspelt_one_is_not(
    directory: Path, give: Give, capsys: pytest.CaptureFixture[str]
) -> None:
    give("value")
    main(["secret", "set", "openai_key"])
    assert main(["secret", "remove", "openai_kye"]) == 1
    assert 'did you mean "openai_key"?' in capsys.readouterr().err
    assert main(["secret", "remove", "openai_key"]) == 0
    assert os.listdir(directory) == []
    assert "still referred to by providers.cloud.api_key" in capsys.readouterr().out
