"""The table of commands and the argument parser of voxctl."""

import argparse
import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from voxd.cli.exits import MEANINGS, USAGE

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
        "config": "voxd.cli.config",
        "doctor": "voxd.cli.doctor.command",
        "metrics": "voxd.cli.device",
        "completion": "voxd.cli.completion",
        "version": "voxd.cli.device",
    }
)

_WITH_VALUE = ("--socket", "--config")


class CommandParser(argparse.ArgumentParser):
    """A parser that takes the global options before or after the command; exit codes follow sysexits.h."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
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


def build_parser(modules: Iterable[str] | None = None) -> argparse.ArgumentParser:
    """Return the parser with the commands of ``modules`` (default: every module)."""
    parser = CommandParser(prog="voxctl", description="Talk to the voice appliance.", epilog=MEANINGS)
    parser.set_defaults(socket=None, config=None, json=False, no_color=False)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in dict.fromkeys(COMMANDS.values() if modules is None else modules):
        importlib.import_module(module).register(subparsers)
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments; exits after a usage error or ``--help``."""
    command = chosen_command(argv)
    module = COMMANDS.get(command) if command else None
    return build_parser([module] if module else None).parse_args(argv)


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
