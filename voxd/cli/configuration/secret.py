"""`voxctl secret`: stores the keys that the configuration refers to as `{ credential = "NAME" }`.

No value is ever printed, nor taken from the command line, which every user of the machine can read.
"""

import contextlib
import getpass
import os
import re
import sys
from argparse import SUPPRESS, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxd.atomic_file import draft_of, put_in_place
from voxd.cli.exits import WrongArgument
from voxd.cli.inputs import config_file
from voxd.cli.output import clean, print_result
from voxd.cli.table import print_rows
from voxd.config.base_dirs import SYSTEM_CREDENTIALS_DIR, UNIT, user_credentials_dir
from voxd.config.files.unit import daemon_view, installed_unit
from voxd.config.loading import examine, kind_of_key, references
from voxd.config.mistakes.api_keys import cleaned, problem_of_key
from voxd.config.mistakes.words import did_you_mean
from voxd.config.problems import dotted
from voxd.errors import InvalidRequest, NotFound, NotPermitted
from voxd.providers.facts import config_facts

# systemd.exec(5), LoadCredential=: a credential is at most 1 MB; keys and certificates are a few KiB.
_MAX_BYTES = 64 * 1024
# systemd accepts more, but these need no quotes anywhere.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SERVICE, _OWN = "the service", "the daemon that you start yourself"


@dataclass(frozen=True, slots=True)
class _Store:
    """A directory of credentials, and whose they are."""

    directory: Path
    owner: str


def register(subparsers: Any) -> None:
    """Add the command."""
    secret = subparsers.add_parser(
        "secret",
        help="store the API keys that the configuration refers to",
        examples=("sudo voxctl secret set openai_key", "sudo voxctl secret set openai_key < key.txt"),
    )
    actions = secret.add_subparsers(title="actions", metavar="ACTION", required=True)
    store = actions.add_parser(
        "set",
        help="store a secret: asks for it, or reads standard input",
        examples=("sudo voxctl secret set openai_key", "voxctl secret set openai_key --own"),
    )
    store.add_argument("name", metavar="NAME", help='the name in { credential = "NAME" }')
    # Taken so that a value given here is refused without being printed, as argparse would do.
    store.add_argument("value", nargs="*", metavar="", help=SUPPRESS)
    store.set_defaults(run=set_secret)
    listing = actions.add_parser(
        "list",
        help="show names and what refers to them, never values",
        examples=("sudo voxctl secret list",),
    )
    listing.set_defaults(run=list_secrets)
    remove = actions.add_parser(
        "remove", help="delete a secret", examples=("sudo voxctl secret remove openai_key",)
    )
    remove.add_argument("name", metavar="NAME", help="its name")
    remove.set_defaults(run=remove_secret)
    for action in (store, listing, remove):
        action.add_argument(
            "--own", action="store_true", help="of the daemon that you start yourself, not of the service"
        )


def set_secret(args: Namespace) -> int:
    """``voxctl secret set``. Raises `WrongArgument`, `InvalidRequest`, `NotPermitted`."""
    if args.value:
        raise WrongArgument(
            "a secret does not belong on the command line, where other users and the history of the shell "
            "have it",
            hint=f"run `voxctl secret set {args.name if _NAME.fullmatch(args.name) else 'NAME'}`, "
            "and change this key at its vendor",
        )
    _check_name(args.name)
    store = _store(args)
    _check_writable(store, args.name)
    key, removed = cleaned(_ask(args.name))
    _check_value(key)
    replaced = os.path.lexists(store.directory / args.name)
    file = _write(store.directory, args.name, key)
    uses = _uses(args, args.name)
    notes = [f"without {' and '.join(removed)}"] if removed else []
    notes += [note for note in {problem_of_key(key, kind) for _, kind in uses} if note]
    return print_result(
        args,
        {"name": args.name, "file": str(file), "replaced": replaced, "notes": notes},
        "\n".join(
            (
                f"{'replaced' if replaced else 'stored'} {clean(str(file))} for {store.owner}",
                *(f"  note: {note}" for note in notes),
                f"  {_next_step(store, args.name, [key for key, _ in uses])}",
            )
        ),
    )


def list_secrets(args: Namespace) -> int:
    """``voxctl secret list``. Raises `NotPermitted`."""
    store = _store(args)
    uses: dict[str, list[str]] = {name: [] for name in _names(store)}
    there = set(uses)
    for name, key, _ in _references(args):
        uses.setdefault(name, []).append(key)
    listed = sorted(uses.items())
    return print_rows(
        args,
        [
            {"name": name, "stored": name in there, "used_by": keys, "file": str(store.directory / name)}
            for name, keys in listed
        ],
        ("name", "stored", "used by"),
        [(name, name in there, ", ".join(keys) or "nothing") for name, keys in listed],
        empty="no secret is stored: `voxctl secret set NAME`",
    )


