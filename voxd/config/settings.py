"""The settings as rules read them, with the schema's defaults, and the findings that rules yield."""

from collections.abc import Iterator
from typing import Any

import msgspec

from voxd.config.problems import Finding, Severity
from voxd.config.schema import Config
from voxd.config.toml_lines import KeyPath


class Settings:
    """Settings with the schema's defaults; a key with a mistake (``spoiled``) reads as None."""

    def __init__(self, data: dict[str, Any], spoiled: set[KeyPath]) -> None:
        self._data = data
        self._spoiled = spoiled
        # As plain values, so that a default and a value of the file read alike.
        self._defaults = msgspec.to_builtins(Config())

    def get(self, *path: str | int) -> Any:
        """Return the value at ``path`` or its default, None if it is spoiled or has neither."""
        # A table with a mistake spoils every key in it.
        if self.is_spoiled(*path):
            return None
        value = value_at(self._data, path)
        return value_at(self._defaults, path) if value is None else value

    def is_spoiled(self, *path: str | int) -> bool:
        """Return whether there is a mistake in ``path`` itself or in a table around it."""
        return any(path[:length] in self._spoiled for length in range(1, len(path) + 1))

    def elements(self, *path: str | int) -> list[tuple[KeyPath, dict[str, Any]]]:
        """Return the tables of a list with their paths; spoiled keys read as None."""
        found = self.get(*path)
        return [
            ((*path, index), {key: self.get(*path, index, key) for key in element})
            for index, element in enumerate(found if isinstance(found, list | tuple) else ())
            if isinstance(element, dict) and (*path, index) not in self._spoiled
        ]


def value_at(value: Any, path: KeyPath) -> Any:
    """Return what is at ``path`` of nested tables and lists, None when there is nothing."""
    for part in path:
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def leaves(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every value that is not itself a table or a list of tables."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def error(path: KeyPath, message: str, hint: str) -> Finding:
    """Return a finding that makes the configuration invalid."""
    return Finding(path, Severity.ERROR, message, hint)


def warning(path: KeyPath, message: str, hint: str) -> Finding:
    """Return a finding about a setting that is probably a mistake."""
    return Finding(path, Severity.WARNING, message, hint)
