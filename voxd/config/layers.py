"""Layers of settings (files, environment, command line) with the origin of each key, and their merging."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tomli
from msgspec import inspect as mi

from voxd.config.limits.spellings import respell_settings
from voxd.config.problems import Place, Problem, Severity
from voxd.config.schema_types import kind_at
from voxd.config.toml_lines import KeyPath, key_lines

ENVIRONMENT_PREFIX = "VOXD__"
ENVIRONMENT = Place("environment")
COMMAND_LINE = Place("--set")

# Each costs one more parse of the whole text.
_MAX_SYNTAX_ERRORS = 10
# The schema needs 8 levels. Functions that walk nested tables recurse once per level.
_MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings as parsed from TOML, and the origin of each key."""

    data: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)

    def place(self, path: KeyPath) -> Place | None:
        """Return the origin of ``path`` or of the nearest table around it."""
        for length in range(len(path), 0, -1):
            if place := self.places.get(path[:length]):
                return place
        return None


def from_toml(file: str, text: str) -> tuple[Layer, list[Problem]]:
    """Parse a TOML text; the layer has the readable part of a text with syntax errors."""
    try:
        data, readable, errors = _tolerant_loads(text)
        lines = key_lines(readable)
    except RecursionError:
        # tomli recurses per level of nested arrays and inline tables.
        return Layer(), [_too_deep(file, 0)]
    for path, line in lines.items():
        if len(path) > _MAX_DEPTH:
            return Layer(), [_too_deep(file, line)]
    places = {path: Place(file, line) for path, line in lines.items()}
    problems = [
        Problem(
            file,
            error.lineno,
            "",
            Severity.ERROR,
            f"syntax error at column {error.colno}: {error.msg}",
            _syntax_hint(text, error.lineno),
        )
        for error in errors
    ]
    return Layer(*respell_settings(data, places)), problems


def _too_deep(file: str, line: int) -> Problem:
    return Problem(
        file,
        line,
        "",
        Severity.ERROR,
        "nested too deeply",
        "remove levels: no table of voxd.toml is that deep",
    )


def _tolerant_loads(text: str) -> tuple[dict[str, Any], str, list[tomli.TOMLDecodeError]]:
    """Parse ``text`` without the line of each syntax error, to find the problems of the rest too."""
    lines = text.replace("\r\n", "\n").split("\n")
    errors: list[tomli.TOMLDecodeError] = []
    while len(errors) <= _MAX_SYNTAX_ERRORS:
        readable = "\n".join(lines)
        try:
            return tomli.loads(readable), readable, errors
        except tomli.TOMLDecodeError as error:
            errors.append(error)
            _remove_line(lines, error.lineno - 1)
    # The rest cannot be parsed either, as after an unclosed string: later errors only follow from the first.
    return {}, "", errors[:1]


def _remove_line(lines: list[str], broken: int) -> None:
    is_header = lines[broken].lstrip().startswith("[")
    lines[broken] = ""
    following = broken + 1
    # Without its header the keys of a broken table would belong to the table above it.
    while is_header and following < len(lines) and not lines[following].lstrip().startswith("["):
        lines[following] = ""
        following += 1


def _syntax_hint(text: str, line: int) -> str:
    lines = text.splitlines()
    written = lines[line - 1].strip() if line <= len(lines) else ""
    match = re.fullmatch(r"([A-Za-z0-9_.-]+)\s*=\s*([A-Za-z_/][\w./ -]*)", written)
    if match and match[2].lower() in {"true", "yes", "on", "false", "no", "off"}:
        return f"{match[1]} = {'true' if match[2].lower() in {'true', 'yes', 'on'} else 'false'}"
    if match:
        return f'put text in quotes: {match[1]} = "{match[2]}"'
    if re.fullmatch(r"[A-Za-z0-9_-]+\s*:.*", written):
        return "write key = value"
    return ""


def from_environment(environ: Mapping[str, str]) -> Layer:
    """Read ``VOXD__SECTION__KEY=value`` variables; a value that is not TOML is text."""
    layer = Layer()
    for name in sorted(environ):
        if name.startswith(ENVIRONMENT_PREFIX):
            # Two underscores between keys: keys have single ones. Names of variables are upper case by
            # custom.
            path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
            _put(layer, path, environ[name], ENVIRONMENT)
    return layer


def from_overrides(overrides: Iterable[str]) -> tuple[Layer, list[Problem]]:
    """Read ``section.key=value`` arguments; a value that is not TOML is text."""
    layer = Layer()
    problems = []
    for override in overrides:
        key, equals, value = override.partition("=")
        path = tuple(key.strip().split("."))
        if equals and all(path):
            _put(layer, path, value.strip(), COMMAND_LINE)
        else:
            message = f'expected section.key=value, got "{key}"'
            problems.append(Problem("--set", 0, "", Severity.ERROR, message, "--set audio.channels=2"))
    return layer, problems


def _put(layer: Layer, path: tuple[str, ...], raw: str, place: Place) -> None:
    table = layer.data
    for length, key in enumerate(path[:-1], start=1):
        inner = table.get(key)
        # A value where a table belongs, as in --set audio=1 --set audio.channels=2: the later one wins.
        if not isinstance(inner, dict):
            inner = table[key] = {}
        layer.places.setdefault(path[:length], place)
        table = inner
    table[path[-1]] = typed_value(raw, path)
    layer.places[path] = place


def typed_value(raw: str, path: KeyPath) -> Any:
    """Return ``raw``, the text of a value for ``path``, as TOML reads it; what is not TOML is text."""
    if isinstance(kind_at(path), mi.StrType) and raw[:1] not in {'"', "'"}:
        # paths.state=2026 is a directory of that name, not a number.
        return raw
    try:
        parsed = tomli.loads(f"value = {raw}")
    except tomli.TOMLDecodeError:
        return raw
    # A raw value with a newline in it could set a second key.
    return parsed["value"] if len(parsed) == 1 else raw


def merge(layers: Iterable[Layer]) -> Layer:
    """Merge the layers, later ones over earlier ones: tables key by key, lists as a whole."""
    # [agents.NAME] adds an agent to the default one, it does not replace it.
    merged = Layer({"agents": {"default": {}}})
    places: dict[KeyPath, Place] = {}
    for layer in layers:
        replaced: list[KeyPath] = []
        _overlay(merged.data, layer.data, (), replaced)
        # A list that replaces a longer one must not leave the lines of the elements that are gone.
        for old in [path for path in places if any(path[: len(new)] == new for new in replaced)]:
            del places[old]
        places.update(layer.places)
    merged.places.update(places)
    return merged


def _overlay(below: dict[str, Any], above: dict[str, Any], path: KeyPath, replaced: list[KeyPath]) -> None:
    for key, value in above.items():
        here = (*path, key)
        existing = below.get(key)
        if isinstance(existing, dict) and isinstance(value, dict):
            _overlay(existing, value, here, replaced)
        else:
            replaced.append(here)
            below[key] = _copy_tables(value)


def _copy_tables(value: Any) -> Any:
    # Later layers are merged into these tables; the layer that they come from must not change.
    return {key: _copy_tables(item) for key, item in value.items()} if isinstance(value, dict) else value
