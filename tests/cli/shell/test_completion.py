import argparse
import shutil
import subprocess
from pathlib import Path

import pytest

from voxd.cli.main import main
from voxd.cli.shell.completion import script
from voxd.cli.tree import CommandParser

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="no bash on this machine")


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    """A tree with everything the scripts must know: nested commands, choices, flags, files, odd help."""
    parser = CommandParser(prog="voxctl")
    commands = parser.add_subparsers()
    config = commands.add_parser("config", help="check, show: it's [all] here")
    actions = config.add_subparsers()
    check = actions.add_parser("check", help="tell every mistake")
    check.add_argument("file", nargs="?", metavar="FILE")
    check.add_argument("--set", metavar="K=V", help="one value")
    actions.add_parser("show", help="print it").add_argument("--origin", action="store_true")
    commands.add_parser("completion", help="print").add_argument("shell", choices=("bash", "zsh", "fish"))
    commands.add_parser("status", help="show the state")
    use = commands.add_parser("use", help="use it")
    use.add_argument("name", metavar="PROVIDER", help="which")
    use.add_argument("--agent", metavar="AGENT", help="for which")
    return parser


def complete(text: str, words: list[str], directory: Path) -> list[str]:
    """Return what a bash that has read ``text`` offers for the last of ``words``."""
    assert BASH
    harness = (
        text
        + "\n"
        + 'voxctl() { echo "$3-1"; echo "$3-2"; }\n'
        + 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _voxctl voxctl; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    result = subprocess.run(
        [BASH, "--norc", "-c", harness, "bash", *words],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert result.stderr == ""
    return [line for line in result.stdout.split("\n") if line]


@needs_bash
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("voxctl st", ["status"]),
        ("voxctl con", ["config"]),
        ("voxctl config ", ["check", "show"]),
        ("voxctl --json config s", ["show"]),
        ("voxctl --socket config config s", ["show"]),
        ("voxctl config show --or", ["--origin"]),
        ("voxctl config check vo", ["voxd file.toml"]),
        ("voxctl --config vo", ["voxd file.toml"]),
        ("voxctl config check --set x", []),
        ("voxctl completion ", ["bash", "zsh", "fish"]),
        ("voxctl nonsense st", ["status"]),
        ("voxctl use ", ["provider-1", "provider-2"]),
        ("voxctl use provider-2", ["provider-2"]),
        ("voxctl use --agent ", ["agent-1", "agent-2"]),
        ("voxctl use --ag", ["--agent"]),
    ],
)
def test_bash_offers_what_may_stand_there(
    parser: argparse.ArgumentParser, tmp_path: Path, line: str, offered: list[str]
) -> None:
    (tmp_path / "voxd file.toml").touch()
    found = complete(script(parser, "bash"), line.split(" "), tmp_path)
    assert [word for word in found if offered == [] or not word.startswith("-") or word in offered] == offered


@needs_bash
def test_bash_reads_the_script_of_the_whole_tree_without_complaint(parser: argparse.ArgumentParser) -> None:
    assert BASH
    result = subprocess.run(
        [BASH, "-n"], input=script(parser, "bash"), capture_output=True, text=True, timeout=20, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


@needs_bash
def test_the_command_prints_a_script_that_completes_the_real_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", "bash"]) == 0
    text = capsys.readouterr().out
    assert complete(text, ["voxctl", "doc"], tmp_path) == ["doctor"]
    assert {"check", "show", "init", "schema"} <= set(complete(text, ["voxctl", "config", ""], tmp_path))


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_shell_itself_accepts_the_script(parser: argparse.ArgumentParser, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} on this machine")
    result = subprocess.run(
        [program, "-n"], input=script(parser, shell), capture_output=True, text=True, timeout=20, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_zsh_completes_commands_options_and_files(parser: argparse.ArgumentParser) -> None:
    text = script(parser, "zsh")
    assert "#compdef voxctl" in text.splitlines()[0]
    assert "config) _voxctl_config ;;" in text
    assert "_voxctl_config_check() {" in text
    assert "'--config[the configuration file]:file:_files'" in text
    assert "'1:value:(bash zsh fish)'" in text


def test_fish_completes_commands_options_and_files(parser: argparse.ArgumentParser) -> None:
    lines = script(parser, "fish").splitlines()
    assert "complete -c voxctl -n __fish_use_subcommand -a status -d 'show the state'" in lines
    in_config = "'__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from check show'"
    assert f"complete -c voxctl -n {in_config} -a show -d 'print it'" in lines
    in_check = "'__fish_seen_subcommand_from config; and __fish_seen_subcommand_from check'"
    assert f"complete -c voxctl -n {in_check} -F" in lines


@pytest.mark.parametrize(
    ("kind", "offered"),
    [
        ("agent", {"default", "cook"}),
        ("provider", {"local", "cloud"}),
        ("key", {"audio.channels", "providers.cloud.kind", "wake.words[0].name"}),
        ("model", {"tiny.en"}),
        ("type", {"turn.started"}),
        ("question", {"all"}),
        ("timer", set()),
    ],
)
def test_values_are_those_of_this_device(
    kind: str, offered: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "voxd.toml"
    file.write_text('[providers.cloud]\nkind = "mock"\n[agents.cook]\nprovider = "cloud"\n')
    arguments = ["--config", str(file), "--socket", str(tmp_path / "none.sock")]
    assert main([*arguments, "completion", "--values", kind]) == 0
    assert offered <= set(capsys.readouterr().out.split("\n"))
