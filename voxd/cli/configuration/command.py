"""`voxctl config`: checks, shows, writes and describes the configuration, with no daemon needed."""

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from voxd.cli.configuration import edit
from voxd.cli.exits import CONFIG, OK
from voxd.cli.inputs import config_file
from voxd.cli.output import clean, decorated, print_json, print_result, terminal_columns, wrap
from voxd.config.base_dirs import SYSTEM_CONFIG_FILE, user_config_file
from voxd.config.files.unit import daemon_view
from voxd.config.layers import Layer
from voxd.config.loading import examine, load
from voxd.config.mistakes.words import did_you_mean
from voxd.config.paths import models_dir
from voxd.config.problems import Place, Problem, Severity, dotted, summary
from voxd.config.schema import Config
from voxd.config.secrets import to_builtins
from voxd.config.toml_lines import KeyPath
from voxd.config.toml_writer import json_schema, sample, to_toml
from voxd.errors import ConfigError, InvalidRequest, ModelError
from voxd.local.catalogue import load_catalogue
from voxd.local.engines import piper_voice, whisper_file
from voxd.providers.facts import config_facts

_COLOURS = {Severity.ERROR: "\x1b[31m", Severity.WARNING: "\x1b[33m"}


def register(subparsers: Any) -> None:
    """Add the command."""
    config = subparsers.add_parser(
        "config",
        help="check, show or write the configuration",
        examples=("voxctl config check", "voxctl config show --origin"),
    )
    actions = config.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="report every problem with its line and a hint",
        examples=("voxctl config check", "voxctl config check ./voxd.toml --json"),
    )
    check.add_argument("file", nargs="?", metavar="FILE", help="the file (default: the one voxd reads)")
    check.set_defaults(run=check_config)
    show = actions.add_parser(
        "show",
        help="print the configuration in force, secrets masked",
        examples=("voxctl config show", "voxctl config show --origin"),
    )
    show.add_argument("--origin", action="store_true", help="show where each value comes from")
    show.set_defaults(run=show_config)
    for command in (check, show):
        command.add_argument(
            "--set",
            dest="overrides",
            action="append",
            default=[],
            metavar="SECTION.KEY=VALUE",
            help="override one value; may be repeated",
        )
    init = actions.add_parser(
        "init",
        help="write a file with every key, commented out",
        examples=("sudo voxctl config init", "voxctl config init ./voxd.toml"),
    )
    init.add_argument("file", nargs="?", metavar="PATH", help='where to, "-" for standard output')
    init.add_argument("--force", action="store_true", help="replace an existing file")
    init.set_defaults(run=init_config)
    schema = actions.add_parser(
        "schema", help="print the JSON Schema of the file", examples=("voxctl config schema",)
    )
    schema.set_defaults(run=print_schema)
    edit.register(actions)


def check_config(args: Namespace) -> int:
    """``voxctl config check``: 0, or 78 when there are errors."""
    file = _path(args.file or args.config)
    view = daemon_view(file, os.environ)
    files, settings, problems = examine(
        file, get_facts=config_facts, environ=os.environ, overrides=args.overrides, view=view
    )
    if not any(problem.severity is Severity.ERROR for problem in problems):
        # Read again as a `Config`: sentences can be parsed only where every value has its type.
        config = load(file, get_facts=config_facts, environ=os.environ, overrides=args.overrides).config
        problems += _unreadable_sentences(config, settings)
        problems += _missing_models(config, settings)
    failed = any(problem.severity is Severity.ERROR for problem in problems)
    if args.json:
        print_json([msgspec.to_builtins(problem) for problem in problems])
        return CONFIG if failed else OK
    for problem in problems:
        line = clean(str(problem))
        if decorated(args):
            # Only the first: the message may contain the word too.
            severity = f"{problem.severity}:"
            line = line.replace(severity, f"{_COLOURS[problem.severity]}{severity}\x1b[0m", 1)
        print("\n    ".join(wrap(line, terminal_columns())))
    read = ", ".join(map(str, files)) or "no file: the defaults apply"
    print(summary(problems) if problems else f"no problems ({clean(read)})")
    return CONFIG if failed else OK


