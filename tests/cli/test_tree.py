"""The commands as a whole: each has a sentence and examples that can be typed, mistakes get a suggestion."""

import argparse
import shlex
from collections.abc import Iterator

import pytest

from voxd.cli import exits
from voxd.cli.main import main
from voxd.cli.shell.manual import voxctl_page, voxd_page
from voxd.cli.tree import build_parser, parse, subcommands
from voxd.main import EXIT_CODES, parser


def commands(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in subcommands(parser):
        for name, command in action.choices.items():
            yield " ".join((*words, name)), command
            yield from commands(command, (*words, name))


COMMANDS = dict(commands(build_parser()))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples(name: str) -> None:
    command = COMMANDS[name]
    assert command.description
    assert command.description[0].isupper()
    assert command.description.rstrip()[-1] in ".:)"
    assert command.examples  # type: ignore[attr-defined]
    assert all(f"voxctl {name.split()[0]}" in example for example in command.examples)  # type: ignore[attr-defined]


EXAMPLES = [(name, example) for name, command in COMMANDS.items() for example in command.examples]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_an_example_can_be_typed(name: str, example: str) -> None:
    words = shlex.split(example.rpartition("| ")[2].partition(" >")[0])
    arguments = words[words.index("voxctl") + 1 :]
    if arguments[0] == "help":
        with pytest.raises(SystemExit) as ended:
            parse(arguments)
        assert ended.value.code == 0
    else:
        assert callable(parse(arguments).run)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["stauts"], "unknown command 'stauts'; did you mean 'status'?"),
        (["histroy"], "did you mean 'history'?"),
        (["timers", "cancl", "3"], "did you mean 'cancel'?"),
        (["help", "stauts"], "did you mean 'status'?"),
        (["status", "--jsno"], "unknown option '--jsno'; did you mean '--json'?"),
        (["history", "--limt=3"], "unknown option '--limt'; did you mean '--limit'?"),
        (["--sokcet", "x", "status"], "unknown option '--sokcet'; did you mean '--socket'?"),
        (["--jsno", "status"], "unknown option '--jsno'; did you mean '--json'?"),
        (["completion", "fsh"], "did you mean 'fish'?"),
        (["qqqq"], "unknown command 'qqqq'; run `voxctl --help`"),
        (["status", "now"], "unknown argument 'now'"),
        ([], "required: COMMAND"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(
    written: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(written)
    assert ended.value.code == exits.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (["--version"], "voxctl 0.1.0\n"),
        (["help"], "completion"),
        (["help", "timers", "cancel"], "usage: voxctl timers cancel"),
        (["timers", "help"], ""),
        (["help", "help"], "explain a command"),
        (["status", "--help"], "Show the state of the device."),
    ],
)
def test_help_and_version(written: list[str], shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(written)
    assert ended.value.code == (0 if shown else exits.USAGE)
    assert shown.lower() in capsys.readouterr().out.lower()


PAGES = {"voxctl": voxctl_page(build_parser()), "voxd": voxd_page(parser(), EXIT_CODES)}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_manual_page_has_only_known_requests(page: str) -> None:
    requests = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".SS", ".TP", ".B", ".BR", ".PP", ".nf", ".fi"}
    assert page.startswith(".TH VOX")


def test_the_manual_has_every_command_option_and_exit_code() -> None:
    page = PAGES["voxctl"].replace("\\-", "-").replace("\\e", "\\")
    for name, command in COMMANDS.items():
        assert f".SS {name}\n" in page
        for action in command._actions:
            if action.help != argparse.SUPPRESS:
                assert all(option in page for option in action.option_strings)
    assert "74 output cannot be written" in page
    assert all(f".B {code}\n" in PAGES["voxd"] for code in EXIT_CODES.values())
