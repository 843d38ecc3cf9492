"""`voxctl skills`: sentences on a simulated device."""

import json
from pathlib import Path

import pytest

from voxd.cli.main import main

RIGHT = "@clock 2026-11-30T10:00\nset a timer for five minutes\ttimer.set 5m\nwhat time is it\tsay time\n"
REFUSED = RIGHT + "colourless green ideas\ttimer.set 5m\n"
WRONG = REFUSED + "set a timer for ten minutes\ttimer.set 5m\n"


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("VOXD_CONFIG", "CONFIGURATION_DIRECTORY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "phrases.tsv"


def test_figures_and_what_is_not_right_are_printed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(WRONG)
    assert main(["skills", "eval", str(file)]) == 1
    columns, exact, *cases = capsys.readouterr().out.splitlines()
    assert columns.split() == ["RUN", "SENTENCES", "RIGHT", "REFUSED", "ASKED", "WRONG", "DESTROYED"]
    assert exact.split()[:2] == ["exact", "4"]
    assert "2 (50.0%)" in exact
    assert cases == [
        f"{file}:4: refused: colourless green ideas",
        "  expected  timer.set 5m",
        "  got       refuse",
        f"{file}:5: wrong: set a timer for ten minutes",
        "  expected  timer.set 5m",
        "  got       timer.set 10m",
    ]


def test_a_refusal_is_no_failure(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(REFUSED)
    assert main(["skills", "eval", str(file)]) == 0
    assert "refused: colourless" in capsys.readouterr().out


def test_all_lists_what_is_right_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(RIGHT)
    assert main(["skills", "eval", str(file)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["skills", "eval", str(file), "--all"]) == 0
    assert f"{file}:3: right: what time is it" in capsys.readouterr().out.splitlines()


def test_misheard_sentences_have_a_row_of_their_own(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(RIGHT)
    main(["skills", "eval", str(file), "--confuse", "3", "--all"])
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["RUN", "exact", "confused"]
    assert "(doubled): " in out


def test_json_has_the_counts_and_the_cases(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(WRONG)
    assert main(["--json", "skills", "eval", str(file)]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["file"] == str(file)
    assert report["runs"] == {
        "exact": {"sentences": 4, "right": 2, "refused": 1, "asked": 0, "wrong": 1, "destroyed": 0}
    }
    assert [case["verdict"] for case in report["cases"]] == ["refused", "wrong"]
    assert report["cases"][1] == {
        "line": 5,
        "run": "exact",
        "error": "",
        "verdict": "wrong",
        "text": "set a timer for ten minutes",
        "expected": "timer.set 5m",
        "got": "timer.set 10m",
        "intent": "timer_set",
        "reply": "Timer set for ten minutes.",
    }


def test_mistakes_in_the_file_are_named_all_at_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(RIGHT + "hello\nhello\tnothing\n")
    assert main(["skills", "eval", str(file)]) == 1
    err = capsys.readouterr().err
    assert f"{file}:4: expected: a sentence, a tab" in err
    assert f"{file}:5: unknown effect" in err
    assert "voxctl skills eval --help" in err


def test_a_file_that_cannot_be_read_is_no_input(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["skills", "eval", str(file)]) == 66
    file.write_bytes(b"\xff")
    assert main(["skills", "eval", str(file)]) == 66
    assert "not UTF-8" in capsys.readouterr().err


def test_the_help_describes_the_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["skills", "eval", "--help"])
    out = capsys.readouterr().out
    assert "@given ringing a" in out
    assert "destroyed" in out


def test_the_commands_of_the_configuration_are_known_and_not_run(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, made = tmp_path / "voxd.toml", tmp_path / "made"
    config.write_text(
        '[[skills.commands]]\nname = "make"\nsentences = ["make a file"]\n'
        f'action = {{ type = "shell", command = ["touch", "{made}"] }}\n'
    )
    file.write_text("@clock 2026-11-30T10:00\nmake a file\tsay command.make\n")
    assert main(["--config", str(config), "skills", "eval", str(file)]) == 0
    assert not made.exists()
    assert main(["--config", str(config), "skills", "explain", "make a file"]) == 0
    assert "command.make" in capsys.readouterr().out


def test_explain_shows_words_values_candidates_and_the_decision(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["skills", "explain", "set", "a", "timer", "for", "5", "minutes"]) == 0
    out = capsys.readouterr().out
    assert "set a timer for five minutes" in out
    assert "five minutes  300" in out
    assert "timer_set" in out
    assert "timer.set 5m" in out
    assert main(["--json", "skills", "explain", "set a timer"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"].startswith("ask")


def test_explain_fails_for_what_is_not_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["skills", "explain", "colourless green ideas"]) == 1
    assert "colourless green ideas" in capsys.readouterr().out