def _unreadable_sentences(config: Config, settings: Layer) -> Iterator[Problem]:
    """Yield a problem for each command whose sentences the grammar cannot read."""
    if not config.skills.commands:
        return
    # Imported here: the grammar takes as long to import as everything else.
    from voxd.skills.understanding.templates import command_data

    for index, command in enumerate(config.skills.commands):
        path = ("skills", "commands", index, "sentences")
        try:
            command_data(command)
        except ConfigError as error:
            place = settings.place(path) or Place("configuration")
            key, hint = dotted(path), "hassil templates have pairs of ( ), [ ], { }"
            yield Problem(place.file, place.line, key, Severity.ERROR, str(error), hint)


def _missing_models(config: Config, settings: Layer) -> Iterator[Problem]:
    """Yield a warning for each model that the file names and that is not installed."""
    directory = models_dir(config)
    stt, tts = config.stt, config.tts
    wanted: tuple[tuple[KeyPath, str, str, str, Callable[[str, Path], Path]], ...] = (
        (("stt", "whisper", "model"), stt.engine, "whisper", stt.whisper.model, whisper_file),
        (("tts", "piper", "voice"), tts.engine, "piper", tts.piper.voice, piper_voice),
    )
    for path, configured, engine, name, find in wanted:
        # The default of "auto" need not be there, and the rules have checked files.
        place = settings.places.get(path) or settings.places.get((path[0], "engine"))
        if place is None or "/" in name or configured not in (engine, "auto"):
            continue
        if configured == "auto" and path not in settings.places:
            continue
        try:
            find(name, directory)
        except ModelError as error:
            names = [model.name for model in load_catalogue().models]
            hint = error.hint if name in names else did_you_mean(name, names) or "run `voxctl models list`"
            message = f"{error}: the next engine is used instead"
            yield Problem(place.file, place.line, dotted(path), Severity.WARNING, message, hint)


def show_config(args: Namespace) -> int:
    """``voxctl config show``. Raises `ConfigError`."""
    loaded = load(config_file(args), get_facts=config_facts, environ=os.environ, overrides=args.overrides)
    if args.json and args.origin:
        print_json({"config": to_builtins(loaded.config), "origins": loaded.origins})
    elif args.json:
        print_json(to_builtins(loaded.config))
    else:
        sys.stdout.write(to_toml(loaded.config, loaded.origins if args.origin else None))
    return OK


def init_config(args: Namespace) -> int:
    """``voxctl config init``. Raises `InvalidRequest` when the file is there or cannot be written."""
    if args.file == "-":
        sys.stdout.write(sample())
        return OK
    file = _path(args.file or args.config or os.environ.get("VOXD_CONFIG"))
    if file is None:
        # root installs the service; another user runs a daemon of their own.
        file = SYSTEM_CONFIG_FILE if os.geteuid() == 0 else user_config_file(os.environ)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # "x" fails when the file exists: a look before writing would race with another program.
        with file.open("w" if args.force else "x", encoding="utf-8") as stream:
            stream.write(sample())
    except FileExistsError:
        raise InvalidRequest(f"{file} exists already", hint="add --force to replace it") from None
    except OSError as error:
        hint = f"name another file: voxctl config init {user_config_file(os.environ)}"
        raise InvalidRequest(f"{file} cannot be written: {error.strerror}", hint=hint) from error
    return print_result(args, {"file": str(file)}, f"wrote {clean(str(file))}")


def print_schema(args: Namespace) -> int:
    """``voxctl config schema``."""
    print_json(json_schema())
    return OK


def _path(named: str | None) -> Path | None:
    return Path(named).expanduser() if named else None
