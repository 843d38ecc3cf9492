"""Loads the configuration from defaults, voxd.toml, conf.d, environment and command line, in this order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from voxd.config.checking import check_settings, sort_problems
from voxd.config.files.access import OwnView, View
from voxd.config.layers import Layer, from_environment, from_overrides, from_toml, merge
from voxd.config.mistakes.api_keys import looks_like_key, problem_of_key
from voxd.config.paths import default_config_file
from voxd.config.problems import InvalidConfig, Problem, Severity, dotted
from voxd.config.provider_rules import GetFacts
from voxd.config.schema import Config
from voxd.config.secrets import SOURCES, resolve, to_builtins
from voxd.config.settings import leaves, value_at
from voxd.config.toml_lines import KeyPath

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, the origin of each key, and warnings.

    ``origins`` maps every dotted key to "file:line", "environment", "--set" or "default".
    """

    config: Config
    origins: dict[str, str]
    warnings: tuple[Problem, ...]
    files: tuple[Path, ...]


def load(
    path: Path | None, *, get_facts: GetFacts, environ: Mapping[str, str], overrides: Sequence[str] = ()
) -> Loaded:
    """Read the configuration; ``path`` None means the default file, which need not exist.

    Raises `InvalidConfig` (a `ConfigError`) with all problems.
    """
    files, settings, problems = examine(path, get_facts=get_facts, environ=environ, overrides=overrides)
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise InvalidConfig(problems)
    # `Secret` is the only type of the schema that msgspec does not know.
    config = msgspec.convert(settings.data, Config, dec_hook=lambda _, written: resolve(written, environ))
    origins = {
        dotted(path): DEFAULT if value_at(settings.data, path) is None else str(settings.place(path))
        for path in leaves(to_builtins(config))
    }
    return Loaded(config, origins, tuple(problems), files)


def examine(
    path: Path | None,
    *,
    get_facts: GetFacts,
    environ: Mapping[str, str],
    overrides: Sequence[str] = (),
    view: View | None = None,
) -> tuple[tuple[Path, ...], Layer, list[Problem]]:
    """Return the files that were read, the merged settings and all problems. Never raises.

    ``view`` says which files the daemon can use; None means that this process is the daemon.
    """
    files, problems = _files(path, environ)
    layers: list[Layer] = []
    for file in files:
        text, unreadable = _text_of(file)
        layer, broken = from_toml(str(file), text)
        layers.append(layer)
        problems += unreadable + broken
    # After the files: a container or a unit overrides what its image or package brings.
    layers.append(from_environment(environ))
    command_line, malformed = from_overrides(overrides)
    settings = merge([*layers, command_line])
    problems += malformed
    view = view or OwnView(environ)
    problems += check_settings(settings, get_facts=get_facts, view=view)
    problems += _secret_problems(settings, view)
    return files, settings, sort_problems(problems)


def _files(path: Path | None, environ: Mapping[str, str]) -> tuple[tuple[Path, ...], list[Problem]]:
    main = default_config_file(environ) if path is None else path
    try:
        there = main.exists()
        # By name, as for every conf.d directory: 10-site.toml before 90-local.toml.
        beside = sorted(file for file in (main.parent / "conf.d").glob("*.toml") if file.is_file())
    except OSError as error:
        return (), [_unreadable(main, error)]
    named = path is not None or bool(environ.get("VOXD_CONFIG"))
    # A file that was named must exist; without the default one the defaults apply.
    if not there and named:
        hint = "use a file that exists, or run `voxctl config init`"
        return (), [Problem(str(main), 0, "", Severity.ERROR, "the file does not exist", hint)]
    return ((main,) if there else ()) + tuple(beside), []


def _text_of(file: Path) -> tuple[str, list[Problem]]:
    try:
        # Some editors on Windows write a byte order mark first.
        return file.read_text("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = file.read_bytes().count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 text at byte {error.start}"
        return "", [Problem(str(file), line, "", Severity.ERROR, message, "save the file as UTF-8")]
    except OSError as error:
        return "", [_unreadable(file, error)]


def _unreadable(file: Path, error: OSError) -> Problem:
    hint = (
        "run it as a member of the group voxd" if isinstance(error, PermissionError) else "use another file"
    )
    return Problem(str(file), 0, "", Severity.ERROR, error.strerror or "unreadable", hint)


def _secret_problems(settings: Layer, view: View) -> Iterator[Problem]:
    for path, kind, name in references(settings.data):
        if looks_like_key(name) and (place := settings.place(path)):
            # Not printed: it is the secret itself.
            message = f"this is a key, and {kind} takes the name of what holds it"
            hint = f'write {{ {kind} = "name" }}, and change the key at its vendor'
            yield Problem(place.file, place.line, dotted(path), Severity.WARNING, message, hint)
            continue
        reading = view.secret(kind, name)
        if reading is None:
            continue
        message = reading.warning or (f"the secret is missing: {reading.problem}" if reading.problem else "")
        hint = ""
        if reading.value is not None and not message:
            message = problem_of_key(reading.value, kind_of_key(settings.data, path))
            hint = f"run `voxctl secret set {name}`" if kind == "credential" else f"correct the {kind} {name}"
        # A warning, not an error: the device works without that one provider.
        if message and (place := settings.place(path)):
            yield Problem(place.file, place.line, dotted(path), Severity.WARNING, message, hint)


def kind_of_key(data: Any, path: KeyPath) -> str:
    """Return the kind of the provider whose key is at ``path``, "" if its keys may be of any vendor."""
    if path[0] != "providers" or path[2] not in ("api_key", "api_keys"):
        return ""
    provider = data["providers"][path[1]]
    own_address = provider.get("endpoint") or provider.get("endpoints")
    return "" if own_address else str(provider.get("kind", ""))


def references(data: Any) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield the keys that refer to the source of a secret, each with the kind and the name of the source."""
    yield from _references(data, ())


def _references(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield the keys and header values that refer to the source of a secret."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    for key, item in items:
        takes_secret = key == "api_key" or path[-1:] in (("headers",), ("api_keys",))
        # One with several sources is an error already.
        if takes_secret and isinstance(item, dict) and len(item) == 1:
            named = (each for each in item.items() if each[0] in SOURCES and isinstance(each[1], str))
            yield from (((*path, key), kind, name) for kind, name in named)
        else:
            yield from _references(item, (*path, key))
