"""Layers of settings (files, environment, command line) with the origin of each key, and their merging."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tomli
from msgspec import inspect as mi

from voxd.config.limits.spellings import respell_settings
from voxd.config.mistakes.syntax import opening_line, repair
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

# A line that is not part of a list or text over several lines.
_BEGINS = re.compile(r"\s*(?:[A-Za-z0-9_.-]+\s*=|\[{1,2}[A-Za-z])")


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
    """Parse a TOML text; of one with syntax errors the layer has what is meant, as far as that is clear."""
    if "\0" in text:
        return Layer(), [_syntax_error(file, 1, "the file has null bytes", "save the file as UTF-8")]
    try:
        data, readable, problems = _tolerant_loads(file, text.removeprefix("\ufeff"))
        lines = key_lines(readable)
    except RecursionError:
        # tomli recurses per level of nested arrays and inline tables.
        return Layer(), [_too_deep(file, 0)]
    for path, line in lines.items():
        if len(path) > _MAX_DEPTH:
            return Layer(), [_too_deep(file, line)]
    places = {path: Place(file, line) for path, line in lines.items()}
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


def _tolerant_loads(file: str, text: str) -> tuple[dict[str, Any], str, list[Problem]]:
    """Parse ``text`` with each broken line as it was meant, or without it, and return all problems."""
    # Editors of old Macs end a line with a carriage return alone.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    problems: list[Problem] = []
    touched: set[int] = set()
    for _ in range(3 * _MAX_SYNTAX_ERRORS):
        readable = "\n".join(lines)
        try:
            return tomli.loads(readable), readable, problems
        except tomli.TOMLDecodeError as error:
            broken = min(error.lineno, len(lines)) - 1
            if broken in touched:
                # What it was taken for does not fit in here: reported already.
                _remove_line(lines, broken)
                continue
            touched.add(broken)
            if len(problems) > _MAX_SYNTAX_ERRORS:
                break
            problems.append(_mend(file, lines, broken, error))
    # The rest cannot be parsed either, as after an unclosed string: later errors only follow from the first.
    return {}, "", problems[:1]


def _mend(file: str, lines: list[str], broken: int, error: tomli.TOMLDecodeError) -> Problem:
    """Repair or remove the line at ``broken`` and return its problem."""
    if twice := _written_twice(lines, broken):
        _remove_line(lines, broken)
        return _syntax_error(file, broken + 1, *twice)
    message = f"syntax error at column {error.colno}: {error.msg}"
    if error.msg.startswith("Unclosed") or not lines[broken].strip():
        opened = opening_line(lines, broken)
        _close(lines, opened)
        return _syntax_error(file, opened + 1, message, "close the bracket or the quotes that begin here")
    repaired, hint = repair(lines[broken])
    if repaired or hint:
        lines[broken] = repaired
    else:
        _remove_line(lines, broken)
    return _syntax_error(file, broken + 1, message, hint)


def _close(lines: list[str], opened: int) -> None:
    """Replace the value that begins in line ``opened`` and does not end by a text."""
    lines[opened] = lines[opened].partition("=")[0] + '= "?"' if "=" in lines[opened] else ""
    for index in range(opened + 1, len(lines)):
        if _BEGINS.match(lines[index]):
            return
        lines[index] = ""


def _syntax_error(file: str, line: int, message: str, hint: str) -> Problem:
    return Problem(file, line, "", Severity.ERROR, message, hint)


def _written_twice(lines: list[str], broken: int) -> tuple[str, str] | None:
    """Return message and hint when the section or key in the line at ``broken`` is there already."""
    above = "\n".join(lines[:broken])
    try:
        # `key_lines` takes only what tomli has accepted.
        tomli.loads(above)
        tomli.loads(lines[broken])
        before, alone = key_lines(above), key_lines(lines[broken])
    except (tomli.TOMLDecodeError, ValueError, RecursionError):
        return None
    is_section = lines[broken].lstrip().startswith("[")
    below: KeyPath = () if is_section else _section_above(lines, broken)
    path = (*below, *max(alone, key=len, default=()))
    while path and isinstance(path[-1], int):
        path = path[:-1]
    first = before.get(path) or next((line for each, line in before.items() if each[: len(path)] == path), 0)
    if not path or not first:
        return None
    name = ".".join(map(str, path))
    if isinstance(kind_at(path), mi.VarTupleType):
        return f"[{name}] is a list, and begins in line {first}", f"write [[{name}]] in both lines"
    if is_section:
        return f"[{name}] is there twice: first in line {first}", f"move its keys to line {first}"
    return f"{name} is set twice: first in line {first}", f"remove one of the lines {first} and {broken + 1}"


def _section_above(lines: list[str], broken: int) -> KeyPath:
    for index in range(broken - 1, -1, -1):
        if lines[index].lstrip().startswith("["):
            found = key_lines("\n".join(lines[: index + 1]))
            return max((path for path, line in found.items() if line == index + 1), key=len, default=())
    return ()


def _remove_line(lines: list[str], broken: int) -> None:
    is_header = lines[broken].lstrip().startswith("[")
    lines[broken] = ""
    following = broken + 1
    # Without its header the keys of a broken table would belong to the table above it.
    while is_header and following < len(lines) and not lines[following].lstrip().startswith("["):
        lines[following] = ""
        following += 1


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
