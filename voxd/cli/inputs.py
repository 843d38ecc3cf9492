"""What the user gives besides arguments: files, standard input, a yes."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voxd.cli.exits import NoInput, WrongArgument

if TYPE_CHECKING:
    from voxd.config.schema import Config

STANDARD_INPUT = "-"


def read_bytes(name: str) -> bytes:
    """Return the content of the file ``name``, or of standard input for "-". Raises `NoInput`."""
    if name == STANDARD_INPUT:
        # The stream is None when the shell has closed it (`<&-`).
        if sys.stdin is None:
            raise NoInput("standard input is closed", hint="name a file")
        return sys.stdin.buffer.read()
    try:
        return Path(name).expanduser().read_bytes()
    except OSError as error:
        raise NoInput(f"{name}: {error.strerror or error}", hint="name a file that can be read") from error
    except ValueError as error:
        # A null byte in the name.
        raise NoInput(f"{name!r} is not the name of a file") from error


def read_text(name: str) -> str:
    """Return the text of the file ``name``, or of standard input for "-". Raises `NoInput`."""
    try:
        return read_bytes(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        source = "standard input" if name == STANDARD_INPUT else name
        raise NoInput(f"{source} is not UTF-8 text at byte {error.start}", hint="save it as UTF-8") from error


def given_text(words: Sequence[str]) -> str:
    """Return the text of the arguments ``words``; the single word "-" is standard input.

    Raises `WrongArgument` when it is empty or not UTF-8, and `NoInput`.
    """
    text = read_text(STANDARD_INPUT) if list(words) == [STANDARD_INPUT] else " ".join(words)
    # Refused here: the daemon would name the parameter of the method, not the argument of the command.
    if not text.strip():
        raise WrongArgument("the text is empty", hint="give a text, or `-` to read it from standard input")
    try:
        text.encode()
    except UnicodeEncodeError:
        # PEP 383: bytes that are not text in the locale's encoding are surrogates, but may be UTF-8.
        try:
            text = os.fsencode(text).decode()
        except UnicodeError as error:
            raise WrongArgument("the text is not UTF-8", hint="set the terminal to UTF-8") from error
    return text.strip()


def config_file(args: Namespace) -> Path | None:
    """Return the file of ``--config``, None for the default one."""
    return Path(args.config).expanduser() if args.config else None


def load_config(args: Namespace) -> "Config":
    """Return the configuration of ``--config``, else of the default file. Raises `ConfigError`."""
    # Imported here: reading the configuration takes as long as all the rest of a command.
    from voxd.config.loading import load
    from voxd.providers.facts import config_facts

    return load(config_file(args), get_facts=config_facts, environ=os.environ).config


def confirm(args: Namespace, question: str) -> bool:
    """Return whether the user agrees: by ``--yes``, or by a "y" on standard input.

    Raises `WrongArgument` when no answer can be read.
    """
    if args.yes:
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline() if sys.stdin is not None else ""
    if not answer:
        # End of file: a script, which must say that it means it.
        print(file=sys.stderr)
        raise WrongArgument("not confirmed, so nothing was changed", hint="add --yes")
    return answer.strip().lower() in ("y", "yes")
