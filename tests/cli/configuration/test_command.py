import json
from pathlib import Path

import pytest

from voxd.cli.main import main
from voxd.config.toml_writer import sample

BROKEN = '[audio]\nchannels = "two"\nchanel = 1\n[wak]\n[stt]\nengine = "wisper"\n[turn]\nearcons = 1\n'
HEADERS = """
[[skills.commands]]
name = "lamp"
sentences = ["lamp"]
action = { type = "http", url = "http://lamp/", headers = { Authorization = "Bearer hunter2" } }
"""


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("VOXD_CONFIG", "CONFIGURATION_DIRECTORY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "voxd.toml"


def test_check_reports_five_mistakes_and_exits_with_78(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(BROKEN)
    assert main(["config", "check", str(file)]) == 78
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1] for line in lines[:-1]] == ["2", "3", "4", "6", "8"]
    assert lines[0] == (
        f'{file}:2: error: audio.channels: expected an integer from 1 to 8, got "two" (hint: channels = 1)'
    )
    assert lines[-1] == "5 errors"


def test_check_reads_the_sentences_of_commands_as_the_skills_do(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(HEADERS.replace('["lamp"]', '["turn (on lamp"]').replace("Authorization", "Accept"))
    assert main(["config", "check", str(file)]) == 78
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{file}:4: error: skills.commands[0].sentences: ")
    assert last == "1 error"


def test_check_as_json_is_a_list(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(BROKEN)
    assert main(["--json", "config", "check", str(file)]) == 78
    problems = json.loads(capsys.readouterr().out)
    assert len(problems) == 5
    assert problems[1] == {
        "file": str(file),
        "line": 3,
        "key": "audio.chanel",
        "severity": "error",
        "message": "unknown key",
        "hint": 'did you mean "channel"?',
    }


def test_check_of_a_good_file_says_so(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("[audio]\nchannels = 2\n")
    assert main(["--config", str(file), "config", "check"]) == 0
    assert capsys.readouterr().out == f"no problems ({file})\n"


def test_a_warning_alone_is_not_a_failure_and_shows_no_secret(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(HEADERS)
    assert main(["config", "check", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.endswith("1 warning\n")
    assert "hunter2" not in out


def test_check_takes_values_from_the_command_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("")
    assert main(["config", "check", str(file), "--set", "audio.channels=9", "--set", "log.level=debug"]) == 78
    assert capsys.readouterr().out.startswith("--set: error: audio.channels: ")


def test_show_masks_secrets_and_prints_origins(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(HEADERS)
    assert main(["--config", str(file), "config", "show", "--origin", "--set", "audio.channels=2"]) == 0
    out = capsys.readouterr().out
    assert "channels = 2  # --set\n" in out
    assert 'Authorization = "********"' in out
    assert "hunter2" not in out
    assert main(["--config", str(file), "--json", "config", "show"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["skills"]["commands"][0]["action"]["headers"] == {"Authorization": "********"}


def test_show_of_a_broken_file_reports_the_reason(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(BROKEN)
    assert main(["--config", str(file), "config", "show"]) == 78
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "voxctl config check" in captured.err


def test_init_writes_a_file_that_passes_and_never_overwrites_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "voxd.toml"
    assert main(["config", "init", str(target)]) == 0
    assert target.read_text() == sample()
    target.write_text("# mine")
    assert main(["config", "init", str(target)]) == 1
    assert "--force" in capsys.readouterr().err
    assert target.read_text() == "# mine"
    assert main(["config", "init", str(target), "--force"]) == 0
    assert main(["config", "check", str(target)]) == 0


def test_init_where_nothing_can_be_written_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a-file").touch()
    assert main(["config", "init", str(tmp_path / "a-file" / "voxd.toml")]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_init_can_print(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "init", "-"]) == 0
    assert capsys.readouterr().out == sample()


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "voxd.toml"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('[stt.whisper]\nmodel = "base.en"', "voxctl models pull base.en"),
        ('[stt.whisper]\nmodel = "bas.en"', 'did you mean "base.en"?'),
        ('[stt]\nengine = "whisper"', "voxctl models pull tiny.en"),
        ('[tts.piper]\nvoice = "en_US-lesac-medium"', 'did you mean "en_US-lessac-medium"?'),
    ],
)
def test_a_model_that_is_not_installed_is_noticed(
    file: Path, capsys: pytest.CaptureFixture[str], text: str, hint: str
) -> None:
    file.write_text(f'paths.models = "{file.parent / "models"}"\n{text}\n')
    assert main(["config", "check", str(file)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert hint in out
    assert "1 warning" in out
