"""`voxctl config get`, `set`, `unset`, `edit` and `reload`: the configuration without an open editor."""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from voxd.atomic_file import draft_of, put_in_place
from voxd.cli.connect import request
from voxd.cli.exits import CONFIG, FAILED, OK, CannotWrite, WrongArgument
from voxd.cli.inputs import config_file, load_config
from voxd.cli.output import print_json, print_note, print_result, print_text
from voxd.config.loading import examine
from voxd.config.mistakes.words import did_you_mean
from voxd.config.paths import default_config_file
from voxd.config.problems import InvalidConfig, Problem, Severity, dotted
from voxd.config.schema_types import toml_value
from voxd.config.secrets import to_builtins
from voxd.config.toml_lines import KeyPath
from voxd.errors import ConfigError, DaemonUnreachable, InvalidRequest, NotFound, NotPermitted, VoxdError
from voxd.providers.facts import config_facts

EDITORS = ("sensible-editor", "nano", "vi")


def register(actions: Any) -> None:
    """Add the actions to those of `voxctl config`."""
    get = actions.add_parser(
        "get",
        help="print the value of a key",
        examples=("voxctl config get audio.volume_percent", "voxctl config get wake.words[0].name"),
    )
    get.add_argument("key", metavar="KEY", help="such as audio.volume_percent")
    get.set_defaults(run=get_value)
    change = actions.add_parser(
        "set",
        help="write a key into the file and apply it",
        examples=(
            "sudo voxctl config set audio.volume_percent 40",
            "sudo voxctl config set wake.words[0].name alexa",
            "sudo voxctl config set log.level debug",
        ),
    )
    change.add_argument("key", metavar="KEY", help="such as audio.volume_percent")
    change.add_argument("value", metavar="VALUE", help="the value, as in the file; text needs no quotes")
    change.set_defaults(run=set_value)
    unset = actions.add_parser(
        "unset",
        help="take a key out of the file: its default applies",
        examples=("sudo voxctl config unset audio.volume_percent",),
    )
    unset.add_argument("key", metavar="KEY", help="such as audio.volume_percent")
    unset.set_defaults(run=unset_value)
    edit = actions.add_parser(
        "edit",
        help="open the file in an editor, check it and apply it",
        examples=("sudo voxctl config edit", "sudo EDITOR=vi voxctl config edit"),
    )
    edit.set_defaults(run=edit_file)
    reload = actions.add_parser(
        "reload",
        help="apply a changed file to the running daemon",
        examples=("voxctl config reload",),
    )
    reload.set_defaults(run=reload_file)


def get_value(args: Namespace) -> int:
    """``voxctl config get``. Raises `NotFound` for an unknown key."""
    config = load_config(args)
    path = _key(args)
    value: Any = to_builtins(config)
    for depth, part in enumerate(path):
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            known = (
                list(value) if isinstance(value, dict) else [str(each) for each in range(len(value or ()))]
            )
            where = dotted(path[:depth]) or "the configuration"
            hint = did_you_mean(part, list(map(str, known))) or "run `voxctl config show`"
            raise NotFound(f"{where} has no {part!r}", hint=hint) from None
    if args.json:
        print_json(value)
    else:
        print_text(value if isinstance(value, str) else toml_value(value))
    return OK


def set_value(args: Namespace) -> int:
    """``voxctl config set``. Raises `InvalidConfig` for a value that cannot be used; the file then stays."""
    # Imported here, as in the next two: tomlkit is needed by these actions only.
    from voxd.config.editing import set_key

    path = _key(args)
    file = _file(args)
    text = _text(file) if file.exists() else "version = 1\n"
    _save(file, set_key(text, path, args.value))
    return _apply(args, file, dotted(path))


def unset_value(args: Namespace) -> int:
    """``voxctl config unset``. Raises `NotFound` when the file does not set the key."""
    from voxd.config.editing import unset_key

    path = _key(args)
    file = _file(args)
    _save(file, unset_key(_text(file), path))
    return _apply(args, file, dotted(path))


