"""Changes one key in the text of voxd.toml; comments, order and layout of the rest stay."""

import re
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from voxd.config.layers import typed_value
from voxd.config.problems import dotted
from voxd.config.schema_types import toml_key
from voxd.config.settings import value_at
from voxd.config.toml_lines import KeyPath
from voxd.errors import InvalidRequest, NotFound

_PART = re.compile(r'([A-Za-z0-9_-]+|"[^"]*")((?:\[\d+\])*)')
_HEADER = re.compile(r"\s*(#?)\s*\[\[?([^\]]+)\]\]?\s*(?:#.*)?$")


def read_key(written: str) -> KeyPath:
    """Return the path of a dotted key, such as ``wake.words[0].threshold``. Raises `InvalidRequest`."""
    path: list[str | int] = []
    at = 0
    while match := _PART.match(written, at):
        path.append(match[1].strip('"'))
        path += [int(index) for index in re.findall(r"\d+", match[2])]
        at = match.end()
        if at == len(written):
            return tuple(path)
        if written[at] != ".":
            break
        at += 1
    raise InvalidRequest(f"{written!r} is not a key", hint="write it as audio.channels or wake.words[0].name")


def set_key(text: str, path: KeyPath, raw: str) -> str:
    """Return ``text`` with ``path`` set to ``raw``, a value in TOML or plain text.

    Raises `InvalidRequest` when the text is not TOML, or when a table is missing that has no name.
    """
    value = typed_value(raw, path)
    document = _parse(text)
    if value_at(document, path) is None and (changed := _uncomment(text, path, value)):
        return changed
    *outer, last = path
    table: Any = document
    for depth, part in enumerate(outer, 1):
        table = _enter(table, part, path[depth:], dotted(path[:depth]))
    try:
        table[last] = value
    except (IndexError, TypeError, ValueError, TOMLKitError) as error:
        raise InvalidRequest(f"{dotted(path)} cannot be set: {error}", hint="edit the file") from error
    return tomlkit.dumps(document)


def unset_key(text: str, path: KeyPath) -> str:
    """Return ``text`` without ``path``. Raises `NotFound` when it is not set there, and `InvalidRequest`."""
    document = _parse(text)
    *outer, last = path
    table = value_at(document, tuple(outer))
    if table is None or value_at(table, (last,)) is None:
        raise NotFound(f"{dotted(path)} is not set in this file", hint="run `voxctl config show --origin`")
    del table[last]
    return tomlkit.dumps(document)


def _parse(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise InvalidRequest(f"the file is not TOML: {error}", hint="run `voxctl config check`") from error


def _enter(table: Any, part: str | int, rest: KeyPath, name: str) -> Any:
    """Return what is under ``part``, on the way to ``rest``; a table that does not exist is added."""
    if isinstance(part, str) and isinstance(table, dict):
        # Only tables in it: it needs no header of its own.
        is_outer = len(rest) > 1 and isinstance(rest[0], str)
        is_list = isinstance(rest[0], int)
        table.setdefault(part, tomlkit.aot() if is_list else tomlkit.table(is_super_table=is_outer))
    elif isinstance(part, int) and isinstance(table, list) and part == len(table):
        table.append(tomlkit.table())
    inner = value_at(table, (part,))
    if inner is None:
        raise InvalidRequest(f"{name} does not exist", hint="add it with `voxctl config edit`")
    return inner


def _uncomment(text: str, path: KeyPath, value: Any) -> str:
    """Set ``path`` at the line where the sample has it as a comment; returns "" without such a line."""
    lines = text.split("\n")
    wanted = dotted(path[:-1])
    commented = re.compile(rf"#\s?{re.escape(toml_key(str(path[-1])))}\s*=")
    section, is_live = "", True
    for index, line in enumerate(lines):
        if header := _HEADER.match(line):
            # Below a table that is itself a comment a key would belong to the table before it.
            is_live, section = not header[1], header[2].strip()
        elif is_live and section == wanted and commented.match(line):
            lines[index] = f"{toml_key(str(path[-1]))} = {tomlkit.item(value).as_string()}"
            return "\n".join(lines)
    return ""
