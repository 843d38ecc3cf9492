"""Prints a configuration as TOML, each key with its origin if asked for, no secret in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from voxd.config.kinds import toml_key, toml_value
from voxd.config.lines import KeyPath
from voxd.config.problems import dotted
from voxd.config.schema import Config
from voxd.config.secrets import to_builtins


def to_toml(config: Config, origins: Mapping[str, str] | None = None) -> str:
    """Return ``config`` as TOML; with ``origins`` (see `Loaded`) each line tells where its value is from.

    It can be read again but for literal secrets, which are masked. Keys that are unset are left out.
    """
    return "\n".join(_table(to_builtins(config), (), origins or {})).strip("\n") + "\n"


def _table(table: dict[str, Any], path: KeyPath, origins: Mapping[str, str]) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if _is_table(value) or _is_tables(value)}
    for key, value in table.items():
        if key not in inner and value is not None:
            origin = _origin(origins, (*path, key))
            yield f"{toml_key(key)} = {toml_value(value)}" + (f"  # {origin}" if origin else "")
    for key, value in inner.items():
        here = (*path, key)
        elements = value if isinstance(value, list | tuple) else [value]
        for index, element in enumerate(elements):
            yield ""
            name = ".".join(toml_key(part) for part in here if isinstance(part, str))
            yield f"[[{name}]]" if _is_tables(value) else f"[{name}]"
            yield from _table(element, (*here, index) if _is_tables(value) else here, origins)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and any(not isinstance(item, list | tuple) for item in value.values())


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value)


def _origin(origins: Mapping[str, str], path: KeyPath) -> str:
    key = dotted(path)
    # A table written on one line has no origin of its own, only its keys have.
    return origins.get(key) or next((at for name, at in origins.items() if name.startswith(f"{key}.")), "")