def edit_file(args: Namespace) -> int:
    """``voxctl config edit``: as `visudo`, a file with errors is not saved."""
    file = _file(args)
    before = _text(file) if file.exists() else "version = 1\n"
    with _draft(file, before) as draft:
        while True:
            if subprocess.run([*_editor(), str(draft)], check=False).returncode != 0:
                print_note("the editor failed, so nothing was changed")
                return FAILED
            if draft.read_text(encoding="utf-8", errors="replace") == before:
                return print_result(args, {"changed": False}, "nothing was changed")
            errors = _errors(draft, file)
            if not errors:
                _replace(draft, file)
                return _apply(args, file, "")
            for problem in errors:
                print_text(str(problem))
            print("Edit again? [Y/n] ", end="", file=sys.stderr, flush=True)
            answer = sys.stdin.readline() if sys.stdin is not None else ""
            if not answer or answer.strip().lower() in ("n", "no"):
                print_note(f"{file} was not changed")
                return CONFIG


def reload_file(args: Namespace) -> int:
    """``voxctl config reload``."""
    result = request(args, "config.reload")
    if args.json:
        print_json(result)
        return OK
    print_text(f"applied: {', '.join(result['applied']) or 'nothing'}")
    if result["needs_restart"]:
        print_text(f"after `voxctl restart`: {', '.join(result['needs_restart'])}")
    return OK


def _apply(args: Namespace, file: Path, key: str) -> int:
    """Have the daemon read the changed ``file``, and print what became of the change."""
    try:
        result = request(args, "config.reload")
    except DaemonUnreachable:
        effect = "it applies when voxd starts"
    except NotPermitted:
        effect = "apply it with `sudo voxctl config reload`"
    except ConfigError as error:
        effect = f"it was not applied: {error}"
    except VoxdError as error:
        effect = f"it was not applied ({error}); run `voxctl config reload`"
    else:
        waits = key in result["needs_restart"] if key else bool(result["needs_restart"])
        effect = "it applies after `voxctl restart`" if waits else "applied"
    what = f"{key} is changed in {file}" if key else f"{file} is changed"
    return print_result(args, {"file": str(file), "key": key, "effect": effect}, f"{what}: {effect}")


def _key(args: Namespace) -> KeyPath:
    from voxd.config.editing import read_key

    try:
        return read_key(args.key)
    except InvalidRequest as error:
        raise WrongArgument(str(error), hint=error.hint) from None


def _file(args: Namespace) -> Path:
    # The file itself: replacing a symbolic link would leave the file that it names as it was.
    return (config_file(args) or default_config_file()).resolve()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongArgument(f"{file} is not UTF-8 text", hint="run `voxctl config check`") from error
    except FileNotFoundError as error:
        raise NotFound(f"{file} does not exist", hint="run `voxctl config init`") from error
    except PermissionError as error:
        raise NotPermitted(f"{file} cannot be read", hint="run it with sudo") from error


def _save(file: Path, text: str) -> None:
    with _draft(file, text) as draft:
        if errors := _errors(draft, file):
            error = InvalidConfig(errors)
            error.hint = "the file was not changed"
            raise error
        _replace(draft, file)


@contextlib.contextmanager
def _draft(file: Path, text: str) -> Iterator[Path]:
    """Write ``text`` beside ``file``, where conf.d is found too; the draft is removed if it is left."""
    with contextlib.ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            draft = stack.enter_context(draft_of(file, text))
        except PermissionError as error:
            raise NotPermitted(f"{file} cannot be changed by this user", hint="run it with sudo") from error
        except OSError as error:
            raise CannotWrite(f"{file} cannot be changed: {error.strerror}") from error
        yield draft


def _errors(draft: Path, file: Path) -> list[Problem]:
    """Return the errors of ``draft`` as those of ``file``."""
    _, _, problems = examine(draft, get_facts=config_facts, environ=os.environ)
    return [
        replace(problem, file=str(file) if problem.file == str(draft) else problem.file)
        for problem in problems
        if problem.severity is Severity.ERROR
    ]


def _replace(draft: Path, file: Path) -> None:
    """Put ``draft`` in the place of ``file`` at once, with the owner and mode of ``file``."""
    if file.exists():
        status = file.stat()
        shutil.copymode(file, draft)
        # Only root may give a file away; another user owns the file already.
        with contextlib.suppress(PermissionError):
            os.chown(draft, status.st_uid, status.st_gid)
    else:
        draft.chmod(0o644)
    put_in_place(draft, file)


def _editor() -> list[str]:
    if named := os.environ.get("VISUAL") or os.environ.get("EDITOR"):
        return shlex.split(named)
    for name in EDITORS:
        if shutil.which(name):
            return [name]
    raise NotFound("no editor was found", hint="name one: EDITOR=nano voxctl config edit")
