"""The table of commands and the argument parser of voxctl."""

import argparse
import importlib
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from voxd import __version__
from voxd.cli.exits import MEANINGS, USAGE
from voxd.config.mistakes.words import meant_word

# Only the module of the given command is imported: importing takes most of the run time of a command.
# Command to module. Its ``register(subparsers)`` adds the command and sets ``run``, its function.
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "status": "voxd.cli.device",
        "listen": "voxd.cli.turns",
        "stop": "voxd.cli.turns",
        "say": "voxd.cli.turns",
        "ask": "voxd.cli.turns",
        "mute": "voxd.cli.device",
        "unmute": "voxd.cli.device",
        "volume": "voxd.cli.device",
        "watch": "voxd.cli.watch",
        "last": "voxd.cli.turns",
        "history": "voxd.cli.turns",
        "timers": "voxd.cli.device",
        "skills": "voxd.cli.skills",
        "wake": "voxd.cli.wake",
        "provider": "voxd.cli.providers",
        "usage": "voxd.cli.providers",
        "queue": "voxd.cli.queue",
        "devices": "voxd.cli.device",
        "models": "voxd.cli.models",
        "config": "voxd.cli.configuration.command",
        "secret": "voxd.cli.configuration.secret",
        "doctor": "voxd.cli.doctor.command",
        "logs": "voxd.cli.service",
        "restart": "voxd.cli.service",
        "metrics": "voxd.cli.device",
        "completion": "voxd.cli.shell.completion",
        "version": "voxd.cli.device",
    }
)

HELP = "help"

_WITH_VALUE = ("--socket", "--config")


class HelpFormatter(argparse.HelpFormatter):
    """Wraps paragraphs at the width of the terminal and keeps lines that begin with a space."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines: list[str] = []
        for paragraph in text.strip("\n").split("\n\n"):
            kept = any(line.startswith(" ") for line in paragraph.split("\n"))
            lines.append(paragraph if kept else super()._fill_text(paragraph, width, indent))
        return "\n\n".join(lines)


class CommandParser(argparse.ArgumentParser):
    """A parser that takes the global options before or after the command; exit codes follow sysexits.h.

    ``examples`` are command lines that its help shows.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        self.examples = examples
        kwargs.setdefault("formatter_class", HelpFormatter)
        if examples:
            kwargs["epilog"] = "\n".join(["examples:", *(f"  {example}" for example in examples)])
        super().__init__(*args, **kwargs)
        # No default here: the default of a subparser would overwrite an option given before the command.
        keep = argparse.SUPPRESS
        options = self.add_argument_group("global options")
        options.add_argument("--socket", metavar="PATH", default=keep, help="the daemon's control socket")
        options.add_argument("--config", metavar="FILE", default=keep, help="the configuration file")
        options.add_argument("--json", action="store_true", default=keep, help="print JSON")
        options.add_argument("--no-color", action="store_true", default=keep, help="print plain text")

    def error(self, message: str) -> NoReturn:
        """Print the usage and ``message``, and exit with code 64 (EX_USAGE)."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:
            # argparse ignores errors, as if help written to a full disk had been printed.
            print(message, end="")
        else:
            super()._print_message(message, file)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse like argparse, but refuse what is left: the parser of the command knows its options."""
        parsed, left = super().parse_known_args(args, namespace)
        if left:
            what = "option" if left[0].startswith("-") else "argument"
            written = left[0].partition("=")[0]
            self.error(f"unknown {what} {written!r}{suggest(written, self._option_string_actions)}")
        return parsed, left

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            is_command = isinstance(action, argparse._SubParsersAction)
            what = f"unknown command {value!r}" if is_command else f"{action.dest}: unknown value {value!r}"
            known = f"; run `{self.prog} --help`" if is_command else f"; use one of {', '.join(choices)}"
            raise argparse.ArgumentError(None, what + (suggest(str(value), choices) or known))


def suggest(written: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" for what is most like ``written`` in ``known``, "" for nothing."""
    meant = meant_word(written, tuple(known))
    return f"; did you mean {meant!r}?" if meant else ""


def build_parser(modules: Iterable[str] | None = None) -> argparse.ArgumentParser:
    """Return the parser with the commands of ``modules`` (default: every module)."""
    parser = CommandParser(
        prog="voxctl",
        description="Talk to the voice appliance. `voxctl help COMMAND` explains a command, with examples.",
        epilog=MEANINGS,
    )
    parser.add_argument(
        "--version", action="version", version=f"voxctl {__version__}", help="print the version of voxctl"
    )
    parser.set_defaults(socket=None, config=None, json=False, no_color=False)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in dict.fromkeys(COMMANDS.values() if modules is None else modules):
        importlib.import_module(module).register(subparsers)
    if modules is None:
        topic = subparsers.add_parser(
            HELP, help="explain a command", examples=("voxctl help", "voxctl help timers cancel")
        )
        topic.add_argument("command", nargs="*", metavar="COMMAND", help="which (default: list all)")
    _describe(parser)
    return parser


def _describe(parser: argparse.ArgumentParser) -> None:
    """Give each command without a description its line in the list of commands, as a sentence."""
    for action in subcommands(parser):
        for listed in action._choices_actions:
            command = action.choices[listed.dest]
            text = listed.help or ""
            command.description = command.description or f"{text[:1].upper()}{text[1:]}."
            _describe(command)


def subcommands(parser: argparse.ArgumentParser) -> "Iterator[argparse._SubParsersAction[CommandParser]]":
    """Yield what holds the commands of ``parser``."""
    # argparse has no public way to look into a parser.
    yield from (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments; exits after a usage error or ``--help``."""
    command = chosen_command(argv)
    if command == HELP:
        argv = list(argv)
        argv.remove(HELP)
        argv.append("--help")
        command = chosen_command(argv)
    if command and command in COMMANDS:
        return build_parser([COMMANDS[command]]).parse_args(argv)
    check_global_options(argv)
    # The version needs no command; help and a wrong command need them all.
    is_version = command is None and "--version" in argv and not {"-h", "--help"} & set(argv)
    return build_parser([] if is_version else None).parse_args(argv)


def check_global_options(argv: Sequence[str]) -> None:
    """Exit with a usage error for an unknown option before the command.

    argparse would take its value for the command, and report that.
    """
    parser = build_parser([])
    known = [each for each in parser._option_string_actions if each.startswith("--")]
    for word in itertools.takewhile(lambda word: word.startswith("-") and word not in _WITH_VALUE, argv):
        written = word.partition("=")[0]
        if written not in parser._option_string_actions and not any(
            option.startswith(written) for option in known if len(written) > 2
        ):
            parser.error(f"unknown option {written!r}{suggest(written, known)}")


def chosen_command(argv: Sequence[str]) -> str | None:
    """Return the first word that is neither an option nor its value; None to print help for all commands."""
    words = iter(argv)
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif word in ("-h", "--help"):
            return None
        elif not word.startswith("-"):
            return word
    return None