def remove_secret(args: Namespace) -> int:
    """``voxctl secret remove``. Raises `NotFound`, `NotPermitted`."""
    store = _store(args)
    file = store.directory / args.name
    names = _names(store)
    if args.name not in names:
        hint = did_you_mean(args.name, names) or "run `voxctl secret list`"
        raise NotFound(f"no secret is called {clean(args.name)}", hint=hint)
    _check_writable(store, args.name)
    file.unlink()
    used = [key for key, _ in _uses(args, args.name)]
    text = f"removed {clean(str(file))}"
    if used:
        text += f"\n  still referred to by {', '.join(used)}"
    return print_result(args, {"name": args.name, "file": str(file), "used_by": used}, text)


def _store(args: Namespace) -> _Store:
    """Return the directory of the daemon that is meant. Raises `NotPermitted`."""
    own = _Store(user_credentials_dir(os.environ), _OWN)
    # STATE_DIRECTORY: scripts/voxctl sets it, for the daemon that scripts/run starts.
    if args.own or os.environ.get("STATE_DIRECTORY"):
        return own
    if os.geteuid() == 0:
        return _Store(SYSTEM_CREDENTIALS_DIR, _SERVICE)
    if installed_unit() is not None:
        raise NotPermitted(
            "only root can see the secrets of the service",
            hint="put sudo before it, or add --own for a daemon that you start yourself",
        )
    return own


def _names(store: _Store) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(file.name for file in store.directory.iterdir() if _NAME.fullmatch(file.name))
    return []


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        # Not printed: it may be the secret itself.
        raise WrongArgument(
            "a name has letters, digits, _, - and ., at most 64", hint="run `voxctl secret set openai_key`"
        )
    if problem_of_key(name) or (len(name) > 30 and re.search(r"\d", name)):
        raise WrongArgument(
            "this looks like a secret, not like its name",
            hint="run `voxctl secret set NAME`, and change this key at its vendor",
        )


def _check_writable(store: _Store, name: str) -> None:
    """Raise `NotPermitted` before the user is asked for a secret that could not be stored."""
    there = next(each for each in (store.directory, *store.directory.parents) if os.path.exists(each))
    if not os.access(there, os.W_OK | os.X_OK):
        raise NotPermitted(f"{there} cannot be written", hint=f"run `sudo voxctl secret set {name}`")


def _ask(name: str) -> str:
    if sys.stdin.isatty():
        # On the terminal itself, without echo; end of input is an empty answer.
        with contextlib.suppress(EOFError):
            return getpass.getpass(f"{name} (not shown): ")
        return ""
    raw = sys.stdin.buffer.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise InvalidRequest(f"a secret has at most {_MAX_BYTES} bytes", hint="give it the file of one key")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest("the input is not text", hint="give it the file of one key, as UTF-8") from None


def _check_value(key: str) -> None:
    if not key:
        raise InvalidRequest("no secret was given: nothing was stored", hint="paste it and press Enter")
    # A service account is JSON, a certificate PEM; no other secret has lines.
    if "\n" in key and not key.startswith(("{", "[", "-----BEGIN")):
        raise InvalidRequest("the input has more than one line", hint="give it one key, alone")
    if not all(char.isprintable() or char in "\r\n\t" for char in key):
        raise InvalidRequest("the input has control characters", hint="copy the key again")


def _write(directory: Path, name: str, key: str) -> Path:
    """Write ``key`` so that no other user can read it at any moment; an old value is replaced at once."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / name
    with draft_of(file, f"{key}\n") as draft:
        put_in_place(draft, file)
    return file


def _references(args: Namespace) -> list[tuple[str, str, str]]:
    """Return name, key and kind of provider of each `{ credential = ... }` of the configuration."""
    file = config_file(args)
    view = daemon_view(file, os.environ)
    _, settings, _ = examine(file, get_facts=config_facts, environ=os.environ, view=view)
    return [
        (name, dotted(path), kind_of_key(settings.data, path))
        for path, kind, name in references(settings.data)
        if kind == "credential"
    ]


def _uses(args: Namespace, wanted: str) -> list[tuple[str, str]]:
    return [(key, kind) for name, key, kind in _references(args) if name == wanted]


def _next_step(store: _Store, name: str, keys: list[str]) -> str:
    if not keys:
        return f'the configuration does not refer to it: write api_key = {{ credential = "{name}" }}'
    if store.owner == _SERVICE:
        # systemd reads credentials when it starts the service, not at a reload.
        return f"used by {', '.join(keys)} after `systemctl restart {UNIT.removesuffix('.service')}`"
    return f"used by {', '.join(keys)} when the daemon starts again"
